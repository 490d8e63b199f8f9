"""Keeping a rank's history within its limit, and readable from its start.

When there is no room, segments of earlier runs go, oldest first. Then, of those before the newest half of the limit, the
segment that was thinned least loses every second record, and joins the one before it when that one is as thin and
there is room: so the older half thins evenly, by half whenever the run has become twice as long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gradtui.errors import GradtuiError
from gradtui.folder.history.scan import beginning_of
from gradtui.folder.history.segments import segments_of
from gradtui.folder.history.thinning import sweep, thinned
from gradtui.folder.writing import remove

if TYPE_CHECKING:
    from pathlib import Path

    from gradtui.folder.history.scan import Beginning
    from gradtui.folder.history.segments import Found

_MOST_ROUNDS: Final = 64
_THINNEST: Final = 1 << 24


class Retention:
    """Makes room for the segments of one rank.

    Attributes:
        thinnings: how many times a segment lost every second record.
        removals: how many segments went whole.
    """

    def __init__(self, directory: Path, limit: int) -> None:
        self.thinnings = 0
        self.removals = 0
        self._directory = directory
        self._limit = limit
        self._beginnings: dict[int, Beginning] = {}
        self._swept = False

    def make_room(self, current: int, room: int, run: str) -> None:
        """Make room for three times ``room`` bytes; the segment ``current`` stays.

        One is for that segment, one for what is written meanwhile, one for a rewrite. What cannot be done is left: the
        writer finds out when the disk is full.

        Args:
            current: the number of the segment that is being written.
            room: in bytes.
            run: the identifier of the run that is being written.
        """
        if not self._swept:
            sweep(self._directory)
            self._swept = True
        for _ in range(_MOST_ROUNDS):
            found = [each for each in segments_of(self._directory) if each.number < current]
            found = self._without_covered(found)
            if sum(each.size for each in found) + 3 * room <= self._limit or not found:
                break
            foreign = [each for each in found if self._beginning(each).run != run]
            if foreign:
                self._remove(foreign[0])
                continue
            self._thin(found, room)

    def _thin(self, found: list[Found], room: int) -> None:
        older, newest = [], 0
        for each in reversed(found):
            newest += each.size
            if newest > self._limit // 2:
                older.append(each)
        older = older[::-1] or found[:1]
        chosen = min(older, key=lambda each: self._beginning(each).every)
        every = 2 * self._beginning(chosen).every
        sources = [chosen]
        place = found.index(chosen)
        if place:
            before = found[place - 1]
            is_small = before.size + chosen.size // 2 <= room
            if is_small and self._beginning(before).every == every:
                sources = [before, chosen]
        for each in sources:
            self._beginnings.pop(each.number, None)
        try:
            size = thinned(sources, every)
        except GradtuiError:
            # A full disk: whole segments go, which needs no room.
            self._remove(found[0])
            return
        self.thinnings += 1
        if every >= _THINNEST or size > 0.9 * sum(each.size for each in sources):
            self._remove(found[0])

    def _without_covered(self, found: list[Found]) -> list[Found]:
        """Remove segments whose records another one holds: a process was killed between two steps."""
        covered = {
            each.number
            for other in found
            if (covers := self._beginning(other).covers)
            for each in found
            if covers <= each.number < other.number
        }
        for each in found:
            if each.number in covered:
                remove(each.path)
        return [each for each in found if each.number not in covered]

    def _beginning(self, found: Found) -> Beginning:
        # The system gives a file's number again at once, so that it tells nothing; nobody else changes these files.
        if found.number not in self._beginnings:
            if len(self._beginnings) > 10_000:
                self._beginnings.clear()
            self._beginnings[found.number] = beginning_of(found.path)
        return self._beginnings[found.number]

    def _remove(self, found: Found) -> None:
        remove(found.path)
        self.removals += 1
