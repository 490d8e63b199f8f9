"""The exact numbers of some series between two steps, read again from the segments."""

from __future__ import annotations

from typing import TYPE_CHECKING

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


def window_of(
    reader: RankReader, keys: Sequence[SeriesKey], first: int, last: int, limit: int
) -> tuple[Entry | Rows, ...]:
    """Read rows again; see `HistoryReader.read_window`."""
    wanted = set(keys)
    columns: dict[int, list[int]] = {}
    preamble: list[Entry | Rows] = list(reader.known.start)
    for layout in reader.known.layouts.values():
        places = [place for place, key in enumerate(layout.keys) if key in wanted]
        if layout.holds == "scalars" and places:
            columns[layout.number] = places
            part = Layout(
                layout.number,
                "scalars",
                tuple([layout.keys[place] for place in places]),
                tuple([i for i, place in enumerate(places) if place in set(layout.sampled)]),
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
    try:
        if again.inode != segment.inode:
            # It was thinned since: what is left of it is read whole.
            stretches = [type(stretches[0])(0, again.size, 0, 0)]
        for stretch in reversed(stretches):
            size = stretch.end - stretch.begin
            again.position = stretch.begin
            part = again.read(size, scratch, is_live=False, follows=False)
            for each in part:
                if isinstance(each, Rows):
                    yield each, size
                    size = 0
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
