"""Kept tensors as maps on one scale."""

from __future__ import annotations

import numpy as np
import pytest

from gradtui.core.analysis.evolution import GAP_LEVEL, evolutions, find_evolution
from gradtui.core.run.keys import SeriesKey
from gradtui.core.run.records import Entry, Event, Kept
from gradtui.errors import UsageError


def kept(path, step, values, role="output", slot="", call=0, phase="train"):
    key = SeriesKey(path, role, "values", slot, call, phase)
    return Entry(step, 0.0, Kept(key, np.asarray(values)))


def test_gathered_by_key_in_the_order_of_steps():
    entries = [kept("a", 20, np.ones((2, 3))), Entry(1, 0.0, Event("note", "x"))]
    entries += [kept("a", 10, np.zeros((2, 3))), kept("b", 5, np.ones(4))]
    entries += [kept("a", 20, np.full((2, 3), 2.0)), kept("a", 0, np.ones((2, 2)))]
    first, second = evolutions(entries)
    assert (first.key.path, first.steps.tolist(), first.left_out) == ("a", [10, 20], 1)
    assert first.values[1, 0, 0] == 2
    assert second.maps().shape == (1, 1, 4)
    assert evolutions([]) == ()


@pytest.mark.parametrize(
    ("shape", "channels", "map_shape"),
    [
        ((), 1, (1, 1)),
        ((5,), 1, (1, 5)),
        ((4, 6), 1, (4, 6)),
        ((4, 3, 3), 4, (7, 7)),
        ((3, 1, 8), 3, (3 + 2, 8)),
        ((2, 3, 4, 4), 6, (9, 14)),
        ((100, 2, 2), 100, (8 * 3 - 1, 8 * 3 - 1)),
        ((2, 0), 1, (2, 0)),
    ],
)
def test_a_map_of_any_shape(shape, channels, map_shape):
    (found,) = evolutions(
        [kept("a", k, np.random.default_rng(k).normal(size=shape)) for k in (1, 2)]
    )
    assert found.channels == channels
    assert found.maps().shape == (2, *map_shape)
    if found.values.size:
        one = found.maps(channels - 1)
        assert one.shape[1:] == (1, 1, *shape)[-2:]
        assert one[1].ravel()[-1] == found.values[1].ravel()[-1]
    with pytest.raises(UsageError, match="channel"):
        found.maps(channels)


def test_one_scale_for_all_steps():
    (found,) = evolutions([kept("a", k, np.full((2, 2, 2), float(k))) for k in (1, 4)])
    levels = found.levels()
    assert levels[1].max() == GAP_LEVEL
    assert (levels[0, 0, 0], levels[1, 0, 0]) == (20, 31)
    # What is not a number is not a gap.
    (broken,) = evolutions([kept("a", 0, np.full((2, 2, 2), np.nan))])
    assert sorted(np.unique(broken.levels()).tolist()) == [GAP_LEVEL, 253]


def test_found_by_name():
    found = evolutions(
        [
            kept("net.conv", 0, [1.0], "output gradient"),
            kept("net.conv", 0, [6.0], phase="eval"),
            kept("net.conv", 0, [2.0]),
            kept("net.conv", 0, [3.0], call=1),
            kept("net.conv", 0, [4.0], "parameter", "weight"),
            kept("", 0, [5.0]),
        ]
    )
    values = {name: find_evolution(found, name).values[0, 0] for name in
              ("net.conv", "net.conv#1", "net.conv.weight", "(root)")}  # fmt: skip
    assert list(values.values()) == [2, 3, 4, 5]
    assert find_evolution(found, "net.conv", "output gradient").values[0, 0] == 1
    with pytest.raises(UsageError, match=r"were: \(root\), net.conv, "):
        find_evolution(found, "other")
    with pytest.raises(UsageError, match="were: nothing"):
        find_evolution((), "other")
