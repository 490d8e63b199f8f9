"""Weights that get next to no gradient while others of the network get a lot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from gradtui.diagnosis.finding import Finding
from gradtui.diagnosis.table import middle, newest, ongoing, upper
from gradtui.diagnosis.words import and_more, others, place, short, since

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradtui.core.arrays import Flags, Floats, Indices
    from gradtui.diagnosis.bounds import Bounds
    from gradtui.diagnosis.evidence import Evidence
    from gradtui.diagnosis.table import Table

LARGE: Final = 0.9
"""The network's large gradients begin at this quantile of its weights."""


def find(evidence: Evidence, bounds: Bounds) -> Iterator[Finding]:
    """Yield one finding for the weights that are far below the network's large gradients, one for those that fell.

    A weight's gradient norm is held against the upper tenth of the weights at the same step, where those
    lie behind it on the way to the loss (a gradient that is lost on its way back), and against its own past
    share of the median of all. Both are shares of the same step: a learning rate, a loss or a training that
    has converged changes all of them alike.

    Special values: steps with a non-finite gradient are passed over; networks of fewer than three
    weights give nothing.
    """
    table = evidence.weights_of(evidence.gradients)
    if len(table) < bounds.rows or len(table.keys) < 3:
        return
    with np.errstate(invalid="ignore", divide="ignore"):
        far = table.high / upper(table.last, LARGE, axis=1)[:, None]
        share = table.high / middle(table.last, axis=1)[:, None]
        half = max(len(share) // 2, 1)
        usual = middle(share[:half])
        # What stays as it was while the others explode has not fallen.
        fell = table.high < bounds.vanish_own * middle(table.last[:half])
    below = _held(table, far < bounds.vanish_below, bounds)
    below = below[_loss_side(evidence, table, below, bounds)]
    if len(below):
        yield _finding(evidence, table, below, far, bounds.vanish_below, bounds)
    fallen = _held(table, (share < bounds.vanish_past * usual) & fell, bounds)
    fallen = np.setdiff1d(fallen, below)
    if len(fallen):
        with np.errstate(invalid="ignore", divide="ignore"):
            against = share / usual
        yield _finding(evidence, table, fallen, against, bounds.vanish_past, bounds, fell=True)


def _held(table: Table, mask: Flags, bounds: Bounds) -> Indices:
    _, count = ongoing(mask, table.known, bounds.gap)
    return np.flatnonzero(count >= bounds.rows)


def _loss_side(evidence: Evidence, table: Table, columns: Indices, bounds: Bounds) -> Flags:
    """Whether the large gradients lie between these weights and the loss: else they grow on their way back."""
    now = newest(table.last, bounds.rows)
    depth = evidence.structure.depths(table.keys)
    large = now >= upper(now, LARGE) / 10
    behind: Flags = depth[columns] < np.median(depth[large]) if large.any() else columns < 0
    return behind


def _silent(evidence: Evidence, paths: list[str], bounds: Bounds) -> tuple[str, ...]:
    """Which modules get nothing at all: of those given, those without any other gradient, and those like them.

    A weight whose input is 0 has no gradient, while the bias beside it has one: the gradient came that far, and what
    is wrong lies before it. Where only such modules are left, all are. Modules without a weight matrix (a
    normalisation) are added where all of their gradients became zero.
    """
    table = evidence.gradients
    last = newest(table.last, bounds.rows)
    known = np.count_nonzero(table.known[-bounds.rows :], axis=0) > 0
    stopped = (last == 0) & known
    moving = {key.path for key, value in zip(table.keys, last.tolist(), strict=True) if value > 0}
    was = (table.high > 0).any(axis=0)
    matrices = {table.keys[i].path for i in evidence.weights(table.keys).tolist()}
    ended = [table.keys[i].path for i in np.flatnonzero(stopped & was).tolist()]
    kept = [path for path in paths if path not in moving]
    if not kept:
        return tuple(paths)
    return (*kept, *(p for p in dict.fromkeys(ended) if p not in moving and p not in matrices))


def _finding(
    evidence: Evidence,
    table: Table,
    columns: Indices,
    share: Floats,
    bound: float,
    bounds: Bounds,
    *,
    fell: bool = False,
) -> Finding:
    starts, _ = ongoing(share[:, columns] < bound, table.known[:, columns], bounds.gap)
    now = newest(table.last[:, columns], bounds.rows)
    shares = newest(share[:, columns], bounds.rows)
    paths = [table.keys[i].path for i in columns.tolist()]
    if (now == 0).all():
        paths = list(_silent(evidence, paths, bounds))
    own = set(paths)
    worst = min(
        (i for i, column in enumerate(columns.tolist()) if table.keys[column].path in own),
        key=lambda i: float(now[i]),
    )
    key = table.keys[columns[worst]]
    also = others(paths, key.path)
    step = since(table, int(starts.min()))
    zero = now[worst] == 0
    against = "its own usual share of the others" if fell else "the network's large ones"
    word = "fell behind the others" if fell else "vanishes on its way back"
    if zero:
        word = "is exactly zero"
    advice = (
        "Look for what multiplies by zero between it and the loss: dead units, a gate, a mask."
        if zero
        else "Try an activation that does not flatten (ReLU, GELU), a normalisation or a skip connection between it and the loss."
    )
    return Finding(
        "vanishing",
        "bad" if shares[worst] < bounds.vanish_bad else "warn",
        key.path,
        key.slot,
        step,
        f"The gradient of {place(key.path)}{and_more(also)} {word}.",
        f"|grad|2 {short(now[worst])} is {short(shares[worst])} of {against}; the bound is {bound:g}, "
        f"and {len(columns)} of {len(table.keys)} weights are below it",
        advice,
        also=also,
        series=(key,),
    )
