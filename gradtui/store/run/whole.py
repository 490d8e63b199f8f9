"""A history read whole and once, for what needs no screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradtui.errors import FolderMissing
from gradtui.folder.adapter_state import read_adapter
from gradtui.folder.history.reader import HistoryReader
from gradtui.folder.location import DebugFolder
from gradtui.store.run.gone import gone_ranks
from gradtui.store.run.membership import Members, notes_of
from gradtui.store.run.memory import give_back_large_blocks, no_collection

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from gradtui.core.run.run import Run
    from gradtui.folder.adapter_state import AdapterState

BUDGET = 256 << 20


@dataclass(frozen=True, slots=True, eq=False)
class WholeRun:
    """A run.

    Attributes:
        run: all that was recorded.
        notes: what a person should know of its files, one line each.
        gone: the ranks whose processes live no more and did not say that they stop.
        damage: what of it is missing or cannot be read, one line each: numbers and findings are of the rest.
    """

    run: Run
    notes: tuple[str, ...]
    gone: frozenset[int] = frozenset()
    damage: tuple[str, ...] = ()


def read_run(
    location: str | os.PathLike[str],
    *,
    runs: frozenset[str] = frozenset(),
    budget: int = BUDGET,
) -> WholeRun:
    """Read a run of a folder as it is now.

    Args:
        location: Folder or prefix.
        runs: Names of the run; empty for the newest.
        budget: Bytes of numbers that are held; of more steps than find room, spans are told.

    Raises:
        FolderMissing: There is no history, or nothing in it that can be read.
        UsageError: The location is no name.
    """
    folder = DebugFolder.at(location)
    reader, members = HistoryReader(folder, runs), Members(budget)
    give_back_large_blocks()
    with no_collection():
        _read_on(reader, members)
        gone = gone_ranks(members.run(), folder, is_newest=not runs)
        if gone:
            # What they wrote last may be their farewell.
            _read_on(reader, members)
    run = members.run()
    damage = reader.notes
    if not runs:
        damage = (*damage, *_missing_at_the_end(run, reader.unfinished, read_adapter(folder), gone))
    notes = notes_of(members, reader.older_runs, damage, run, " (--run N shows another)")
    reader.close()
    if run.is_empty:
        why = notes[0] if notes else "no history of a training is there"
        raise FolderMissing(folder.shown, why)
    return WholeRun(run, notes, gone, damage)


def _read_on(reader: HistoryReader, members: Members) -> None:
    while (pieces := reader.poll()) or reader.is_behind:
        for piece in pieces:
            members.add(piece.rank, piece.run, piece.entries)


def _missing_at_the_end(
    run: Run, unfinished: tuple[str, ...], adapter: AdapterState, gone: frozenset[int]
) -> Iterator[str]:
    """What is missing at the end of a folder's newest run, whose process the adapter's state tells of."""
    # What is written just now, or was when the process was killed, has no end yet.
    if not (adapter.alive or adapter.is_killed or gone):
        yield from unfinished
    yield from _without_an_end(run, adapter)


def _without_an_end(run: Run, adapter: AdapterState) -> tuple[str, ...]:
    """A line where the training's process says that it ended, and the training's own record of that is not there."""
    starts = [rank.start for rank in run.ranks if rank.start.rank == 0]
    is_its = any((start.host, start.pid) == (adapter.host, adapter.pid) for start in starts)
    if not is_its or adapter.state != "stopped":
        return ()
    if any(at.rank == 0 and at.event.kind == "closed" for at in run.events):
        return ()
    return (f"the training ended later: what it wrote after step {run.last_step} is missing",)
