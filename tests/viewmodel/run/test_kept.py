"""Kept tensors as snapshots: which one a module opens, those of evaluations, steps that keep to a tensor."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from kit.runs import Training as Made

from gradtui.core.layer import Layer
from gradtui.core.run.keys import SeriesKey
from gradtui.core.run.records import Entry, Kept
from gradtui.core.run.run import Run
from gradtui.core.session import Session
from gradtui.viewmodel.detail import layer_detail
from gradtui.viewmodel.generations import Generations
from gradtui.viewmodel.run.headline import kept_words, snapshot_words
from gradtui.viewmodel.run.lines import row
from gradtui.viewmodel.run.snapshots import (
    is_of_evaluation,
    snapshots_of,
    tensor_to_open,
    tensors_of,
)
from gradtui.viewmodel.run.training import Training, training_of
from gradtui.viewmodel.summary import summarize
from gradtui.viewmodel.text import plain

ONES = np.ones((2, 3), np.float32)
MODULES = ("body", "body.a", "body.b", "head")
KEPT = {
    0: (SeriesKey("body.b", "output", ""), SeriesKey("body.b", "parameter", "", "weight")),
    4: (SeriesKey("body.b", "output", "", phase="eval"),),
    5: (SeriesKey("body.b", "output", ""),),
    9: (SeriesKey("head", "output", "", phase="eval"),),
}


def run():
    made = Made(steps=12)
    for path in MODULES:
        made.layer(path)
    kept = [Entry(step, 0.0, Kept(key, ONES)) for step, keys in KEPT.items() for key in keys]
    return Run.of({0: [*made.entries(), *kept]})


def test_tensors_of_an_evaluation_have_a_name_of_their_own():
    shown = snapshots_of(run(), "")
    assert [each.generation for each in shown] == [0, 4, 5, 9]
    assert tensors_of(shown[1]) == [("body.b y eval", "body.b")]
    assert [is_of_evaluation(each) for each in shown] == [False, True, False, True]
    assert "in an evaluation, 1 newer" in plain(kept_words(Generations(shown[:3], position=1)))


def test_several_outputs_of_a_module_have_names():
    made = Made(steps=2)
    made.layer("rnn", "LSTM")
    made.layer("two", "Pair")
    keys = [SeriesKey("rnn", "output", "", slot) for slot in ("0", "1.0", "1.1")]
    keys += [SeriesKey("rnn", "output gradient", "", "0", 1)]
    keys += [SeriesKey("two", "output", "", "1.0"), SeriesKey("rnn", "gradient", "", "0")]
    kept = [Entry(1, 0.0, Kept(key, ONES)) for key in keys]
    (shown,) = snapshots_of(Run.of({0: [*made.entries(), *kept]}), "")
    assert [layer.name for layer in shown.layers] == [
        "rnn.output y", "rnn.h y", "rnn.c y", "rnn.output#1 dy", "two.output 1/0 y", "rnn.0 dW",
    ]  # fmt: skip


def test_the_norm_of_a_map_says_of_what_it_is():
    planes, flat = np.ones((2, 3, 4), np.float32), np.ones((3, 4), np.float32)
    layers = (
        Layer("a y", planes, quantity="output"),
        Layer("b dy", flat, quantity="output gradient"),
    )
    session = Session(layers=layers)
    summary = summarize(session, Session.empty())
    detail = ["".join(map(plain, layer_detail(session, summary, n, 100))) for n in ("a y", "b dy")]
    # Each of the 12 cells is the sum of two channels.
    assert "|y|2 of the channels' sum 6.928" in detail[0]
    assert "|dy|2 3.464" in detail[1]


@pytest.mark.parametrize(
    ("path", "step", "found"),
    [
        ("body.b", -1, (2, "body.b y")),
        ("body.b", 4, (1, "body.b y eval")),
        ("body.b", 3, (0, "body.b y")),
        ("head", 2, (3, "head y eval")),
        ("body", -1, (2, "body.b y")),
        ("", -1, (2, "body.b y")),
        # A snapshot of this very step shows what it has; without one nothing of the module is there.
        ("body.a", 9, (3, "head y eval")),
        ("body.a", 8, (-1, "")),
        ("body.a", -1, (-1, "")),
    ],
)
def test_what_a_module_opens(path, step, found):
    assert tensor_to_open(snapshots_of(run(), ""), path, step) == found


def test_steps_keep_to_the_tensor():
    """One that a snapshot lacks is passed over; it is no newer one, and the one before is of the same tensor."""
    generations = Generations(snapshots_of(run(), ""), tensor="body.b y")
    assert (generations.shown.generation, generations.behind, generations.count) == (5, 0, 2)
    assert generations.previous.generation == 0
    back = generations.stepped(-1)
    assert (back.shown.generation, back.behind) == (0, 1)
    assert back.stepped(-1).shown.generation == 0
    assert back.stepped(1).following
    assert "1 of 2" in plain(snapshot_words(back, 80))
    assert replace(back, position=1).stepped(1).shown.generation == 5
    assert replace(back, position=1).stepped(-1).shown.generation == 0
    gone = replace(generations, tensor="gone")
    assert (gone.shown.generation, gone.count) == (9, 4)
    assert Generations(tensor="gone").stepped(1).shown.generation == 0


def test_a_module_of_which_tensors_are_kept_is_marked():
    training = training_of(run(), (), Training())

    def name(path, **options):
        node = training.tree.node(path)
        return plain(row(training, node, 80, flat=False, **{"folded": False} | options))[:22]

    assert name("body.b").rstrip().endswith("b k")
    assert name("body.a").split()[0] == "a"
    assert "k" not in name("body.a")
    assert "body k" not in name("body")
    assert "body k" in name("body", folded=True)
