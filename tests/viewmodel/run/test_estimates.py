"""What is an estimate says so, and what is 0 is seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from kit.run_folders import SmallGpt
from kit.runs import Training as Made

from gradtui.core.run.keys import VALUES, SeriesKey
from gradtui.core.run.records import Layout
from gradtui.core.run.run import Run
from gradtui.viewmodel.run.choice import RunChoice
from gradtui.viewmodel.run.density import distribution_at
from gradtui.viewmodel.run.detail import module_detail
from gradtui.viewmodel.run.distribution import distribution_lines, estimate_mark
from gradtui.viewmodel.run.history import companion_lines
from gradtui.viewmodel.run.page import run_text
from gradtui.viewmodel.run.training import Training, training_of
from gradtui.viewmodel.run.window import window_of
from gradtui.viewmodel.text import plain


def gpt(steps=20):
    model = SmallGpt(1, keep=False)
    return Run.of({0: [*model.preamble(), *(each for k in range(steps) for each in model.step(k))]})


def test_quantiles_of_a_sample_are_marked_and_those_of_all_values_are_not():
    run = gpt()
    # 500 values were counted of 10,000.
    key = SeriesKey("head", "gradient", VALUES, "weight")
    lines = distribution_lines(run, RunChoice(), key, window_of(run, RunChoice()), 120)
    assert plain(lines[0]).count(" ~") == 3
    detail = [
        plain(one) for one in module_detail(run, training_of(run, (), Training()), "head", 120)
    ]
    assert any("p50 ~" in one for one in detail)
    found = distribution_at(run, key, 19)
    assert estimate_mark(run, key, found) == "~"
    whole = replace(found, counts=found.counts * 20)
    assert estimate_mark(run, key, whole) == ""
    # Of row norms there is one for each row, and all are counted.
    norms = SeriesKey("h.0.attn.proj", "input gradient", "row norms", "mask")
    assert estimate_mark(run, norms, distribution_at(run, norms, 19)) == ""


def test_a_ratio_is_marked_where_any_of_its_column_is_of_a_sample():
    made = Made(steps=3).layer("a").layer("b")
    entries = made.entries()
    for sampled, mark in (((), False), ("first", True), ("last", True)):
        layout = entries[1].record
        ratios = [
            n for n, key in enumerate(layout.keys) if key.quantity == "l2" and key.role == "update"
        ]
        places = () if not sampled else (ratios[0 if sampled == "first" else -1],)
        changed = [
            replace(entries[1], record=Layout(layout.number, "scalars", layout.keys, places)),
            *entries[2:],
        ]
        run = Run.of({0: [entries[0], *changed]})
        assert training_of(run, (), Training()).numbers.sampled is mark
    assert " ~" in run_text(run, (), history=True)


def test_a_count_that_was_0_is_seen_beside_one_that_was_not():
    made = Made(steps=40).layer("a")
    counts = np.zeros(40)
    counts[30:] = 12
    made.set("a", "gradient", "nan", counts, slot="weight")
    made.set("a", "gradient", "inf", 0, slot="weight")
    run = made.run()
    choice = RunChoice()
    for quantity, shown in (("nan", "▁▁▁▁▁▁▁█████"), ("inf", "▅" * 12)):
        key = SeriesKey("a", "gradient", quantity, "weight")
        (line,) = companion_lines(run, choice, [key], "a", window_of(run, choice), 60, 1)
        assert shown in plain(line)
