"""What a run answers with: numbers over steps, numbers of all modules, distributions over steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from gradtui.core.arrays import no_floats, read_only

if TYPE_CHECKING:
    from gradtui.core.arrays import Array, Floats, Indices
    from gradtui.core.run.keys import SeriesKey


def no_steps() -> Array:
    """Return an empty vector of steps: int64 [0], read-only."""
    return read_only(np.zeros(0, np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One number over the steps of a run, as closely as it is held in memory.

    The newest steps stand one by one; older ones in spans of 2, 4, 8... steps.

    Attributes:
        key: whose number.
        steps: int64 [k], ascending: the step of each value, the last one of its span.
        values: [k]: the value at that step. No NaN, but in scalars of the run, where NaN was logged.
        low: [k]: the least value of the span.
        high: [k]: the greatest value of the span.
    """

    key: SeriesKey
    steps: Array = field(default_factory=no_steps)
    values: Floats = field(default_factory=no_floats)
    low: Floats = field(default_factory=no_floats)
    high: Floats = field(default_factory=no_floats)

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def empty(self) -> bool:
        """Whether nothing was measured."""
        return len(self.steps) == 0

    @property
    def last(self) -> float:
        """The newest value; NaN when there is none."""
        return float("nan") if self.empty else float(self.values[-1])

    @property
    def last_step(self) -> int:
        """The step of the newest value; -1 when there is none."""
        return -1 if self.empty else int(self.steps[-1])


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """The latest value of every series of one role and quantity.

    Attributes:
        keys: whose.
        values: float64 [n]; NaN: none at that step.
        steps: int64 [n]: the step of each.
    """

    keys: tuple[SeriesKey, ...] = ()
    values: Floats = field(default_factory=no_floats)
    steps: Array = field(default_factory=no_steps)

    def __len__(self) -> int:
        return len(self.keys)


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """All numbers of series that were recorded together: of one role and quantity, bucket by bucket.

    Attributes:
        keys: n series.
        first: int64 [k]: the first step of each bucket.
        steps: int64 [k]: its last step, whose value ``last`` is.
        last: float [k, n]; NaN: nothing was measured.
        low: float [k, n]: the least of the bucket.
        high: float [k, n]: the greatest.
    """

    keys: tuple[SeriesKey, ...]
    first: Array
    steps: Array
    last: Array
    low: Array
    high: Array


@dataclass(frozen=True, slots=True, eq=False)
class Trends:
    """The course of every series of one role and quantity, coarsely: for one-row sparklines.

    Attributes:
        keys: whose.
        values: float64 [n, points]: the greatest value in each of ``points`` equal spans; NaN where there is none.
        edges: float64 [points + 1]: the steps where the spans begin and end.
    """

    keys: tuple[SeriesKey, ...] = ()
    values: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    edges: Floats = field(default_factory=no_floats)


@dataclass(frozen=True, slots=True, eq=False)
class HistogramSeries:
    """A distribution over the steps of a run, on one grid.

    Attributes:
        key: whose values; its quantity is `VALUES` or `ROW_NORMS`.
        steps: int64 [t], ascending: the last step of each column.
        counts: int64 [t, bins]: values of the samples of that span in each bin.
        low: the lower edge of bin 0.
        width: of a bin; a power of two. Bin k covers [low + k · width, low + (k + 1) · width).
        tails: int64 [t, 5]: NaN, +Inf, -Inf, rejected below, rejected above.
    """

    key: SeriesKey
    steps: Array = field(default_factory=no_steps)
    counts: Indices = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    low: float = 0.0
    width: float = 1.0
    tails: Indices = field(default_factory=lambda: np.zeros((0, 5), np.int64))

    @property
    def empty(self) -> bool:
        """Whether there is no histogram."""
        return len(self.steps) == 0

    @property
    def edges(self) -> Floats:
        """The edges of the bins [bins + 1]."""
        edges: Floats = self.low + self.width * np.arange(
            self.counts.shape[1] + 1, dtype=np.float64
        )
        return edges
