from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gradtui.core.flow import DenseFlow, Extent, Links, OuterFlow, SparseFlow, SummedFlow
from gradtui.core.ranking import Ranking
from gradtui.core.ranks import kth_largest_product, largest, largest_products

DTYPES = ["f2", "f4", "f8", "g", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "?"]
numbers = st.floats(width=32, allow_nan=True, allow_infinity=True)


def matrices(elements=numbers):
    shapes = hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=7)
    return hnp.arrays(np.float32, shapes, elements=elements)


def slow_extent(values):
    wide = np.asarray(values, dtype=np.float64).ravel()
    finite = wide[np.isfinite(wide)]
    bad = wide.size - finite.size
    if not finite.size:
        return Extent(nonfinite=bad)
    size = np.abs(finite)
    return Extent(finite.min(), finite.max(), size.min(), size.max(), bad, finite.size)


def slow_rank(values, rank):
    size = np.abs(np.asarray(values, dtype=np.float64)).ravel()
    size = np.sort(size[~np.isnan(size)])[::-1]
    return float(size[rank - 1]) if rank <= size.size else 0.0


def agree(flow, matrix, listed=None):
    """Everything that a flow answers, against the matrix that it stands for."""
    listed = np.ones(matrix.shape, dtype=bool) if listed is None else listed
    wide = np.asarray(matrix, dtype=np.float64)
    assert flow.shape == matrix.shape
    assert flow.link_count == listed.sum()
    np.testing.assert_array_equal(flow.dense(), wide)
    with np.errstate(invalid="ignore", over="ignore"):
        np.testing.assert_allclose(flow.row_sums(), wide.sum(axis=1), rtol=1e-12, atol=1e-30)
        np.testing.assert_allclose(flow.column_sums(), wide.sum(axis=0), rtol=1e-12, atol=1e-30)
    assert flow.extent() == slow_extent(wide[listed])
    for i in range(matrix.shape[0]):
        links = flow.row(i)
        assert links.sources.tolist() == [i] * len(links)
        assert links.targets.tolist() == np.flatnonzero(listed[i]).tolist()
        np.testing.assert_array_equal(links.values, wide[i][listed[i]])
        assert flow.has_row(i)
    for j in range(matrix.shape[1]):
        links = flow.column(j)
        assert links.targets.tolist() == [j] * len(links)
        assert links.sources.tolist() == np.flatnonzero(listed[:, j]).tolist()
        np.testing.assert_array_equal(links.values, wide[:, j][listed[:, j]])
    for rank in (1, 2, 5, max(1, matrix.size)):
        assert flow.kth_magnitude(rank) == slow_rank(wide[listed], rank)


@given(matrices())
def test_dense_flow_answers_as_its_matrix(matrix):
    agree(DenseFlow(matrix), matrix)
    agree(DenseFlow(np.asfortranarray(matrix)), matrix)


@pytest.mark.parametrize("dtype", DTYPES)
def test_dense_flow_of_every_real_dtype(dtype):
    matrix = np.array([[0, 1, 0, 1], [1, 0, 1, 1]]).astype(dtype)
    if np.dtype(dtype).kind in "iu":
        matrix[0, 0] = np.iinfo(dtype).min
        matrix[1, 3] = np.iinfo(dtype).max
    agree(DenseFlow(matrix), matrix)


@given(matrices(st.floats(width=32, allow_nan=False, allow_infinity=False)), st.randoms())
def test_sparse_flow_answers_as_its_matrix(matrix, random):
    listed = matrix != 0
    places = list(zip(*np.nonzero(listed), strict=True))
    random.shuffle(places)
    rows = np.array([r for r, _ in places], dtype=np.int64)
    columns = np.array([c for _, c in places], dtype=np.int64)
    flow = SparseFlow(matrix.shape, rows, columns, matrix[rows, columns])
    agree(flow, matrix, listed)
    links = flow.links()
    assert len(links) == flow.link_count
    np.testing.assert_array_equal(matrix[links.sources, links.targets], links.values)


def test_sparse_flow_adds_up_what_is_listed_twice():
    flow = SparseFlow((2, 3), [1, 0, 1, 1], [2, 0, 2, 0], np.array([1, 2, 4, 8], dtype=np.int8))
    assert flow.dense().tolist() == [[2, 0, 0], [8, 0, 5]]
    assert flow.link_count == 3


def test_sparse_flow_keeps_zeros_and_nan_that_are_listed():
    flow = SparseFlow((2, 2), [0, 0, 1], [0, 1, 1], [0.0, np.nan, np.inf])
    assert flow.row(0).values.tolist()[0] == 0
    assert flow.extent() == Extent(nonfinite=2, finite=1)
    assert flow.kth_magnitude(1) == np.inf
    assert flow.kth_magnitude(2) == 0


@pytest.mark.parametrize(
    ("rows", "columns", "values"),
    [([2], [0], [1.0]), ([0], [3], [1.0]), ([-1], [0], [1.0]), ([0], [0], [1.0, 2.0])],
)
def test_sparse_flow_refuses_what_does_not_fit(rows, columns, values):
    with pytest.raises(ValueError, match=r"node|length"):
        SparseFlow((2, 3), rows, columns, values)


vectors = hnp.arrays(np.float64, st.integers(0, 6), elements=st.floats(-1e6, 1e6))


@given(vectors, vectors)
def test_outer_flow_answers_as_its_product(left, right):
    flow = OuterFlow(left, right)
    matrix = left[:, None] * right
    assert flow.extent() == slow_extent(matrix)
    np.testing.assert_array_equal(flow.dense(), matrix)
    np.testing.assert_allclose(flow.row_sums(), matrix.sum(axis=1), rtol=1e-9, atol=1e-3)
    np.testing.assert_allclose(flow.column_sums(), matrix.sum(axis=0), rtol=1e-9, atol=1e-3)
    for i in range(left.size):
        np.testing.assert_array_equal(flow.row(i).values, matrix[i])
    for j in range(right.size):
        np.testing.assert_array_equal(flow.column(j).values, matrix[:, j])
    for rank in (1, 3, max(1, matrix.size)):
        assert flow.kth_magnitude(rank) == slow_rank(matrix, rank)


@given(
    hnp.arrays(np.float64, st.integers(0, 5), elements=numbers),
    hnp.arrays(np.float64, st.integers(0, 5), elements=numbers),
)
def test_outer_flow_with_bad_numbers(left, right):
    with np.errstate(invalid="ignore", over="ignore"):
        matrix = left[:, None] * right
    flow = OuterFlow(left, right)
    assert flow.extent() == slow_extent(matrix)
    assert flow.kth_magnitude(2) == slow_rank(matrix, 2)


def test_summed_flow_learns_rows_and_columns():
    flow = SummedFlow([3.0, 0.0], [1.0, 2.0, 0.0], link_count=2)
    assert (flow.shape, flow.link_count, flow.ranked_count) == ((2, 3), 2, 0)
    assert not flow.has_row(0)
    assert len(flow.row(0)) == len(flow.column(2)) == 0
    known = flow.with_row(0, [1.0, 2.0, 0.0]).with_column(1, np.array([2.0, 5.0]))
    assert not flow.has_row(0)
    assert known.has_row(0)
    assert known.has_column(1)
    assert known.row(0).targets.tolist() == [0, 1]
    assert known.column(1).sources.tolist() == [0, 1]
    assert known.extent() == Extent(1.0, 5.0, 1.0, 5.0, 0, 3)
    assert known.row_sums().tolist() == [3.0, 0.0]
    assert known.dense().tolist() == [[1, 2, 0], [0, 5, 0]]
    assert known.kth_magnitude(2) == 2
    assert known.nbytes > flow.nbytes
    with pytest.raises(ValueError, match="3 values"):
        flow.with_row(0, [1.0])
    with pytest.raises(IndexError):
        flow.with_column(3, [1.0, 2.0])


@pytest.mark.parametrize(
    "flow",
    [
        DenseFlow(np.zeros((0, 3))),
        DenseFlow(np.zeros((3, 0))),
        OuterFlow([], [1.0]),
        OuterFlow([1.0], []),
        SparseFlow((0, 0), [], [], []),
        SparseFlow((2, 0), [], [], []),
        SummedFlow([], []),
    ],
)
def test_empty_flows(flow):
    assert flow.extent() == Extent()
    assert flow.link_count == 0
    assert flow.kth_magnitude(1) == 0
    assert flow.row_sums().shape == (flow.shape[0],)
    assert flow.column_sums().tolist() == [0.0] * flow.shape[1]
    for node in range(flow.shape[0]):
        assert len(flow.row(node)) == 0
    with pytest.raises(IndexError):
        flow.row(flow.shape[0])
    with pytest.raises(IndexError):
        flow.column(-1)


def test_what_comes_out_cannot_be_written_to():
    matrix = np.ones((2, 2))
    flow = DenseFlow(matrix)
    for array in (flow.matrix, flow.row(0).values, flow.row_sums(), flow.column(0).sources):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    matrix[0, 0] = 2
    assert flow.row(0).values[0] == 2


@given(hnp.arrays(np.float64, st.integers(0, 30), elements=numbers), st.integers(-1, 31))
def test_strongest_links(values, count):
    links = Links(np.arange(values.size), np.arange(values.size) * 2, values)
    rank = np.where(np.isnan(values), -1, np.abs(values))
    order = sorted(range(values.size), key=lambda k: (-rank[k], k))
    expected = order if count < 0 else order[:count]
    found = links.strongest(count)
    assert found.sources.tolist() == expected
    np.testing.assert_array_equal(found.values, values[expected])


def ranked(pieces, rank):
    return Ranking(pieces).kth(pieces, rank)


@given(matrices(), st.integers(1, 60))
def test_ranks_against_sorting(matrix, rank):
    assert ranked(lambda: [matrix[:3], matrix[3:]], rank) == slow_rank(matrix, rank)
    found = largest([matrix[:3], matrix[3:]], 5)
    assert found.tolist() == [slow_rank(matrix, k + 1) for k in range(found.size)]


def test_ranks_where_one_neighbourhood_is_crowded():
    # More numbers share their upper bits than are gathered at once.
    values = 1 + np.random.default_rng(0).random(1_500_000) / 16
    values[:400_000] = 1.001
    for rank in (1, 5000, 750_000, 1_400_000, 1_500_000):
        assert ranked(lambda: [values], rank) == slow_rank(values, rank)


@settings(max_examples=30)
@given(vectors, vectors, st.integers(1, 36))
def test_ranks_of_products(left, right, rank):
    expected = slow_rank(left[:, None] * right, rank)
    found = kth_largest_product(left, right, rank)
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-300)
    products = largest_products(left, right, 7)
    assert products.tolist() == [
        slow_rank(left[:, None] * right, k + 1) for k in range(products.size)
    ]
    assert products.size == min(7, left.size * right.size)


def test_a_large_dense_flow_is_never_copied_whole():
    matrix = np.random.default_rng(0).standard_normal((2048, 2048), dtype=np.float32)
    flow = DenseFlow(matrix)
    tracemalloc.start()
    flow.extent(), flow.row_sums(), flow.column_sums(), flow.row(7), flow.column(9)
    flow.kth_magnitude(100)
    flow.kth_magnitude(1_000_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32e6
