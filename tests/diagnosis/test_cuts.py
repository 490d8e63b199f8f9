"""Modules that one cut keeps from the loss are told of together, where the edges say which cut it is."""

from __future__ import annotations

import numpy as np
import pytest
from kit.runs import Training as Made
from kit.runs import findings_of

from gradtui.core.run.keys import SeriesKey
from gradtui.core.run.records import Edges
from gradtui.diagnosis.cuts import Ways


def edges(*pairs, whole=True):
    ends = tuple((SeriesKey(a, "output", ""), SeriesKey(b, "input", "")) for a, b in pairs)
    # Some of them lead through operations: that makes no difference.
    return Edges(ends[::2], ends[1::2], whole)


CHAIN = (("stem", "act"), ("act", "enc"), ("act", "enc.0"), ("enc.0", "enc.1"), ("enc", "neck"))


@pytest.mark.parametrize(
    ("pairs", "paths", "alive", "last"),
    [
        (CHAIN, ["stem"], {"head"}, "neck"),
        (CHAIN, ["enc.1"], {"head"}, "neck"),
        (CHAIN, ["stem", "enc.0", "enc.1", "neck"], {"head"}, "neck"),
        # The module around the last one ends there, too.
        (CHAIN[:-1], ["stem"], {"head"}, "enc"),
        # An edge to what has a gradient: it is no cut.
        ((*CHAIN, ("neck", "head")), ["stem"], {"head"}, ""),
        # Two ends, no edges, and what nothing is known of.
        ((*CHAIN, ("act", "side")), ["stem"], {"head"}, ""),
        ((), ["stem"], {"head"}, ""),
        (CHAIN, ["lone"], {"head"}, ""),
        # Round and round.
        ((("a", "b"), ("b", "a")), ["a"], set(), ""),
    ],
)
def test_what_comes_out_of_modules_ends_behind_one(pairs, paths, alive, last):
    assert Ways(edges(*pairs)).cut_behind(paths, alive) == last
    assert Ways(edges(*pairs, whole=False)).cut_behind(paths, alive) == ""


def training(*cut):
    """A chain of layers of which some have no gradient, and give none back."""
    made = Made(steps=300)
    for path in ("stem", "enc", "neck", "head"):
        made.layer(path)
        if path in cut:
            for name in ("weight", "bias"):
                made.of(path, "gradient", "l2", name)[:] = np.nan
            made.of(path, "output gradient", "l2")[:] = np.nan
    made.edges = [("stem", "enc"), ("enc", "neck")]
    return made


def test_one_cut_is_one_finding():
    (found,) = findings_of(training("stem", "enc", "neck").run(), "no gradient")
    assert (found.path, found.also, found.severity) == ("neck", ("stem", "enc"), "warn")
    assert found.what == (
        "No gradient reaches stem, enc and neck: the way to the loss is cut off behind neck."
    )
    assert "stem.weight, stem.bias, enc.weight and 3 more" in found.why
    assert found.advice.endswith("behind neck.")
    assert found.series


def test_without_edges_each_is_told_by_itself():
    made = training("stem", "enc", "neck")
    made.edges = []
    assert [f.path for f in findings_of(made.run(), "no gradient")] == ["stem", "enc", "neck"]


def test_one_module_alone_and_a_healthy_run_stay_as_they_are():
    (found,) = findings_of(training("neck").run(), "no gradient")
    assert "cut off from the loss" in found.what
    assert findings_of(training().run(), "no gradient") == []


def test_two_cuts_are_two_findings():
    made = Made(steps=300)
    for path in ("a", "b", "c", "d", "head"):
        made.layer(path)
        if path != "head":
            for name in ("weight", "bias"):
                made.of(path, "gradient", "l2", name)[:] = np.nan
            made.of(path, "output gradient", "l2")[:] = np.nan
    made.edges = [("a", "b"), ("c", "d")]
    found = findings_of(made.run(), "no gradient")
    assert [(each.path, each.also) for each in found] == [("b", ("a",)), ("d", ("c",))]
