"""A history read whole and once, for what needs no screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradtui.errors import FolderMissing
from gradtui.folder.adapter_state import read_adapter
from gradtui.folder.history.reader import HistoryReader
from gradtui.folder.location import DebugFolder
from gradtui.store.run.membership import Members, notes_of
from gradtui.store.run.memory import give_back_large_blocks, no_collection

if TYPE_CHECKING:
    import os

    from gradtui.core.run.run import Run
    from gradtui.folder.adapter_state import AdapterState

BUDGET = 256 << 20


@dataclass(frozen=True, slots=True, eq=False)
class WholeRun:
    """A run.

    Attributes:
        run: all that was recorded.
        notes: what a person should know of its files, one line each.
        damage: what of it is missing or cannot be read, one line each: numbers and findings are of the rest.
        is_gone: whether its process lives no more and did not say that it stops.
    """

    run: Run
    notes: tuple[str, ...]
    damage: tuple[str, ...] = ()
    is_gone: bool = False


def read_run(location: str | os.PathLike[str], *, budget: int = BUDGET) -> WholeRun:
    """Read the newest run of a folder as it is now.

    Args:
        location: Folder or prefix.
        budget: Bytes of numbers that are held; of more steps than find room, spans are told.

    Raises:
        FolderMissing: There is no history, or nothing in it that can be read.
        UsageError: The location is no name.
    """
    folder = DebugFolder.at(location)
    reader, members = HistoryReader(folder), Members(budget)
    give_back_large_blocks()
    with no_collection():
        while (pieces := reader.poll()) or reader.is_behind:
            for piece in pieces:
                members.add(piece.rank, piece.run, piece.entries)
    run = members.run()
    adapter = read_adapter(folder)
    # What is written just now, or was when the process was killed, has no end yet.
    cut = () if adapter.alive or adapter.is_killed else reader.unfinished
    damage = (*reader.notes, *cut, *_without_an_end(run, adapter))
    notes = notes_of(members, reader.older_runs, damage, run)
    reader.close()
    if run.is_empty:
        why = notes[0] if notes else "no history of a training is there"
        raise FolderMissing(folder.shown, why)
    return WholeRun(run, notes, damage, adapter.is_killed)


def _without_an_end(run: Run, adapter: AdapterState) -> tuple[str, ...]:
    """A line where the training's process says that it ended, and the training's own record of that is not there."""
    starts = [rank.start for rank in run.ranks if rank.start.rank == 0]
    is_its = any((start.host, start.pid) == (adapter.host, adapter.pid) for start in starts)
    if not is_its or adapter.state != "stopped":
        return ()
    if any(at.rank == 0 and at.event.kind == "closed" for at in run.events):
        return ()
    return (f"the training ended later: what it wrote after step {run.last_step} is missing",)
