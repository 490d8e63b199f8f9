"""Tracks against a slow oracle: every bucket is looked up step by step."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradtui.core.run.block import fold_spans, spans_of
from gradtui.core.run.key_table import KeyTable
from gradtui.core.run.keys import SeriesKey
from gradtui.core.run.track import LEAST_BUCKETS, MOST_BUCKETS, GrowingTrack

NUMBERS = st.one_of(
    st.just(math.nan),
    st.floats(width=32, allow_nan=False),
    st.sampled_from([0.0, -0.0, 1e-45, 3.4e38, -3.4e38]),
)


def table_of(roles):
    return KeyTable([SeriesKey(f"m{i}", role, "l2") for i, role in enumerate(roles)])


def rows_of(track):
    """All buckets as (first, final, low, high, last), last by hand."""
    every = np.arange(len(track.table))
    return (
        track.first,
        track.final,
        track.columns(every, "low"),
        track.columns(every, "high"),
        track.columns(every, "last"),
    )


def expected(records, first, final, column, *, logged):
    """What a bucket from ``first`` to ``final`` must say of a column."""
    inside = sorted(
        ((step, place, values[column]) for place, (step, values) in enumerate(records)),
        key=lambda each: each[:2],
    )
    numbers = [value for step, _, value in inside if first <= step <= final]
    there = [value for value in numbers if not math.isnan(value)]
    last = numbers[-1] if logged else (there[-1] if there else math.nan)
    return (
        min(there) if there else math.nan,
        max(there) if there else math.nan,
        last,
    )


@st.composite
def histories(draw):
    steps = draw(st.lists(st.integers(0, 200), min_size=1, max_size=80))
    records = [(step, [draw(NUMBERS), draw(NUMBERS)]) for step in steps]
    pieces = draw(st.lists(st.integers(1, 30), min_size=1, max_size=20))
    return records, pieces


def fed(records, pieces, *, most=LEAST_BUCKETS, recent=8):
    growing = GrowingTrack(table_of(["gradient", "run"]), 0)
    growing._most, growing._most_recent = most, recent
    at = 0
    for piece in [*pieces, *[30] * len(records)]:
        part = records[at : at + piece]
        steps = np.array([step for step, _ in part], np.int64)
        values = np.array([values for _, values in part], np.float32).reshape(-1, 2)
        growing.add(steps, values)
        at += piece
    return growing


@given(histories())
@settings(max_examples=150)
def test_each_bucket_holds_what_its_steps_were(case):
    records, pieces = case
    growing = fed(records, pieces)
    track = growing.track()
    first, final, low, high, last = rows_of(track)
    assert sorted({step for step, _ in records if step not in final}) == sorted(
        {step for step, _ in records} - set(final.tolist())
    )
    assert np.all(np.diff(final) > 0)
    assert np.all(first <= final)
    assert first[0] == min(step for step, _ in records)
    assert final[-1] == max(step for step, _ in records)
    for row in range(len(final)):
        for column in (0, 1):
            wanted = expected(records, first[row], final[row], column, logged=column == 1)
            found = (low[row, column], high[row, column], last[row, column])
            known = 2 if is_interleaved(records, pieces, first[row], final[row]) else 3
            np.testing.assert_array_equal(found[:known], np.array(wanted[:known], np.float32))


def is_interleaved(records, pieces, first, final):
    """Whether a bucket's steps came in turns that lie among each other: then its last may be of an earlier step."""
    newest: list[tuple[int, int]] = []
    at = 0
    for piece in [*pieces, *[30] * len(records)]:
        steps = [step for step, _ in records[at : at + piece] if first <= step <= final]
        at += piece
        if not steps:
            continue
        low, high = min(steps), max(steps)
        if any(low < there[1] and high >= there[0] for there in newest):
            return True
        newest.append((low, high))
    return False


@given(histories(), st.randoms(use_true_random=False))
@settings(max_examples=80)
def test_the_order_of_arrival_does_not_matter(case, random):
    records, pieces = case
    # One record a step: of equal steps the later arrival is the newer by definition.
    records = list(dict(records).items())
    shuffled = records.copy()
    random.shuffle(shuffled)
    one, other = fed(records, [len(records)]), fed(shuffled, pieces)
    # How wide the buckets became may hang on the order; what they hold does not.
    for growing in (one, other):
        while growing._width < 1024:
            growing._widen()
        growing._recent = []
    for a, b in zip(rows_of(one.track()), rows_of(other.track()), strict=True):
        np.testing.assert_array_equal(a, b)


@given(histories())
@settings(max_examples=60)
def test_the_newest_steps_stand_one_by_one(case):
    records, pieces = case
    track = fed(records, pieces, recent=8).track()
    steps = sorted({step for step, _ in records})
    # Whole buckets of the newest eight steps: all but those of the bucket in which the eighth lies.
    begin = -(-steps[-8:][0] // track.width) * track.width
    assert [s for s in steps if s >= begin] == [s for s in track.final.tolist() if s >= begin]


def test_memory_is_bounded_and_extremes_are_never_lost():
    n = 50
    growing = GrowingTrack(table_of(["gradient"] * n), budget=64 * 12 * n)
    random = np.random.default_rng(0)
    lowest, highest = np.full(n, np.inf, np.float32), np.full(n, -np.inf, np.float32)
    for begin in range(0, 100_000, 1000):
        values = random.standard_normal((1000, n), np.float32)
        lowest, highest = np.minimum(lowest, values.min(0)), np.maximum(highest, values.max(0))
        growing.add(np.arange(begin, begin + 1000), values)
        assert growing.nbytes <= 64 * 12 * n * 1.5
    track = growing.track()
    assert 32 <= len(track.first) <= 64 + 256
    every = np.arange(n)
    np.testing.assert_array_equal(track.columns(every, "low").min(0), lowest)
    np.testing.assert_array_equal(track.columns(every, "high").max(0), highest)
    np.testing.assert_array_equal(track.latest, values[-1])
    assert track.latest_step == 99_999


def test_a_track_does_not_change_when_more_comes():
    growing = GrowingTrack(table_of(["gradient"] * 3), 0)
    growing.add(np.arange(40), np.arange(120, dtype=np.float32).reshape(40, 3))
    track = growing.track()
    before = [np.copy(each) for each in rows_of(track)]
    for step in range(40, 400):
        growing.add(np.array([step]), np.full((1, 3), step, np.float32))
    for one, other in zip(before, rows_of(track), strict=True):
        np.testing.assert_array_equal(one, other)
    assert track.latest_step == 39


def test_what_is_given_may_change_afterwards():
    growing = GrowingTrack(table_of(["gradient"]), 0)
    values = np.ones((4, 1), np.float32)
    growing.add(np.arange(4), values)
    values[:] = 7
    assert growing.track().columns(np.array([0])).max() == 1


def test_nothing_and_one():
    growing = GrowingTrack(table_of(["gradient"]))
    growing.add(np.zeros(0, np.int64), np.zeros((0, 1), np.float32))
    assert len(growing.track().final) == 0
    assert growing.track().columns(np.array([0])).shape == (0, 1)
    assert np.isnan(growing.track().latest).all()
    growing.add(np.array([7]), np.array([[3.0]], np.float32))
    assert growing.track().final.tolist() == [7]
    empty = GrowingTrack(table_of([]))
    empty.add(np.arange(5000), np.zeros((5000, 0), np.float32))
    assert len(empty.track().final) <= MOST_BUCKETS + 256


def test_a_tighter_limit_is_kept():
    growing = GrowingTrack(table_of(["gradient"] * 10))
    growing.add(np.arange(3000), np.zeros((3000, 10), np.float32))
    assert len(growing.track().first) == 3000
    growing.limit(100 * 12 * 10)
    assert sum(map(len, growing._blocks)) <= 100


@pytest.mark.parametrize("points", [1, 3, 7])
def test_spans(points):
    steps = np.array([0, 1, 5, 9, 10, 30, 99])
    spans = spans_of(steps, 0, 100, points)
    for step, span in zip(steps, spans, strict=True):
        assert span * 100 / points <= step < (span + 1) * 100 / points
    values = np.arange(14, dtype=np.float32).reshape(7, 2)
    values[2, 0] = np.nan
    result = np.full((points, 3), np.nan, np.float32)
    fold_spans(result, values, spans, np.array([0, 2]))
    for span in range(points):
        for column, place in ((0, 0), (1, 2)):
            inside = values[spans == span, column]
            inside = inside[~np.isnan(inside)]
            wanted = inside.max() if len(inside) else np.nan
            np.testing.assert_array_equal(result[span, place], wanted)
    assert np.isnan(result[:, 1]).all()
