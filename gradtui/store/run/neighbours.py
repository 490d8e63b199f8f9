"""Further models of a training: their runs are in folders within the one that is shown."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gradtui.folder.history.runs import models_in
from gradtui.folder.stamp import MISSING, stamp

if TYPE_CHECKING:
    from gradtui.folder.location import DebugFolder


class Neighbours:
    """The folders of further models within a folder, looked for again when that has changed."""

    def __init__(self, folder: DebugFolder) -> None:
        self._folder = folder
        self._stamp = MISSING
        self._names: tuple[str, ...] = ()

    def notes(self) -> tuple[str, ...]:
        """Say in one line which there are; nothing where there are none."""
        now = stamp(self._folder.root)
        if now != self._stamp:
            # A folder that changed within the clock's tick is looked at again.
            self._stamp = now if now.tells_apart(time.time()) else MISSING
            self._names = tuple([inner.root.name for inner in models_in(self._folder)])
        if not self._names:
            return ()
        more = f" and {len(self._names) - 1} more" if len(self._names) > 1 else ""
        return (f"{self._names[0]}{more} has a run of its own in this folder: O shows it",)
