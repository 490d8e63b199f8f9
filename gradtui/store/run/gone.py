"""Which processes of a training live no more: the history alone does not tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradtui.folder.adapter_state import read_adapter
from gradtui.folder.process import Process

if TYPE_CHECKING:
    from gradtui.core.run.run import Run
    from gradtui.folder.location import DebugFolder


def gone_ranks(run: Run, folder: DebugFolder, *, is_newest: bool) -> frozenset[int]:
    """Return the ranks whose processes are known to live no more, and did not say that they stop.

    Rank 0 is the adapter, which tells of the folder's newest run alone; of the others the run has the process, which
    can be asked on its own host. Ask before the records are read: a rank that closes its watcher and ends between
    the two would seem to have ended without a word.
    """
    gone = {
        rank.rank
        for rank in run.ranks
        if rank.rank > 0 and rank.start.pid > 0 and _is_dead(rank.start.pid, rank.start.host)
    }
    if is_newest and read_adapter(folder).is_killed:
        gone.add(0)
    return frozenset(gone)


def _is_dead(pid: int, host: str) -> bool:
    process = Process(pid, host)
    return process.is_here and not process.is_alive
