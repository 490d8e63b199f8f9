"""The tensors that a run kept, read from its folder from the first step to the last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gradtui.core.analysis.evolution import evolutions, find_evolution
from gradtui.core.run.growing import crowded
from gradtui.core.run.records import Entry, Kept
from gradtui.errors import FolderMissing
from gradtui.folder.history.reader import HistoryReader
from gradtui.folder.location import DebugFolder

if TYPE_CHECKING:
    import os

    from gradtui.core.analysis.evolution import Evolution
    from gradtui.core.run.keys import SeriesKey

MOST_FRAMES: Final = 512
"""Of more tensors of one key those are left out that stand closest; the first and the newest stay."""
MOST_BYTES: Final = 1 << 28


def read_evolution(
    location: str | os.PathLike[str],
    name: str,
    role: str = "",
    runs: frozenset[str] = frozenset(),
) -> Evolution:
    """Read how one tensor of a watched run changed; see `find_evolution` for ``name`` and ``role``.

    Without ``runs``, the names of a run, it is the newest.

    Raises:
        FolderMissing: the folder holds no history.
        UsageError: nothing of that name was kept.
    """
    return find_evolution(read_evolutions(location, runs), name, role)


def read_evolutions(
    location: str | os.PathLike[str], runs: frozenset[str] = frozenset()
) -> tuple[Evolution, ...]:
    """Read all tensors that a run of a folder kept, those of its lowest rank; see `read_evolution`.

    Long runs are thinned to `MOST_FRAMES` frames a tensor, and all together to `MOST_BYTES`.

    Raises:
        FolderMissing: the folder holds no history.

    Special values: empty for a run that kept nothing.
    """
    folder = DebugFolder.at(location)
    reader = HistoryReader(folder, runs)
    found: dict[SeriesKey, dict[int, Entry]] = {}
    run, read = "", False
    try:
        while (slices := reader.poll()) or reader.is_behind:
            read = True
            for part in slices:
                if part.rank != reader.ranks[0]:
                    continue
                if part.run != run and not part.older:
                    run, found = part.run, {}
                for entry in part.entries:
                    if (
                        isinstance(entry, Entry)
                        and isinstance(entry.record, Kept)
                        and part.run == run
                    ):
                        _add(found, entry.record.key, entry)
    finally:
        reader.close()
    if not read:
        raise FolderMissing(location, "no watched run is there")
    return evolutions(entry for entries in found.values() for entry in entries.values())


def _add(found: dict[SeriesKey, dict[int, Entry]], key: SeriesKey, entry: Entry) -> None:
    entries = found.setdefault(key, {})
    entries[entry.step] = entry
    if len(entries) > MOST_FRAMES:
        _thin(entries)
    while _bytes(found) > MOST_BYTES:
        longest = max(found.values(), key=len)
        if len(longest) < 3:
            break
        _thin(longest)


def _thin(entries: dict[int, Entry]) -> None:
    steps = sorted(entries)
    del entries[steps[crowded(steps)]]


def _bytes(found: dict[SeriesKey, dict[int, Entry]]) -> int:
    # All tensors of a key are of one size, but for rare changes of a batch.
    total = 0
    for entries in found.values():
        first = next(iter(entries.values())).record
        total += len(entries) * (first.values.nbytes if isinstance(first, Kept) else 0)
    return total
