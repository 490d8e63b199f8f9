"""What grew by orders of magnitude in the steps before a value was lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gradtui.diagnosis.table import middle
from gradtui.diagnosis.words import place, short

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradtui.core.arrays import Array, Floats
    from gradtui.core.run.keys import SeriesKey
    from gradtui.diagnosis.bounds import Bounds
    from gradtui.diagnosis.evidence import Evidence
    from gradtui.diagnosis.table import Table


@dataclass(frozen=True, slots=True)
class Rise:
    """A number that left its usual size.

    Attributes:
        subject: what grew, as a person calls it.
        before: what it was when it was last as usual, at step ``begin``.
        peak: what it had become at step ``end``.
        key: its series.
    """

    subject: str
    before: float
    begin: int
    peak: float
    end: int
    key: SeriesKey

    def __str__(self) -> str:
        return (
            f"{self.subject} rose from {short(self.before)} (step {self.begin}) "
            f"to {short(self.peak)} (step {self.end})"
        )


def growth_before(evidence: Evidence, step: int, bounds: Bounds) -> Rise | None:
    """Return what grew in the measurements before a step, of several the one that tells most; None where nothing did.

    The norm of all gradients before that of single ones, then the losses, then the weights. Grown is what was, in one
    of the newest measurements before the step, far above its median before, and clearly above all that it was until it
    last was at that median: neither the large gradients of a first step nor a slow drift count.

    Special values: what is not finite or not above zero is passed over.
    """
    for subject, key, steps, values in _candidates(evidence, step, bounds):
        found = _rise(subject, key, steps, values, bounds)
        if found is not None:
            return found
    return None


def _candidates(
    evidence: Evidence, step: int, bounds: Bounds
) -> Iterator[tuple[str, SeriesKey, Array, Floats]]:
    """Yield subject, key, steps [k] and values [k] of what may have grown before a step, positive numbers alone."""
    scalars = {key.slot: key for block in evidence.run.blocks("run", "value") for key in block.keys}
    norms = [scalars[name] for name in ("grad_norm_raw", "grad_norm") if name in scalars]
    for key in norms[:1]:
        yield ("the gradient's norm", key, *_series(evidence, key, step))
    yield from _steepest(evidence.gradients, "|grad|2 of {}", step, bounds)
    for key in evidence.losses:
        yield (f"the {key.slot or 'loss'}", key, *_series(evidence, key, step))
    yield from _steepest(
        evidence.weights_of(evidence.clean("parameter", "l2")), "|weight|2 of {}", step, bounds
    )


def _series(evidence: Evidence, key: SeriesKey, step: int) -> tuple[Array, Floats]:
    series = evidence.run.series(key, evidence.rank)
    steps, values = np.asarray(series.steps), np.asarray(series.values, np.float64)
    usable = np.isfinite(values) & (values > 0) & (steps < step)
    return steps[usable], values[usable]


def _steepest(
    table: Table, subject: str, step: int, bounds: Bounds
) -> Iterator[tuple[str, SeriesKey, Array, Floats]]:
    """Yield the column of a table whose newest values before a step are farthest above their median."""
    table = table.until(int(np.searchsorted(table.ends, step)))
    if table.empty or len(table) < 2:
        return
    positive = np.where(table.high > 0, table.high, np.nan)
    with np.errstate(invalid="ignore"):
        factor = np.fmax.reduce(positive[-bounds.explode_rows :], axis=0) / middle(positive)
    if np.isnan(factor).all():
        return
    column = int(np.nanargmax(factor))
    known = np.flatnonzero(~np.isnan(positive[:, column]))
    key = table.keys[column]
    yield subject.format(place(key.path)), key, table.ends[known], positive[known, column]


def _rise(
    subject: str, key: SeriesKey, steps: Array, values: Floats, bounds: Bounds
) -> Rise | None:
    # Half a window of a growth that goes on for long is its own median: it counts with what it grew since.
    steps, values = steps[-bounds.explode_window :], values[-bounds.explode_window :]
    if len(values) < 2:
        return None
    newest = max(len(values) - bounds.explode_rows, 0)
    peak = newest + int(np.argmax(values[newest:]))
    usual = float(middle(values[: peak + 1]))
    begin = int(np.flatnonzero(values[: peak + 1] <= usual)[-1])
    largest = float(values[: begin + 1].max())
    top = float(values[peak])
    if top < bounds.lost_growth * usual or top < bounds.explode_growth * largest:
        return None
    # Noise may have been up there for a while: told is where the climb itself began, if that is seen.
    foot = peak
    while foot and values[foot - 1] < values[foot]:
        foot -= 1
    if values[foot] <= bounds.explode_growth * usual:
        begin = foot
    return Rise(subject, float(values[begin]), int(steps[begin]), top, int(steps[peak]), key)
