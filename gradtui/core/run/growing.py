"""One rank's records as they are read, in bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from gradtui.core.run.histogram import Binned
from gradtui.core.run.histogram_track import GrowingHistograms
from gradtui.core.run.key_table import KeyTable
from gradtui.core.run.rank_run import RankRun
from gradtui.core.run.records import Edges, Event, Histograms, Kept, Layout, Scalars, Start
from gradtui.core.run.track import GrowingTrack, Rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gradtui.core.run.records import Entry

BUDGET: Final = 128 << 20
"""Bytes of numbers that a run holds; its histograms have half of that again."""
_FIRST_EVENTS: Final = 2_000
_LAST_EVENTS: Final = 6_000
_KEPT_EACH: Final = 128
"""Kept tensors of one key: of more, those go that stand closest, so that all of the training can be played."""
_NEWEST: Final = 4
"""The newest tensors of a key, which all stay."""
_KEPT_BYTES: Final = 64 << 20
_MOST_LAYOUTS: Final = 256
_MOST_KEYS: Final = 8_000_000


class GrowingRank:
    """One rank's records, in any order of segments.

    A `Start` of another run forgets what was there: a folder shows its newest run.
    """

    def __init__(self, budget: int = BUDGET) -> None:
        self._budget = budget
        self._clear(Start("", ""))
        self._start_time = 0.0

    def _clear(self, start: Start) -> None:
        self._start = start
        self._tables: dict[int, KeyTable] = {}
        self._tracks: dict[int, GrowingTrack] = {}
        self._histograms: dict[int, GrowingHistograms] = {}
        self._edges = (-2, Edges())
        self._events: list[Entry] = []
        self._kept: dict[object, list[Entry]] = {}
        self._faults: dict[str, int] = {}
        self._last_step = -1
        self._last_time = 0.0

    def add(self, records: Iterable[Entry | Rows]) -> None:
        """Take records; whatever does not fit its layout is counted and passed over."""
        waiting: list[Entry] = []
        for record in records:
            if isinstance(record, Rows):
                self._flush(waiting)
                self._rows(record)
                continue
            if isinstance(record.record, Scalars):
                if waiting and not _alike(waiting[-1].record, record.record):
                    self._flush(waiting)
                waiting.append(record)
            else:
                self._flush(waiting)
                self._other(record)
            # The end of an epoch is told at the first step of the next one, which need not come.
            is_ahead = isinstance(record.record, Event) and record.record.kind == "epoch"
            self._seen(-1 if is_ahead else record.step, record.time)
        self._flush(waiting)

    def limit(self, budget: int) -> None:
        """Keep within about ``budget`` bytes of numbers from now on."""
        self._budget = budget
        self._share()

    def value(self) -> RankRun:
        """Return what was taken so far, sharing memory with this."""
        self._events.sort(key=lambda entry: entry.step)
        kept = sorted(
            (entry for entries in self._kept.values() for entry in entries),
            key=lambda entry: entry.step,
        )
        return RankRun(
            start=self._start,
            tracks=tuple([track.track() for track in self._tracks.values()]),
            histograms=tuple([track.track() for track in self._histograms.values()]),
            events=tuple(self._events),
            kept=tuple(kept),
            edges=self._edges[1],
            last_step=self._last_step,
            last_time=self._last_time,
            damage=tuple(f"{what}: {count}" for what, count in self._faults.items()),
        )

    def _other(self, entry: Entry) -> None:
        record = entry.record
        if isinstance(record, Start):
            if record.run != self._start.run:
                self._clear(record)
                self._start_time = entry.time
            elif entry.time > self._start_time:
                # Of the same run, better known: parameters may get their shapes with the first step.
                self._start, self._start_time = record, entry.time
        elif isinstance(record, Layout):
            self._layout(record)
        elif isinstance(record, Edges):
            if entry.step >= self._edges[0]:
                self._edges = (entry.step, record)
        elif isinstance(record, Histograms):
            self._histogram(entry.step, record)
        elif isinstance(record, Event):
            self._events.append(entry)
            if len(self._events) > 2 * (_FIRST_EVENTS + _LAST_EVENTS):
                self._events.sort(key=lambda each: each.step)
                self._fault("events left out", len(self._events) - _FIRST_EVENTS - _LAST_EVENTS)
                del self._events[_FIRST_EVENTS:-_LAST_EVENTS]
        elif isinstance(record, Kept):
            self._keep(entry, record)

    def _layout(self, layout: Layout) -> None:
        if layout.number in self._tables:
            return
        held = sum(map(len, self._tables.values()))
        if len(self._tables) >= _MOST_LAYOUTS or held + len(layout.keys) > _MOST_KEYS:
            self._fault("layouts left out")
            return
        table = KeyTable(layout.keys, layout.sampled)
        self._tables[layout.number] = table
        if layout.holds == "scalars":
            self._tracks[layout.number] = GrowingTrack(table)
        else:
            self._histograms[layout.number] = GrowingHistograms(table)
        self._share()

    def _share(self) -> None:
        """Divide the budget among layouts by their keys."""
        for tracks, budget in ((self._tracks, self._budget), (self._histograms, self._budget // 2)):
            total = sum(len(self._tables[number]) for number in tracks)
            for number, track in tracks.items():
                track.limit(budget * len(self._tables[number]) // max(total, 1))

    def _flush(self, waiting: list[Entry]) -> None:
        if not waiting:
            return
        scalars = [entry.record for entry in waiting]
        values = [record.values for record in scalars if isinstance(record, Scalars)]
        steps = np.array([entry.step for entry in waiting], np.int64)
        times = np.array([entry.time for entry in waiting])
        first = scalars[0]
        if isinstance(first, Scalars):
            self._rows(Rows(first.layout, steps, times, np.stack(values)))
        waiting.clear()

    def _rows(self, rows: Rows) -> None:
        track = self._tracks.get(rows.layout)
        if track is None or rows.values.shape[1] != len(self._tables[rows.layout]):
            self._fault("records without a layout", len(rows.steps))
            return
        if len(rows.steps):
            track.add(rows.steps, rows.values)
            self._seen(int(rows.steps.max()), float(rows.times.max()))

    def _histogram(self, step: int, record: Histograms) -> None:
        track = self._histograms.get(record.layout)
        if track is None or len(record.counts) != len(self._tables[record.layout]):
            self._fault("records without a layout")
            return
        track.add(step, Binned(record.counts, record.exponents, record.offsets, record.tails))

    def _keep(self, entry: Entry, record: Kept) -> None:
        entries = self._kept.setdefault(record.key, [])
        entries.append(entry)
        entries.sort(key=lambda each: each.step)
        if len(entries) > _KEPT_EACH:
            _thin(entries)
        while _kept_bytes(self._kept) > _KEPT_BYTES and any(map(len, self._kept.values())):
            longest = max(self._kept.values(), key=len)
            if len(longest) > 2 * _NEWEST:
                _thin(longest)
                continue
            oldest = min(
                (held for held in self._kept.values() if held), key=lambda held: held[0].step
            )
            del oldest[0]

    def _seen(self, step: int, time: float) -> None:
        self._last_step = max(self._last_step, step)
        self._last_time = max(self._last_time, time)

    def _fault(self, what: str, count: int = 1) -> None:
        self._faults[what] = self._faults.get(what, 0) + count


def _alike(one: object, other: Scalars) -> bool:
    return (
        isinstance(one, Scalars)
        and one.layout == other.layout
        and len(one.values) == len(other.values)
    )


def _thin(entries: list[Entry]) -> None:
    """Take away the entry whose neighbours are closest to each other; the first and the newest few stay."""
    del entries[crowded([entry.step for entry in entries], _NEWEST)]


def crowded(steps: Sequence[int], newest: int = 1) -> int:
    """Return the place whose loss leaves the smallest gap: taken again and again, steps stay evenly spread.

    Args:
        steps: ascending, at least three.
        newest: so many at the end are not asked, nor is the first.
    """
    places = range(1, max(len(steps) - newest, 2))
    return min(places, key=lambda place: steps[place + 1] - steps[place - 1])


def _kept_bytes(kept: Mapping[object, list[Entry]]) -> int:
    return sum(
        entry.record.values.nbytes
        for entries in kept.values()
        for entry in entries
        if isinstance(entry.record, Kept)
    )
