"""Several viewers that save into one folder at once: no edit goes without somebody being told."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest
from kit.folders import write_foreign
from kit.waiting import until

from gradtui.errors import SaveConflict, SaveFailed
from gradtui.folder.commit import read_commit
from gradtui.folder.load import load
from gradtui.folder.location import DebugFolder
from gradtui.folder.lock import alone
from gradtui.folder.npy import encode_npy
from gradtui.folder.save import save_input

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from pathlib import Path

    from gradtui.folder.writing import Chunks

_ROUNDS = 60
_SAVERS = 3


@pytest.fixture
def folder(tmp_path: Path) -> DebugFolder:
    folder = DebugFolder.at(tmp_path / "debug")
    write_foreign(folder, input_=np.zeros((3, 4)))
    return folder


def _save_each_time(root: Path, cell: int, told: Connection) -> None:
    """Save at each call one larger number into one cell; tell whether it was written."""
    folder = DebugFolder.at(root)
    while told.recv():
        seen = load(folder, settle=0.0)
        array = np.array(seen.session.input)
        array.flat[cell] += 1
        told.send("looked")
        told.recv()
        try:
            save_input(folder, array, seen=seen)
        except SaveConflict:
            told.send("conflict")
        else:
            told.send("saved")


def _die_in_a_save(path: Path) -> None:
    with alone(path):
        os._exit(9)


def test_what_is_told_as_saved_is_there(folder: DebugFolder) -> None:
    """Of savers that looked at one state one saves, and the others are told: a sum of cells that counts them all."""
    context = multiprocessing.get_context("spawn")
    ends, savers = [], []
    for cell in range(_SAVERS):
        end, theirs = context.Pipe()
        saver = context.Process(
            target=_save_each_time, args=(folder.root, cell, theirs), daemon=True
        )
        saver.start()
        ends.append(end)
        savers.append(saver)
    saved = np.zeros((3, 4))
    for _ in range(_ROUNDS):
        for end in ends:
            end.send(True)
        assert {end.recv() for end in ends} == {"looked"}
        for end in ends:
            end.send("now")
        words = [end.recv() for end in ends]
        assert sorted(words) == ["conflict"] * (_SAVERS - 1) + ["saved"]
        saved.flat[words.index("saved")] += 1
        np.testing.assert_array_equal(np.load(folder.input), saved)
    for end, saver in zip(ends, savers, strict=True):
        end.send(False)
        saver.join(30)
    assert read_commit(folder, "viewer").generation == _ROUNDS
    assert not folder.saving.exists()


def test_a_save_waits_for_another(folder: DebugFolder) -> None:
    seen = load(folder, settle=0.0)
    done = threading.Event()

    def save() -> None:
        save_input(folder, np.ones((3, 4)), seen=seen)
        done.set()

    folder.sidecar.mkdir()
    with alone(folder.saving):
        thread = threading.Thread(target=save)
        thread.start()
        assert not done.wait(0.1)
        assert np.load(folder.input).max() == 0
    until(done.is_set, "the save")
    thread.join()
    assert np.load(folder.input).max() == 1
    assert not folder.saving.exists()


def test_a_save_that_does_not_end_is_told(
    folder: DebugFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gradtui.folder.lock._PATIENCE", 0.05)
    seen = load(folder, settle=0.0)
    folder.sidecar.mkdir()
    with alone(folder.saving):
        with pytest.raises(SaveFailed, match="another save goes on"):
            save_input(folder, np.ones((3, 4)), seen=seen)
        # As it says: the one that went on does not remove what it does not hold.
        folder.saving.unlink()
        save_input(folder, np.ones((3, 4)), seen=seen)


def test_a_killed_saver_locks_nobody_out(folder: DebugFolder) -> None:
    folder.sidecar.mkdir()
    context = multiprocessing.get_context("spawn")

    saver = context.Process(target=_die_in_a_save, args=(folder.saving,))
    saver.start()
    saver.join(30)
    assert saver.exitcode == 9
    assert folder.saving.exists()
    save_input(folder, np.ones((3, 4)), seen=load(folder, settle=0.0))
    assert not folder.saving.exists()


def test_a_sidecar_that_goes_during_a_save_ends_it(
    folder: DebugFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With it the lock goes: another may hold the next one."""
    seen = load(folder, settle=0.0)

    def encode_slowly(array: np.ndarray) -> Chunks:
        shutil.rmtree(folder.sidecar)
        folder.sidecar.mkdir()
        return encode_npy(array)

    monkeypatch.setattr("gradtui.folder.save.encode_npy", encode_slowly)
    with pytest.raises(SaveFailed, match="save again"):
        save_input(folder, np.ones((3, 4)), seen=seen)
    assert np.load(folder.input).max() == 0


@pytest.mark.parametrize("kind", ["directory", "link", "no locks"])
def test_without_a_lock_a_save_goes_on(
    folder: DebugFolder, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.sidecar.mkdir()
    if kind == "directory":
        folder.saving.mkdir()
    elif kind == "link":
        folder.saving.symlink_to(folder.root / "nowhere")
    else:

        def refuse(*_: object) -> None:
            raise OSError(95, "Operation not supported")

        monkeypatch.setattr("gradtui.folder.lock.fcntl.flock", refuse)
    save_input(folder, np.ones((3, 4)), seen=load(folder, settle=0.0))
    assert np.load(folder.input).max() == 1
    assert folder.saving.exists() == (kind == "directory")
