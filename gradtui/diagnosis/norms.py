"""Findings in one moment's gradient norms, for files that hold no more than that."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from gradtui.diagnosis.finding import Finding, in_order
from gradtui.diagnosis.words import place, short

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gradtui.diagnosis.finding import Rule, Severity

VANISHING: Final = 0.01
"""The lower threshold of the Gradient Visualization Project: a norm at or below it is drawn in red there."""
EXPLODING: Final = 100.0
"""The upper one, that it lacks: four decades above."""


def find_in_norms(
    norms: Mapping[str, float],
    step: int = -1,
    *,
    vanishing: float = VANISHING,
    exploding: float = EXPLODING,
) -> tuple[Finding, ...]:
    """Return what two absolute thresholds say of gradient norms: there is no past to compare with.

    Args:
        norms: ‖weight.grad‖₂ by layer.
        step: of what moment; -1 where that is not known.
        vanishing: norms up to it vanish.
        exploding: norms from it on explode.

    Special values: NaN (no gradient) is passed over; an infinite norm is not finite.
    """
    found = []
    for path, norm in norms.items():
        if math.isinf(norm):
            found.append(
                _finding(
                    "non-finite", "bad", path, step, "is not finite", "", "Look at its inputs."
                )
            )
        elif norm <= vanishing:
            why = f"|grad|2 {short(norm)}; the bound is {vanishing:g}"
            advice = "Compare it with the layers around it: a run watched over time tells whether it fell."
            found.append(_finding("vanishing", "warn", path, step, "is small", why, advice))
        elif norm >= exploding:
            why = f"|grad|2 {short(norm)}; the bound is {exploding:g}"
            advice = "Compare it with the layers around it: a run watched over time tells whether it grew."
            found.append(_finding("exploding", "warn", path, step, "is large", why, advice))
    return in_order(tuple(found))


def _finding(
    rule: Rule, severity: Severity, path: str, step: int, said: str, why: str, advice: str
) -> Finding:
    what = f"The gradient of {place(path)} {said}."
    return Finding(
        rule, severity, path, "gradient", max(step, 0), what, why or "|grad|2 inf", advice
    )
