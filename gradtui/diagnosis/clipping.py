"""Clipping that shrinks every step, and clipping that has long had nothing to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from gradtui.diagnosis.finding import Finding
from gradtui.diagnosis.table import ongoing
from gradtui.diagnosis.words import short

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradtui.core.arrays import Floats
    from gradtui.diagnosis.bounds import Bounds
    from gradtui.diagnosis.evidence import Evidence

CLIPPED: Final = 0.999
"""A norm after clipping below this share of the norm before was clipped."""


def find(evidence: Evidence, bounds: Bounds) -> Iterator[Finding]:
    """Yield that every step is clipped by a large factor, or that the bound is far above all gradients.

    The norm of all gradients together, as the optimizer sees them, over that before clipping. That a bound
    is there is known only once it was active: clipping that never was cannot be told from none.

    Special values: without norms from before clipping nothing is found; non-finite steps are passed over.
    """
    before = evidence.gradients
    used = evidence.clean("gradient", "l2")
    if len(before) < 2 or used.last.shape != before.last.shape:
        return
    both = before.known & used.known
    raw = _total(np.where(both, before.last, np.nan))
    kept = _total(np.where(both, used.last, np.nan))
    with np.errstate(invalid="ignore", divide="ignore"):
        share = kept / raw
    known = np.isfinite(share)
    active = (share < CLIPPED) & known
    if not active.any():
        return
    # Rows of older steps stand for many of them.
    spans = (before.ends - before.steps + 1).astype(np.float64)
    newest = np.cumsum(spans[::-1])[::-1] <= 2 * bounds.clip_steps
    steps = float(spans[newest & known].sum())
    if (
        steps >= bounds.clip_steps
        and float(spans[newest & active].sum()) >= bounds.clip_always * steps
    ):
        factor = float(np.median(1 / share[newest & active]))
        if factor >= bounds.clip_factor:
            start, _ = ongoing(active[:, None], known[:, None], bounds.gap)
            yield _always(
                int(before.steps[start[0]]), factor, float(np.median(kept[newest & active])), bounds
            )
        return
    limit = float(np.median(kept[active]))
    last = int(np.flatnonzero(active)[-1])
    later = known & (np.arange(len(known)) > last)
    lasted = float(spans[later].sum())
    if lasted >= 2 * bounds.clip_steps and lasted >= float(spans[known].sum()) / 2:
        largest = float(np.max(raw[later]))
        if largest < bounds.clip_idle * limit:
            yield _idle(int(before.ends[last]) + 1, largest, limit, bounds)


def _total(norms: Floats) -> Floats:
    """The norm of all parameters together [k]; NaN in rows where none is known."""
    squares = np.square(norms)
    total: Floats = np.sqrt(np.nansum(squares, axis=1))
    total[np.isnan(norms).all(axis=1)] = np.nan
    return total


def _always(step: int, factor: float, limit: float, bounds: Bounds) -> Finding:
    return Finding(
        "clipping",
        "note",
        "",
        "gradient norm",
        step,
        "Every step is clipped by a large factor: the bound sets the size of the steps, not the gradient.",
        f"the norm of all gradients is cut to {short(limit)}, a {short(factor)}th of it, in each of the last "
        f"{bounds.clip_steps} steps and more; the bound of this rule is {bounds.clip_factor:g}",
        "Find the layer with the largest gradient, or raise the bound and lower the learning rate.",
    )


def _idle(step: int, largest: float, limit: float, bounds: Bounds) -> Finding:
    return Finding(
        "clipping",
        "note",
        "",
        "gradient norm",
        step,
        "Clipping has no effect any more: the gradients are far below its bound.",
        f"the largest norm since is {short(largest)}, the clip is at {short(limit)}; noted below "
        f"{bounds.clip_idle:g} of it",
        f"A bound of about {short(10 * largest)} would still stop a bad batch.",
    )
