"""Units that are silent over whole batches, again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from gradtui.diagnosis.finding import Finding
from gradtui.diagnosis.learning_rate import rise_of_rate
from gradtui.diagnosis.outputs import Times, by_module, deepest, few_rows
from gradtui.diagnosis.table import spell_of
from gradtui.diagnosis.words import percent, since

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradtui.core.arrays import Flags, Floats
    from gradtui.diagnosis.bounds import Bounds
    from gradtui.diagnosis.evidence import Evidence
    from gradtui.diagnosis.table import Table

PASSING: Final = (
    "Dropout",
    "Pool",
    "Flatten",
    "Identity",
    "Unfold",
    "Pad",
    "Upsample",
    "Embedding",
)
"""Classes that hand on the silence of what is before them, or are silent by design: parts of their names."""


def find(evidence: Evidence, bounds: Bounds) -> Iterator[Finding]:
    """Yield the outputs of which most units are 0 over a whole batch, at every measurement; a note where they were.

    The share of such units says something only where a unit has many values in a batch (it is a channel,
    or the batch is large): else a unit that fires now and then looks dead. There all values must be zero.

    Where fewer are, and just as many at each of the newest measurements, that is a note: those units never come back.

    What is given nothing but zeros hands on a silence that began before it, and is not told.

    Special values: a call that was not made, or gave an empty batch, is passed over.
    """
    dead = evidence.table("output", "dead")
    if len(dead) < few_rows(bounds):
        return
    units = evidence.aligned(evidence.table("output", "units"), dead)
    count = evidence.aligned(evidence.table("output", "count"), dead)
    zeros = evidence.aligned(evidence.table("output", "zeros"), dead)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = dead.low / units.high
        samples = count.high / units.high
        silent = zeros.low / count.high >= bounds.dead_zeros
    most = (share >= bounds.dead_share) & ((units.high >= bounds.dead_units) | (share >= 1))
    mask = most & ((samples >= bounds.dead_samples) | silent)
    steady = _steady(dead, share, bounds) & (units.high >= bounds.dead_units)
    steady &= samples >= bounds.dead_samples
    found = spell_of(mask, ~np.isnan(share), bounds.gap, few_rows(bounds)).start >= 0
    few = spell_of(steady, ~np.isnan(share), 0, bounds.dead_steady_rows).ongoing
    few = few[~found[few]]
    mask[:, few] = steady[:, few]
    times = Times.of(mask, share, bounds.dead_bad, bounds)
    columns = [
        column
        for column in np.flatnonzero(times.spell.start >= 0).tolist()
        if not any(word in evidence.kinds.get(dead.keys[column].path, "") for word in PASSING)
    ]
    silent_in = _fed_silence(evidence, bounds) if columns else set()
    columns = [c for c in columns if (dead.keys[c].path, dead.keys[c].call) not in silent_in]
    columns = _without_twins(evidence, dead, deepest(dead.keys, columns))
    rose: dict[int, str] = {}
    for told in by_module(dead, times, columns, bounds.dead_bad):
        key, now, over = dead.keys[told.column], told.share, told.over
        all_units = int(units.high[told.row, told.column])
        start = since(dead, told.start)
        if start not in rose:
            onset = int(dead.ends[told.start])
            rose[start] = rise_of_rate(evidence, onset, onset)
        is_few = told.column in few
        bound = bounds.dead_steady if is_few else bounds.dead_share
        before = ", the same number each time" if is_few else ""
        if told.before >= 0:
            before = f" ({round(told.before_share * all_units)} or more since step {since(dead, told.before)})"
        yield Finding(
            "dead units",
            "note" if over or is_few else "bad" if now >= bounds.dead_bad else "warn",
            key.path,
            told.name,
            start,
            f"{'All' if now >= 1 else 'Many' if is_few else 'Most'} units of {evidence.place(key.path)} {'were' if over else 'are'} dead{told.where}"
            f"{' for a while' if over else ''}.",
            f"{round(now * all_units)} of {all_units} units ({percent(now)}){' or more' if told.grew else ''} {'were' if over else 'are'} 0 over a whole "
            f"batch{told.words}, {int(times.spell.count[told.column])} times in a row{before}; the bound is {percent(bound)}{rose[start]}",
            "Try a lower learning rate, biases that begin at 0 or above, or LeakyReLU or GELU instead.",
            until=int(dead.ends[told.row]) if over else -1,
            series=(key.of("dead_share"), key.of("zero_share")),
        )


def _steady(dead: Table, share: Floats, bounds: Bounds) -> Flags:
    """Where as many units were dead as at the newest measurement, and enough of them for a note [k, n]."""
    known = dead.known
    last = dead.last[len(dead) - 1 - np.argmax(known[::-1], axis=0), np.arange(len(dead.keys))]
    with np.errstate(invalid="ignore"):
        steady: Flags = (dead.low == last) & (dead.high == last) & (share >= bounds.dead_steady)
    return steady


def _without_twins(evidence: Evidence, dead: Table, columns: list[int]) -> list[int]:
    """The columns without attached tensors that are a module's output, which has the same numbers."""
    attached = [c for c in columns if evidence.is_attached(dead.keys[c].path)]
    others = [c for c in columns if c not in attached]
    twins = {
        one
        for one in attached
        for other in others
        if np.array_equal(dead.last[:, one], dead.last[:, other], equal_nan=True)
        and dead.keys[other].path.startswith(dead.keys[one].path.rpartition(".")[0])
    }
    return [c for c in columns if c not in twins]


def _fed_silence(evidence: Evidence, bounds: Bounds) -> set[tuple[str, int]]:
    """The modules and calls whose newest inputs are all zero; none where the model's own are: it begins there."""
    zeros, count = evidence.run.column("input", "zeros"), evidence.run.column("input", "count")
    amount = dict(zip(count.keys, count.values.tolist(), strict=True))
    found: dict[tuple[str, int], bool] = {}
    for key, value in zip(zeros.keys, zeros.values.tolist(), strict=True):
        call = (key.path, key.call)
        silent = value >= bounds.dead_zeros * amount.get(key.of("count"), np.inf)
        found[call] = silent and found.get(call, True)
    silent_calls = {call for call, silent in found.items() if silent}
    return silent_calls if all(path for path, _ in silent_calls) else set()
