"""Saves that follow each other faster than the folder is read again."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from kit import hostile
from kit.folders import flow_info, write_foreign
from kit.seen import Seen

from gradtui.errors import SaveConflict
from gradtui.folder.generation import AdapterWriter
from gradtui.folder.location import DebugFolder
from gradtui.folder.pickle_writer import encode
from gradtui.store.keeper import Keeper

if TYPE_CHECKING:
    from pathlib import Path

    from gradtui.folder.writing import Chunks
    from gradtui.store.view import FolderView


@pytest.mark.parametrize("poll", [True, False])
@pytest.mark.parametrize("with_npy", [True, False])
def test_our_own_save_is_no_conflict(tmp_path: Path, with_npy: bool, poll: bool) -> None:
    """Who saves twice, faster than the folder is read again, still has the view from before the first save."""
    folder = DebugFolder.at(tmp_path / "debug")
    seen: Seen[FolderView] = Seen()
    keeper = Keeper(folder.root, on_change=seen, poll=poll)
    write_foreign(folder, {**flow_info(), "input_representation": np.eye(3, 4)})
    if not with_npy:
        folder.input.unlink()
    keeper.start()
    first = seen.wait(lambda view: view.status.kind == "live")
    for value in range(2, 12):
        keeper.save(np.full((3, 4), float(value)), seen=first)
        if value % 3 == 0:
            keeper.save(np.full((3, 4), 77.0), name=f"other{value}.npy", seen=first)
    view = seen.wait(lambda view: view.session.input.max() == 11.0)
    keeper.save(np.full((3, 4), 12.0), seen=first)
    # Somebody else's is one all the same.
    folder.input.write_bytes(hostile.npy_bytes(np.full((3, 4), 9.0)))
    for seen_view in (first, view):
        with pytest.raises(SaveConflict):
            keeper.save(np.ones((3, 4)), seen=seen_view)
    keeper.stop()


def test_gradients_of_an_earlier_input_are_told_where_the_new_one_failed(tmp_path: Path) -> None:
    """The input is new, the gradients are not, and none are promised."""
    folder = DebugFolder.at(tmp_path / "debug")
    seen: Seen[FolderView] = Seen()
    keeper = Keeper(folder.root, on_change=seen)
    with AdapterWriter(folder) as writer:
        writer.write({**flow_info(), "input_representation": np.zeros((3, 4), np.float32)})
        writer.set_state("serving", error="Traceback\nIndexError: no such token")
        keeper.start()
        first = seen.wait(lambda view: "no such token" in view.status.text)
        assert (first.status.kind, first.status.text[:8]) == ("live", "adapter:")
        keeper.save(np.ones((3, 4)), seen=first)
        words = "gradients of the earlier input (generation 1); adapter: IndexError: no such token"
        view = seen.wait(lambda view: view.status.text == words)
        assert view.status.kind == "stale"
    keeper.stop()


def test_a_write_during_the_merge_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Merging a large pickle takes a while, in which another writer may save."""
    folder = DebugFolder.at(tmp_path / "debug")
    write_foreign(folder, {**flow_info(), "input_representation": np.eye(3, 4)})
    keeper = Keeper(folder.root, on_change=lambda _: None)
    keeper.load_once()
    theirs = hostile.npy_bytes(np.full((3, 4), 9.0))

    def merge_slowly(root: dict[str, object]) -> Chunks:
        folder.input.write_bytes(theirs)
        return encode(root)

    monkeypatch.setattr("gradtui.folder.save.encode", merge_slowly)
    with pytest.raises(SaveConflict):
        keeper.save(np.ones((3, 4)))
    assert folder.input.read_bytes() == theirs


def test_a_number_alone_makes_no_save_our_own(tmp_path: Path) -> None:
    """Numbers begin anew where a training starts anew and removes the sidecar."""
    folder = DebugFolder.at(tmp_path / "debug")
    write_foreign(folder)
    ours, theirs = (Keeper(folder.root, on_change=lambda _: None, settle=0.0) for _ in "ab")
    ours.load_once()
    assert ours.save(np.full((3, 4), 2.0)).generation == 1
    seen = ours.load_once()
    shutil.rmtree(folder.sidecar)
    theirs.load_once()
    assert theirs.save(np.full((3, 4), 3.0)).generation == 1
    for _ in ("before it was loaded", "after"):
        with pytest.raises(SaveConflict):
            ours.save(np.full((3, 4), 4.0), seen=seen)
        ours.load_once()
    assert np.load(folder.input).max() == 3.0
