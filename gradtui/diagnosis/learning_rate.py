"""What a learning rate did before something went wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from gradtui.diagnosis.words import short

if TYPE_CHECKING:
    from gradtui.core.run.series import Series
    from gradtui.diagnosis.evidence import Evidence

JUMP: Final = 3.0
"""From one measurement to the next, over all that the rate was before: a warm-up's steps are smaller."""
WINDOW: Final = 500
"""Steps before the onset in which a jump may explain it."""
GROWTH: Final = 10.0
"""Bit by bit, over all that the rate was before: no warm-up goes on so."""


def rise_of_rate(evidence: Evidence, onset: int, end: int) -> str:
    """Return what to say of a learning rate that rose around the onset of a finding; "" where none did.

    Either it jumped in the last steps before the onset (`WINDOW`, of a short run its second half), or it grows bit by
    bit to the end of the finding. Both are told against what the rate was before, so that a finding says the same
    however long the run goes on.

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
    largest = np.maximum.accumulate(rates)[:-1]
    near = (steps[1:] >= since) & (steps[1:] <= onset)
    jumps = np.where(near, rates[1:] / largest, 0)
    at = int(np.argmax(jumps))
    if jumps[at] >= JUMP:
        return f"{name} rose from {short(float(rates[at]))} to {short(float(rates[at + 1]))} at step {steps[at + 1]}"
    before, until = rates[steps < since], rates[steps <= end]
    if len(before) and until[-1] >= until.max() and until[-1] > GROWTH * before.max():
        return (
            f"the learning rate grows all the time: {name} is {short(float(until[-1]))} at step {steps[len(until) - 1]}, "
            f"before step {since} at most {short(float(before.max()))}"
        )
    return ""
