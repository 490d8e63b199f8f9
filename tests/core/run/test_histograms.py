"""Histograms against counting by hand, in exact fractions."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gradtui.core.run.histogram import (
    ABOVE,
    BELOW,
    Binned,
    binned,
    binned_parts,
    common_grid,
    joined,
)
from gradtui.core.run.histogram_track import LEAST_BUCKETS, GrowingHistograms
from gradtui.core.run.key_table import KeyTable
from gradtui.core.run.keys import SeriesKey

ANY = st.floats(width=32, allow_subnormal=True)
FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=True)
NEAR = st.floats(-8, 8, width=32)
SAMPLES = st.one_of(
    st.lists(ANY, max_size=40), st.lists(FINITE, max_size=40), st.lists(NEAR, max_size=40)
)


def place(value, exponent):
    """The bin of a value, counted from zero of the grid, exactly."""
    return math.floor(Fraction(float(value)) / Fraction(2) ** int(exponent))


def check(found, row, values, bins):
    """One row of histograms is what counting by hand gives."""
    finite = [value for value in values if math.isfinite(value)]
    assert found.tails[row, :3].tolist() == [
        sum(math.isnan(value) for value in values),
        sum(value == math.inf for value in values),
        sum(value == -math.inf for value in values),
    ]
    counts = dict.fromkeys(range(bins), 0)
    for value in finite:
        counts[place(value, found.exponents[row]) - int(found.offsets[row])] += 1
    assert found.counts[row].tolist() == [counts[i] for i in range(bins)]


def oracle_exponent(values, bins):
    finite = [value for value in values if math.isfinite(value)]
    largest = max(map(abs, finite), default=0.0)
    exponent = -149 if largest == 0 else max(math.frexp(largest)[1] - 24, -149)
    while finite and place(max(finite), exponent) - place(min(finite), exponent) >= bins:
        exponent += 1
    return exponent


@given(st.lists(SAMPLES, min_size=1, max_size=4), st.sampled_from([2, 3, 8, 64]))
@settings(max_examples=200)
def test_binned_counts_as_by_hand(rows, bins):
    values = np.array([value for values in rows for value in values], np.float32)
    found = binned_parts(values, np.array([len(values) for values in rows]), bins)
    for row, values in enumerate(rows):
        check(found, row, values, bins)
        assert found.exponents[row] == oracle_exponent(values, bins)


@given(st.lists(SAMPLES, min_size=1, max_size=6), st.sampled_from([4, 16, 64]))
@settings(max_examples=200)
def test_joined_is_the_histogram_of_everything(parts, bins):
    each = [binned(np.array([values], np.float32).reshape(1, -1), bins) for values in parts]
    whole = joined(each, bins)
    values = [value for part in parts for value in part]
    check(whole, 0, values, bins)
    # In any order, in any grouping.
    again = joined([each[-1], *[joined([part]) for part in each[:-1]]], bins)
    assert again.exponents[0] == whole.exponents[0]
    start = min(int(again.offsets[0]), int(whole.offsets[0]))
    shifted = [
        np.pad(part.counts[0], (int(part.offsets[0]) - start, 200))[: bins + 100]
        for part in (again, whole)
    ]
    np.testing.assert_array_equal(shifted[0], shifted[1])


@given(st.lists(SAMPLES, min_size=1, max_size=6), st.integers(2, 40))
@settings(max_examples=150)
def test_a_common_grid_keeps_every_count(parts, bins):
    each = [binned(np.array([values], np.float32).reshape(1, -1), 16) for values in parts]
    counts, low, width = common_grid(each, 0, bins)
    assert counts.shape[1] <= bins
    for row, values in zip(counts, parts, strict=True):
        wanted = np.zeros(counts.shape[1], np.int64)
        for value in values:
            if math.isfinite(value):
                wanted[math.floor((Fraction(value) - Fraction(low)) / Fraction(width))] += 1
        np.testing.assert_array_equal(row, wanted)


@given(
    st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=30),
    st.floats(0, 1),
)
@example([0.0, 0.0, 1.0, 1.0, 1.0, 4.344025239406933e-44], 0.75)
@settings(max_examples=200)
def test_the_farthest_from_the_median_are_rejected(values, share):
    samples = np.array([values], np.float32)
    found = binned(samples, 16, reject=share)
    exact = np.float64(samples[0])
    median = float(np.median(exact))
    count = math.floor(share * len(values))
    assert found.tails[0, BELOW] + found.tails[0, ABOVE] == count
    kept = sorted(values, key=lambda value: (abs(float(np.float32(value)) - median), value))
    kept = kept[: len(values) - count]
    check_kept = binned(np.array([kept], np.float32).reshape(1, -1), 16)
    np.testing.assert_array_equal(found.counts, check_kept.counts)
    assert found.tails[0, BELOW] == sum(float(v) < median for v in exact) - sum(
        float(np.float32(v)) < median for v in kept
    )


def test_rejection_leaves_nan_and_infinities_to_their_counters():
    samples = np.array([[np.nan, np.inf, -np.inf, 1, 2, 3, 4, 1000, -1000, 2.5]], np.float32)
    found = binned(samples, 8, reject=0.3)
    assert found.tails.tolist() == [[1, 1, 1, 1, 1]]
    assert found.counts.sum() == 5


@pytest.mark.parametrize(
    "values",
    [
        [],
        [3.0],
        [0.0],
        [-0.0] * 5,
        [7.25] * 9,
        [1e-45],
        [-1e-45, 1e-45],
        [3.4e38, -3.4e38],
        [1e-38, 1e38],
    ],
)
def test_edges(values):
    found = binned(np.array([values], np.float32).reshape(1, -1), 64)
    check(found, 0, [float(np.float32(value)) for value in values], 64)
    assert found.counts.dtype == np.uint16


def test_no_rows_and_bad_arguments():
    assert binned(np.zeros((0, 5), np.float32)).counts.shape == (0, 64)
    with pytest.raises(ValueError, match="bins"):
        binned(np.zeros((1, 5)), 1)
    with pytest.raises(ValueError, match="share"):
        binned(np.zeros((1, 5)), reject=1.5)
    assert common_grid([], 0)[0].shape == (0, 0)
    assert binned(np.zeros((1, 70_000), np.float32)).counts.sum() == 70_000


@pytest.mark.parametrize("reject", [0.0, 0.1])
def test_many_samples_are_binned_as_each_alone(reject):
    """More than are binned at once, of all sizes, of all magnitudes, some with values that are not finite."""
    random = np.random.default_rng(3)
    sizes = random.integers(0, 2500, 90)
    sizes[40] = 70_000
    values = random.normal(size=sizes.sum()).astype(np.float32)
    values *= np.exp2(np.repeat(random.integers(-140, 120, 90), sizes)).astype(np.float32)
    values[random.integers(0, len(values), 50)] = random.choice([np.nan, np.inf, -np.inf, 0.0], 50)
    found = binned_parts(values, sizes, 16, reject)
    assert found.counts.dtype == np.uint32
    for row, part in enumerate(np.split(values, np.cumsum(sizes)[:-1])):
        alone = binned(part[None], 16, reject)
        assert found.counts[row].tolist() == alone.counts[0].tolist()
        assert found.tails[row].tolist() == alone.tails[0].tolist()
        assert found.exponents[row] == alone.exponents[0]
        assert found.offsets[row] == alone.offsets[0]
        if not reject:
            check(found, row, part.tolist(), 16)


@given(st.lists(st.tuples(st.integers(0, 60), st.lists(NEAR, max_size=5)), min_size=1, max_size=30))
@settings(max_examples=80)
def test_a_track_of_histograms_holds_all_values(records):
    growing = GrowingHistograms(KeyTable([SeriesKey("m", "output", "values")]), budget=0)
    for step, values in records:
        growing.add(step, binned(np.array([values], np.float32).reshape(1, -1), 16))
    track = growing.track()
    assert len(track.moments) <= LEAST_BUCKETS
    for moment in track.moments:
        inside = [v for step, vs in records if moment.first <= step <= moment.final for v in vs]
        check(moment.binned, 0, inside, 16)
    assert sum(int(m.binned.counts.sum()) for m in track.moments) == sum(len(v) for _, v in records)


def test_many_rows_are_joined_as_few_are(monkeypatch):
    random = np.random.default_rng(0)
    parts = [
        binned(random.normal(scale=scale, size=(23, 40)).astype(np.float32), 16)
        for scale in (1e-3, 1.0, 50.0)
    ]
    whole = joined(parts)
    assert whole.counts.dtype == np.uint16
    monkeypatch.setattr("gradtui.core.run.histogram._ROWS_AT_ONCE", 5)
    pieces = joined(parts)
    for name in ("counts", "exponents", "offsets", "tails"):
        np.testing.assert_array_equal(getattr(pieces, name), getattr(whole, name))


def test_counts_that_do_not_fit_are_wider():
    one = binned(np.ones((1, 60_000), np.float32), 4)
    assert int(joined([one, one]).counts.sum()) == 120_000


def test_grids_that_are_very_far_apart():
    wide = Binned(
        np.array([[1, 2]], np.uint16),
        np.array([256], np.int16),
        np.array([-1], np.int32),
        np.zeros((1, 5), np.int32),
    )
    fine = Binned(
        np.array([[3, 4]], np.uint16),
        np.array([-256], np.int16),
        np.array([-(2**31)], np.int32),
        np.zeros((1, 5), np.int32),
    )
    both = joined([wide, fine])
    assert both.exponents.tolist() == [256]
    assert both.offsets.tolist() == [-1]
    assert both.counts.tolist() == [[1 + 3 + 4, 2]]
