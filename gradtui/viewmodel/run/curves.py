"""Series of a run as curves on a chart of a given size: reduced so that no spike is lost."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from gradtui.core.run.run import Run
from gradtui.core.run.series import Series
from gradtui.viewmodel.run.choice import APART, NEWEST
from gradtui.viewmodel.run.finite import bad_spans
from gradtui.viewmodel.run.quantities import series_name
from gradtui.viewmodel.run.ticks import Tick, linear_ticks, log_ticks, nice_step, step_ticks
from gradtui.viewmodel.run.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gradtui.core.arrays import Floats
    from gradtui.core.run.keys import SeriesKey
    from gradtui.viewmodel.run.choice import RunChoice

MOST_CURVES: Final = 24
ZERO_ROWS: Final = 1.5
"""Rows of a logarithmic chart between its least number and its zeros."""
_STEP_WIDTH: Final = 10
"""Columns a label of the step axis needs."""
_NEWEST: Final = 32
"""Newest steps of a series, from which is seen how often it is recorded."""
_LEAST_RANGE: Final = 0.1
"""Decades (or the share of the size, on a linear axis) that an axis covers at least."""


class At(NamedTuple):
    """A value at a step; NaN and -1 where there is none."""

    step: int
    value: float


NOTHING: Final = At(-1, math.nan)


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A series in a window, one point for each column of dots that has any steps.

    Attributes:
        key: whose number.
        rank: of one rank; -1 of all together.
        x: float64 [k]: steps.
        y: float64 [k]: the value at the newest step of the column, in units of the axis.
        low: float64 [k]: the least value of the column's steps.
        high: float64 [k]: the greatest.
        bad: float64 [m]: steps in the window at which it is not finite (NaN, infinite, or a statistic of a tensor
            that was not all finite): no point stands for them, and the curve has a gap there.
        at: the value at the cursor, as it is.
        before: the value at the baseline.
        least: the least value in the window, as it is; NaN for none.
        greatest: the greatest.
    """

    key: SeriesKey
    rank: int = -1
    x: Floats = field(default_factory=lambda: np.zeros(0))
    y: Floats = field(default_factory=lambda: np.zeros(0))
    low: Floats = field(default_factory=lambda: np.zeros(0))
    high: Floats = field(default_factory=lambda: np.zeros(0))
    bad: Floats = field(default_factory=lambda: np.zeros(0))
    at: At = NOTHING
    before: At = NOTHING
    least: float = math.nan
    greatest: float = math.nan

    @property
    def name(self) -> str:
        """The series' name, and the rank where it is of one."""
        return series_name(self.key) + (f" rank {self.rank}" if self.rank >= 0 else "")


@dataclass(frozen=True, slots=True, eq=False)
class Chart:
    """Curves with their axes.

    Attributes:
        window: the steps of the x axis.
        low: of the y axis, in its units: logarithms where ``log``. Zeros lie there, apart from all numbers.
        high: its other end.
        log: whether y are base-10 logarithms.
        note: why the axis is not the one that was asked for; empty where it is.
        x_ticks: of the step axis.
        y_ticks: of the other.
    """

    curves: tuple[Curve, ...] = ()
    window: Window = field(default_factory=Window)
    low: float = 0.0
    high: float = 1.0
    log: bool = False
    note: str = ""
    x_ticks: tuple[Tick, ...] = ()
    y_ticks: tuple[Tick, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether no curve has a point."""
        return not any(len(curve.x) for curve in self.curves)


def value_at(series: Series, step: int) -> At:
    """Return the value at a step, or the newest one before it."""
    place = int(np.searchsorted(series.steps, step, "right")) - 1
    if place < 0:
        return NOTHING
    return At(int(series.steps[place]), float(series.values[place]))


def charted(choice: RunChoice, key: SeriesKey) -> tuple[SeriesKey, ...]:
    """Return the series in the chart: the chosen one, then the pins."""
    return tuple(dict.fromkeys((key, *choice.pins)))[:MOST_CURVES]


@dataclass(frozen=True, slots=True, eq=False)
class Exact:
    """Numbers of some steps as they were recorded, where the run in memory has only spans.

    Attributes:
        first: the first step.
        last: the last one.
        run: the series that were asked for, between these.
    """

    first: int = 0
    last: int = -1
    run: Run = field(default_factory=Run.empty)

    def covers(self, window: Window) -> bool:
        """Whether all steps of a window that the run has are here."""
        return self.first <= window.first and min(window.last, window.newest) <= self.last


def is_coarse(series: Series, window: Window, width: int) -> bool:
    """Whether a window of a series has fewer points than the chart could show, since its steps were joined."""
    start = int(np.searchsorted(series.steps, window.first, "left"))
    stop = int(np.searchsorted(series.steps, window.last, "right"))
    newest = series.steps[-_NEWEST:]
    if stop - start >= 2 * width or len(newest) < 2 or stop - start < 1:
        return False
    part = series.steps[start:stop]
    spacing = (int(part[-1]) - int(part[0])) / max(len(part) - 1, 1)
    return spacing > 1.5 * float(np.median(np.diff(newest)))


def chart_of(
    run: Run,
    choice: RunChoice,
    keys: Iterable[SeriesKey],
    window: Window,
    width: int,
    height: int,
    exact: Exact | None = None,
) -> Chart:
    """Return the curves of some series; what is not finite is a gap in its curve, and never 0.

    Args:
        run: the run.
        choice: axis, ranks, baseline.
        keys: which series; those that the run lacks are empty curves.
        window: the steps in view.
        width: columns of the chart's field; each has two columns of dots.
        height: its rows.
        exact: numbers of the window that are finer than the run's.
    """
    found = [each for key in keys for each in _series(run, choice, key)][:MOST_CURVES]
    comparing = choice.comparing and choice.baseline != NEWEST
    fine = exact if exact is not None and exact.covers(window) else Exact()
    raw, gaps = [], []
    for series, rank in found:
        fair, bad = _finite(run, _finer(series, rank, fine), rank, window)
        raw.append(_in_window(fair, window))
        gaps.append(bad)
    shifts = [value_at(s, choice.baseline).value if comparing else 0.0 for s, _ in found]
    negative = any(len(v) and np.nanmin(v) - shift < 0 for (_, v, _, _), shift in zip(raw, shifts, strict=True))  # fmt: skip
    positive = any(len(v) and np.nanmax(v) - shift > 0 for (_, _, _, v), shift in zip(raw, shifts, strict=True))  # fmt: skip
    log = choice.axis == "log" and not negative and positive
    note = ""
    some = any(len(values) for _, _, values, _ in raw)
    if choice.axis == "log" and not log and some and not comparing:
        note = f"linear: {'there are negative values' if negative else 'all values are 0'}"
    curves = []
    for (series, rank), (steps, low, last, high), bad, shift in zip(
        found, raw, gaps, shifts, strict=True
    ):
        x, y, least, most = _reduced(
            steps, low - shift, last - shift, high - shift, window, 2 * width
        )
        if log:
            y, least, most = (_logarithm(values) for values in (y, least, most))
        there = ~np.isnan(y)
        curves.append(
            Curve(
                series.key, rank, x[there], y[there], least[there], most[there], bad,
                value_at(series, window.cursor), value_at(series, choice.baseline),
                float(np.nanmin(low)) if len(low) else math.nan,
                float(np.nanmax(high)) if len(high) else math.nan,
            )
        )  # fmt: skip
    bottom, top = _bounds(curves, log=log)
    ticks = (log_ticks if log else linear_ticks)(bottom, top, max(height // 2, 2))
    if log and any(np.isneginf(values).any() for c in curves for values in (c.y, c.low)):
        # No logarithm is that of 0: it has a row of its own, below all numbers.
        bottom -= ZERO_ROWS * (top - bottom) / max(height - ZERO_ROWS, 1.0)
        ticks = [(bottom, "0"), *ticks]
    steps_at = step_ticks(window.first, window.last, max(width // _STEP_WIDTH, 1))
    return Chart(tuple(curves), window, bottom, top, log, note, tuple(steps_at), tuple(ticks))


def _series(run: Run, choice: RunChoice, key: SeriesKey) -> list[tuple[Series, int]]:
    """A key's series, with its rank: one, or one of each rank."""
    if choice.rank == APART and len(run.ranks) > 1:
        return [(run.series(key, each.rank), each.rank) for each in run.ranks]
    return [(run.series(key, choice.one_rank), choice.rank if choice.rank >= 0 else -1)]


def _finer(series: Series, rank: int, exact: Exact) -> Series:
    """The recorded numbers of a series where they were read; else what the run has."""
    read = exact.run.series(series.key, rank if rank >= 0 else None)
    return read if len(read) else series


def _finite(run: Run, series: Series, rank: int, window: Window) -> tuple[Series, Floats]:
    """A series without what is not finite, and the steps in the window at which it is not.

    Of a span of which the newest step alone is known to be finite, that one is left.
    """
    newest, some = bad_spans(run, series, rank if rank >= 0 else None)
    if not some.any():
        return series, np.zeros(0)
    steps = series.steps[some & (series.steps >= window.first) & (series.steps <= window.last)]
    values = series.values
    low, high = (np.where(some, values, ends) for ends in (series.low, series.high))
    there = ~newest
    fair = Series(series.key, series.steps[there], values[there], low[there], high[there])
    return fair, steps.astype(np.float64)


def _in_window(series: Series, window: Window) -> tuple[Floats, Floats, Floats, Floats]:
    """Steps, least, newest and greatest values of the spans in the window."""
    start = int(np.searchsorted(series.steps, window.first, "left"))
    stop = int(np.searchsorted(series.steps, window.last, "right"))
    part = slice(start, stop)
    steps = series.steps[part].astype(np.float64)
    low, last, high = series.low[part], series.values[part], series.high[part]
    return steps, np.fmin(low, last), last, np.fmax(high, last)


def _reduced(
    steps: Floats, low: Floats, last: Floats, high: Floats, window: Window, dots: int
) -> tuple[Floats, Floats, Floats, Floats]:
    """Join the steps that fall on one column of dots."""
    if not len(steps) or dots < 1:
        none = np.zeros(0)
        return none, none, none, none
    places = np.floor((steps - window.first) * (dots / window.span))
    starts = np.flatnonzero(np.concatenate([[True], places[1:] != places[:-1]]))
    ends = np.append(starts[1:], len(steps)) - 1
    return (
        steps[ends],
        last[ends],
        np.minimum.reduceat(low, starts),
        np.maximum.reduceat(high, starts),
    )


def _logarithm(values: Floats) -> Floats:
    """Base-10 logarithms; -inf for 0, which is drawn at the bottom."""
    with np.errstate(divide="ignore"):
        result: Floats = np.log10(values)
    return result


def _bounds(curves: list[Curve], *, log: bool) -> tuple[float, float]:
    """The ends of the y axis: round, so that a new value seldom moves them."""
    lows = [float(v.min()) for c in curves for v in (c.low[np.isfinite(c.low)],) if len(v)]
    highs = [float(v.max()) for c in curves for v in (c.high[np.isfinite(c.high)],) if len(v)]
    if not lows or not highs:
        return 0.0, 1.0
    low, high = min(lows), max(highs)
    if low == high == 0 and not log:
        # Nothing but 0: no range of its own, and none that looks like numbers.
        return -1.0, 1.0
    least = _LEAST_RANGE if log else max(abs(low), abs(high), 1e-300) * _LEAST_RANGE
    if high - low < least:
        low, high = (low + high - least) / 2, (low + high + least) / 2
    step = nice_step(high - low, 10)
    return math.floor(low / step) * step, math.ceil(high / step) * step
