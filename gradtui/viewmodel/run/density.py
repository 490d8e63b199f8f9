"""A distribution over time as cells: columns are steps, rows are ranges of values, zero lies between two rows.

Values that are exactly 0 are in the row above the line of zero; where there are no others, that is said in words.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from gradtui.core.arrays import no_floats
from gradtui.core.run.histogram import SMALLEST_EXPONENT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradtui.core.arrays import Array, Flags, Floats, Indices
    from gradtui.core.run.keys import SeriesKey
    from gradtui.core.run.run import Run
    from gradtui.core.run.series import HistogramSeries
    from gradtui.viewmodel.run.window import Window

_ONLY_ZEROS: Final = 2.0**SMALLEST_EXPONENT
"""No float32 but 0 lies in a bin of this width that begins at 0."""
LEAST_SHARE: Final = 1e-3
"""Of all values: what fewer lie in, at both ends and at all steps together, is not given rows of its own."""


@dataclass(frozen=True, slots=True, eq=False)
class Density:
    """Cells of a heatmap of a distribution.

    Attributes:
        shares: float64 [rows, columns]: of the fullest cell of the column, 0..1, the highest values in row 0;
            NaN where no step is.
        edges: float64 [rows + 1]: bounds of the rows, descending.
        zero: the row that zero is the upper edge of, so the line goes above it; -1 where zero is out of sight.
        bad: bool [columns]: NaN or infinite values are in the column's steps.
        rejected: bool [columns]: values lie above or below what is shown.
        steps: int64 [columns]: the step of the histogram that a column shows; -1 for none.
    """

    shares: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    edges: Floats = field(default_factory=no_floats)
    zero: int = -1
    bad: Flags = field(default_factory=lambda: np.zeros(0, np.bool_))
    rejected: Flags = field(default_factory=lambda: np.zeros(0, np.bool_))
    steps: Array = field(default_factory=lambda: np.zeros(0, np.int64))

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        return self.shares.size == 0


def on_one_grid(several: Sequence[HistogramSeries]) -> list[HistogramSeries]:
    """Return distributions on the coarsest of their grids, all with the same bins: a row means the same in each."""
    held = [each for each in several if not each.empty]
    width = max((each.width for each in held), default=1.0)
    # Edges are multiples of the widths, and these are powers of two: no bin is cut.
    places = [
        np.floor_divide(np.round(each.edges[:-1] / each.width), width / each.width).astype(np.intp)
        for each in held
    ]
    first = min((int(place[0]) for place in places), default=0)
    bins = max((int(place[-1]) for place in places), default=0) - first + 1
    joined = {}
    for each, place in zip(held, places, strict=True):
        counts = np.zeros((len(each.steps), bins), np.int64)
        for column, at in enumerate((place - first).tolist()):
            counts[:, at] += each.counts[:, column]
        joined[id(each)] = replace(each, counts=counts, low=first * width, width=width)
    return [joined.get(id(each), each) for each in several]


def bins_of(several: Sequence[HistogramSeries], window: Window) -> tuple[int, int]:
    """Return the first and the last bin that matter of distributions on one grid, in a window."""
    parts = [
        each.counts[slice(*np.searchsorted(each.steps, (window.first, window.last + 1)).tolist())]
        for each in several
        if not each.empty
    ]
    return _occupied(np.concatenate(parts)) if parts else (0, 0)


def density_of(
    series: HistogramSeries,
    window: Window,
    columns: int,
    rows: int,
    bins: tuple[int, int] | None = None,
) -> Density:
    """Return the cells of a distribution in a window.

    Args:
        series: on one grid; bin edges are multiples of its width, so that 0 is one.
        window: the steps in view.
        columns: cells across; each shows the histograms of its steps, added up, or the last one before them.
        rows: the most cells down.
        bins: the first and the last one that are shown; None: those that hold a share of the values worth a row.
    """
    start = int(np.searchsorted(series.steps, window.first, "left"))
    stop = int(np.searchsorted(series.steps, window.last, "right"))
    if stop <= start or columns < 1 or rows < 2:
        return Density()
    counts, tails = series.counts[start:stop], series.tails[start:stop]
    steps = series.steps[start:stop]
    picked = _columns(steps, window, columns)
    first, last = _occupied(counts) if bins is None else bins
    pool, top, count = _pooling(series, first, last, rows)
    pooled = _pooled(counts, top, pool, count)
    edges: Floats = series.low + series.width * (top - pool * np.arange(count + 1.0))
    if (tall := rows // count) > 1:
        # Fewer bins than rows: each has several.
        pooled = np.repeat(pooled, tall, axis=1)
        edges = np.interp(np.arange(count * tall + 1) / tall, np.arange(count + 1), edges)
        count *= tall
    else:
        tall = 1
    sums = np.concatenate([np.zeros((1, count)), np.cumsum(pooled, axis=0)])
    cells = (sums[picked[1]] - sums[picked[0]]).T
    peaks = cells.max(axis=0)
    shares = np.divide(cells, peaks, out=np.zeros_like(cells), where=peaks > 0)
    there = picked[1] > picked[0]
    shares[:, ~there] = np.nan
    zeros = np.flatnonzero(np.abs(edges) < series.width / (4 * tall))
    inner = zeros.size and 0 < zeros[0] < count
    outside = counts.sum(axis=1) - pooled.sum(axis=1) // tall
    return Density(
        shares,
        edges,
        int(zeros[0]) if inner else -1,
        _any_in(tails[:, :3].sum(axis=1), picked),
        _any_in(tails[:, 3:].sum(axis=1) + outside, picked),
        np.where(there, steps[np.maximum(picked[1] - 1, 0)], -1),
    )


def only_zeros(series: HistogramSeries, window: Window) -> bool:
    """Whether there are values in a window, and every finite one is exactly 0."""
    part = slice(*np.searchsorted(series.steps, (window.first, window.last + 1)).tolist())
    return _all_zero(series.counts[part].sum(axis=0), series.edges)


def _all_zero(counts: Indices, edges: Floats) -> bool:
    held = np.flatnonzero(counts)
    return (
        len(held) == 1 and float(edges[held[0]]) == 0 and float(edges[held[0] + 1]) <= _ONLY_ZEROS
    )


def _columns(steps: Array, window: Window, columns: int) -> tuple[Indices, Indices]:
    """For each column the slice of histograms that it shows; an empty one before the first."""
    bounds = window.first + (np.arange(columns + 1) - 0.5) * window.span / max(columns - 1, 1)
    begin = np.searchsorted(steps, bounds[:-1], "right")
    end = np.searchsorted(steps, bounds[1:], "right")
    # A column without a histogram of its own shows the one before it, up to the newest.
    begin = np.where(end > begin, begin, np.maximum(end - 1, 0))
    newest = bounds[:-1] > max(int(steps[-1]), window.newest)
    end = np.where(newest, begin, end)
    return begin.astype(np.intp), end.astype(np.intp)


def _occupied(counts: Indices) -> tuple[int, int]:
    """The first and last bin that hold a share of the values worth a row; the whole where nothing is counted."""
    totals = np.cumsum(counts.sum(axis=0))
    if not len(totals) or totals[-1] == 0:
        return 0, max(counts.shape[1] - 1, 0)
    least = LEAST_SHARE * totals[-1] / 2
    first = int(np.searchsorted(totals, least, "right"))
    last = int(np.searchsorted(totals, totals[-1] - least, "left"))
    return min(first, last), last


def _pooling(series: HistogramSeries, first: int, last: int, rows: int) -> tuple[int, int, int]:
    """How many bins a row takes, the bin edge that the rows begin at, from above, and how many rows there are."""
    zero = round(-series.low / series.width)
    pool = max(-(-(last - first + 1) // rows), 1)
    while True:
        # Rows begin at zero, both ways, so that none holds values of both signs.
        top = zero + -(-(last + 1 - zero) // pool) * pool
        bottom = zero + (first - zero) // pool * pool
        count = (top - bottom) // pool
        if count <= rows or pool > last - first + 1:
            return pool, top, max(count, 1)
        pool += 1


def _pooled(counts: Indices, top: int, pool: int, count: int) -> Indices:
    """Add bins up to rows, [t, count], from the highest values down; bins beyond the grid are empty."""
    bottom = top - pool * count
    bins = counts.shape[1]
    wide = np.zeros((len(counts), pool * count), np.int64)
    low, high = max(bottom, 0), min(top, bins)
    if high > low:
        wide[:, low - bottom : high - bottom] = counts[:, low:high]
    result: Indices = wide.reshape(len(counts), count, pool).sum(axis=2)[:, ::-1]
    return result


def _any_in(values: Array, picked: tuple[Indices, Indices]) -> Flags:
    sums = np.concatenate([[0], np.cumsum(values)])
    flags: Flags = (sums[picked[1]] - sums[picked[0]]) > 0
    return flags


@dataclass(frozen=True, slots=True, eq=False)
class Distribution:
    """One histogram of a series.

    Attributes:
        step: the step it is of; -1 for none.
        counts: int64 [bins].
        edges: float64 [bins + 1].
        tails: int64 [5]: NaN, +Inf, -Inf, rejected below and above.
    """

    step: int = -1
    counts: Indices = field(default_factory=lambda: np.zeros(0, np.int64))
    edges: Floats = field(default_factory=no_floats)
    tails: Indices = field(default_factory=lambda: np.zeros(5, np.int64))

    @property
    def total(self) -> int:
        """How many values are counted in bins."""
        return int(self.counts.sum())

    @property
    def all_zero(self) -> bool:
        """Whether there are values, and every finite one is exactly 0."""
        return _all_zero(self.counts, self.edges)

    def quantile(self, share: float) -> float:
        """Return the value below which a share of the counted values lies, evenly spread in their bins; NaN for none.

        Of nothing but zeros it is 0.
        """
        total = self.total
        if not total:
            return math.nan
        if self.all_zero:
            return 0.0
        held = np.flatnonzero(self.counts)
        sums = np.concatenate([[0], np.cumsum(self.counts)])
        ends = np.stack([held, held + 1], axis=1).ravel()
        return float(np.interp(share * total, sums[ends], self.edges[ends]))


def distribution_at(run: Run, key: SeriesKey, step: int, rank: int | None = None) -> Distribution:
    """Return the histogram at a step, or the newest one before it, on its own grid; else the first there is."""
    steps = run.histogram(key, rank).steps
    if not len(steps):
        return Distribution()
    found = int(steps[max(int(np.searchsorted(steps, step, "right")) - 1, 0)])
    series = run.histogram(key, rank, (found, found))
    return Distribution(found, series.counts[0], series.edges, series.tails[0])


def bars_of(found: Distribution, columns: int, low: float, high: float) -> Floats:
    """Return the counts in equal columns between two values, float64 [columns]; bins are spread evenly."""
    bounds = np.linspace(low, high, columns + 1)
    sums = np.concatenate([[0.0], np.cumsum(found.counts)])
    bars: Floats = np.diff(np.interp(bounds, found.edges, sums))
    return bars
