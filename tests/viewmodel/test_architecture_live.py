"""A run's gradients beside an architecture: a row has the norm over the parameters that it stands for."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from kit.graphs import blocks, chain_of
from kit.runs import Training as Made

from gradtui.core.architecture.categories import Colours
from gradtui.diagnosis.finding import Finding
from gradtui.viewmodel.architecture.choices import ArchitectureChoices
from gradtui.viewmodel.architecture.gradients import flag_of, gradient_of
from gradtui.viewmodel.architecture.listing import architecture_view
from gradtui.viewmodel.architecture.live import live_of
from gradtui.viewmodel.architecture.rows import Rows
from gradtui.viewmodel.architecture.table import architecture_line, flagged
from gradtui.viewmodel.architecture.words import row_detail
from gradtui.viewmodel.text import plain

KEEP = ArchitectureChoices(merge=-1)


def training(count):
    """Blocks of two layers each: block k's gradients are k + 1 and 2 (k + 1), its biases' are 0."""
    made = Made(steps=4)
    for k in range(count):
        for j in range(2):
            made.layer(f"blocks.{k}.{j}")
            made.of(f"blocks.{k}.{j}", "gradient", "l2", "weight")[:] = (j + 1) * (k + 1)
            made.of(f"blocks.{k}.{j}", "gradient", "l2", "bias")[:] = 0
    return made


def norms(graph, made, choices=KEEP):
    view = architecture_view(Rows(graph), choices, live=live_of(made.run(), ()))
    rows = [view.row(place) for place in range(len(view.shown))]
    return {
        f"{row.role} {graph.nodes[row.number].path}": gradient_of(graph, row, view.live)
        for row in rows
        if graph.nodes[row.number].kind == "module"
    }, view


def test_folded_calls_and_calls_alike_are_all_that_is_inside():
    found, view = norms(blocks(4), training(4))
    wanted = math.sqrt(5 * sum(k * k for k in range(1, 5)))
    assert found["repeat blocks.0"] == (pytest.approx(wanted), False)
    place = next(k for k in range(len(view.shown)) if view.row(k).role == "repeat")
    assert f"|grad|2 {wanted:.3g}" in plain(row_detail(view, place, 120)[1])
    found, _ = norms(blocks(2), training(2), replace(KEEP, depth=0))
    folded = {name: norm for name, (norm, _) in found.items() if name.startswith("folded")}
    assert folded == {
        "folded blocks.0": pytest.approx(math.sqrt(5)),
        "folded blocks.1": pytest.approx(2 * math.sqrt(5)),
    }


def test_a_leaf_is_itself_with_what_was_merged_into_it():
    graph = chain_of(100, 1)
    made = Made(steps=4)
    for name, norm in (("m0", 3.0), ("m1", 4.0)):
        made.layer(name)
        made.of(name, "gradient", "l2", "weight")[:] = norm
        made.of(name, "gradient", "l2", "bias")[:] = 0
    assert [norm for norm, _ in norms(graph, made)[0].values()] == pytest.approx([3, 4])
    found, _ = norms(graph, made, replace(KEEP, merge=0.1))
    assert found == {"leaf m0": (pytest.approx(5), False)}


def test_a_group_is_lost_where_nothing_in_it_is_finite():
    made = training(2)
    for j in range(2):
        made.of(f"blocks.0.{j}", "gradient", "l2", "weight")[:] = 0
        made.set(f"blocks.0.{j}", "gradient", "nan", 7.0, slot="weight")
    made.set("blocks.1.0", "gradient", "nan", 7.0, slot="weight")
    found, view = norms(blocks(2), made, replace(KEEP, depth=0))
    assert np.isnan(found["folded blocks.0"][0])
    assert found["folded blocks.0"][1]
    assert found["folded blocks.1"] == (pytest.approx(2 * math.sqrt(5)), False)
    texts = [
        plain(architecture_line(view, k, 140, Colours())).split() for k in range(len(view.shown))
    ]
    assert any("nan" in words for words in texts)
    assert any("4.5e+00" in words for words in texts)


def test_what_nothing_was_measured_of_has_no_norm():
    found, _ = norms(blocks(2), Made(steps=4), replace(KEEP, depth=0))
    assert all(np.isnan(norm) and not is_lost for norm, is_lost in found.values())


def test_names_nested_ever_deeper_cost_no_more_than_they_are_long():
    made = Made(steps=2).layer(".".join("a" * 3000))
    live = live_of(made.run(), ())
    assert len(live) <= 3
    assert live[""].inside > 0


def finding(path, severity="warn", word="vanishing", *also):
    return Finding(word, severity, path, "weight", 0, "what", "why", "try", also=also)


def flags(graph, choices, *findings):
    """The flag of each row, and the rows that e goes to."""
    live = live_of(training(2).run(), findings)
    view = architecture_view(Rows(graph), choices, live=live)
    rows = [view.row(place) for place in range(len(view.shown))]
    found = {graph.nodes[row.number].path: flag_of(graph, row, live) for row in rows}
    return found, [graph.nodes[rows[place].number].path for place in flagged(view)], view


def test_a_folded_row_has_the_worst_flag_of_what_it_hides():
    graph = blocks(2)
    some = (finding("blocks.1.0", "bad", "exploding"), finding("blocks.1.1"))
    folded, goes_to, view = flags(graph, replace(KEEP, depth=0), *some)
    assert folded["blocks.0"] == ("", "")
    assert folded["blocks.1"] == ("!", "EXPL")
    assert goes_to == ["blocks.1"]
    texts = [plain(architecture_line(view, k, 100, Colours())) for k in range(len(view.shown))]
    assert sum("! EXPL" in text for text in texts) == 1
    place = next(k for k, text in enumerate(texts) if "! EXPL" in text)
    assert "! EXPL" in plain(row_detail(view, place, 120)[1])
    opened, goes_to, _ = flags(graph, replace(KEEP, depth=-1), *some)
    assert opened["blocks.1.0"] == ("!", "EXPL")
    assert opened["blocks.1.1"] == ("v", "VAN")
    assert goes_to == ["blocks.1.0", "blocks.1.1"]


def test_calls_alike_and_merged_rows_have_the_flags_of_all_that_they_stand_for():
    found, goes_to, _ = flags(blocks(4), KEEP, finding("blocks.2.1"))
    assert found["blocks.0"] == ("v", "VAN")
    assert goes_to == ["blocks.0"]
    graph = chain_of(100, 1)
    found, goes_to, _ = flags(graph, replace(KEEP, merge=0.1), finding("m1", "bad", "exploding"))
    assert found["m0"] == ("!", "EXPL")
    assert goes_to == ["m0"]
