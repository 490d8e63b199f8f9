"""Clusters that are there are found, and none in samples of one hill."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from gradtui.core.analysis.clusters import clusters_in, clusters_of

ONE_HILL = {
    "normal": lambda rng, n: rng.standard_normal(n),
    "uniform": lambda rng, n: rng.random(n),
    "laplace": lambda rng, n: rng.laplace(size=n),
    "t": lambda rng, n: rng.standard_t(3, n),
    "pruned": lambda rng, n: rng.standard_normal(n) * (rng.random(n) < 0.4),
}


@pytest.mark.parametrize("name", ONE_HILL)
@pytest.mark.parametrize("count", [40, 216, 5000])
def test_one_hill_is_one_cluster(name, count):
    rng = np.random.default_rng(count)
    for _ in range(20):
        (only,) = clusters_of(ONE_HILL[name](rng, count) * 0.02)
        assert only.share == 1


@pytest.mark.parametrize("scale", [1.0, 1e-8, 1e6])
@pytest.mark.parametrize(
    ("centres", "spread", "count"),
    [((-1, 1), 0.1, 72), ((-1, 1), 0.3, 400), ((-1, 0, 1), 0.1, 300), (range(8), 0.1, 5000)],
)
def test_hills_are_found(centres, spread, count, scale):
    rng = np.random.default_rng(1)
    values = rng.choice(list(centres), count) + spread * rng.standard_normal(count)
    found = clusters_of(values * scale)
    assert [c.centre / scale for c in found] == pytest.approx(list(centres), abs=0.15)
    assert sum(c.share for c in found) == pytest.approx(1)
    assert found[0].low == values.min() * scale
    assert found[-1].high == values.max() * scale
    assert all(a.high == b.low for a, b in pairwise(found))


def test_a_far_outlier_hides_nothing():
    rng = np.random.default_rng(2)
    values = rng.choice([-1.0, 1.0], 500) + 0.05 * rng.standard_normal(500)
    found = clusters_of(np.append(values, [1e6, -1e9, np.nan, np.inf]))
    assert [round(c.centre) for c in found] == [-1, 1]
    assert found[-1].high == 1e6


def test_a_histogram_shows_the_same():
    rng = np.random.default_rng(3)
    values = rng.choice([-1.0, 0.5], 1000, p=[0.3, 0.7]) + 0.1 * rng.standard_normal(1000)
    counts, edges = np.histogram(values, 64, (-2, 2))
    found = clusters_in(counts, edges[0], edges[1] - edges[0])
    assert [c.centre for c in found] == pytest.approx([-1, 0.5], abs=0.1)
    assert [c.share for c in found] == pytest.approx([0.3, 0.7], abs=0.05)
    for name, draw in ONE_HILL.items():
        counts, edges = np.histogram(draw(rng, 1000), 64)
        assert len(clusters_in(counts, edges[0], edges[1] - edges[0])) == 1, name


def test_too_little_to_say():
    assert clusters_of([]) == ()
    assert clusters_of([np.nan, np.inf]) == ()
    assert clusters_in(np.zeros(64), 0.0, 1.0) == ()
    assert len(clusters_of([0.0] * 10 + [1.0] * 10)) == 1
    (zero,) = clusters_of(np.zeros(100))
    assert (zero.centre, zero.low, zero.high) == (0, 0, 0)
    (few,) = clusters_in([3, 0, 3], 0.0, 1.0)
    assert (few.low, few.high) == (0, 3)


@settings(max_examples=80)
@given(arrays.arrays(np.float64, st.integers(0, 80), elements=st.floats(allow_nan=True)))
def test_any_numbers(values):
    found = clusters_of(values)
    assert bool(found) == bool(np.isfinite(values).any())
    if found:
        assert sum(c.share for c in found) == pytest.approx(1)


@settings(max_examples=80)
@given(
    arrays.arrays(np.int64, st.integers(1, 64), elements=st.integers(0, 500)),
    st.floats(-1e6, 1e6),
    st.floats(1e-6, 1e3),
)
def test_any_histogram(counts, low, width):
    found = clusters_in(counts, low, width)
    assert bool(found) == bool(counts.any())
    if found:
        assert sum(c.share for c in found) == pytest.approx(1)
