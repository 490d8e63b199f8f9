"""Keeping a rank's history within its limit (see the module's end state in FORMAT.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradtui.folder.history.segments import segments_of
from gradtui.folder.writing import remove

if TYPE_CHECKING:
    from pathlib import Path


class Retention:
    """Removes the oldest segments of a rank."""

    def __init__(self, directory: Path, limit: int) -> None:
        self._directory = directory
        self._limit = limit

    def make_room(self, current: int, room: int) -> None:
        """Make room for ``room`` bytes; the segment ``current`` stays."""
        found = [each for each in segments_of(self._directory) if each.number < current]
        total = sum(each.size for each in found) + room
        for each in found:
            if total <= self._limit:
                break
            remove(each.path)
            total -= each.size
