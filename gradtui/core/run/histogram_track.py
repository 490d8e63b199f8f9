"""The histograms of one layout over all steps, in bounded memory: buckets of 2^k steps, joined exactly."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gradtui.core.run.histogram import Binned, joined

if TYPE_CHECKING:
    from gradtui.core.run.key_table import KeyTable

MOST_BUCKETS: Final = 256
LEAST_BUCKETS: Final = 4


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """The histograms of a bucket of steps.

    Attributes:
        first: the first step that was seen of the bucket.
        final: the last one.
        binned: of n tensors.
    """

    first: int
    final: int
    binned: Binned


@dataclass(frozen=True, slots=True, eq=False)
class HistogramTrack:
    """The histograms of one layout, frozen.

    Attributes:
        table: the keys of the rows.
        width: steps a bucket, a power of two.
        moments: ascending.
    """

    table: KeyTable
    width: int
    moments: tuple[Moment, ...]


class GrowingHistograms:
    """A track of histograms that takes them in any order and stays within a number of buckets."""

    def __init__(self, table: KeyTable, budget: int = 64 << 20) -> None:
        self._table = table
        self._budget = budget
        self._width = 1
        self._moments: list[Moment] = []

    @property
    def nbytes(self) -> int:
        """Bytes of the counts that are held."""
        return sum(moment.binned.counts.nbytes for moment in self._moments)

    def limit(self, budget: int) -> None:
        """Keep within about ``budget`` bytes from now on; 4 buckets are kept in any case."""
        self._budget = budget
        self._fit()

    def add(self, step: int, binned: Binned) -> None:
        """Take the histograms of a step; those of the same bucket are joined."""
        self._put(Moment(step, step, binned))
        self._fit()

    def track(self) -> HistogramTrack:
        """Return what was taken so far; it does not change."""
        return HistogramTrack(self._table, self._width, tuple(self._moments))

    def _put(self, new: Moment) -> None:
        bucket = new.first // self._width
        place = bisect_left(self._moments, bucket, key=lambda moment: moment.first // self._width)
        if place < len(self._moments) and self._moments[place].first // self._width == bucket:
            old = self._moments[place]
            both = joined([old.binned, new.binned])
            first, final = min(old.first, new.first), max(old.final, new.final)
            self._moments[place] = Moment(first, final, both)
        else:
            self._moments.insert(place, new)

    def _fit(self) -> None:
        while len(self._moments) > LEAST_BUCKETS and (
            len(self._moments) > MOST_BUCKETS or self.nbytes > self._budget
        ):
            self._width *= 2
            moments, self._moments = self._moments, []
            for moment in moments:
                self._put(moment)
