"""The writer: never blocks, never raises, and what it leaves can always be read."""

from __future__ import annotations

import errno
import os
import shutil
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from kit.histories import KEYS, preamble, read_all, run_of, scalars, small_run, steps_of
from kit.written import events, files, read_steps, write

from gradtui.core.run.keys import SeriesKey
from gradtui.core.run.records import Edges, Entry, Event, Kept, Layout, Scalars
from gradtui.folder.history import writer as writer_module
from gradtui.folder.history.segments import rank_path
from gradtui.folder.history.writer import HistoryWriter


def test_what_is_written_is_read(folder, writer):
    write(writer, small_run(40))
    run = run_of(folder)
    assert run.series(KEYS[0]).values.tolist() == list(range(40))
    assert run.notes == ("a line",)
    assert (writer.dropped, writer.problem) == (0, "")
    assert writer.close()
    assert len(files(folder)) == 1


def test_nothing_is_made_before_the_first_record(folder):
    made = HistoryWriter(folder)
    assert made.flush()
    assert made.close()
    assert not folder.root.exists()


def test_each_start_makes_a_segment(folder):
    for run in ("one", "two"):
        made = HistoryWriter(folder)
        write(made, [*preamble(run), scalars(1)])
        made.close()
    assert [each.number for each in files(folder)] == [1, 2]
    made = HistoryWriter(folder)
    write(made, [*preamble("three"), scalars(1), *preamble("four"), scalars(2)])
    made.close()
    assert [each.number for each in files(folder)] == [1, 2, 3, 4]
    assert read_steps(folder) == [2]


def test_every_segment_can_be_read_alone(folder):
    made = HistoryWriter(folder, segment=8192)
    entries = [*preamble(), *map(scalars, range(100))]
    entries += [Entry(100, 0, Layout(9, "scalars", KEYS[:1])), *map(scalars, range(100, 400))]
    write(made, entries)
    made.close()
    assert len(files(folder)) > 5
    assert sorted(read_steps(folder)) == list(range(400))
    for found in files(folder)[:-1]:
        assert 7000 < found.size <= 8192
    for found in files(folder)[:-1]:
        found.path.unlink()
    reader, read = read_all(folder)
    reader.close()
    kinds = [each.record for each in read if isinstance(each, Entry)]
    assert [layout.number for layout in kinds if isinstance(layout, Layout)] == [1, 2, 9]
    assert steps_of(read)[-1] == 399


def test_what_another_took_the_place_of_is_not_written_again(folder):
    made = HistoryWriter(folder, segment=8192)
    pairs = tuple((KEYS[2].of(""), SeriesKey(f"net.{name}", "input", "")) for name in "ab")
    entries = [*preamble(), Entry(0, 0, Edges(pairs[:1])), *map(scalars, range(100))]
    entries += [Entry(100, 0, Layout(9, "scalars", KEYS, replaces=1)), Entry(100, 0, Edges(pairs))]
    later = [scalars(step) for step in range(100, 400)]
    entries += [replace(entry, record=replace(entry.record, layout=9)) for entry in later]
    write(made, entries)
    made.close()
    assert sorted(read_steps(folder)) == list(range(400))
    for found in files(folder)[:-1]:
        found.path.unlink()
    reader, read = read_all(folder)
    reader.close()
    kinds = [each.record for each in read if isinstance(each, Entry)]
    assert [layout.number for layout in kinds if isinstance(layout, Layout)] == [2, 9]
    assert [edges.pairs for edges in kinds if isinstance(edges, Edges)] == [pairs]


def test_ranks_are_apart(folder):
    for rank in (0, 12):
        made = HistoryWriter(folder, rank)
        write(made, [*preamble(rank=rank, world=13), scalars(rank)])
        made.close()
    run = run_of(folder)
    assert [rank.rank for rank in run.ranks] == [0, 12]


def test_records_that_cannot_be_written_are_counted(folder, writer):
    bad = [
        Entry(1, 0.0, Scalars(1, np.zeros((2, 2), np.float32))),
        Entry(-7, 0.0, Event("note", "x")),
        Entry(1, float("nan"), Event("note", "x")),
        Entry(1, 0.0, Kept(KEYS[0], np.array([object()]))),
        Entry("x", 0.0, Event("note", "x")),  # type: ignore[arg-type]
    ]
    write(writer, [*preamble(), scalars(0), *bad, scalars(1)])
    assert writer.dropped == len(bad)
    assert read_steps(folder) == [0, 1]
    assert [event.fields["records"] for event in events(folder)] == [len(bad)]


def test_a_full_queue_drops_and_says_so(folder, monkeypatch):
    gate = threading.Event()
    real = os.write

    def slow(descriptor, data):
        gate.wait(30)
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", slow)
    made = HistoryWriter(folder, queue=20 * 300)
    begun = time.monotonic()
    for entry in [*preamble(), *map(scalars, range(500))]:
        made.write(entry)
    assert time.monotonic() - begun < 5
    assert 470 <= made.dropped < 500
    gate.set()
    assert made.flush(30)
    write(made, [scalars(999)])
    made.close()
    steps = read_steps(folder)
    assert steps[-1] == 999
    # The queue may have had room for a later one meanwhile: what is there is in order.
    assert steps == sorted(set(steps))
    assert steps[0] == 0
    assert sum(event.fields["records"] for event in events(folder)) == made.dropped


@pytest.mark.parametrize("part", [0, 1, 31, 32, 60, 10_000])
def test_a_disk_that_takes_a_part(folder, monkeypatch, impatient, part):
    """The system takes some bytes of a record, then says that the disk is full; later there is room again."""
    made = HistoryWriter(folder)
    write(made, [*preamble(), *map(scalars, range(5))])
    real = os.write
    state = {"left": part, "full": True}

    def full(descriptor, data):
        if not state["full"]:
            return real(descriptor, data)
        count = min(len(data), state["left"])
        if count == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        state["left"] -= count
        return real(descriptor, bytes(data)[:count])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        write(made, map(scalars, range(5, 105)))
        assert made.dropped > 0
        assert "no space" in made.problem
        before = read_steps(folder)
        state["full"] = False
        write(made, map(scalars, range(105, 110)))
    made.close()
    steps = read_steps(folder)
    assert steps[: len(before)] == before
    assert before == list(range(len(before)))
    assert steps[-5:] == list(range(105, 110))
    assert len(files(folder)) == 1
    assert made.problem == ""
    assert [event.fields["records"] for event in events(folder)] == [made.dropped]
    assert len(steps) + made.dropped == 110


def test_a_segment_that_cannot_be_cut_back_is_left(folder, monkeypatch, impatient):
    made = HistoryWriter(folder)
    write(made, [*preamble(), *map(scalars, range(5))])
    real = os.write
    state = {"calls": 0}

    def torn(descriptor, data):
        state["calls"] += 1
        if state["calls"] == 1:
            return real(descriptor, bytes(data)[:20])
        if state["calls"] == 2:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(descriptor, data)

    def no(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", torn)
        patch.setattr(os, "ftruncate", no)
        write(made, map(scalars, range(5, 10)))
    made.close()
    assert len(files(folder)) == 2
    assert sorted(read_steps(folder)) == [0, 1, 2, 3, 4, 6, 7, 8, 9]


def test_a_preamble_that_found_no_room_is_written_later(folder, monkeypatch, impatient):
    made = HistoryWriter(folder)

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        write(made, [*preamble(), *map(scalars, range(3))])
    write(made, map(scalars, range(3, 6)))
    made.close()
    assert read_steps(folder) == [3, 4, 5]
    assert made.dropped == 3


def test_it_backs_off(folder, monkeypatch):
    made = HistoryWriter(folder)
    write(made, preamble())
    calls = []

    def full(*_):
        calls.append(1)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(writer_module, "_FIRST_PAUSE", 60.0)
        made._pause = 60.0
        patch.setattr(os, "write", full)
        write(made, map(scalars, range(1000)))
        assert len(calls) == 1
        assert made.dropped == 1000
    made.close()


def test_a_folder_that_was_removed_is_made_again(folder, impatient):
    made = HistoryWriter(folder)
    write(made, [*preamble(), *map(scalars, range(5))])
    shutil.rmtree(folder.root)
    write(made, map(scalars, range(5, 9)))
    made.close()
    assert read_steps(folder) == [5, 6, 7, 8]


def test_a_file_or_a_link_in_its_way(folder, tmp_path, impatient):
    folder.sidecar.mkdir(parents=True)
    folder.history.write_text("in the way")
    made = HistoryWriter(folder)
    write(made, [*preamble(), scalars(0)])
    assert made.problem
    assert made.dropped == 1
    folder.history.unlink()
    folder.history.mkdir()
    (tmp_path / "elsewhere").mkdir()
    rank_path(folder.history, 0).symlink_to(tmp_path / "elsewhere")
    write(made, [scalars(1)])
    assert "link" in made.problem
    assert list((tmp_path / "elsewhere").iterdir()) == []
    rank_path(folder.history, 0).unlink()
    write(made, [scalars(2)])
    made.close()
    assert read_steps(folder) == [2]


def test_closing_twice_and_writing_after(folder, writer):
    write(writer, [*preamble(), scalars(0)])
    assert writer.close()
    assert writer.close()
    writer.write(scalars(1))
    assert not writer.flush(0.1)
    assert read_steps(folder) == [0]


def test_a_start_of_the_same_run_takes_the_place_of_the_first(folder, writer, monkeypatch):
    entries = small_run(6)
    first = entries[0].record
    better = replace(first, parameters=())
    write(writer, entries)
    writer.write(Entry(2, entries[0].time + 1, better))
    write(writer, [Entry(6, entries[-1].time, entries[-1].record)])
    assert run_of(folder).ranks[0].start == better
    assert len(files(folder)) == 1
    # A segment that begins later has it first, and every layout.
    monkeypatch.setattr(writer, "_segment_bytes", 1)
    write(writer, [Entry(7, entries[-1].time, entries[-1].record)])
    assert len(files(folder)) == 2
    files(folder)[0].path.unlink()
    alone = run_of(folder)
    assert alone.ranks[0].start == better
    assert alone.last_step == 7
    assert alone.notes == ()
