"""Which runs a folder holds."""

from __future__ import annotations

import pytest
from kit.run_records import epoch, preamble, steps
from kit.segments import Segments

from gradtui.folder.history.reader import HistoryReader
from gradtui.folder.history.runs import all_runs, models_in, runs_of
from gradtui.folder.location import DebugFolder


@pytest.fixture
def folder(tmp_path):
    """Three runs, of which the second one has two segments."""
    found = DebugFolder.at(tmp_path / "run")
    segments = Segments(found)
    segments.begin([*preamble("a", started=1e9), *steps(0, 9)])
    segments.begin([*preamble("b", started=2e9), *steps(0, 4)])
    segments.begin([*preamble("b", started=2e9), *steps(5, 19), epoch(20, 0)])
    segments.begin([*preamble("c", started=3e9), *steps(0, 2)])
    return found


def test_the_runs_of_a_folder_come_newest_first_with_their_ends(folder):
    found = runs_of(folder)
    assert [set(run.ids) for run in found] == [{"c"}, {"b"}, {"a"}]
    assert [run.last_step for run in found] == [2, 19, 9]
    assert [run.newest for run in found] == [True, False, False]
    assert [run.started for run in found] == [3e9, 2e9, 1e9]
    assert {run.model for run in found} == {"Net"}
    assert found[2].last_time == 1e9 + 9
    assert not any(run.alive for run in found)


def test_a_run_is_one_for_all_its_ranks(tmp_path):
    folder = DebugFolder.at(tmp_path / "run")
    for rank in range(3):
        segments = Segments(folder, rank)
        for n, run in enumerate(("old", "new")):
            started = 1e9 + 1000 * n + rank
            start = preamble(f"{run}{rank}", rank=rank, world=3, started=started)
            segments.begin([*start, *steps(0, 5 + rank, rank=rank)])
    found = runs_of(folder)
    assert [run.ids for run in found] == [
        {"new0", "new1", "new2"},
        {"old0", "old1", "old2"},
    ]
    assert [run.last_step for run in found] == [7, 7]


def test_models_have_folders_of_their_own_within(folder, tmp_path):
    Segments(DebugFolder.at(tmp_path / "run" / "Decoder")).begin([*preamble("d"), *steps(0, 3)])
    (tmp_path / "run" / "notes").mkdir()
    assert [inner.root.name for inner in models_in(folder)] == ["Decoder"]
    found = all_runs(folder)
    assert [run.name for run in found] == ["", "", "", "Decoder"]
    assert found[-1].newest
    assert [run.last_step for run in runs_of(DebugFolder.at(found[-1].location))] == [3]


def test_what_cannot_be_read_is_left_out(folder):
    segments = Segments(folder)
    segments.number = 4
    segments.path.write_bytes(b"nothing")
    segments.number = 5
    segments.begin([*steps(0, 2)])
    assert [set(run.ids) for run in runs_of(folder)] == [{"b"}, {"a"}]
    assert runs_of(DebugFolder.at(folder.root / "nowhere")) == ()


def test_a_reader_reads_the_run_that_it_is_told_and_no_newer_one(folder):
    reader = HistoryReader(folder, frozenset("b"))
    slices = []
    while (found := list(reader.poll())) or reader.is_behind:
        slices += found
    assert {piece.run for piece in slices} == {"b"}
    assert {piece.segment for piece in slices} == {2, 3}
    assert reader.older_runs == ()
    segments = Segments(folder)
    segments.number = 4
    segments.begin([*preamble("d", started=4e9), *steps(0, 2)])
    assert not reader.poll()
    reader.close()
