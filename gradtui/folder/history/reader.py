"""The history of a folder, all ranks: newest data first, new data always before older ones."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gradtui.folder.history.rank_reader import RankReader, Slice
from gradtui.folder.history.segments import rank_path, ranks_of
from gradtui.folder.history.window import window_of
from gradtui.folder.stamp import MISSING, stamp

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gradtui.core.run.keys import SeriesKey
    from gradtui.core.run.records import Entry
    from gradtui.core.run.track import Rows
    from gradtui.folder.location import DebugFolder

PIECE = 4 << 20


class HistoryReader:
    """Follows the history of a folder. Nothing that is in it, or that happens to it, raises."""

    def __init__(self, folder: DebugFolder, runs: frozenset[str] = frozenset()) -> None:
        """Nothing is read yet.

        Args:
            folder: where.
            runs: read the runs of these names alone, as `runs_of` gives them; empty for the newest.
        """
        self._history = folder.history
        self._runs = runs
        self._ranks: dict[int, RankReader] = {}
        self._stamp = MISSING

    @property
    def ranks(self) -> tuple[int, ...]:
        """The ranks that have a folder, ascending."""
        return tuple(sorted(self._ranks))

    @property
    def progress(self) -> float:
        """The share of the bytes that were read, 0 to 1; 1 when there is nothing."""
        left = sum(rank.left for rank in self._ranks.values())
        done = sum(rank.done for rank in self._ranks.values())
        return done / (done + left) if left else 1.0

    @property
    def is_behind(self) -> bool:
        """Whether bytes of older segments are left to read."""
        return any(rank.older_left for rank in self._ranks.values())

    @property
    def is_at_newest(self) -> bool:
        """Whether the newest record of every rank was read."""
        return not any(rank.newer_left for rank in self._ranks.values())

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be read, one line each."""
        return self._by_rank({number: rank.notes for number, rank in self._ranks.items()})

    @property
    def unfinished(self) -> tuple[str, ...]:
        """Which files do not end with a whole record, one line each: they are being written, or were cut."""
        return self._by_rank({number: rank.unfinished for number, rank in self._ranks.items()})

    @property
    def older_runs(self) -> tuple[str, ...]:
        """Identifiers of runs before the one that is followed, as far as they were looked at."""
        return tuple(dict.fromkeys(run for rank in self._ranks.values() for run in rank.older_runs))

    def poll(self, limit_bytes: int = PIECE) -> Sequence[Slice]:
        """Read about ``limit_bytes``: what is new; when nothing is, older segments.

        The first call begins with the newest segment of every rank. A call that finds nothing new costs a few
        calls of the system a rank.
        """
        self._look()
        share = max(limit_bytes // max(len(self._ranks), 1), 1 << 16)
        slices = [part for rank in self._ranks.values() for part in rank.newer(share)]
        if slices:
            return slices
        behind = [rank for rank in self._ranks.values() if rank.older_left]
        share = max(limit_bytes // max(len(behind), 1), 1 << 16)
        return [part for rank in behind for part in rank.older(share)]

    def read_window(
        self, rank: int, keys: Sequence[SeriesKey], first: int, last: int, limit: int = 256 << 20
    ) -> tuple[Entry | Rows, ...]:
        """Read the exact numbers of some series between two steps, both included, from what was polled already.

        Args:
            rank: whose.
            keys: which series.
            first: step.
            last: step.
            limit: bytes that are read at most; the newest count.

        Returns:
            Records that a `GrowingRank` takes: a start, layouts of these keys alone, and their rows. Unknown ranks and
            keys, and segments that are gone, give nothing.
        """
        reader = self._ranks.get(rank)
        return () if reader is None else window_of(reader, keys, first, last, limit)

    def close(self) -> None:
        """Close all files; the reader can go on to be polled, and then begins anew."""
        for rank in self._ranks.values():
            rank.close()
        self._ranks.clear()
        self._stamp = MISSING

    def _by_rank(self, lines: Mapping[int, Sequence[str]]) -> tuple[str, ...]:
        return tuple(
            f"rank {number}: {line}" if len(lines) > 1 else line
            for number, some in sorted(lines.items())
            for line in some
        )

    def _look(self) -> None:
        now = stamp(self._history)
        if now == self._stamp:
            return
        self._stamp = now if now.tells_apart(time.time()) else MISSING
        for rank in ranks_of(self._history):
            if rank not in self._ranks:
                self._ranks[rank] = RankReader(rank_path(self._history, rank), rank, self._runs)
