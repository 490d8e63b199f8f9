"""A loss that jumps up and stays for a while, or for good."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from gradtui.diagnosis.finding import Finding
from gradtui.diagnosis.learning_rate import rise_of_rate
from gradtui.diagnosis.words import short

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradtui.core.arrays import Floats
    from gradtui.core.run.keys import SeriesKey
    from gradtui.core.run.series import Series
    from gradtui.diagnosis.bounds import Bounds
    from gradtui.diagnosis.evidence import Evidence

TO_SIGMA: Final = 1.4826
"""Median absolute deviation to standard deviation, for a normal distribution."""
AROUND: Final = 5
"""Measurements of which `Bounds.spike_rows` must be above: one hard batch is no spike."""
MOST_POINTS: Final = 1024
MOST_EARLIER: Final = 3


def find(evidence: Evidence, bounds: Bounds) -> Iterator[Finding]:
    """Yield the latest spike of each loss that was logged, with the steps of those before it.

    A loss is up when it exceeds the running median of what went before by several robust standard
    deviations (median absolute deviation) and by a share of all that the run has gained: neither the noise
    of small batches nor a restart of the learning rate after convergence does both.

    Special values: a loss that is not finite is the affair of another rule, and is passed over here.
    """
    for key in evidence.losses:
        series = evidence.run.series(key)
        finite = np.isfinite(series.values)
        steps = np.asarray(series.steps)[finite][-MOST_POINTS:]
        values = np.asarray(series.values, np.float64)[finite]
        first = float(np.median(values[:AROUND])) if len(values) else 0.0
        values = values[-MOST_POINTS:]
        if len(values) >= bounds.spike_past // 2 + AROUND:
            for finding in _spikes(series, steps, values, first, bounds):
                end = evidence.run.last_step if finding.ongoing else finding.until
                told = rise_of_rate(evidence, finding.since, end)
                yield replace(finding, why=finding.why + told)


def _spikes(
    series: Series, steps: Floats, values: Floats, first: float, bounds: Bounds
) -> Iterator[Finding]:
    usual, spread = _running(values, bounds.spike_past)
    gain = np.maximum(first - np.minimum.accumulate(usual), 0)
    rise = values - usual
    bound = np.maximum(bounds.spike_scores * spread, bounds.spike_share * gain)
    bound = np.maximum(bound, 1e-6 * np.abs(usual))
    high = rise > bound
    high[: bounds.spike_past // 2] = False
    # Of five in a row, the middle one and as many as the bound says: an edge as sharp as the spike's own.
    around = np.convolve(high, np.ones(AROUND, np.intp))[AROUND - 1 :]
    begins = np.flatnonzero(high & (around >= bounds.spike_rows))
    if not len(begins):
        return
    # The spike itself raises the median that follows it: from its begin on, what was usual then counts.
    begin = int(begins[0])
    before: list[str] = []
    while True:
        level, limit = float(usual[begin]), float(bound[begin])
        above = values[begin:] > level + limit / 2
        calm = np.convolve(~above, np.ones(AROUND, np.intp), "valid") >= AROUND
        length = int(np.argmax(calm)) if calm.any() else len(above)
        later = begins[begins >= begin + length + bounds.spike_past] if calm.any() else begins[:0]
        if not len(later):
            break
        before.append(f"{int(steps[begin])} to {int(steps[max(begin + length - 1, begin)])}")
        begin = int(later[0])
    stretch = values[begin : begin + length] if length else values[begin : begin + 1]
    over = calm.any()
    diverged = not over and float(np.median(values[-AROUND:])) > first + bounds.diverged * float(
        gain[begin]
    )
    peak = float(stretch.max())
    yield Finding(
        "loss spike",
        "note" if over else "bad" if diverged else "warn",
        "",
        _name(series.key),
        int(steps[begin]),
        f"The {_name(series.key)} jumped up"
        + (
            ", and came back."
            if over
            else ", to more than it began with."
            if diverged
            else ", and has not come back."
        ),
        f"from {short(level)} to {short(peak)}: a rise of {short(peak - level)}; the bound is {short(limit)} "
        f"({bounds.spike_scores:g} robust deviations, and {100 * bounds.spike_share:.0f} % of what was gained)"
        + _earlier(before),
        "Look at the batch and the gradients of that step; try a lower learning rate or clipping."
        if over
        else "Go back to the checkpoint before it, and go on with a lower learning rate or clipping.",
        until=int(steps[begin + length - 1])
        if over and length
        else int(steps[begin])
        if over
        else -1,
        series=(series.key,),
    )


def _earlier(before: list[str]) -> str:
    """The steps of spikes before the latest one: the newest few of them, and how many they were."""
    if not before:
        return ""
    *rest, last = before[-MOST_EARLIER:]
    listed = f"{', '.join(rest)} and {last}" if rest else last
    often = f"{len(before)} times" if rest else "once"
    newest = "the last ones " if len(before) > MOST_EARLIER else ""
    return f"; it did so {often} before, {newest}in steps {listed}"


def _running(values: Floats, past: int) -> tuple[Floats, Floats]:
    """The median and robust deviation of the ``past`` values before each one; of those there are at the beginning."""
    padded = np.concatenate([np.full(past, np.nan), values])[:-1]
    windows = np.lib.stride_tricks.sliding_window_view(padded, past)
    median = _medians(windows)
    spread = TO_SIGMA * _medians(np.abs(windows - median[:, None]))
    median[0] = values[0]
    spread[0] = 0.0
    return median, spread


def _medians(windows: Floats) -> Floats:
    ordered = np.sort(windows, axis=1)
    count = np.count_nonzero(~np.isnan(windows), axis=1)
    found: Floats = ordered[np.arange(len(ordered)), np.maximum(count - 1, 0) // 2]
    return found


def _name(key: SeriesKey) -> str:
    return key.slot or "loss"
