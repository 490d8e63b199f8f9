from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gradtui.core.explicit import explicit_flow
from gradtui.core.flow import DenseFlow, SparseFlow, SummedFlow
from gradtui.core.threshold import (
    MODES,
    Threshold,
    default_threshold,
    resolve,
    select,
    step,
    threshold_range,
)
from gradtui.errors import UsageError

matrices = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=6),
    elements=st.floats(-100, 100),
)
MATRIX = np.array([[1.0, -4.0, 0.0], [2.0, 3.0, -0.5]])


def passing(matrix, threshold):
    flow = DenseFlow(matrix)
    return {
        (i, int(j))
        for i in range(matrix.shape[0])
        for j in select(flow, i, "out", threshold).targets
    }


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [
        (Threshold("magnitude", 2), {(0, 1), (1, 0), (1, 1)}),
        (Threshold("value", 2), {(1, 0), (1, 1)}),
        (Threshold("value", -0.5), {(0, 0), (0, 2), (1, 0), (1, 1), (1, 2)}),
        (Threshold("top-k", 2), {(0, 1), (1, 1)}),
        (Threshold("top-k", 0), {(0, 1)}),
        (Threshold("quantile", 0.5), {(0, 1), (1, 1), (1, 0)}),
        (Threshold("quantile", 1), {(0, 1)}),
        (Threshold("quantile", 0), {(i, j) for i in range(2) for j in range(3)}),
        (Threshold("vnittest", 2), {(1, 1)}),
    ],
)
def test_what_passes(threshold, expected):
    assert passing(MATRIX, threshold) == expected


@given(matrices, st.integers(1, 40))
def test_top_k_is_the_k_strongest_of_the_pair_and_their_ties(matrix, k):
    size = np.abs(matrix).ravel()
    kept = passing(matrix, Threshold("top-k", k))
    least = np.sort(size)[::-1][min(k, size.size) - 1]
    assert len(kept) == np.count_nonzero(size >= least) >= min(k, size.size)


@given(matrices, st.sampled_from(MODES))
def test_fan_in_and_fan_out_choose_the_same_links(matrix, mode):
    flow = DenseFlow(matrix)
    threshold = default_threshold(flow, mode)
    into = {
        (int(i), j)
        for j in range(matrix.shape[1])
        for i in select(flow, j, "in", threshold).sources
    }
    assert into == passing(matrix, threshold)


@given(matrices, st.sampled_from(["magnitude", "value", "quantile", "top-k"]))
def test_the_default_always_lets_the_strongest_pass(matrix, mode):
    kept = passing(matrix, default_threshold(DenseFlow(matrix), mode))
    strongest = matrix.max() if mode == "value" else np.abs(matrix).max()
    compared = matrix if mode == "value" else np.abs(matrix)
    assert {(int(i), int(j)) for i, j in np.argwhere(compared == strongest)} <= kept


@given(matrices, st.sampled_from(["magnitude", "value", "quantile", "top-k"]), st.integers(0, 150))
def test_a_step_up_never_lets_more_pass(matrix, mode, steps):
    flow = DenseFlow(matrix)
    limits = threshold_range(flow, mode)
    before = default_threshold(flow, mode)
    after = step(before, steps, limits)
    assert limits[0] <= after.value <= limits[1]
    assert passing(matrix, after) <= passing(matrix, before)
    assert passing(matrix, step(before, -steps, limits)) >= passing(matrix, before)


def test_steps_reach_both_ends():
    limits = (1.0, 5000.0)
    assert step(Threshold("top-k", 12), 1, limits).value == 11
    assert step(Threshold("top-k", 12), 99, limits).value == 1
    assert step(Threshold("top-k", 20), -1, limits).value == 22
    assert step(Threshold("top-k", 12), -500, limits).value == 5000
    assert step(Threshold("magnitude", 99.0), 0, (0.0, 1.0)).value == 1.0
    wide = step(Threshold("value", 0.0), 50, (-1.7e308, 1.7e308))
    assert wide.value == pytest.approx(1.7e308)
    assert default_threshold(DenseFlow(np.array([[1.7e308]]))).value == 1.7e308
    assert default_threshold(DenseFlow(np.array([[-1.7e308, 1.7e308]])), "value").value == 0
    assert (
        default_threshold(DenseFlow(np.array([[-1.7e308, 1.7e308]])), "vnittest").value == 1.7e308
    )


def test_nan_never_passes_and_infinity_does():
    flow = DenseFlow(np.array([[np.nan, np.inf, -np.inf, 1.0]]))
    for mode in MODES:
        kept = select(flow, 0, "out", default_threshold(flow, mode)).targets.tolist()
        assert 0 not in kept
        assert (1 in kept) or mode == "vnittest"
    assert threshold_range(flow) == (1.0, 1.0)
    assert select(flow, 0, "out", Threshold("top-k", 1)).targets.tolist() == [1, 2]


@pytest.mark.parametrize("mode", MODES)
def test_flows_without_links(mode):
    for flow in (DenseFlow(np.zeros((1, 0))), SummedFlow([1.0], [1.0])):
        low, high = threshold_range(flow, mode)
        assert low <= high
        assert len(select(flow, 0, "out", default_threshold(flow, mode))) == 0


def test_all_nan_has_no_range():
    flow = DenseFlow(np.full((2, 2), np.nan))
    assert threshold_range(flow) == (0.0, 0.0)
    assert len(select(flow, 0, "out", default_threshold(flow))) == 0


def test_one_range_over_several_flows():
    flows = [
        DenseFlow(np.array([[1.0, 2.0]])),
        DenseFlow(np.array([[-7.0]])),
        DenseFlow(np.zeros((0, 2))),
    ]
    assert threshold_range(flows) == (1.0, 7.0)
    assert threshold_range(flows, "value") == (-7.0, 2.0)
    assert threshold_range(flows, "top-k") == (1.0, 3.0)
    assert threshold_range([], "value") == (0.0, 0.0)


def test_vnittest_lets_what_is_equal_pass_in_lists_alone():
    values = np.array([[1.0, 2.0]])
    listed = SparseFlow((1, 2), [0, 0], [0, 1], [1.0, 2.0])
    at = Threshold("vnittest", 2.0)
    assert select(DenseFlow(values), 0, "out", at).targets.tolist() == []
    assert select(listed, 0, "out", at).targets.tolist() == [1]
    neighbours = np.zeros((9, 1, 2))
    neighbours[4] = -3.0
    explicit = explicit_flow(neighbours)
    assert len(select(explicit, 0, "out", Threshold("vnittest", 1.0))) == 1
    assert len(select(explicit, 0, "out", Threshold("vnittest", 1.5))) == 0


def test_bad_thresholds_are_refused():
    flow = DenseFlow(MATRIX)
    with pytest.raises(UsageError):
        resolve(flow, Threshold("magnitude", float("nan")))
    with pytest.raises(UsageError, match="magnitude, value"):
        resolve(flow, Threshold("largest", 1.0))  # type: ignore[arg-type]
