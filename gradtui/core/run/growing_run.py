"""A run that takes records as they are read, in bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradtui.core.run.growing import BUDGET, GrowingRank
from gradtui.core.run.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gradtui.core.run.records import Entry
    from gradtui.core.run.track import Rows


class GrowingRun:
    """A run of one or several ranks that grows."""

    def __init__(self, budget: int = BUDGET) -> None:
        self._budget = budget
        self._ranks: dict[int, GrowingRank] = {}
        self._before = Run.empty()

    def add(self, rank: int, records: Iterable[Entry | Rows]) -> None:
        """Take records of one rank, in the order in which they stand in a segment; segments in any order."""
        growing = self._ranks.get(rank)
        if growing is None:
            growing = self._ranks[rank] = GrowingRank()
            for each in self._ranks.values():
                each.limit(self._budget // len(self._ranks))
        growing.add(records)

    def limit(self, budget: int) -> None:
        """Keep all ranks together within about ``budget`` bytes of numbers from now on."""
        self._budget = budget
        for each in self._ranks.values():
            each.limit(budget // len(self._ranks))

    def run(self) -> Run:
        """Return what was taken so far; cheap, and what is known of its keys is passed on from the run before."""
        ranks = tuple([self._ranks[rank].value() for rank in sorted(self._ranks)])
        self._before = Run.following(self._before, ranks)
        return self._before
