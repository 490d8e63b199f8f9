"""What a learning rate did before something went wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from gradtui.diagnosis.words import short

if TYPE_CHECKING:
    from gradtui.core.arrays import Array, Floats
    from gradtui.core.run.series import Series
    from gradtui.diagnosis.evidence import Evidence

JUMP: Final = 3.0
"""At once, over all that the rate was before: a warm-up's steps are smaller."""
QUICK: Final = 0.05
"""Several steps are at once up to this share of all before them: a linear warm-up takes two thirds to triple."""
WINDOW: Final = 500
"""Steps before the onset in which a jump may explain it."""
GROWTH: Final = 10.0
"""Bit by bit, over all that the rate was before: no warm-up goes on so."""


def rise_of_rate(evidence: Evidence, onset: int, end: int) -> str:
    """Return what to say of a learning rate that rose around the onset of a finding; "" where none did.

    Either it jumped in the last steps before the onset (`WINDOW`, of a short run its second half), or it grows bit by
    bit to the end of the finding. Both are judged against what the rate was before, so that a finding says the same
    however long the run goes on, and told with the steps in which it rose.

    Args:
        evidence: the run.
        onset: the last step of the measurement at which the finding began.
        end: the last step at which it held.

    Special values: rates that are NaN, infinite or not above zero are passed over.
    """
    since = onset - min((onset - evidence.run.first_step) // 2, WINDOW)
    for block in evidence.run.blocks("run", "value"):
        for key in block.keys:
            if key.slot == "lr" or key.slot.startswith("lr."):
                found = _rise(evidence.run.series(key, evidence.rank), since, onset, end)
                if found:
                    return f"; {found}"
    return ""


def _rise(series: Series, since: int, onset: int, end: int) -> str:
    rates = np.asarray(series.values, np.float64)
    usable = np.isfinite(rates) & (rates > 0)
    rates, steps = rates[usable], series.steps[usable]
    if len(rates) < 2:
        return ""
    name = series.key.slot
    largest = np.maximum.accumulate(rates)
    found = _jump(rates, steps, largest, since, onset)
    if found:
        begin, peak = found
        when = f"at step {steps[peak]}"
        if peak - begin > 1:
            when = f"in steps {steps[begin + 1]} to {steps[peak]}"
        return (
            f"{name} rose from {short(float(rates[begin]))} to {short(float(rates[peak]))} {when}"
        )
    before, until = rates[steps < since], rates[steps <= end]
    if len(before) and until[-1] >= until.max() and until[-1] > GROWTH * before.max():
        last = len(until) - 1
        tenth = int(np.searchsorted(largest, until[-1] / GROWTH, side="right")) - 1
        begin, _ = _widened(rates, tenth, last, last)
        return (
            f"the learning rate grows all the time: {name} rose from {short(float(rates[begin]))} at step {steps[begin]} "
            f"to {short(float(until[-1]))} at step {steps[last]}"
        )
    return ""


def _jump(
    rates: Floats, steps: Array, largest: Floats, since: int, onset: int
) -> tuple[int, int] | tuple[()]:
    """Where the steepest rise between two steps begins and ends; () where no rise was a jump."""
    before = np.searchsorted(largest, rates / JUMP, side="right") - 1
    lasted = steps - steps[np.maximum(before, 0)]
    at_once = (np.arange(len(rates)) - before == 1) | (lasted <= QUICK * (steps - steps[0]))
    near = (steps >= since) & (steps <= onset)
    jumps = np.where((before >= 0) & at_once & near, rates / largest[np.maximum(before, 0)], 0)
    peak = int(np.argmax(jumps))
    if not jumps[peak]:
        return ()
    return _widened(rates, int(before[peak]), peak, int(np.flatnonzero(near)[-1]))


def _widened(rates: Floats, begin: int, peak: int, last: int) -> tuple[int, int]:
    """A rise with what is about as steep on either side, up to a last place."""
    slopes = np.diff(np.log(rates))
    steep = float(np.log(rates[peak] / rates[begin])) / (peak - begin) / 2
    while begin and slopes[begin - 1] >= steep:
        begin -= 1
    while peak < last and slopes[peak] >= steep:
        peak += 1
    return begin, peak
