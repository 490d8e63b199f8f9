"""A training that did not come to its end: an error, or a process that is gone without a word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gradtui.diagnosis.endings import endings_of
from gradtui.diagnosis.finding import Finding
from gradtui.diagnosis.words import ranks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gradtui.core.run.rank_run import RankRun
    from gradtui.diagnosis.bounds import Bounds
    from gradtui.diagnosis.evidence import Evidence

BY_HAND: Final = "KeyboardInterrupt"
CLOSED: Final = "GeneratorExit"
"""A generator that nobody goes on with is closed by this exception."""

_MEANT: Final = {
    BY_HAND: "The training was interrupted.",
    CLOSED: "The generator that trains was closed.",
}


def find(evidence: Evidence, bounds: Bounds) -> Iterator[Finding]:
    """Yield the first error that ended the training on any rank, or that its processes are gone.

    A training that a person interrupts, or whose generator is closed, is a note: it was meant to end. A process that is
    gone without closing the watcher was killed, by whom is not known (the memory of the machine, a time limit, a
    person): a warning; and bad where it is a rank that fell silent long before the others (`endings_of`).
    """
    ends = [at for at in evidence.run.events if at.event.error]
    # On the other ranks an error is often the answer to the first one.
    for at in ends[:1]:
        error = at.event.error
        meant = _MEANT.get(error.partition(":")[0], "")
        rank = at.rank if evidence.run.world > 1 else -1
        where = f" on rank {rank}" if rank >= 0 else ""
        yield Finding(
            "ended",
            "note" if meant else "bad",
            "",
            "training",
            max(at.step, 0),
            meant or "The training ended with an error.",
            f"step {max(at.step, 0)}{where}: {error}",
            "Go on from a checkpoint where it was not meant to end."
            if meant
            else "Look at the traceback in the script's output, and go on from the last checkpoint.",
            rank=rank,
        )
    yield from _silent(evidence, bounds, has_failed=bool(ends))


def _silent(evidence: Evidence, bounds: Bounds, *, has_failed: bool) -> Iterator[Finding]:
    run = evidence.run
    found = endings_of(run, evidence.gone, bounds)
    if found.lost:
        last = min(rank.last_step for rank in found.lost)
        yield Finding(
            "ended",
            "bad",
            "",
            f"rank {found.lost[0].rank}",
            max(last, 0),
            f"{ranks(found.lost)} ended without a word, and others went on.",
            f"{_last_words(found.lost)}; the others came to step {run.last_step}",
            "Look whether it was killed (out of memory, a time limit), and go on from the last checkpoint that all wrote.",
            rank=found.lost[0].rank,
        )
    if not found.gone or has_failed:
        # After an error the launcher ends the other ranks.
        return
    advice = "Look whether it was killed (out of memory, a time limit), and go on from the last checkpoint."
    if found.is_over and len(found.gone) + len(found.lost) == len(run.ranks):
        after = f" after step {run.last_step}" if run.last_step >= 0 else ""
        yield Finding(
            "ended",
            "warn",
            "",
            "training",
            max(run.last_step, 0),
            "The training ended without a word.",
            f"its process is gone, and nothing was recorded{after}: it did not close the watcher",
            advice,
        )
        return
    # A script that closes on one rank alone loses nothing but the last few records of the others.
    early = [rank for rank in found.gone if rank.last_step < run.last_step or not found.is_over]
    if early:
        yield Finding(
            "ended",
            "warn",
            "",
            f"rank {early[0].rank}",
            max(min(rank.last_step for rank in early), 0),
            f"{ranks(early)} ended without a word.",
            f"{_last_words(early)}: it did not close the watcher; the others are at step {run.last_step}",
            advice,
            rank=early[0].rank,
        )


def _last_words(silent: Sequence[RankRun]) -> str:
    listed = ", ".join(
        f"step {rank.last_step} on rank {rank.rank}"
        if rank.last_step >= 0
        else f"none on rank {rank.rank}"
        for rank in silent[:8]
    )
    return f"the last that was recorded: {listed}" + (", ..." if len(silent) > 8 else "")
