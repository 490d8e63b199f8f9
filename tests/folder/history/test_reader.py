"""Reading a history that lives: newest first, what is added, what vanishes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from kit.histories import (
    KEYS,
    LOSS,
    drain,
    encoded,
    preamble,
    read_all,
    run_of,
    scalars,
    small_run,
    steps_of,
    write_segment,
)

from gradtui.core.run.growing_run import GrowingRun
from gradtui.core.run.records import Entry, Layout, Scalars, Start
from gradtui.core.run.track import Rows
from gradtui.folder.history.reader import HistoryReader
from gradtui.folder.history.segments import rank_path, segments_of
from gradtui.folder.history.thinning import thinned
from gradtui.folder.location import DebugFolder


@pytest.fixture
def folder(tmp_path):
    return DebugFolder.at(f"{tmp_path}/run/")


def segment(folder, steps, number, run="run", rank=0, **more):
    entries = [*preamble(run, rank=rank, **more), *[scalars(step) for step in steps]]
    return write_segment(folder, b"".join(encoded(entries)), number, rank)


def test_nothing_there(folder):
    reader = HistoryReader(folder)
    assert reader.poll() == []
    assert (reader.progress, reader.is_behind, reader.notes, reader.ranks) == (1.0, False, (), ())
    assert reader.read_window(0, KEYS, 0, 9) == ()
    segment(folder, range(3), 1)
    assert steps_of(drain(reader)) == [0, 1, 2]
    reader.close()


def test_the_newest_segment_comes_first_then_the_others_backwards(folder):
    for number in range(1, 5):
        segment(folder, range(number * 10, number * 10 + 10), number)
    reader = HistoryReader(folder)
    seen = []
    while parts := reader.poll():
        assert 0 < reader.progress <= 1
        seen += [(part.segment, part.older) for part in parts]
        for part in parts:
            assert (part.rank, part.run) == (0, "run")
            assert steps_of(part.entries) == list(range(part.segment * 10, part.segment * 10 + 10))
    assert seen == [(4, False), (3, True), (2, True), (1, True)]
    assert reader.progress == 1.0
    reader.close()


def test_what_is_new_comes_before_what_is_older(folder):
    for number in range(1, 4):
        path = segment(folder, range(number * 10, number * 10 + 10), number)
    reader = HistoryReader(folder)
    assert [part.segment for part in reader.poll()] == [3]
    assert [part.segment for part in reader.poll()] == [2]
    with path.open("ab") as file:
        file.write(encoded([scalars(77)])[0])
    (part,) = reader.poll()
    assert (part.segment, part.older, steps_of(part.entries)) == (3, False, [77])
    assert [part.segment for part in reader.poll()] == [1]
    reader.close()


def test_a_piece_is_bounded_and_nothing_is_lost_between_pieces(folder):
    path = segment(folder, range(20_000), 1)
    assert path.stat().st_size > 3 << 20
    reader = HistoryReader(folder)
    steps, pieces = [], 0
    while parts := reader.poll(1 << 18):
        pieces += 1
        found = [step for part in parts for step in steps_of(part.entries)]
        assert len(found) * 100 < 1 << 18
        steps += found
        assert reader.progress < 1 or len(steps) == 20_000
    # Its end comes before what is between.
    assert sorted(steps) == list(range(20_000))
    assert steps.index(19_999) < 10_000
    assert pieces > 10
    reader.close()


def test_a_record_larger_than_a_piece(folder):
    keys = tuple(LOSS for _ in range(100_000))
    values = np.arange(100_000, dtype=np.float32)
    entries = [Entry(-1, 0, Start("r", "m")), Entry(-1, 0, Layout(5, "scalars", keys))]
    entries += [Entry(step, 0, Scalars(5, values)) for step in range(3)]
    write_segment(folder, b"".join(encoded(entries)))
    reader, found = read_all(folder, 1 << 16)
    rows = [each for each in found if isinstance(each, Rows)]
    assert sum(len(each.steps) for each in rows) == 3
    for each in rows:
        np.testing.assert_array_equal(each.values[0], values)
    reader.close()


def test_an_idle_poll_reads_nothing(folder, monkeypatch):
    for number in range(1, 4):
        path = segment(folder, range(5), number)
    reader, _ = read_all(folder)
    for item in (folder.history, path.parent):
        os.utime(item, (1e9, 1e9))
    drain(reader)

    def forbidden(*_):
        raise AssertionError("an idle poll reads")

    with monkeypatch.context() as patch:
        for name in ("pread", "open", "scandir", "listdir"):
            patch.setattr(os, name, forbidden)
        for _ in range(10):
            assert reader.poll() == []
    reader.close()


def test_segments_and_ranks_that_come_later(folder):
    segment(folder, range(3), 1)
    reader, entries = read_all(folder)
    with (rank_path(folder.history, 0) / "00000001.gtlog").open("ab") as file:
        file.write(encoded([scalars(3)])[0])
    segment(folder, range(4, 6), 2)
    segment(folder, range(6, 8), 3)
    entries += drain(reader)
    assert steps_of(entries) == list(range(8))
    segment(folder, range(2), 1, rank=3, world=4)
    parts = reader.poll()
    assert [part.rank for part in parts] == [3]
    assert reader.ranks == (0, 3)
    reader.close()


def test_the_preamble_comes_once(folder):
    for number in range(1, 4):
        segment(folder, range(5), number)
    reader, entries = read_all(folder)
    kinds = [type(each.record).__name__ for each in entries if isinstance(each, Entry)]
    assert kinds == ["Start", "Layout", "Layout", "Edges"]
    reader.close()


def test_a_training_that_was_started_again(folder):
    segment(folder, range(10), 1, run="one")
    segment(folder, range(10, 20), 2, run="one")
    growing, reader = GrowingRun(), HistoryReader(folder)
    for part in reader.poll():
        growing.add(part.rank, part.entries)
    segment(folder, range(3), 3, run="two")
    while parts := reader.poll():
        for part in parts:
            growing.add(part.rank, part.entries)
    assert growing.run().series(KEYS[0]).steps.tolist() == [0, 1, 2]
    assert "one" in reader.older_runs
    reader.close()
    # Who begins to read now sees the newest alone.
    assert run_of(folder).series(KEYS[0]).steps.tolist() == [0, 1, 2]
    reader, _ = read_all(folder)
    assert reader.older_runs == ("one",)
    reader.close()


@pytest.mark.parametrize("polls", range(6))
def test_a_training_that_was_started_again_while_the_old_one_was_read(folder, polls):
    """Nothing that was half read of the old run is taken for the new one's."""
    for number in (1, 2):
        segment(folder, range(number * 30_000, number * 30_000 + 30_000), number, run="one")
    reader, growing = HistoryReader(folder), GrowingRun()
    for _ in range(polls):
        for part in reader.poll(1 << 20):
            growing.add(part.rank, part.entries)
    segment(folder, range(3), 3, run="two")
    while parts := reader.poll(1 << 20):
        for part in parts:
            growing.add(part.rank, part.entries)
    assert growing.run().series(KEYS[0]).steps.tolist() == [0, 1, 2]
    window = reader.read_window(0, KEYS, 0, 99_999)
    assert sum(len(each.steps) for each in window if isinstance(each, Rows)) == 3
    assert reader.progress == 1.0
    reader.close()


def test_a_window_of_a_segment_that_was_thinned_since(folder):
    for number in range(1, 3):
        segment(folder, range(number * 100, number * 100 + 100), number)
    reader, _ = read_all(folder)
    thinned(segments_of(rank_path(folder.history, 0))[:1], 2)
    window = reader.read_window(0, KEYS, 150, 210)
    steps = [step for each in window if isinstance(each, Rows) for step in each.steps.tolist()]
    assert sorted(steps) == [*range(150, 200, 2), *range(200, 211)]
    reader.close()


def test_a_newest_segment_without_a_start_is_waited_for(folder):
    segment(folder, range(5), 1, run="one")
    data = b"".join(encoded([*preamble("two"), scalars(7)]))
    path = write_segment(folder, data[:100], 2)
    reader, entries = read_all(folder)
    assert steps_of(entries) == [0, 1, 2, 3, 4]
    path.write_bytes(data)
    parts = reader.poll()
    assert [(part.run, steps_of(part.entries)) for part in parts] == [("two", [7])]
    reader.close()


def test_files_that_vanish(folder):
    for number in range(1, 5):
        segment(folder, range(number * 10, number * 10 + 5), number)
    reader = HistoryReader(folder)
    reader.poll()
    (rank_path(folder.history, 0) / "00000003.gtlog").unlink()
    assert sorted(steps_of(drain(reader))) == [10, 11, 12, 13, 14, 20, 21, 22, 23, 24]
    shutil.rmtree(folder.root)
    assert drain(reader) == []
    assert any("gone" in note for note in reader.notes)
    assert reader.read_window(0, KEYS[:1], 0, 99)[0].record.run == "run"  # type: ignore[union-attr]
    segment(folder, range(2), 1, run="again")
    parts = reader.poll()
    assert [(part.run, steps_of(part.entries)) for part in parts] == [("again", [0, 1])]
    assert not any("gone" in note for note in reader.notes)
    reader.close()


def test_a_file_that_was_replaced_or_cut(folder):
    path = segment(folder, range(5), 1)
    reader, _ = read_all(folder)
    other = path.with_suffix(".new")
    other.write_bytes(b"".join(encoded([*preamble("new"), scalars(1)])))
    other.replace(path)
    found = drain(reader)
    assert steps_of(found) == [1]
    path.write_bytes(path.read_bytes()[:50])
    assert drain(reader) == []
    reader.close()


def test_a_file_that_vanishes_while_the_others_are_listed(folder, monkeypatch):
    for number in range(1, 5):
        path = segment(folder, range(3), number)
    real = os.scandir

    class Vanishing:
        """A listing in which the second entry is removed before it is looked at."""

        def __init__(self, where):
            self.entries = sorted(real(where), key=lambda entry: entry.name)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def __iter__(self):
            for place, entry in enumerate(self.entries):
                if place == 1:
                    Path(entry.path).unlink()
                yield entry

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", Vanishing)
        found = segments_of(path.parent)
    assert [each.number for each in found] == [1, 3, 4]


def test_a_window_is_exact(folder):
    for number in range(1, 4):
        segment(folder, range(number * 1000, number * 1000 + 1000), number)
    reader, _ = read_all(folder, 1 << 16)
    growing = GrowingRun()
    growing.add(0, reader.read_window(0, (KEYS[1], KEYS[0]), 1990, 2010))
    run = growing.run()
    assert run.series(KEYS[0]).steps.tolist() == list(range(1990, 2011))
    assert run.series(KEYS[1]).values.tolist() == [2 * step for step in range(1990, 2011)]
    assert run.sampled(KEYS[1])
    assert not run.sampled(KEYS[0])
    assert run.keys == (KEYS[0], KEYS[1])
    for asked in ((0, [LOSS], 0, 9999), (5, KEYS, 0, 9999), (0, KEYS, 9000, 9999), (0, KEYS, 9, 3)):
        assert not any(isinstance(each, Rows) for each in reader.read_window(*asked))
    newest = reader.read_window(0, KEYS, 0, 9999, limit=1)
    steps = [step for each in newest if isinstance(each, Rows) for step in each.steps.tolist()]
    assert steps[-1] == 3999
    assert len(steps) < 3000
    reader.close()


def test_several_layouts_a_step(folder):
    entries = preamble()
    entries.append(Entry(-1, 0, Layout(9, "scalars", (LOSS,))))
    for step in range(100):
        entries.append(scalars(step))
        entries.append(Entry(step, 0, Scalars(9, np.array([-step], np.float32))))
        if step % 7 == 0:
            entries.append(Entry(step, 0, Scalars(9, np.array([step], np.float32))))
    write_segment(folder, b"".join(encoded(entries)))
    run = run_of(folder)
    assert run.series(KEYS[0]).values.tolist() == list(range(100))
    wanted = [step if step % 7 == 0 else -step for step in range(100)]
    assert run.series(LOSS).values.tolist() == wanted


def test_every_record_comes_through(folder):
    write_segment(folder, b"".join(encoded(small_run(12))))
    run = run_of(folder)
    assert run.series(KEYS[0]).values.tolist() == list(range(12))
    assert len(run.histogram(run.histogram_keys[0]).steps) == 3
    assert [each.event.fields["x"] for each in run.events] == ["nan"]
    assert run.kept[0].kept.values.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert run.parameters[0].shared == ("net.c.weight",)
    assert run.start is not None
    assert run.start.settings["log_freq"] == 10
    assert len(run.edges.pairs) == 1
