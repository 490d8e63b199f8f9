"""Edits that outlive a crash."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from gradtui.core.edit import Edit
from gradtui.folder import journal as journal_module
from gradtui.folder.journal import Journal

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "gradtui" / "journal.jsonl", tmp_path / "state" / "journal.jsonl"


def test_a_crash_loses_nothing(places: tuple[Path, Path]) -> None:
    journal = Journal(*places)
    assert journal.append("base", [Edit((1, 2), 0.0, 1.5)])
    assert journal.append("base", [Edit((1, 2), 1.5, math.nan), Edit((0, 0, 3), -math.inf, 2.0)])
    assert journal.append("base", [Edit((4, 4), 1.0, 2.0), Edit((4, 4), 2.0, 1.0)])
    found = Journal(*places).recovered
    assert found.base == "base"
    assert [change.cell for change in found.changes] == [(1, 2), (0, 0, 3)]
    assert found.changes[0].before == 0.0
    assert math.isnan(found.changes[0].after)
    assert found.changes[1].before == -math.inf


def test_clear_forgets(places: tuple[Path, Path]) -> None:
    journal = Journal(*places)
    journal.append("base", [Edit((1, 2), 0.0, 1.5)])
    journal.clear()
    assert not places[0].exists()
    assert Journal(*places).recovered.changes == ()


def test_another_base_starts_anew(places: tuple[Path, Path]) -> None:
    journal = Journal(*places)
    journal.append("one", [Edit((0, 0), 0.0, 1.0)])
    journal.append("two", [Edit((1, 1), 0.0, 1.0)])
    found = Journal(*places).recovered
    assert found.base == "two"
    assert [change.cell for change in found.changes] == [(1, 1)]


def test_every_torn_tail_is_read(places: tuple[Path, Path]) -> None:
    journal = Journal(*places)
    for k in range(4):
        journal.append("base", [Edit((k, 0), 0.0, 1.0)])
    data = places[0].read_bytes()
    head = data.index(b"\n") + 1
    for end in range(len(data)):
        places[0].write_bytes(data[:end])
        found = Journal(*places).recovered
        assert len(found.changes) == max(data[head:end].count(b"\n"), 0) if end >= head else True


@pytest.mark.parametrize(
    "line",
    [
        b"[]",
        b"{}",
        b"[[1], 0, 1]",
        b'[["a", 1], 0, 1]',
        b"[[1, 1], null, 1]",
        b"[" * 10_000,
        b"[[1,1],1e999,true",
    ],
)
def test_strange_lines_end_it(places: tuple[Path, Path], line: bytes) -> None:
    journal = Journal(*places)
    journal.append("base", [Edit((0, 0), 0.0, 1.0)])
    with places[0].open("ab") as file:
        file.write(line + b"\n[[5, 5], 0, 1]\n")
    assert [change.cell for change in Journal(*places).recovered.changes] == [(0, 0)]


def test_it_is_bounded(places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "MAX_BYTES", 2000)
    journal = Journal(*places)
    value = 0.0
    for _ in range(300):
        journal.append("base", [Edit((0, 0), value, value + 1)])
        value += 1
        assert places[0].stat().st_size <= 2000
    (change,) = Journal(*places).recovered.changes
    assert (change.before, change.after) == (0.0, 300.0)


def test_a_folder_that_cannot_be_written_falls_back(places: tuple[Path, Path]) -> None:
    places[0].parent.write_bytes(b"a file where the sidecar should be")
    journal = Journal(*places)
    assert journal.append("base", [Edit((0, 0), 0.0, 1.0)])
    assert journal.problem == ""
    assert places[1].exists()
    assert len(Journal(*places).recovered.changes) == 1


def test_nowhere_to_write_is_said_and_not_raised(places: tuple[Path, Path]) -> None:
    for path in places:
        path.parent.write_bytes(b"")
    journal = Journal(*places)
    assert not journal.append("base", [Edit((0, 0), 0.0, 1.0)])
    assert "not kept" in journal.problem


def test_a_journal_that_was_taken_away_is_written_again(places: tuple[Path, Path]) -> None:
    journal = Journal(*places)
    journal.append("base", [Edit((0, 0), 0.0, 1.0)])
    places[0].unlink()
    journal.append("base", [Edit((1, 1), 0.0, 1.0)])
    assert len(Journal(*places).recovered.changes) == 2


@pytest.mark.parametrize("kind", ["fifo", "directory"])
def test_something_strange_in_its_place(places: tuple[Path, Path], kind: str) -> None:
    places[0].parent.mkdir(parents=True)
    if kind == "fifo":
        os.mkfifo(places[0])
    else:
        places[0].mkdir()
    journal = Journal(*places)
    assert journal.append("base", [Edit((0, 0), 0.0, 1.0)])
    assert journal.append("base", [Edit((0, 1), 0.0, 1.0)])
    assert len(Journal(*places).recovered.changes) == 2


def test_another_living_viewer_keeps_its_own(places: tuple[Path, Path]) -> None:
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from gradtui.core.edit import Edit\nfrom gradtui.folder.journal import Journal\n"
        "Journal(Path(sys.argv[1]), Path(sys.argv[2])).append('base', [Edit((7, 7), 0.0, 1.0)])\n"
        "print('ready', flush=True)\nsys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, *map(str, places)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        journal = Journal(*places)
        assert journal.recovered.changes == ()
        journal.append("base", [Edit((0, 0), 0.0, 1.0)])
        assert places[1].exists()
        assert b"[7, 7]" in places[0].read_bytes()
        process.kill()
    assert {change.cell for change in Journal(*places).recovered.changes} == {(7, 7), (0, 0)}


def test_what_was_recovered_survives_a_second_crash(places: tuple[Path, Path]) -> None:
    Journal(*places).append("one", [Edit((0, 0), 0.0, 1.0), Edit((0, 1), 0.0, 1.0)])
    second = Journal(*places)
    second.append("two", [Edit((0, 1), 0.0, 5.0), Edit((2, 2), 0.0, 2.0)])
    third = Journal(*places)
    assert {change.cell: change.after for change in third.recovered.changes} == {
        (0, 0): 1.0,
        (0, 1): 5.0,
        (2, 2): 2.0,
    }
    assert third.recovered.base == ""
    # Emptied by a save: what nobody answered for is still offered, and then no more.
    second.clear()
    third = Journal(*places)
    assert (third.recovered.base, len(third.recovered.changes)) == ("one", 2)
    third.append("one", [Edit((3, 3), 0.0, 1.0)])
    third.forget_recovered()
    assert third.recovered.changes == ()
    assert [change.cell for change in Journal(*places).recovered.changes] == [(3, 3)]


def test_viewers_that_were_opened_together_do_not_share(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    journals = []
    for pid in (os.getpid(), 2, 3):
        monkeypatch.setattr(os, "getpid", lambda pid=pid: pid)
        journals.append(Journal(*places))
    monkeypatch.undo()
    for step in range(3):
        for k, journal in enumerate(journals):
            assert journal.append("base", [Edit((k, step), 0.0, 1.0)])
    assert len(list(places[1].parent.iterdir())) == 2
    assert len(Journal(*places).recovered.changes) == 9
    journals[0].clear()
    assert len(Journal(*places).recovered.changes) == 6


def test_a_journal_that_another_took_is_left_to_it(places: tuple[Path, Path]) -> None:
    journal = Journal(*places)
    journal.append("base", [Edit((0, 0), 0.0, 1.0)])
    theirs = places[0].read_bytes()[:-1].replace(b'"claim": "', b'"claim": "not ours: ') + b"\n"
    places[0].write_bytes(theirs)
    journal.append("base", [Edit((0, 1), 0.0, 1.0)])
    journal.clear()
    assert places[0].read_bytes() == theirs
