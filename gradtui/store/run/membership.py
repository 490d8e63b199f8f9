"""Which records in a folder belong to the run that is shown: the one that began last."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from gradtui.core.run.growing_run import GrowingRun
from gradtui.core.run.records import Entry, Start

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gradtui.core.run.run import Run
    from gradtui.core.run.track import Rows

# Ranks that don't know a common name for their run count as one when they began within so many seconds.
_TOGETHER = 120.0


class Beginning(NamedTuple):
    """What tells one run from another; a `Start` itself names every module."""

    run: str = ""
    rank: int = 0
    world: int = 1
    started: float = 0.0


class Members:
    """The newest run of a folder, from records of any of its ranks and segments.

    A rank's own records tell which run they are of by the `Start` before them. A run that began later takes the
    place of the one before; what still comes of an older one is passed over.

    Attributes:
        shown: The run that is shown, by the newest start that belongs to it; its name is empty before the first.
    """

    def __init__(self, budget: int) -> None:
        """Nothing is known yet.

        Args:
            budget: Bytes of numbers that a run may hold.
        """
        self.shown = Beginning()
        self._budget = budget
        self._growing = GrowingRun(budget)
        # The last start of each rank and segment that was read.
        self._starts: dict[tuple[int, int], Beginning] = {}
        self._ranks: dict[int, Beginning] = {}
        self._older: dict[str, Beginning] = {}

    def add(self, rank: int, segment: int, records: Iterable[Entry | Rows]) -> bool:
        """Take records of one segment, in its order; returns whether another run begins with them."""
        began = False
        waiting: list[Entry | Rows] = []
        for record in records:
            if isinstance(record, Entry) and isinstance(record.record, Start):
                self._hand_on(rank, segment, waiting)
                start = record.record
                beginning = Beginning(start.run, rank, start.world, start.started)
                self._starts[rank, segment] = beginning
                began = self._meet(rank, beginning) or began
            waiting.append(record)
        self._hand_on(rank, segment, waiting)
        return began

    def run(self) -> Run:
        """The run as far as it was read."""
        return self._growing.run()

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of other runs in the folder, one line each."""
        if not self._older:
            return ()
        began = max(start.started for start in self._older.values())
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(min(max(began, 0.0), 4e9)))
        count = len(self._older)
        text = "an older run is" if count == 1 else f"{count} older runs are"
        return (f"{text} in this folder too, the last began {when}; the newest is shown",)

    def _hand_on(self, rank: int, segment: int, records: list[Entry | Rows]) -> None:
        start = self._starts.get((rank, segment))
        if records and start is not None and start.run == self._ranks.get(rank, Beginning()).run:
            self._growing.add(rank, records)
        records.clear()

    def _meet(self, rank: int, start: Beginning) -> bool:
        """Take notice of a start; returns whether it is that of a newer run."""
        known = self._ranks.get(rank)
        again = known is not None and known.run != start.run
        if self._is_shown(start) and not again:
            self._ranks[rank] = start
            return False
        if start.started < self.shown.started or start.run in self._older:
            self._older[start.run] = start
            return False
        began = bool(self._ranks)
        if began:
            self._older |= {each.run: each for each in self._ranks.values()}
            self._growing = GrowingRun(self._budget)
        self.shown, self._ranks = start, {rank: start}
        return began

    def _is_shown(self, start: Beginning) -> bool:
        if start.run == self.shown.run:
            return True
        if not self._ranks or start.run in self._older:
            return False
        together = abs(start.started - self.shown.started) <= _TOGETHER
        return together and start.rank != self.shown.rank and start.world == self.shown.world
