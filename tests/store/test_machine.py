"""Whatever happens to a folder, the keeper shows the last good session and never raises."""

from __future__ import annotations

import os
import pickle
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from kit import hostile
from kit.folders import flow_info

from gradtui.errors import SaveConflict
from gradtui.folder.generation import AdapterWriter
from gradtui.folder.location import DebugFolder
from gradtui.store.keeper import Keeper

if TYPE_CHECKING:
    from gradtui.store.view import FolderView

DAMAGE = [data for family in (hostile.broken_pickles, hostile.odd_roots) for _, data in family()]
PLACES = [make for name, make in hostile.strange_places() if name != "dangling-link"]


class Folders(RuleBasedStateMachine):
    """Events of a folder in any order; after each the keeper looks until it has nothing more to do."""

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="machine-"))
        self.folder = DebugFolder.at(self.home / "debug")
        self.views: list[FolderView] = []
        self.keeper = Keeper(self.folder.root, on_change=self.views.append, settle=0.0, wait=True)
        self.scale = 0.0
        # What the files say, 0 when they cannot be read; and what was last readable.
        self.there = 0.0
        self.good = 0.0

    def teardown(self) -> None:
        shutil.rmtree(self.home, ignore_errors=True)

    def _next(self) -> float:
        self.scale += 1
        return self.scale

    def _clear(self, path: Path) -> None:
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink(missing_ok=True)

    @rule(target_too=st.booleans())
    def the_adapter_writes(self, target_too: bool) -> None:
        self._clear(self.folder.flow_info) if self.folder.flow_info.is_dir() else None
        scale = self._next()
        with AdapterWriter(self.folder) as writer:
            writer.write(flow_info(scale), np.full((3, 4), scale) if target_too else None)
        self.there = scale

    @rule()
    def a_foreign_adapter_writes(self) -> None:
        self.folder.root.mkdir(exist_ok=True)
        self._clear(self.folder.flow_info)
        scale = self._next()
        self.folder.flow_info.write_bytes(pickle.dumps(flow_info(scale)))
        self.there = scale

    @precondition(lambda self: self.there)
    @rule()
    def a_foreign_adapter_writes_in_place(self) -> None:
        scale = self._next()
        self.folder.flow_info.write_bytes(pickle.dumps(flow_info(scale)))
        self.there = scale

    @precondition(lambda self: self.there)
    @rule(share=st.floats(0, 0.99))
    def the_file_is_truncated(self, share: float) -> None:
        os.truncate(self.folder.flow_info, int(self.folder.flow_info.stat().st_size * share))
        self.there = 0.0

    @precondition(lambda self: self.there)
    @rule(data=st.sampled_from(DAMAGE))
    def the_file_is_damaged(self, data: bytes) -> None:
        self.folder.flow_info.write_bytes(data)
        self.there = 0.0

    @precondition(lambda self: self.there)
    @rule(make=st.sampled_from(PLACES))
    def something_else_stands_there(self, make: object) -> None:
        self.folder.flow_info.unlink()
        make(self.folder.flow_info)  # type: ignore[operator]
        self.there = 0.0

    @precondition(lambda self: self.there)
    @rule()
    def the_file_is_deleted(self) -> None:
        self.folder.flow_info.unlink()
        self.there = 0.0

    @rule()
    def the_folder_is_deleted(self) -> None:
        shutil.rmtree(self.folder.root, ignore_errors=True)
        self.there = 0.0

    @precondition(lambda self: self.there)
    @rule()
    def the_folder_is_replaced_by_a_copy(self) -> None:
        shutil.copytree(self.folder.root, self.home / "copy")
        shutil.rmtree(self.folder.root)
        (self.home / "copy").rename(self.folder.root)

    @precondition(lambda self: self.there)
    @rule()
    def the_files_are_touched(self) -> None:
        os.utime(self.folder.flow_info)

    @precondition(lambda self: self.there and self.good)
    @rule()
    def the_viewer_saves(self) -> None:
        try:
            self.keeper.save(np.full((3, 4), self._next()), seen=self.keeper.view)
        except SaveConflict:
            self.keeper.save(np.full((3, 4), self._next()), overwrite=True)

    @precondition(lambda self: self.there)
    @rule()
    def somebody_else_saves(self) -> None:
        self.folder.input.write_bytes(hostile.npy_bytes(np.full((3, 4), self._next())))

    @rule()
    def the_person_presses_reload(self) -> None:
        self.keeper.reload()

    @rule(
        name=st.sampled_from(["commit-adapter", "commit-viewer", "pending-adapter", "adapter"]),
        data=st.binary(max_size=30),
    )
    def the_sidecar_is_damaged(self, name: str, data: bytes) -> None:
        if self.folder.sidecar.is_dir():
            (self.folder.sidecar / f"{name}.json").write_bytes(data)

    @invariant()
    def the_last_good_session_is_shown(self) -> None:
        deadline = time.monotonic() + 5
        while True:
            self.keeper._look()
            view = self.keeper.view
            shown = (
                float(view.session.layer("conv1").gradient[0, 1]) if view.session.layers else 0.0
            )
            kind = view.status.kind
            if self.there and shown == self.there and kind in ("live", "stale", "finished"):
                self.good = self.there
                break
            if (
                not self.there
                and shown == self.good
                and kind in ("waiting", "broken", "missing", "finished")
            ):
                break
            assert time.monotonic() < deadline, (self.there, self.good, shown, view.status)
        assert view.status.text
        assert "\n" not in view.status.text


Folders.TestCase.settings = settings(max_examples=40, stateful_step_count=20)
TestFolders = Folders.TestCase
