"""Read a folder whose adapter is at work, as every reader must: a busy folder is asked again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradtui.errors import FileBusy
from gradtui.folder.load import load
from kit.waiting import until

if TYPE_CHECKING:
    from gradtui.core.session import Session
    from gradtui.folder.location import DebugFolder


def session_of(folder: DebugFolder, *, settle: float = 2.0) -> Session:
    """The session of a folder, once nothing changes while it is read."""

    def read() -> Session | None:
        try:
            return load(folder, settle=settle).session
        except FileBusy:
            return None

    found: Session = until(read, "a folder at rest")
    return found
