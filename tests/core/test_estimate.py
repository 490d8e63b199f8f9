from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gradtui.core.estimate import ESTIMATES, estimate
from gradtui.errors import UsageError

gradients = hnp.arrays(
    np.float64,
    st.integers(0, 8),
    elements=st.floats(allow_nan=False, allow_infinity=False),
)
tame = hnp.arrays(
    np.float64,
    st.integers(0, 8),
    elements=st.floats(-1e3, 1e3).filter(lambda x: x == 0 or abs(x) > 1e-3),
)


def slow(name, s, t):
    """The definitions, cell by cell."""
    flow = np.zeros((s.size, t.size))
    for i in range(s.size):
        for j in range(t.size):
            if name == "proportional" and np.abs(t).sum():
                flow[i, j] = s[i] * abs(t[j]) / np.abs(t).sum()
            elif name == "equal" and t[j] != 0:
                flow[i, j] = s[i] / np.count_nonzero(t)
            elif name == "minimum-norm" and np.square(t).sum():
                flow[i, j] = s[i] * t[j] ** 2 / np.square(t).sum()
            elif name == "vnittest" and t[j] != 0 and s[i] != 0:
                total = sum(abs(1 / x) for x in t if x != 0)
                flow[i, j] = np.sign(s[i]) * (1 / t[j]) / total
    return flow


@pytest.mark.parametrize("name", ESTIMATES)
@given(s=tame, t=tame)
def test_agrees_with_the_definition(name, s, t):
    np.testing.assert_allclose(
        estimate(name, s, t).dense(), slow(name, s, t), rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("name", ESTIMATES)
@given(s=gradients, t=gradients)
def test_finite_in_gives_finite_out(name, s, t):
    flow = estimate(name, s, t)
    assert flow.shape == (s.size, t.size)
    assert np.isfinite(flow.dense()).all()
    assert np.isfinite(flow.row_sums()).all()
    assert flow.extent().nonfinite == 0


@pytest.mark.parametrize("name", ESTIMATES[:3])
@given(s=gradients, t=gradients)
def test_three_estimates_keep_the_chain_rule(name, s, t):
    sums = estimate(name, s, t).row_sums()
    if np.any(t):
        np.testing.assert_allclose(sums, s, rtol=1e-12, atol=0)
    else:
        assert not sums.any()


def test_vnittest_does_not():
    flow = estimate("vnittest", [3.0, -5.0], [1.0, -1.0])
    assert flow.row_sums().tolist() == [0.0, 0.0]


@pytest.mark.parametrize("name", ESTIMATES)
def test_sizes_that_break_naive_formulas(name):
    target = np.array([1e300, -1e300, 5e-324, 1e-310, 0.0, 1.7e308])
    flow = estimate(name, [1.7e308, -5e-324], target)
    matrix = flow.dense()
    assert np.isfinite(matrix).all()
    assert np.isfinite(flow.row_sums()).all()
    assert (matrix[:, 4] == 0).all()


def test_integers_are_not_truncated():
    s, t = np.array([3, -3], dtype=np.int8), np.array([1, 3], dtype=np.uint8)
    assert estimate("proportional", s, t).dense().tolist() == [[0.75, 2.25], [-0.75, -2.25]]
    assert estimate("equal", s, t).dense().tolist() == [[1.5, 1.5], [-1.5, -1.5]]


def test_bad_targets_spoil_only_themselves():
    matrix = estimate("proportional", [2.0], [1.0, np.nan, 3.0, np.inf]).dense()
    assert matrix[0, [0, 2]].tolist() == [0.5, 1.5]
    assert np.isnan(matrix[0, [1, 3]]).all()


def test_one_element_zero_and_shapes():
    assert estimate("minimum-norm", [[4.0]], [[-2.0]]).dense().tolist() == [[4.0]]
    for name in ESTIMATES:
        assert not estimate(name, [1.0, 2.0], [0.0, 0.0]).dense().any()
        assert estimate(name, np.zeros((0, 3)), np.ones((2, 2))).shape == (0, 4)


def test_an_unknown_estimate_is_refused():
    with pytest.raises(UsageError, match="proportional, equal, minimum-norm, vnittest"):
        estimate("best", [1.0], [1.0])
