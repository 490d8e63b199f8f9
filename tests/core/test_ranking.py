"""Ranks from counted neighbourhoods: exactly those of a sorted copy, whatever the numbers."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradtui.core import ranking
from gradtui.core.flow import DenseFlow
from gradtui.core.ranking import Ranking

WIDTHS = (np.float16, np.float32, np.float64)
ODD = [0.0, -0.0, np.nan, np.inf, -np.inf, 1.0, -1.0, 6e-8, -6e-8, 65504.0, 1.0009765625]


def slow(values, rank):
    """Sort everything: NaN has no rank."""
    with np.errstate(invalid="ignore"):
        sizes = np.abs(np.asarray(values, np.float64).ravel())
    sizes = np.sort(sizes[~np.isnan(sizes)])[::-1]
    if rank < 1:
        return np.inf
    return float(sizes[rank - 1]) if rank <= sizes.size else 0.0


def check(values, ranks=None, pieces=None):
    def parts():
        return pieces if pieces is not None else [values]

    counted = Ranking(parts)
    size = int(np.size(values))
    for rank in ranks or (*range(min(size + 2, 40)), size // 2, size - 1, size, size + 1):
        found = counted.kth(parts, rank)
        assert found == slow(values, rank), rank
        assert not np.signbit(found)


@given(
    st.lists(st.sampled_from(ODD) | st.floats(-60000, 60000, width=16), max_size=30),
    st.sampled_from(WIDTHS),
    st.integers(1, 4),
)
def test_any_numbers(values, width, few):
    # Nearly everything is counted instead of sorted.
    with mock.patch.object(ranking, "_FEW", few):
        check(np.array(values, width))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("few", [1, 1 << 18])
@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(1).normal(size=4000),
        np.random.default_rng(2).normal(size=4000) * 1e-7,
        np.exp(np.random.default_rng(3).normal(size=4000) * 3),
        np.round(np.random.default_rng(4).normal(size=4000), 1),
        np.zeros(500),
        np.full(500, -3.25),
        np.array([7.0]),
        np.array([np.nan]),
        np.array([np.inf, -np.inf, np.nan, 2.0]),
        np.array([]),
        np.concatenate([np.zeros(900), np.linspace(1, 2, 100)]),
        1 + np.arange(3000) * 2.0**-24,
    ],
)
def test_against_sorting(values, few, width, monkeypatch):
    monkeypatch.setattr(ranking, "_FEW", few)
    monkeypatch.setattr(ranking, "BLOCK", 97)
    with np.errstate(over="ignore"):
        values = values.astype(width)
    check(values)


def test_numbers_that_differ_in_the_last_bit_alone(monkeypatch):
    monkeypatch.setattr(ranking, "_FEW", 1)
    bits = np.uint64(0x3FF0_0000_0000_0000) + np.arange(300, dtype=np.uint64)
    check(np.random.default_rng(5).permutation(bits).view(np.float64))


@pytest.mark.parametrize("payload", [0x7F800001, 0x7F807FFF, 0x7FC00000, 0xFF800001, 0xFFFFFFFF])
def test_no_kind_of_nan_has_a_rank(payload):
    values = np.array([payload, 0x7F800000, 0xFF800000, 0x3F800000], np.uint32).view(np.float32)
    check(values)


@pytest.mark.parametrize(
    "values",
    [
        np.arange(-50, 50).astype(np.int8),
        np.array([-128, 127, 5], np.int8),
        np.arange(100) % 2 == 0,
        np.arange(100, dtype=">f4"),
        np.arange(100, dtype=np.longdouble),
        np.random.default_rng(6).normal(size=(20, 30)).astype(np.float32)[::2, ::3],
    ],
)
def test_other_types_and_layouts(values):
    check(values)


def test_pieces_of_several_types():
    pieces = [np.array([1.5, -2.5], np.float32), np.array([1 / 3, 7.0]), np.array([2], np.int16)]
    check(np.concatenate([piece.astype(float) for piece in pieces]), pieces=pieces)


def test_ranks_may_be_asked_in_any_order():
    values = np.random.default_rng(7).normal(size=5000).astype(np.float32)
    values[:2000] = 0
    ranks = np.random.default_rng(8).integers(0, 5100, 200).tolist()
    check(values, [*ranks, *ranks])


def test_a_flow_counts_its_links_once(monkeypatch):
    passes: list[int] = []
    flow = DenseFlow(np.random.default_rng(9).normal(size=(300, 300)).astype(np.float32))
    whole = DenseFlow.pieces

    def counted(self):
        passes.append(1)
        return whole(self)

    monkeypatch.setattr(DenseFlow, "pieces", counted)
    first = flow.kth_magnitude(40_000)
    begun = len(passes)
    assert flow.kth_magnitude(50_000) < first
    assert len(passes) - begun == 1
    assert flow.kth_magnitude(40_000) == first
    assert len(passes) - begun == 1
