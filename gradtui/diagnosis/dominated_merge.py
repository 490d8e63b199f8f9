"""Places where several paths meet and the gradient goes along one of them alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gradtui.diagnosis.finding import Finding
from gradtui.diagnosis.outputs import few_rows
from gradtui.diagnosis.table import ongoing
from gradtui.diagnosis.words import called, in_calls, place, short, since, times

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradtui.core.arrays import Floats
    from gradtui.core.run.keys import SeriesKey
    from gradtui.diagnosis.bounds import Bounds
    from gradtui.diagnosis.evidence import Evidence
    from gradtui.diagnosis.table import Table


@dataclass(frozen=True, slots=True)
class Merge:
    """Columns of one table whose paths meet.

    Attributes:
        at: the module that they meet at: one with several inputs, or one whose output goes several ways.
        is_input: whether they are its inputs; else they are where its output goes.
        columns: positions in the table of the gradients of inputs.
    """

    at: SeriesKey
    is_input: bool
    columns: tuple[int, ...]


def find(evidence: Evidence, bounds: Bounds) -> Iterator[Finding]:
    """Yield modules with several inputs, and outputs with several readers, of which one gets all the gradient.

    Of a module with several inputs the gradient of each tells what it is worth to the loss
    (TorchExplorer's input norms); an output's gradient is the sum of what its readers send back. The
    strongest is held against all others together, in norms.

    Special values: inputs without a gradient (masks, indices) are no path; where the others are exactly
    zero or one of them is not finite, other rules speak.
    """
    table = evidence.clean("input gradient", "l2")
    if len(table) < few_rows(bounds):
        return
    merges = evidence.structure.about(
        "merges", (table.keys,), lambda: merges_of(evidence, table.keys)
    )
    if not merges:
        return
    strongest, rest = _parts(table, merges)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(rest > 0, strongest / rest, np.nan)
    known = ~np.isnan(ratio)
    start, count = ongoing(ratio >= bounds.merge_ratio, known, bounds.gap)
    # The calls of one module are told together: of an accumulated gradient each micro-batch is one.
    alike: dict[tuple[str, str, bool], list[int]] = {}
    for number, merge in enumerate(merges):
        slot = "" if merge.is_input else merge.at.slot
        alike.setdefault((merge.at.path, slot, merge.is_input), []).append(number)
    for group in alike.values():
        so = [number for number in group if count[number] >= few_rows(bounds)]
        if so:
            first = int(start[so].min())
            made = sum(bool(known[first:, number].any()) for number in group)
            calls = [merges[number].at.call for number in so]
            told = min(so, key=lambda number: merges[number].at.call)
            words, partly = in_calls(calls, made), len(so) < made
            yield _finding(table, merges[told], ratio[:, told], first, words, partly, bounds)


def merges_of(evidence: Evidence, keys: tuple[SeriesKey, ...]) -> tuple[Merge, ...]:
    """Return where several of the given inputs' gradients meet."""
    by_call: dict[tuple[str, int], list[int]] = {}
    place: dict[tuple[str, str, int], int] = {}
    for i, key in enumerate(keys):
        by_call.setdefault((key.path, key.call), []).append(i)
        place[key.path, key.slot, key.call] = i
    found = [
        Merge(keys[columns[0]], True, tuple(columns))
        for columns in by_call.values()
        if len(columns) > 1
    ]
    readers: dict[SeriesKey, set[int]] = {}
    for source, target in evidence.run.edges.pairs:
        at = place.get((target.path, target.slot, target.call))
        if at is not None and evidence.structure.is_leaf(target.path):
            readers.setdefault(source, set()).add(at)
    for source, columns_ in readers.items():
        if len({keys[i].path for i in columns_}) > 1 and evidence.structure.is_leaf(source.path):
            found.append(Merge(source, False, tuple(sorted(columns_))))
    return tuple(found)


def _parts(table: Table, merges: tuple[Merge, ...]) -> tuple[Floats, Floats]:
    """The strongest path of each merge and the root of the others' squares, [k, merges].

    Spans of steps give the least of the strongest and the greatest of the others: what is found held in
    all of them.
    """
    flat = np.array([column for merge in merges for column in merge.columns], np.intp)
    starts = np.cumsum([0, *(len(merge.columns) for merge in merges[:-1])])
    low, high = np.nan_to_num(table.low[:, flat]), np.nan_to_num(table.high[:, flat])
    strongest = np.maximum.reduceat(low, starts, axis=1)
    largest = np.maximum.reduceat(high, starts, axis=1)
    squares = np.add.reduceat(np.square(high), starts, axis=1)
    return strongest, np.sqrt(np.maximum(squares - np.square(largest), 0))


def _finding(
    table: Table,
    merge: Merge,
    ratio: Floats,
    start: int,
    words: str,
    partly: bool,
    bounds: Bounds,
) -> Finding:
    """The finding; ``words``: in which calls; ``partly``: in others it is not so, and the call has to be named."""
    row = int(np.flatnonzero(~np.isnan(ratio))[-1])
    values = table.last[row, list(merge.columns)]
    strongest = table.keys[merge.columns[int(np.nanargmax(values))]]
    if merge.is_input:
        what = f"Of the inputs of {place(merge.at.path)} only one gets a gradient worth the name."
        name = called(strongest if partly else replace(strongest, call=0))
    else:
        what = f"Of the ways on from {place(merge.at.path)} one alone sends a gradient back."
        name = f"{called(merge.at if partly else replace(merge.at, call=0))} to {place(strongest.path)}"
    listed = ", ".join(
        f"{table.keys[i].slot or table.keys[i].path} {short(float(v))}"
        for i, v in zip(merge.columns[:4], values[:4].tolist(), strict=True)
    )
    return Finding(
        "dominated merge",
        "warn",
        merge.at.path,
        name,
        since(table, start),
        what,
        f"|grad|2 by path: {listed}; the strongest is {times(float(ratio[row]))} all others{words}, the bound "
        f"is {times(bounds.merge_ratio)}",
        "Check the scale of the weak paths: a normalisation on each, or a gate that begins open.",
        series=tuple(table.keys[i] for i in merge.columns),
    )
