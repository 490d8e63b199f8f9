"""Whether the process of a training is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradtui.folder.adapter_state import read_adapter

if TYPE_CHECKING:
    from gradtui.folder.location import DebugFolder


def is_gone(folder: DebugFolder) -> bool:
    """Return whether the process that wrote a folder's newest run lives no more, and did not say that it stops.

    Of a folder that nobody says to have written, as of one that was copied in part, nothing is known: false.
    """
    adapter = read_adapter(folder)
    return bool(adapter.pid) and not adapter.alive and adapter.state != "stopped"
