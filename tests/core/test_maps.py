"""Scales, blocks, polyphase zoom, explicit links, offsets, regions, layers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gradtui.core.explicit import explicit_flow, neighbour
from gradtui.core.layer import Layer, node_cell, node_index
from gradtui.core.offsets import NOWHERE, pointed_at, pointing_at
from gradtui.core.polyphase import (
    bit_reversal,
    largest_level,
    phase_cell,
    phases,
    polyphase_order,
    source_cells,
)
from gradtui.core.reduce import signed_max
from gradtui.core.region import Region
from gradtui.core.scale import LEVELS, SCALES, scaling
from gradtui.errors import UsageError

finite = st.floats(allow_nan=False, allow_infinity=False)
maps = hnp.arrays(
    np.float64, hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=9), elements=finite
)


def to_levels(values, scale, *, inverted=False):
    """Levels of a map on the scaling that fits it, and the least and greatest number of that."""
    found = scaling(scale, values)
    return found.levels(values, inverted=inverted), 0.0 - found.limit, found.limit


@pytest.mark.parametrize("scale", SCALES)
@given(values=maps)
def test_levels_rise_with_numbers(scale, values):
    levels, low, high = to_levels(values, scale)
    assert levels.dtype == np.uint8
    assert levels.shape == values.shape
    assert (levels < LEVELS).all()
    assert high == np.abs(values).max(initial=0) == -low
    order = np.argsort(values, axis=None, kind="stable")
    assert (np.diff(levels.ravel()[order].astype(int)) >= 0).all()
    assert (levels[values < 0] < LEVELS // 2).all()
    assert (levels[values >= 0] >= LEVELS // 2).all()


@pytest.mark.parametrize("scale", SCALES)
@given(values=maps)
def test_levels_are_symmetric_around_zero(scale, values):
    there, _, _ = to_levels(values, scale)
    back, _, _ = to_levels(values, scale, inverted=True)
    assert (there.astype(int) + back == LEVELS - 1).all()
    mirrored, _, _ = to_levels(-values, scale)
    other = values != 0
    assert (mirrored[other].astype(int) + there[other] == LEVELS - 1).all()


@pytest.mark.parametrize("scale", SCALES)
def test_levels_of_bad_numbers(scale):
    values = np.array([[np.nan, np.inf, -np.inf, 2.0, -2.0, 0.0]])
    for inverted in (False, True):
        levels, low, high = to_levels(values, scale, inverted=inverted)
        assert levels[0, :3].tolist() == [253, 255, 254]
        assert (low, high) == (-2.0, 2.0)
        assert sorted(levels[0, 3:5].tolist()) == [0, 31]


@pytest.mark.parametrize("scale", SCALES)
def test_levels_of_nothing(scale):
    for values in (np.zeros((0, 3)), np.zeros((2, 2)), np.full((1, 2), np.nan)):
        levels, low, high = to_levels(values, scale)
        assert (low, high) == (0.0, 0.0)
        assert math.copysign(1, low) == 1
        assert levels.shape == values.shape
        assert ((levels == 16) | (levels == 253)).all()
    assert to_levels(np.array([[7]], dtype=np.uint8), scale)[0].tolist() == [[31]]


def test_scales_differ_where_they_should():
    values = np.array([[1.0, 1e-3, 1e-9]])
    assert to_levels(values, "linear")[0].tolist() == [[31, 16, 16]]
    assert to_levels(values, "symlog")[0][0, 1] > 18
    assert to_levels(values, "percentile")[0][0].tolist() == sorted(
        to_levels(values, "percentile")[0][0].tolist(), reverse=True
    )
    shared = scaling("linear", values)
    assert shared.levels([[100.0, -100.0]]).tolist() == [[31, 0]]
    with pytest.raises(UsageError, match="linear, symlog, percentile"):
        scaling("log", values)


@pytest.mark.parametrize("scale", SCALES)
def test_one_scale_of_several_maps_is_that_of_all_their_cells(scale):
    rng = np.random.default_rng(5)
    maps = [
        rng.normal(size=shape) * size for shape, size in (((3, 4), 1), ((2, 7), 1e-4), ((0, 3), 1))
    ]
    found = scaling(scale, *maps)
    whole = scaling(scale, np.concatenate([each.ravel() for each in maps]))
    assert found.limit == whole.limit
    assert found.steps.tolist() == whole.steps.tolist()
    assert scaling(scale).limit == 0


def test_percentile_levels_hold_equally_many():
    values = np.random.default_rng(1).lognormal(0, 9, (128, 128))
    counts = np.bincount(to_levels(values, "percentile")[0].ravel(), minlength=32)[16:]
    assert counts.min() > 0.8 * values.size / 16
    assert counts.max() < 1.2 * values.size / 16


def slow_signed_max(values, block):
    rows = -(-values.shape[0] // block)
    columns = -(-values.shape[1] // block)
    out = np.zeros((rows, columns), dtype=values.dtype)
    for i in range(rows):
        for j in range(columns):
            cells = values[i * block : (i + 1) * block, j * block : (j + 1) * block].ravel()
            if values.dtype.kind == "f" and np.isnan(cells).any():
                out[i, j] = np.nan
            else:
                out[i, j] = max(cells, key=lambda x: (abs(float(x)), float(x)))
    return out


@given(
    hnp.arrays(
        np.float64,
        hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9),
        elements=st.floats(),
    ),
    st.integers(1, 10),
)
def test_blocks_show_their_strongest_cell(values, block):
    np.testing.assert_array_equal(signed_max(values, block), slow_signed_max(values, block))


@pytest.mark.parametrize("dtype", ["i1", "u2", "?", "f2", "i8"])
def test_blocks_of_other_dtypes(dtype):
    values = np.array([[0, 1, 1], [1, 0, 0], [0, 0, 1]]).astype(dtype)
    if dtype == "i1":
        values[0, 0] = -128
    found = signed_max(values, 2)
    assert found.dtype == values.dtype
    np.testing.assert_array_equal(found, slow_signed_max(values, 2))


def test_blocks_of_nothing():
    assert signed_max(np.zeros((0, 5)), 2).shape == (0, 3)
    with pytest.raises(ValueError, match="blocks"):
        signed_max(np.zeros((2, 2)), 0)


levels_and_sides = st.integers(0, 3).flatmap(
    lambda k: st.tuples(st.just(k), st.integers(1, 3), st.integers(1, 3))
)


@given(levels_and_sides)
def test_polyphase_is_a_permutation(case):
    level, height, width = case
    size = 1 << level
    shape = (height * size, width * size)
    array = np.arange(2 * shape[0] * shape[1]).reshape(2, *shape)
    split = phases(array, level)
    assert split.shape == (2, size * size, height, width)
    rows, columns = source_cells(shape, level)
    assert len(set(zip(rows.ravel().tolist(), columns.ravel().tolist(), strict=True))) == rows.size
    for phase in range(size * size):
        for i in range(height):
            for j in range(width):
                cell = (int(rows[phase, i, j]), int(columns[phase, i, j]))
                assert phase_cell(cell, level) == (phase, i, j)
                a, b = divmod(phase, size)
                br = bit_reversal(level)
                assert split[0, phase, i, j] == array[0, size * i + br[a], size * j + br[b]]
    assert sorted(polyphase_order(shape[0], level).tolist()) == list(range(shape[0]))


def test_polyphase_levels():
    assert bit_reversal(3).tolist() == [0, 4, 2, 6, 1, 5, 3, 7]
    assert [largest_level(s) for s in [(8, 8), (8, 12), (7, 8), (1, 1), (0, 8), (96, 32)]] == [
        3, 2, 0, 0, 0, 5,
    ]  # fmt: skip
    with pytest.raises(ValueError, match="level"):
        phases(np.zeros((4, 6)), 2)
    assert phases(np.zeros((9, 4, 6)), 0).shape == (9, 1, 4, 6)


@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.just(9), st.integers(0, 4), st.integers(0, 4)),
        elements=st.sampled_from([0.0, 1.0, -2.0, np.inf, np.nan]),
    )
)
def test_explicit_links_one_by_one(channels):
    _, height, width = channels.shape
    expected = {}
    for j in range(9):
        dr, dc = neighbour(j)
        for r in range(height):
            for c in range(width):
                inside = 0 <= r + dr < height and 0 <= c + dc < width
                if inside and channels[j, r, c] != 0:
                    expected[r * width + c, (r + dr) * width + c + dc] = channels[j, r, c]
    links = explicit_flow(channels).links()
    found = dict(
        zip(
            zip(links.sources.tolist(), links.targets.tolist(), strict=True),
            links.values.tolist(),
            strict=True,
        )
    )
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_equal(found[key], value)


def test_neighbours():
    assert [neighbour(j) for j in (0, 4, 5, 8)] == [(-1, -1), (0, 0), (0, 1), (1, 1)]
    with pytest.raises(IndexError):
        neighbour(9)
    with pytest.raises(ValueError, match="9, H, W"):
        explicit_flow(np.zeros((8, 2, 2)))


@given(
    st.tuples(st.integers(0, 9), st.integers(0, 9)),
    st.tuples(st.integers(-5, 5), st.integers(-5, 5)),
)
def test_offsets_point_there_and_back(cell, offset):
    shape = (10, 10)
    there = pointed_at(cell, offset, shape)
    if there == NOWHERE:
        assert not (0 <= cell[0] - offset[0] < 10 and 0 <= cell[1] - offset[1] < 10)
    else:
        assert there == (cell[0] - offset[0], cell[1] - offset[1])
        assert pointing_at(there, offset, shape) == cell
    assert pointed_at(cell, offset, (0, 0)) == NOWHERE


def test_regions():
    region = Region(1, 9, -4, 2)
    assert region.within((5, 5)) == Region(1, 4, 0, 2)
    assert Region(9, 12, 9, 12).within((3, 3)) == Region(2, 2, 2, 2)
    assert Region(3, 1, 0, 0).within((5, 5)) == Region(3, 3, 0, 0)
    assert region.contains(1, -4)
    assert region.contains(9, 2)
    assert not region.contains(0, 0)
    assert Region(0, 5, 0, 5).within((0, 0)) == Region(0, 0, 0, 0)


def test_layers():
    plain = Layer("a", np.array([[1, 2]], dtype=np.int8))
    assert (plain.shape, plain.nodes, plain.channels.shape) == ((1, 2), 2, (0, 0, 0))
    assert np.shares_memory(plain.map(), plain.gradient)
    deep = Layer("b", np.array([[[100]], [[100]]], dtype=np.int8))
    assert deep.map().tolist() == [[200.0]]
    assert deep.map(1).tolist() == [[100]]
    with pytest.raises(IndexError):
        deep.map(2)
    with pytest.raises(ValueError, match="H, W"):
        Layer("c", np.zeros(3))
    assert Layer("d", np.zeros((3, 0, 2))).map().shape == (0, 2)
    assert np.isnan(Layer("e", np.array([[[np.inf]], [[-np.inf]]])).map()).all()


def test_nodes_are_row_major():
    shape = (3, 4)
    for index in range(12):
        assert node_index(shape, node_cell(shape, index)) == index
    assert node_cell(shape, 5) == (1, 1)
    for call in (
        lambda: node_cell(shape, 12),
        lambda: node_index(shape, (0, 4)),
        lambda: node_cell((0, 0), 0),
    ):
        with pytest.raises(IndexError):
            call()
