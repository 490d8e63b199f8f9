"""A history of which a part is missing: check says so, and does not pass it."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from kit.runs import deep
from kit.segments import Segments, bytes_of

from gradtui import cli
from gradtui.core.run.records import Entry, Event, Start
from gradtui.folder.adapter_state import write_adapter
from gradtui.folder.location import DebugFolder
from gradtui.folder.process import this_process

if TYPE_CHECKING:
    from pathlib import Path


def entries_of(is_closed: bool = True) -> list[Entry]:
    """A run that this process wrote."""
    training = deep(3)
    if is_closed:
        training.happens(299, "closed", "the watcher was closed")
    mine = this_process()
    entries = []
    for each in training.entries():
        record = each.record
        if isinstance(record, Start):
            record = replace(record, pid=os.getpid(), host=mine.host)
        entries.append(replace(each, record=record))
    return entries


def checked(capsys, folder: Path, code: int) -> list[str]:
    """What check says of the history, finding by finding."""
    assert cli.main(["check", str(folder), "--json"]) == code
    captured = capsys.readouterr()
    assert captured.err == ""
    found = json.loads(captured.out)["findings"]
    assert all((each["rule"], each["severity"]) == ("damaged", "warn") for each in found)
    return [each["why"] for each in found]


def test_a_run_that_was_closed_passes(capsys, tmp_path):
    folder = DebugFolder.at(tmp_path)
    Segments(folder).begin(entries_of())
    write_adapter(folder, "stopped")
    assert checked(capsys, tmp_path, 0) == []


@pytest.mark.parametrize(("state", "code"), [("stopped", 1), ("training", 0)])
def test_a_record_that_is_cut_is_damage_where_nobody_writes(capsys, tmp_path, state, code):
    folder = DebugFolder.at(tmp_path)
    segments, entries = Segments(folder), entries_of()
    segments.begin(entries[:-1])
    segments.append_part(entries[-1], 0.5)
    write_adapter(folder, state)
    said = checked(capsys, tmp_path, code)
    assert len(said) == code
    if said:
        assert "00000001.gtlog: its last" in said[0]
        assert "after step 299 is missing" in said[0]


def test_an_end_that_is_cut_between_records_is_missed(capsys, tmp_path):
    folder = DebugFolder.at(tmp_path)
    Segments(folder).begin(entries_of(is_closed=False))
    write_adapter(folder, "stopped")
    assert checked(capsys, tmp_path, 1) == [
        "the training ended later: what it wrote after step 299 is missing"
    ]
    assert cli.main(["show", str(tmp_path)]) == 0
    assert "after step 299 is missing" in capsys.readouterr().out


def test_broken_records_are_told(capsys, tmp_path):
    segments = Segments(DebugFolder.at(tmp_path))
    entries = entries_of()
    segments.begin(entries)
    data = bytearray(segments.path.read_bytes())
    data[len(bytes_of(entries[:-4])) - 1] ^= 1
    segments.path.write_bytes(data)
    assert checked(capsys, tmp_path, 1) == ["00000001.gtlog: 1 broken record was passed over"]


def test_segments_that_are_missing_are_told_and_those_of_another_run_are_not(capsys, tmp_path):
    segments, entries = Segments(DebugFolder.at(tmp_path)), entries_of()
    start = [each for each in entries if each.step < 0]
    rest = [each for each in entries if each.step >= 0]
    other = [
        replace(each, record=replace(each.record, run="other", started=0.0))
        for each in start
        if isinstance(each.record, Start)
    ]
    note = Entry(0, 0.0, Event("epoch", "epoch 1"))
    for number in range(1, 6):
        segments.begin([*(other if number < 3 else start), *(rest if number == 5 else [note])])
    segments.path_of(2).unlink()
    assert checked(capsys, tmp_path, 0) == []
    segments.path_of(4).unlink()
    assert checked(capsys, tmp_path, 1) == ["segment 4 of the history is missing"]


def test_a_history_without_a_record_does_not_name_its_own_folder(capsys, tmp_path):
    segments = Segments(DebugFolder.at(tmp_path))
    segments.begin([])
    assert cli.main(["check", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"gradtui: {tmp_path}: no history of a training is there\n"
    Segments(DebugFolder.at(tmp_path / "inner")).begin(entries_of())
    assert cli.main(["check", str(tmp_path)]) == 2
    assert f"below it there is {tmp_path}/inner: name one" in capsys.readouterr().err
