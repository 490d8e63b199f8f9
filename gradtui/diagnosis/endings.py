"""Which ranks of a training ended without a word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from gradtui.core.run.rank_run import RankRun
    from gradtui.core.run.run import Run
    from gradtui.diagnosis.bounds import Bounds


@dataclass(frozen=True, slots=True)
class Endings:
    """Ranks that neither closed their watcher nor told an error.

    Attributes:
        lost: those that fell silent long before the others: their process is gone, or all others ended a while ago.
        gone: the others whose process is gone.
        is_over: whether no rank is left that may still write.
    """

    lost: tuple[RankRun, ...]
    gone: tuple[RankRun, ...]
    is_over: bool


def endings_of(run: Run, gone: AbstractSet[int], bounds: Bounds) -> Endings:
    """Return how the ranks of a run ended.

    The process of another host cannot be asked: a rank there counts as lost when all others have ended, and it has
    written nothing for a while before that. Ranks end a little apart, and one that is not closed loses its last
    records: a few missing steps do not make a rank a lost one.

    Args:
        run: the run.
        gone: the ranks whose processes are known to live no more.
        bounds: how many steps and seconds ranks may be apart.
    """
    done = {at.rank for at in run.events if at.event.error or at.event.kind == "closed"}
    left = [rank for rank in run.ranks if rank.rank not in done]
    lost = tuple([rank for rank in left if _is_lost(rank, run, left, gone, bounds)])
    names = {rank.rank for rank in lost}
    rest = [rank for rank in left if rank.rank not in names]
    dead = tuple([rank for rank in rest if rank.rank in gone])
    return Endings(lost, dead, len(dead) == len(rest))


def _is_lost(
    rank: RankRun, run: Run, left: Sequence[RankRun], gone: AbstractSet[int], bounds: Bounds
) -> bool:
    missing = run.last_step - rank.last_step
    if rank.rank in gone:
        return missing >= bounds.rank_gone
    silent = run.last_time - rank.last_time
    return len(left) == 1 and missing >= bounds.rank_steps and silent >= bounds.rank_seconds
