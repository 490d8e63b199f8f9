"""The exact numbers of some series between two steps, read again from the segments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from gradtui.core.run.records import Entry, Layout
from gradtui.core.run.track import Rows
from gradtui.errors import UnreadableFile
from gradtui.folder.history.known import Known
from gradtui.folder.history.segment_reader import SegmentReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gradtui.core.run.keys import SeriesKey
    from gradtui.folder.history.known import Stretch
    from gradtui.folder.history.rank_reader import RankReader

_PIECE: Final = 4 << 20


def window_of(
    reader: RankReader, keys: Sequence[SeriesKey], first: int, last: int, limit: int
) -> tuple[Entry | Rows, ...]:
    """Read rows again; see `HistoryReader.read_window`."""
    columns: dict[int, list[int]] = {}
    preamble: list[Entry | Rows] = list(reader.known.start)
    for layout in reader.known.layouts.values():
        if layout.holds != "scalars":
            continue
        table = reader.known.table(layout.number)
        places = sorted({place for key in keys if (place := table.position(key)) >= 0})
        if places:
            columns[layout.number] = places
            part = Layout(
                layout.number,
                "scalars",
                tuple([layout.keys[place] for place in places]),
                tuple([i for i, place in enumerate(places) if place in table.sampled]),
            )
            preamble.append(Entry(-1, 0.0, part))
    rows: list[Rows] = []
    for segment in sorted(reader.segments.values(), key=lambda each: -each.number):
        if limit <= 0:
            break
        stretches = [
            each for each in segment.stretches if each.first <= last and each.last >= first
        ]
        stretches.sort(key=lambda each: each.last)
        if not stretches:
            continue
        for found, size in _rows(segment, stretches, reader.known):
            rows.append(_cut(found, columns.get(found.layout, []), first, last))
            limit -= size
            if limit <= 0:
                break
    return (*preamble, *(each for each in reversed(rows) if len(each.steps)))


def _rows(
    segment: SegmentReader, stretches: Sequence[Stretch], known: Known
) -> Iterator[tuple[Rows, int]]:
    """The rows of some stretches, the newest first, and how many bytes were read for each."""
    try:
        again = SegmentReader(segment.number, segment.path)
    except UnreadableFile:
        return
    scratch = Known(known.run, known.start, dict(known.layouts), known.edges_step)
    whole = range(0, again.size, _PIECE)
    try:
        for stretch in reversed(stretches):
            size = stretch.end - stretch.begin
            again.position = stretch.begin
            part = again.read(size, scratch, is_live=False, follows=False)
            if again.stuck or again.inode != segment.inode or again.size < stretch.end:
                # It was thinned since: what is left of it is read whole.
                break
            for each in part:
                if isinstance(each, Rows):
                    yield each, size
                    size = 0
        else:
            return
        again.position = 0
        again.stuck = False
        for _ in whole:
            for each in again.read(_PIECE, scratch, is_live=False, follows=False):
                if isinstance(each, Rows):
                    yield each, each.values.nbytes
    except UnreadableFile:
        return
    finally:
        again.close()


def _cut(rows: Rows, columns: list[int], first: int, last: int) -> Rows:
    inside = (rows.steps >= first) & (rows.steps <= last)
    if not columns:
        inside[:] = False
    values = rows.values[np.ix_(inside, np.array(columns, np.intp))]
    return Rows(rows.layout, rows.steps[inside], rows.times[inside], values)
