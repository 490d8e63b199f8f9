"""A run that takes records as they are read, in bounded memory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from gradtui.core.run.growing import BUDGET, GrowingRank
from gradtui.core.run.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gradtui.core.run.rank_run import RankRun
    from gradtui.core.run.records import Entry
    from gradtui.core.run.track import Rows


_SAME_START: Final = 60.0
"""Seconds between the starts of two ranks of one training that do not share an identifier."""


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
        ranks = [self._ranks[rank].value() for rank in sorted(self._ranks)]
        self._before = Run.following(self._before, of_one_start(ranks))
        return self._before


def of_one_start(ranks: Sequence[RankRun]) -> tuple[RankRun, ...]:
    """Return the ranks of the newest start: what a training of more ranks, or an earlier one, left is not its own.

    A rank belongs to it when it has the same identifier, or began within a minute of it, and is one of its world. What is left
    out is said in the damage of the first that stays.
    """
    if not ranks:
        return ()
    newest = max(ranks, key=lambda each: each.start.started).start
    kept = [
        each
        for each in ranks
        if each.rank < max(newest.world, 1)
        and (
            each.start.run == newest.run or abs(each.start.started - newest.started) <= _SAME_START
        )
    ]
    others = [str(each.rank) for each in ranks if each not in kept]
    if others and kept:
        note = f"records of an earlier run are left out: rank {', '.join(others)}"
        kept[0] = replace(kept[0], damage=(*kept[0].damage, note))
    return tuple(kept)
