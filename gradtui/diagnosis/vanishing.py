"""Weights that get next to no gradient while others of the network get a lot."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from gradtui.core.arrays import no_floats
from gradtui.diagnosis.finding import Finding
from gradtui.diagnosis.rounding import is_rounding
from gradtui.diagnosis.table import Spell, middle, newest, spell_of, upper
from gradtui.diagnosis.words import gradients_of, others, short, since

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet

    from gradtui.core.arrays import Flags, Floats, Indices
    from gradtui.diagnosis.bounds import Bounds
    from gradtui.diagnosis.evidence import Evidence
    from gradtui.diagnosis.table import Table

IDLE: Final = 3.0
"""Times the longest stretch of steps without any gradient before: then it has stopped for good."""
LARGE: Final = 0.9
"""The network's large gradients begin at this quantile of its weights."""


def find(evidence: Evidence, bounds: Bounds) -> Iterator[Finding]:
    """Yield one finding for the weights that are far below the network's large gradients, one for those that fell.

    What was so for a while and is no more is a note, one for all that were so at one time. Each module is told once.

    A weight's gradient norm is held against the upper tenth of the weights at the same step, where those
    lie behind it on the way to the loss (a gradient that is lost on its way back), and against its own past
    share of the median of all. Both are shares of the same step: a learning rate, a loss or a training that
    has converged changes all of them alike.

    Steps whose loss gives no gradient to anything (a reward that seldom comes) say nothing of the way back, unless that
    is how it stays.

    Special values: steps with a non-finite gradient are passed over; the share of a gradient of 0 is 0, also where all
    are; networks of fewer than three
    weights give nothing.
    """
    table = evidence.weights_of(evidence.gradients)
    table = table.without(_idle(evidence.gradients, bounds)[:, None] & table.known)
    if len(table) < bounds.rows or len(table.keys) < 3:
        return
    with np.errstate(invalid="ignore", divide="ignore"):
        half = max(len(table) // 2, 1)
        own = middle(table.last[:half])
        # Where all are zero, those that once were not have fallen: that is the other case.
        far = table.high / upper(table.last, LARGE, axis=1)[:, None]
        far = np.where((table.high == 0) & ~(own > 0), 0.0, far)
        share = np.where(table.high == 0, 0.0, table.high / middle(table.last, axis=1)[:, None])
        usual = middle(share[:half])
        # What stays as it was while the others explode has not fallen, nor what never had a gradient.
        fell = (table.high < bounds.vanish_own * own) & ~is_rounding(own, bounds)
        past = share / usual
    cases = (
        _Case(_spell(table, far < bounds.vanish_below, bounds), far, bounds.vanish_below),
        _Case(_spell(table, (past < bounds.vanish_past) & fell, bounds), past, bounds.vanish_past, own),
    )  # fmt: skip
    told: set[str] = set()
    for over in (False, True):
        for case in cases:
            for columns, rows in _together(case.spell, len(table), over=over):
                new = np.array([i for i in columns if table.keys[i].path not in told], np.intp)
                if not case.fell:
                    new = new[_loss_side(evidence, table.until(rows), new, bounds)]
                if len(new):
                    finding = _finding(
                        evidence, table.until(rows), new, case, bounds, told, over=over
                    )
                    told.update(finding.paths, (table.keys[i].path for i in new.tolist()))
                    yield finding


def _idle(table: Table, bounds: Bounds) -> Flags:
    """The rows in which all gradients are zero [k], without those at the end where that lasts longer than it ever did."""
    known: Flags = np.any(table.known, axis=1, keepdims=True)[:, 0]
    idle: Flags = np.logical_and(known, ~np.any(table.high > 0, axis=1))
    spans = (table.ends - table.steps + 1).astype(np.intp)
    # A stretch is all idle rows between two others; it is as long as their steps.
    stretch = np.cumsum(known & ~idle)
    lengths = np.bincount(stretch, weights=np.where(idle, spans, 0), minlength=1)
    if lengths[-1] >= max(IDLE * lengths[:-1].max(initial=0), bounds.idle_steps):
        idle &= stretch < len(lengths) - 1
    return idle


@dataclass(frozen=True, slots=True, eq=False)
class _Case:
    """One of the two ways to vanish: when, the shares [k, n] that are below the bound then, and the bound.

    ``usual``: of what fell, the norms that it fell from [n]; none of what was always far below the others.
    """

    spell: Spell
    shares: Floats
    bound: float
    usual: Floats = field(default_factory=no_floats)

    @property
    def fell(self) -> bool:
        """Whether it fell, and was not always so."""
        return len(self.usual) > 0


def _spell(table: Table, mask: Flags, bounds: Bounds) -> Spell:
    return spell_of(mask, table.known, bounds.gap, bounds.rows)


def _together(spell: Spell, length: int, *, over: bool) -> Iterator[tuple[Indices, int]]:
    """Yield columns that vanish at one time, and how many rows were known by the end of that time."""
    if not over:
        yield spell.ongoing, length
        return
    rest = spell.past
    while len(rest):
        latest = rest[np.argmax(spell.end[rest])]
        group = spell.end[rest] >= spell.start[latest]
        yield rest[group], int(spell.end[latest]) + 1
        rest = rest[~group]


def _loss_side(evidence: Evidence, table: Table, columns: Indices, bounds: Bounds) -> Flags:
    """Whether the large gradients lie between these weights and the loss: else they grow on their way back.

    Where all gradients are zero there are no large ones, and no weight is left out.
    """
    now = newest(table.last, bounds.rows)
    if not np.nan_to_num(now).any():
        return np.ones(len(columns), np.bool_)
    depth = evidence.structure.depths(table.keys)
    large = now >= upper(now, LARGE) / 10
    behind: Flags = depth[columns] < np.median(depth[large]) if large.any() else columns < 0
    return behind


def _silent(
    evidence: Evidence, paths: list[str], rows: int, told: AbstractSet[str], bounds: Bounds
) -> tuple[str, ...]:
    """Which modules get nothing at all: of those given, those without any other gradient, and those like them.

    A weight whose input is 0 has no gradient, while the bias beside it has one: the gradient came that far, and what
    is wrong lies before it. Where only such modules are left, all are. Modules without a weight matrix (a
    normalisation) are added where all of their gradients became zero, unless another finding has ``told`` them.
    """
    table = evidence.gradients.until(rows)
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
    return (*kept, *(p for p in dict.fromkeys(ended) if p not in moving | matrices | told))


def _finding(
    evidence: Evidence,
    table: Table,
    columns: Indices,
    case: _Case,
    bounds: Bounds,
    told: AbstractSet[str],
    *,
    over: bool,
) -> Finding:
    """One finding for some columns; ``told``: the modules that another one is about."""
    now = newest(table.last[:, columns], bounds.rows)
    shares = newest(case.shares[: len(table), columns], bounds.rows)
    paths = [table.keys[i].path for i in columns.tolist()]
    if (now == 0).all():
        paths = list(_silent(evidence, paths, len(table), told, bounds))
    own = set(paths)
    worst = min(
        (i for i, column in enumerate(columns.tolist()) if table.keys[column].path in own),
        key=lambda i: float(now[i]),
    )
    key = table.keys[columns[worst]]
    also = others(paths, key.path)
    zero = bool(now[worst] == 0)
    layers, below = (
        {table.keys[i].path for i in part} for part in (range(len(table.keys)), columns.tolist())
    )
    advice = (
        "Look for what multiplies by zero between it and the loss: dead units, a gate, a mask."
        if zero
        else "Try an activation that does not flatten (ReLU, GELU), a normalisation or a skip connection between it and the loss."
    )
    return Finding(
        "vanishing",
        "note" if over else "bad" if shares[worst] < bounds.vanish_bad else "warn",
        key.path,
        key.slot,
        since(table, int(case.spell.start[columns].min())),
        f"{gradients_of(key.path, also)} {_verb(zero=zero, fell=case.fell, over=over, many=bool(also))}.",
        f"{_compared(case, int(columns[worst]), float(now[worst]), float(shares[worst]), over=over)}, and "
        f"{len(below)} of {len(layers)} layers with a weight matrix {'were' if over else 'are'} below it",
        advice,
        until=int(table.ends[-1]) if over else -1,
        also=also,
        series=(key,),
    )


def _compared(case: _Case, column: int, norm: float, share: float, *, over: bool) -> str:
    """What the norm is held against, and the bound."""
    told = f"|grad|2 {'was' if over else 'is'} {short(norm)}"
    against = "the network's large ones"
    if case.fell:
        told += f", usually {short(float(case.usual[column]))}"
        against = "its usual share beside the others"
    if not norm:
        return f"{told}; the bound is {case.bound:g} of {against}"
    return f"{told}: {short(share)} of {against}; the bound is {case.bound:g}"


def _verb(*, zero: bool, fell: bool, over: bool, many: bool) -> str:
    """What the gradient does, or the gradients do."""
    if zero:
        be = ("were" if many else "was") if over else ("are" if many else "is")
        words = f"{be} exactly zero"
    elif fell:
        words = "fell behind the others"
    elif over:
        words = f"vanished on {'their' if many else 'its'} way back"
    else:
        words = "vanish on their way back" if many else "vanishes on its way back"
    return f"{words} for a while" if over else words
