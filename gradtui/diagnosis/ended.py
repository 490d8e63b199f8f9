"""A training that did not come to its end: an error, or a process that is gone without a word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gradtui.diagnosis.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradtui.diagnosis.bounds import Bounds
    from gradtui.diagnosis.evidence import Evidence

BY_HAND: Final = "KeyboardInterrupt"


def find(evidence: Evidence, _bounds: Bounds) -> Iterator[Finding]:
    """Yield the first error that ended the training on any rank, or that its process is gone.

    A training that a person interrupts is a note: it was meant to end. A process that is gone without closing the
    watcher was killed, by whom is not known (the memory of the machine, a time limit, a person): a warning.
    """
    ends = [at for at in evidence.run.events if at.event.error]
    # On the other ranks an error is often the answer to the first one.
    for at in ends[:1]:
        error = at.event.error
        by_hand = error.partition(":")[0] == BY_HAND
        rank = at.rank if evidence.run.world > 1 else -1
        where = f" on rank {rank}" if rank >= 0 else ""
        yield Finding(
            "ended",
            "note" if by_hand else "bad",
            "",
            "training",
            max(at.step, 0),
            "The training was interrupted." if by_hand else "The training ended with an error.",
            f"step {max(at.step, 0)}{where}: {error}",
            "Go on from a checkpoint where it was not meant to end."
            if by_hand
            else "Look at the traceback in the script's output, and go on from the last checkpoint.",
            rank=rank,
        )
    closed = any(at.event.kind == "closed" for at in evidence.run.events)
    if evidence.is_gone and not ends and not closed:
        yield Finding(
            "ended",
            "warn",
            "",
            "training",
            max(evidence.run.last_step, 0),
            "The training ended without a word.",
            f"its process is gone, and nothing was recorded after step {evidence.run.last_step}: it did not close the watcher",
            "Look whether it was killed (out of memory, a time limit), and go on from the last checkpoint.",
        )
