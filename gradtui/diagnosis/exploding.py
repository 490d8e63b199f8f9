"""Gradients that grow far beyond what they were, or on their way back through the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from gradtui.diagnosis.finding import Finding
from gradtui.diagnosis.learning_rate import rise_of_rate
from gradtui.diagnosis.rounding import is_rounding
from gradtui.diagnosis.table import lasting, middle, newest, ongoing
from gradtui.diagnosis.words import and_more, gradients_of, others, place, short, since, times

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradtui.core.arrays import Flags, Floats, Indices
    from gradtui.diagnosis.bounds import Bounds
    from gradtui.diagnosis.evidence import Evidence
    from gradtui.diagnosis.table import Table

LEAST_WINDOW: Final = 20
"""Steps that growth is looked for over, at least: one batch after another is noise."""
SMOOTHED: Final = 9
"""Losses whose median says whether the loss falls."""
CLEAR: Final = 4.0
"""Median deviations of single losses that a running median must rise by: about three standard deviations."""


@dataclass(frozen=True, slots=True)
class Growth:
    """A gradient that grew: its column, the rows where it began, was largest and last held, over what, and what was allowed."""

    column: int
    begin: int
    top: int
    end: int
    before: float
    peak: float
    bound: float

    @property
    def factor(self) -> float:
        """How many times its former largest value it reached."""
        return self.peak / self.before


def find(evidence: Evidence, bounds: Bounds) -> Iterator[Finding]:
    """Yield one finding for gradients that outgrew their past, one for those that grow from layer to layer.

    The first is judged at every step against all that the norm was up to a window before (prefix
    maximum), so that neither the warm-up nor a restart that returns to a former level counts, and
    against the network's usual level, so that what begins at zero may grow. The second needs no past: a
    weight whose gradient is 10⁴ times that of the weights behind it that are next to the loss. Weights that no
    gradient arrives at (`is_rounding`) are nothing to compare with.

    Special values: non-finite steps are passed over, so that an explosion is told that ended in NaN.
    """
    table = evidence.gradients
    if len(table) >= 2 * bounds.explode_rows:
        grown, further = _growths(evidence, table, bounds)
        going = [g for g in grown if _goes_on(table, g, bounds)]
        if going:
            # Its profile is steep then, too: once is enough.
            yield _grown(evidence, table, going, further)
            return
        if grown:
            yield _grown(evidence, table, grown, further, over=True)
    if len(table) >= bounds.rows:
        yield from _profile(evidence, table, bounds)


def _growths(
    evidence: Evidence, table: Table, bounds: Bounds
) -> tuple[list[Growth], tuple[str, ...]]:
    """The growths with the largest peaks, and the modules of all others."""
    behind = _rows_before(table, bounds.explode_window)
    known = behind >= bounds.explode_rows
    if not known.any():
        return [], ()
    largest = np.fmax.accumulate(table.high, axis=0)
    before = np.where(known[:, None], largest[np.maximum(behind, 0)], np.nan)
    weights = evidence.weights(table.keys)
    level = middle(before[:, weights], axis=1) if len(weights) else middle(before, axis=1)
    steady = lasting(table.low, bounds.explode_rows)
    # Two rows of several measurements each have lasted long enough, too.
    joined = table.ends > table.steps
    pairs = 1 + np.flatnonzero(joined[1:] & joined[:-1])
    steady[pairs] = np.fmin(table.low[pairs], table.low[pairs - 1])
    allowed = _allowed(evidence, table, behind, bounds)
    with np.errstate(invalid="ignore"):
        mask = (steady >= allowed[:, None] * before) & (before > 0) & table.known
        mask &= steady >= bounds.explode_level * level[:, None]
    columns = np.flatnonzero(mask.any(axis=0))
    if len(columns) > bounds.most:
        peaks = np.where(mask[:, columns], table.high[:, columns], 0).max(axis=0)
        columns = columns[np.argsort(-peaks, kind="stable")]
    grown = [
        _growth(table, mask[:, column], before[:, column], allowed, column, bounds)
        for column in columns[: bounds.most].tolist()
    ]
    return grown, tuple([table.keys[i].path for i in columns[bounds.most :].tolist()])


def _growth(
    table: Table, mask: Flags, before: Floats, allowed: Floats, column: int, bounds: Bounds
) -> Growth:
    """The last growth of a column: from where it crossed its bound to where it was last near it."""
    values = table.high[:, column]
    begin = row = int(np.argmax(mask))
    while True:
        high = values[row:] >= bounds.explode_calm * bounds.explode_growth * before[begin]
        calm = ~high & ~np.isnan(values[row:])
        # It is over when it stays calm as long as it had to last.
        quiet = np.convolve(calm, np.ones(bounds.explode_rows), "valid") >= bounds.explode_rows
        end = row + (int(np.argmax(quiet)) - 1 if quiet.any() else len(values) - 1 - row)
        again = np.flatnonzero(mask[end + 1 :]) if quiet.any() else np.zeros(0)
        if not len(again):
            break
        begin = row = end + 1 + int(again[0])
    end = max(min(end, int(np.flatnonzero(~np.isnan(values))[-1])), begin)
    top = begin + int(np.nanargmax(values[begin : end + 1]))
    # It began before it had lasted, and before the loss said so.
    first = begin
    while first and table.low[first - 1, column] >= bounds.explode_growth * before[begin]:
        first -= 1
    return Growth(
        column, first, top, end, float(before[begin]), float(values[top]), float(allowed[begin])
    )


def _allowed(evidence: Evidence, table: Table, behind: Indices, bounds: Bounds) -> Floats:
    """The growth that is allowed at each row [k], by what the loss does meanwhile.

    A network that begins to learn has larger gradients than on its first plateau, often of all layers: that
    is no explosion as long as the loss falls. It rises when its running median is clearly above the best of the
    window: by several of its own deviations from that median.
    """
    allowed = np.full(len(table), bounds.explode_unknown)
    series = [evidence.run.series(key) for key in evidence.losses[:1]]
    if not series or series[0].empty:
        return allowed
    values = np.nan_to_num(np.asarray(series[0].values, np.float64), nan=np.inf)
    padded = np.concatenate([np.full(SMOOTHED - 1, values[0]), values])
    smooth = np.median(np.lib.stride_tricks.sliding_window_view(padded, SMOOTHED), axis=1)
    finite = np.isfinite(values) & np.isfinite(smooth)
    noise = float(np.median(np.abs(values[finite] - smooth[finite]))) if finite.any() else 0.0
    rows = np.searchsorted(series[0].steps, table.ends, side="right") - 1
    now = np.where(rows >= 0, smooth[np.maximum(rows, 0)], np.inf)
    before = np.maximum(behind, 0)
    best = np.array([now[i : j + 1].min() for i, j in zip(before, range(len(now)), strict=True)])
    allowed[now < now[before]] = bounds.explode_learning
    allowed[now > best + CLEAR * noise] = bounds.explode_growth
    return allowed


def _rows_before(table: Table, window: int) -> Indices:
    """For each row the last one that ended a window before it; -1 where there is none.

    The window is half of what the run has lasted: at its beginning there is little to compare with.
    """
    lasted = (table.steps - table.steps[0]) // 2
    back = np.clip(lasted, LEAST_WINDOW, window)
    rows: Indices = np.searchsorted(table.ends, table.steps - back, side="right") - 1
    return np.minimum(rows, np.arange(len(table)) - 1)


def _goes_on(table: Table, growth: Growth, bounds: Bounds) -> bool:
    known = np.flatnonzero(~np.isnan(table.last[:, growth.column]))
    return growth.end >= int(known[-1]) - bounds.gap


def _grown(
    evidence: Evidence,
    table: Table,
    grown: list[Growth],
    further: tuple[str, ...],
    *,
    over: bool = False,
) -> Finding:
    worst = max(grown, key=lambda g: g.peak)
    key = table.keys[worst.column]
    also = others((*(table.keys[g.column].path for g in grown), *further), key.path)
    begin = min(g.begin for g in grown)
    clipped = _is_clipped(evidence, worst)
    first, last = int(table.steps[worst.top]), int(table.ends[worst.top])
    when = f"at step {last}" if first == last else f"in steps {first} to {last}"
    return Finding(
        "exploding",
        "note" if over else "warn" if clipped else "bad",
        key.path,
        key.slot,
        since(table, begin),
        f"{gradients_of(key.path, also)} {'exploded' if over else 'explode' if also else 'explodes'}"
        + (", and came back." if over else ", before clipping." if clipped else "."),
        f"|grad|2 reached {short(worst.peak)} {when}, {times(worst.factor)} the largest before "
        f"({short(worst.before)}); the bound is {times(worst.bound)}"
        + rise_of_rate(evidence, int(table.ends[begin]), int(table.ends[worst.end])),
        "Try a lower learning rate or a longer warm-up"
        + ("." if clipped else ", or clip the gradient norm.")
        + (" Look at the batch of that step." if over else ""),
        until=int(table.ends[max(g.end for g in grown)]) if over else -1,
        also=also,
        series=(key,),
    )


def _is_clipped(evidence: Evidence, growth: Growth) -> bool:
    """Whether the optimizer saw less than half of it."""
    used = evidence.clean("gradient", "l2").high
    if used.shape[1] <= growth.column:
        return False
    return (
        float(np.nanmax(used[growth.begin : growth.end + 1, growth.column], initial=0))
        < growth.peak / 2
    )


def _profile(evidence: Evidence, table: Table, bounds: Bounds) -> Iterator[Finding]:
    table = evidence.weights_of(table)
    depth = evidence.structure.depths(table.keys)
    now = newest(table.last, bounds.rows)
    arrives = (now > 0) & ~is_rounding(now, bounds)
    if not arrives.any():
        return
    # The medians behind each candidate are costly: nothing can be far above one of them that is not far
    # above the smallest gradient of all.
    candidates = np.flatnonzero(now > bounds.explode_profile * now[arrives].min())
    found: list[tuple[int, int, float, float]] = []
    for column in candidates[np.argsort(-now[candidates])][: bounds.most].tolist():
        behind = np.flatnonzero((depth > depth[column]) & arrives)
        if not len(behind):
            continue
        # Those next to the loss: a weak branch beside it says nothing about this one.
        nearest = behind[np.argsort(-depth[behind], kind="stable")][: max(len(behind) // 4, 1)]
        median = middle(table.last[:, nearest], axis=1)
        norm = np.where(median > 0, table.low[:, column], np.nan)
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = norm / median
        mask = ratio > bounds.explode_profile
        start, count = ongoing(mask[:, None], ~np.isnan(ratio)[:, None], bounds.gap)
        if count[0] >= bounds.rows:
            # Told is what was judged: the newest rows that confirm it.
            told = np.where(mask[:, None], np.stack([norm, ratio], axis=1), np.nan)
            size, factor = newest(told, bounds.rows).tolist()
            found.append((column, int(start[0]), size, factor))
    if not found:
        return
    column, _, size, factor = max(found, key=lambda item: item[3])
    key = table.keys[column]
    also = others([table.keys[each].path for each, *_ in found], key.path)
    yield Finding(
        "exploding",
        "bad",
        key.path,
        key.slot,
        since(table, min(start for _, start, *_ in found)),
        f"The gradient grows on its way back to {place(key.path)}{and_more(also)}.",
        f"|grad|2 {short(size)} is {times(factor)} that of the layers next to the loss; the bound is "
        f"{times(bounds.explode_profile)}",
        "Try smaller initial weights (orthogonal ones for recurrent layers) or a normalisation.",
        also=also,
        series=(key,),
    )
