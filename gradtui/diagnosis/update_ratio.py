"""Steps that are too large or too small for the weights that they change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradtui.diagnosis.causes import ALL_WEIGHTS
from gradtui.diagnosis.finding import Finding
from gradtui.diagnosis.rounding import is_rounding
from gradtui.diagnosis.table import middle, newest, ongoing
from gradtui.diagnosis.words import and_more, others, place, short, since

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradtui.core.arrays import Floats, Indices
    from gradtui.diagnosis.bounds import Bounds
    from gradtui.diagnosis.evidence import Evidence
    from gradtui.diagnosis.table import Table


def find(evidence: Evidence, bounds: Bounds) -> Iterator[Finding]:
    """Yield steps that replace a weight, steps that do not reach one, and a run that never moved.

    The ratio is ‖w_after − w_before‖₂ / ‖w_before‖₂ of matrices and kernels alone: biases and
    scales begin at zero and move by their own size. Weights that are zero themselves are passed over.
    Small ratios count against the other weights of the same step, or over the whole run: a learning rate that
    was brought to zero makes all of them small, and that is how a training ends. Weights that make no steps
    because no gradient arrives (0, or `is_rounding`) are told apart from those that have one.

    Special values: a ratio over a weight of 0 is NaN; skipped steps are passed over.
    """
    step = evidence.weights_of(evidence.table("update", "ratio"))
    if len(step) < bounds.update_rows:
        return
    low, high = step.low, step.high
    start, count = ongoing(low >= bounds.update_large, ~np.isnan(low), bounds.gap)
    large = np.flatnonzero(count >= bounds.update_rows)
    if len(large):
        yield _large(step, low, large, start, bounds)
    greatest = float(np.nanmax(high, initial=0))
    if greatest < bounds.update_small:
        if len(step) >= 2 * bounds.update_rows and not evidence.warming_up:
            yield _nothing(evidence, step, greatest, bounds)
        return
    with np.errstate(invalid="ignore"):
        usual = middle(high, axis=1)
        behind = (high < bounds.update_share * usual[:, None]) & (usual > bounds.update_small)[
            :, None
        ]
    start, count = ongoing(behind, ~np.isnan(high), bounds.gap)
    small = np.flatnonzero(count >= bounds.update_rows)
    if not len(small):
        return
    gradient = newest(evidence.aligned(evidence.gradients, step).last, bounds.update_rows)
    unreached = is_rounding(gradient, bounds)
    for reached in (True, False):
        columns = small[unreached[small] != reached]
        if len(columns):
            norms = np.zeros(0) if reached else gradient
            yield _small(step, high, usual, columns, start, norms, bounds)


def _large(step: Table, ratio: Floats, columns: Indices, start: Indices, bounds: Bounds) -> Finding:
    now = newest(ratio[:, columns], bounds.update_rows)
    worst = int(np.nanargmax(now))
    key = step.keys[columns[worst]]
    also = others([step.keys[i].path for i in columns.tolist()], key.path)
    return Finding(
        "update ratio",
        "bad" if now[worst] >= bounds.update_bad else "warn",
        key.path,
        key.slot,
        since(step, int(start[columns].min())),
        f"Every step replaces a large part of {place(key.path)}{and_more(also)}.",
        f"|step| / |weight| is {short(now[worst])} (about 1e-3 is usual); the bound is {bounds.update_large:g}, "
        f"for {bounds.update_rows} steps in a row",
        "Try a tenth of the learning rate.",
        also=also,
        series=(key.of("ratio"),),
    )


def _small(
    step: Table,
    ratio: Floats,
    usual: Floats,
    columns: Indices,
    start: Indices,
    gradient: Floats,
    bounds: Bounds,
) -> Finding:
    """Steps that are too small; ``gradient``: the norms of all [n] where none arrives at these, else empty."""
    now = newest(ratio[:, columns], bounds.update_rows)
    worst = int(np.nanargmin(now))
    key = step.keys[columns[worst]]
    also = others([step.keys[i].path for i in columns.tolist()], key.path)
    others_now = float(newest(usual[:, None], bounds.update_rows)[0])
    none = now[worst] == 0
    without = ""
    if len(gradient):
        most = float(middle(gradient))
        without = f"; its |grad|2 is {short(float(gradient[columns[worst]]))}, that of the others {short(most)}"
    return Finding(
        "update ratio",
        "warn",
        key.path,
        key.slot,
        since(step, int(start[columns].min())),
        f"The steps of {place(key.path)}{and_more(also)} {'change nothing' if none else 'stay far behind the others'}.",
        f"|step| / |weight| is {short(now[worst])}, that of the others {short(others_now)}; the bound is "
        f"{bounds.update_share:g} of it, for {bounds.update_rows} steps in a row{without}",
        "No gradient arrives: look for what the loss does not depend on (a number added to all logits of a softmax), "
        "or what multiplies by zero."
        if without
        else "Check that the optimizer holds it, its group's learning rate, and whether its dtype can hold so small a step."
        if none
        else "Check the learning rate of its parameter group, and what its gradient is lost to.",
        also=also,
        series=(key.of("ratio"),),
        unfed=True,
    )


def _nothing(evidence: Evidence, step: Table, greatest: float, bounds: Bounds) -> Finding:
    """Nothing moves: for want of a gradient, of an optimizer that holds the weights, or of a learning rate."""
    gradient, weight = (
        newest(evidence.aligned(table, step).last, bounds.update_rows)
        for table in (evidence.gradients, evidence.table("update", "base_l2"))
    )
    known = ~np.isnan(gradient)
    what, unfed = "The weights do not move.", known.any() and not gradient[known].any()
    norm = float(middle(gradient[known])) if known.any() else np.nan
    told = "" if np.isnan(norm) else f"; the median |grad|2 is {short(norm)}"
    with np.errstate(invalid="ignore", divide="ignore"):
        share = gradient[known] / weight[known]
    if unfed:
        what = "No gradient arrives at any weight, and none moves."
        told = "; |grad|2 is 0 for all weights"
        advice = "Look whether the loss depends on the model's output, and for what multiplies by zero on the way to it."
    elif known.any() and float(np.nanmax(share, initial=0)) < bounds.update_small:
        told += f", at most {short(float(np.nanmax(share)))} of its weight"
        advice = "Look why the gradients are so small before the learning rate: the scale of the loss, or what it passes through."
    elif not greatest:
        advice = (
            "Check that the optimizer holds these very parameters, that its learning rate is not 0, and whether "
            "their dtype can hold so small a step."
        )
    else:
        advice = "Try a learning rate that is a thousand times larger, and check that the scheduler does not begin at zero."
    return Finding(
        "update ratio",
        "warn",
        "",
        ALL_WEIGHTS,
        since(step, 0),
        what,
        f"the largest |step| / |weight| of the run is {short(greatest)} (about 1e-3 is usual); the bound is "
        f"{bounds.update_small:g}{told}",
        advice,
        series=tuple(key.of("ratio") for key in step.keys[:1]),
        unfed=bool(unfed),
    )
