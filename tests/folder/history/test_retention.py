"""A history stays within its limit and readable from its start."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest
from kit.faults import killed_at
from kit.histories import (
    KEYS,
    VALUES,
    encoded,
    histograms,
    preamble,
    read_all,
    run_of,
    scalars,
    steps_of,
    write_segment,
)

from gradtui.core.run.records import Edges, Entry, Event, Kept
from gradtui.folder.history.retention import Retention
from gradtui.folder.history.scan import beginning_of
from gradtui.folder.history.segments import rank_path, segments_of
from gradtui.folder.history.thinning import thinned
from gradtui.folder.history.writer import HistoryWriter
from gradtui.folder.location import DebugFolder
from gradtui.folder.stamp import stamp

LIMIT = 200_000


@pytest.fixture
def folder(tmp_path):
    return DebugFolder.at(f"{tmp_path}/run/")


def files(folder):
    return segments_of(rank_path(folder.history, 0))


def total(folder):
    """Bytes of all files at a moment; they are renamed and removed meanwhile."""
    sizes = [stamp(item).size for item in rank_path(folder.history, 0).iterdir()]
    return sum(max(size, 0) for size in sizes)


def read_steps(folder):
    reader, entries = read_all(folder)
    assert reader.notes == ()
    reader.close()
    return sorted(steps_of(entries))


def segment(folder, steps, number, run="run", more=()):
    entries = [*preamble(run), *map(scalars, steps), *more]
    return write_segment(folder, b"".join(encoded(entries)), number)


@pytest.mark.parametrize("count", [800, 3_000, 20_000])
def test_a_run_of_any_length_stays_readable_from_its_start(folder, count):
    writer = HistoryWriter(folder, limit=LIMIT)
    for entry in preamble():
        writer.write(entry)
    for begin in range(0, count, 500):
        for step in range(begin, min(begin + 500, count)):
            writer.write(scalars(step))
        assert writer.flush(30)
        assert total(folder) <= LIMIT
    writer.close()
    assert writer.dropped == 0
    steps = np.array(read_steps(folder))
    assert steps[0] == 0
    assert steps[-1] == count - 1
    gaps = np.diff(steps)
    assert gaps.min() == 1
    # The older the thinner, by powers of two; nowhere is there a hole.
    largest = max(beginning_of(found.path).every for found in files(folder))
    assert gaps.max() <= 3 * largest
    if count == 800:
        assert largest == 1
    else:
        assert total(folder) > 0.7 * LIMIT
        assert np.all(gaps[-400:] == 1)
        # What is older than the newest half is about as thin everywhere.
        assert np.count_nonzero(steps < count / 2) > len(steps) / 8
        assert largest <= 2 * count / 250
    run = run_of(folder)
    assert run.first_step == 0
    assert run.last_step == count - 1


def test_thinning_keeps_every_second_of_each_layout_and_what_is_not_repeated(folder):
    more = [
        *[histograms(step) for step in range(5)],
        *[Entry(step, 0.0, Event("note", str(step))) for step in range(7)],
        *[Entry(step, 0.0, Kept(VALUES, np.full(3, step, np.float32))) for step in range(4)],
    ]
    segment(folder, range(11), 1, more=more)
    segment(folder, range(11, 20), 2)
    thinned(files(folder), 2)
    (found,) = files(folder)
    assert found.number == 2
    begin = beginning_of(found.path)
    assert (begin.run, begin.every, begin.covers) == ("run", 2, 1)
    assert read_steps(folder) == [0, 2, 4, 6, 8, 10, 11, 13, 15, 17, 19]
    run = run_of(folder)
    assert [each.step for each in run.kept] == [0, 2]
    assert len(run.events) == 7
    assert run.histogram(VALUES).steps.tolist() == [0, 2, 4]
    assert len(run.edges.pairs) == 1
    assert len(run.modules) == 2


def test_thinning_again_goes_on_from_there(folder):
    for number in range(1, 5):
        segment(folder, range(number * 16 - 16, number * 16), number)
    first, second, third, fourth = files(folder)
    thinned([first, second], 2)
    thinned([third], 2)
    thinned([fourth], 4)
    thinned(files(folder), 4)
    assert read_steps(folder) == list(range(0, 64, 4))
    (found,) = files(folder)
    assert beginning_of(found.path).covers == 1
    segment(folder, range(64, 80), 5)
    thinned(files(folder), 8)
    assert read_steps(folder) == list(range(0, 80, 8))


def test_a_flood_of_events_is_thinned(folder):
    more = [Entry(step, 0.0, Event("fault", "x")) for step in range(5000)]
    segment(folder, range(3), 1, more=more)
    segment(folder, range(3, 6), 2)
    thinned(files(folder), 2)
    assert len(run_of(folder).events) == 2000 + 1500


def test_newest_edges_stay(folder):
    segment(folder, range(3), 1)
    segment(folder, range(3), 2, more=[Entry(5, 0.0, Edges(((KEYS[0], KEYS[1]),) * 2))])
    thinned(files(folder), 2)
    assert len(run_of(folder).edges.pairs) in (1, 2)


def test_earlier_runs_go_first_and_whole(folder):
    for number in range(1, 4):
        segment(folder, range(400), number, run="old")
    for number in range(4, 6):
        segment(folder, range(400), number, run="new")
    size = files(folder)[0].size
    retention = Retention(rank_path(folder.history, 0), 4 * size)
    retention.make_room(99, size // 3, "new")
    assert [each.number for each in files(folder)] == [3, 4, 5]
    assert (retention.removals, retention.thinnings) == (2, 0)


def test_the_segment_that_is_written_stays(folder):
    segment(folder, range(400), 1)
    segment(folder, range(400), 2)
    Retention(rank_path(folder.history, 0), 10).make_room(2, 10, "run")
    assert [each.number for each in files(folder)] == [2]


def test_on_a_full_disk_the_oldest_goes(folder, monkeypatch):
    for number in range(1, 7):
        segment(folder, range(number * 100, number * 100 + 100), number)
    size = files(folder)[0].size

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    retention = Retention(rank_path(folder.history, 0), 6 * size)
    retention.make_room(99, size, "run")
    assert retention.thinnings == 0
    assert [each.number for each in files(folder)] == [4, 5, 6]
    assert sorted(each.name for each in rank_path(folder.history, 0).iterdir()) == [
        f"0000000{number}.gtlog" for number in (4, 5, 6)
    ]


@pytest.mark.parametrize("step", range(8))
def test_a_merge_that_is_killed_loses_nothing_and_shows_nothing_twice(folder, step):
    for number in range(1, 4):
        more = [histograms(number * 16 + place) for place in range(16)]
        segment(folder, range(number * 16, number * 16 + 16), number, more=more)
    killed_at(step, lambda: thinned(files(folder)[:2], 2))
    steps = read_steps(folder)
    assert steps in (list(range(16, 64)), [*range(16, 48, 2), *range(48, 64)])
    series = run_of(folder).histogram(VALUES)
    assert series.counts.sum() == 20 * len(series.steps) == 20 * len(steps)
    # The next writer tidies up.
    retention = Retention(rank_path(folder.history, 0), 1 << 30)
    retention.make_room(99, 0, "run")
    names = {each.name for each in rank_path(folder.history, 0).iterdir()}
    assert names <= {f"0000000{number}.gtlog" for number in (1, 2, 3)}
    assert read_steps(folder) == steps
    assert len(names) == (3 if len(steps) == 48 else 2)


def test_a_damaged_segment_is_thinned_as_far_as_it_can_be_read(folder):
    path = segment(folder, range(40), 1)
    data = bytearray(path.read_bytes())
    data[-500] ^= 1
    path.write_bytes(data)
    segment(folder, range(40, 50), 2)
    thinned(files(folder), 2)
    steps = read_steps(folder)
    assert steps[0] == 0
    assert steps[-5:] == [40, 42, 44, 46, 48]
