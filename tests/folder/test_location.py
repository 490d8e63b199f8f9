"""Folders and prefixes, names, and the search for the newest."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest
from kit.folders import write_foreign

from gradtui.errors import UsageError
from gradtui.folder.location import DebugFolder, find_folders, input_name
from gradtui.folder.process import Process, from_record, this_process
from gradtui.folder.stamp import MISSING, stamp, stamps

if TYPE_CHECKING:
    from pathlib import Path


def test_a_directory_is_a_folder_and_files_make_a_prefix(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    assert DebugFolder.at(tmp_path / "run").prefix == ""
    assert DebugFolder.at(f"{tmp_path}/new").prefix == ""
    assert DebugFolder.at(f"{tmp_path}/new_/").prefix == ""
    assert DebugFolder.at(f"{tmp_path}/new_").prefix == "new_"
    (tmp_path / "oddflow_info.pkl").touch()
    odd = DebugFolder.at(f"{tmp_path}/odd")
    assert (odd.prefix, odd.flow_info) == ("odd", tmp_path / "oddflow_info.pkl")
    assert odd.sidecar == tmp_path / "oddgradtui"


@pytest.mark.parametrize("location", ["", "a\0b"])
def test_what_is_no_name(location: str) -> None:
    with pytest.raises(UsageError):
        DebugFolder.at(location)


def test_one_key_for_all_names_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "link").symlink_to("run")
    monkeypatch.chdir(tmp_path)
    keys = {DebugFolder.at(name).key for name in ("run", "./run/", str(tmp_path / "run"), "link")}
    assert len(keys) == 1


@pytest.mark.parametrize(
    ("given", "name"), [("", "input_representation.npy"), ("a", "a.npy"), ("b.npy", "b.npy")]
)
def test_names_to_save_to(given: str, name: str) -> None:
    assert input_name(given) == name


def test_the_newest_comes_first(tmp_path: Path) -> None:
    for k, name in enumerate(
        ["a", "b/c", "b/pre_", ".hidden", "node_modules/x", "d/e/f/g/h/too/deep"]
    ):
        folder = DebugFolder.at(tmp_path / name)
        write_foreign(folder)
        when = time.time() - 100 + k
        os.utime(folder.flow_info, (when, when))
    found = find_folders(tmp_path)
    assert [folder.given for folder in found] == [
        f"{tmp_path}/b/pre_",
        f"{tmp_path}/b/c",
        f"{tmp_path}/a",
    ]
    assert find_folders(tmp_path / "nowhere") == ()


def test_a_history_alone_is_a_folder_as_new_as_its_last_record(tmp_path: Path) -> None:
    write_foreign(DebugFolder.at(tmp_path / "a"))
    for when, name in ((5, "b"), (50, "c/pre_"), (500, "both")):
        rank = DebugFolder.at(tmp_path / name).history / "rank-00003"
        rank.mkdir(parents=True)
        (rank / "00000001.gtlog").touch()
        os.utime(rank / "00000001.gtlog", (when, when))
    write_foreign(DebugFolder.at(tmp_path / "both"))
    os.utime(tmp_path / "both/flow_info.pkl", (400, 400))
    # No histories: a program's own folder, and one without ranks.
    (tmp_path / "d/gradtui/folder").mkdir(parents=True)
    (tmp_path / "e/gradtui/history").mkdir(parents=True)
    found = find_folders(tmp_path)
    assert [folder.given for folder in found] == [
        f"{tmp_path}/{name}" for name in ("a", "both", "c/pre_", "b")
    ]


def test_processes_live_and_die() -> None:
    me = this_process()
    assert me.is_alive
    assert from_record(me.to_record()) == me
    assert not Process(me.pid, me.host, me.started + 1).is_alive
    assert not Process().is_alive
    assert Process(1, "another host", 0).is_alive
    assert not Process((1 << 22) + 7, me.host, 0).is_alive


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"pid": True, "host": "a"},
        {"pid": -1, "host": "a"},
        {"pid": 1 << 40, "host": "a"},
        {"pid": 1, "host": 5},
        {"pid": 1, "host": "a", "started": "x"},
    ],
)
def test_what_is_no_process(record: dict[str, object]) -> None:
    assert from_record(record) == Process()


def test_what_cannot_be_reached_does_not_exist_and_is_not_missing(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "file").touch()
    found = {name: stamp(tmp_path / name) for name in ("loop", "dangling", "file/below", "none")}
    assert not any(each.exists for each in found.values())
    assert [name for name, each in found.items() if each == MISSING] == ["dangling", "none"]


def test_stamps_tell_versions_apart(tmp_path: Path) -> None:
    folder = DebugFolder.at(tmp_path)
    empty = stamps(folder)
    assert empty.flow_info == MISSING
    assert stamps(folder) == empty
    folder.flow_info.write_bytes(b"1")
    first = stamps(folder)
    assert first.flow_info.exists
    assert first != empty
    (tmp_path / "x").write_bytes(b"1")
    (tmp_path / "x").replace(folder.flow_info)
    assert stamps(folder) != first
    now = time.time()
    assert not stamp(folder.flow_info).is_settled(now, 2.0)
    assert stamp(folder.flow_info).is_settled(now + 3, 2.0)
    # A clock that is ahead does not lock a folder.
    assert stamp(folder.flow_info).is_settled(now - 3, 2.0)
