"""Whole records with any numbers in them: whatever a stranger wrote, a run of it answers."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kit.histories import encoded, run_of, start, write_segment

from gradtui.core.run.keys import DERIVED, MERGED_BY, SeriesKey
from gradtui.core.run.records import Entry, Event, Histograms, Kept, Layout, Scalars
from gradtui.folder.location import DebugFolder

QUANTITIES = [*MERGED_BY, *DERIVED, "values", "of a later version"]
KEYS = st.builds(
    SeriesKey,
    st.sampled_from(["", "a", "a.b", "\ud800".encode("utf-8", "replace").decode()]),
    st.sampled_from(["parameter", "gradient", "output", "run", "of a later version"]),
    st.sampled_from(QUANTITIES),
    st.sampled_from(["", "weight", "0"]),
    st.integers(0, 2),
    st.sampled_from(["train", "eval"]),
)
STEPS = st.one_of(st.integers(-1, 50), st.integers(-1, (1 << 53) - 1))
TIMES = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def records(draw):
    kind = draw(st.integers(0, 4))
    number = draw(st.integers(0, 3))
    if kind == 0:
        holds = draw(st.sampled_from(["scalars", "histograms"]))
        return Layout(number, holds, tuple(draw(st.lists(KEYS, max_size=4))))
    if kind == 1:
        values = draw(st.lists(st.floats(width=32), max_size=4))
        return Scalars(number, np.array(values, np.float32))
    if kind == 2:
        rows, bins = draw(st.integers(0, 4)), draw(st.integers(1, 5))
        numbers = np.random.default_rng(draw(st.integers(0, 99)))
        return Histograms(
            number,
            numbers.integers(0, draw(st.sampled_from([1, 3, 65_536])), (rows, bins), np.uint16),
            numbers.integers(-256, 257, rows, np.int16),
            numbers.integers(-(2**31), 2**31 - 1, rows, np.int32),
            numbers.integers(-(2**31), 2**31 - 1, (rows, 5), np.int32),
        )
    if kind == 3:
        return Event(draw(st.text(max_size=3)), draw(st.text(max_size=3)))
    shape = draw(st.lists(st.integers(0, 3), max_size=3))
    return Kept(draw(KEYS), np.zeros(shape, draw(st.sampled_from(["f2", "f8", "?", "i1"]))))


ENTRIES = st.lists(st.builds(Entry, STEPS, TIMES, records()), max_size=25)


def ask_everything(run):
    ranks = [None, 0, 1, 7]
    for key in (*run.keys, *run.histogram_keys):
        for rank in ranks:
            for quantity in (key.quantity, "ratio", "mean", "nothing"):
                series = run.series(key.of(quantity), rank)
                assert len(series.steps) == len(series.values) == len(series.low)
                assert np.all(series.steps[1:] >= series.steps[:-1])
                run.latest(key.of(quantity), rank)
                run.sampled(key.of(quantity))
            histogram = run.histogram(key, rank)
            assert histogram.counts.shape == (len(histogram.steps), len(histogram.edges) - 1)
            assert np.all(np.isfinite(histogram.edges))
    for role in ("parameter", "gradient", "output", "run", "of a later version"):
        for quantity in QUANTITIES:
            for rank in ranks:
                column = run.column(role, quantity, rank=rank)
                trends = run.trends(role, quantity, 3, rank=rank)
                assert trends.keys == column.keys
                assert trends.values.shape == (len(column), 3)
                for block in run.blocks(role, quantity, rank=rank):
                    assert block.last.shape == (len(block.steps), len(block.keys))
    for each in (
        run.notes,
        run.events,
        run.kept,
        run.modules,
        run.parameters,
        run.edges,
        run.world,
    ):
        assert each is not None
    assert run.first_step <= max(run.last_step, 0)


@given(st.lists(ENTRIES, min_size=1, max_size=2), st.booleans())
@settings(max_examples=120, suppress_health_check=list(HealthCheck))
def test_a_run_of_any_records_answers(tmp_path_factory, of_ranks, with_layouts):
    folder = DebugFolder.at(f"{tmp_path_factory.mktemp('any')}/")
    world = len(of_ranks)
    for rank, entries in enumerate(of_ranks):
        before = [Entry(-1, 0.0, start(rank=rank, world=world))]
        if with_layouts:
            keys = tuple(SeriesKey("a", "output", q) for q in ("sum", "count", "nan", "l2"))
            before.append(Entry(-1, 0.0, Layout(1, "scalars", keys)))
            before.append(Entry(-1, 0.0, Layout(2, "histograms", keys)))
        write_segment(folder, b"".join(encoded([*before, *entries])), rank=rank)
    ask_everything(run_of(folder))
