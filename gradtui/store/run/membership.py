"""Which records in a folder belong to the run that is shown: the one that began last."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gradtui.core.run.growing_run import GrowingRun
from gradtui.core.run.records import Entry, Start
from gradtui.folder.history.runs import TOGETHER

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gradtui.core.run.run import Run
    from gradtui.core.run.track import Rows


class Beginning(NamedTuple):
    """What tells one run from another; a `Start` itself names every module."""

    run: str = ""
    rank: int = 0
    world: int = 1
    started: float = 0.0


class Members:
    """The newest run of a folder, from records of any of its ranks and segments.

    A run that began later takes the
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
        self._ranks: dict[int, Beginning] = {}
        self._older: set[str] = set()

    def add(self, rank: int, run: str, records: Sequence[Entry | Rows]) -> bool:
        """Take records that were read together; returns whether a newer run begins with them.

        Args:
            rank: Whose.
            run: The run that they belong to; its `Start` is among them, or was in earlier ones of this rank.
            records: In the order in which they were read.
        """
        began = False
        for record in records:
            if isinstance(record, Entry) and isinstance(record.record, Start):
                start = record.record
                beginning = Beginning(start.run, rank, start.world, start.started)
                began = self._meet(rank, beginning) or began
        if records and rank in self._ranks and self._ranks[rank].run == run:
            self._growing.add(rank, records)
        return began

    def run(self) -> Run:
        """The run as far as it was read."""
        return self._growing.run()

    @property
    def ranks(self) -> tuple[int, ...]:
        """The ranks of which something is shown, ascending."""
        return tuple(sorted(self._ranks))

    @property
    def older(self) -> tuple[str, ...]:
        """The names of runs whose place was taken."""
        return tuple(sorted(self._older))

    def _meet(self, rank: int, start: Beginning) -> bool:
        """Take notice of a start; returns whether it is that of a newer run."""
        known = self._ranks.get(rank)
        again = known is not None and known.run != start.run
        if self._is_shown(start) and not again:
            self._ranks[rank] = start
            return False
        # A rank's own starts come in their order, whatever its clock says.
        if not again and (start.started < self.shown.started or start.run in self._older):
            self._older.add(start.run)
            return False
        began = bool(self._ranks)
        if began:
            self._older |= {each.run for each in self._ranks.values()}
            self._growing = GrowingRun(self._budget)
        self.shown, self._ranks = start, {rank: start}
        return began

    def _is_shown(self, start: Beginning) -> bool:
        if start.run == self.shown.run:
            return True
        if not self._ranks or start.run in self._older:
            return False
        together = abs(start.started - self.shown.started) <= TOGETHER
        return together and start.rank != self.shown.rank and start.world == self.shown.world


def notes_of(
    members: Members, older_runs: Iterable[str], damage: Iterable[str], run: Run, how: str = ""
) -> tuple[str, ...]:
    """What a person should know of a run and its files, one line each.

    Args:
        members: What was read.
        older_runs: Further runs that the folder holds.
        damage: What could not be read.
        run: What is shown.
        how: Words for how others can be seen.
    """
    older = {*members.older, *older_runs}
    words = "an older run is" if len(older) == 1 else f"{len(older)} older runs are"
    others = f"{words} in this folder too; the newest is shown{how}" if older else ""
    return tuple(filter(None, (others, *damage, *run.notes)))
