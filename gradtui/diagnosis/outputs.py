"""What the rules about outputs share: how often, at which of nested modules, and once for several calls."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gradtui.diagnosis.words import called, in_calls

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gradtui.core.arrays import Floats
    from gradtui.core.run.keys import SeriesKey
    from gradtui.diagnosis.bounds import Bounds
    from gradtui.diagnosis.table import Spell, Table


def few_rows(bounds: Bounds) -> int:
    """Return how many measurements of an output must agree.

    Outputs are measured every tenth step by default, so that half as many say more than those of every step.
    """
    return max(bounds.rows // 2, 2)


def deepest(keys: Sequence[SeriesKey], columns: Sequence[int]) -> list[int]:
    """Return the columns without those of modules that hold another one of them.

    The output of a block is that of its last module: one finding, at the module itself.
    """
    paths = {keys[column].path for column in columns}
    holders = set()
    for path in paths:
        above = path
        while above:
            above = above.rpartition(".")[0]
            holders.add(above)
    return [column for column in columns if keys[column].path not in holders]


@dataclass(frozen=True, slots=True)
class Calls:
    """The calls of one module in which the same is so: of an accumulated gradient each micro-batch is one.

    Attributes:
        column: of the call that is told.
        start: the first row for which it is so in any of them.
        row: the newest row that tells how much of the output it is; ``share`` is that.
        over: whether it is so no more.
        name: what it is about: "output" where it is so in every call, "output (call 1)" where others are fine.
        where: " in one of its calls", " in some of its calls", or "" where it is so in every call.
        words: in how many of how many calls; "" where there is only one.
    """

    column: int
    start: int
    row: int
    share: float
    over: bool
    name: str
    where: str
    words: str


def by_module(
    table: Table, shares: Floats, spell: Spell, columns: Sequence[int], bad: float
) -> Iterator[Calls]:
    """Yield the columns that are the same output of one module at several calls as one.

    Told is what goes on before what is over, then what is bad, then the lowest call. Where it goes on in some calls,
    those in which it is over are not counted.

    Args:
        table: any quantity of outputs [k, n].
        shares: how much of each output it is [k, n]; NaN where nothing was measured.
        spell: when it was so.
        columns: in which it was.
        bad: the share from which on it is bad.
    """
    if not columns:
        return
    known = ~np.isnan(shares)
    alike: dict[tuple[str, str], list[int]] = {}
    for column in columns:
        alike.setdefault((table.keys[column].path, table.keys[column].slot), []).append(column)
    every: dict[tuple[str, str], list[int]] = {output: [] for output in alike}
    for column, key in enumerate(table.keys):
        if (key.path, key.slot) in every:
            every[key.path, key.slot].append(column)
    for output, group in alike.items():
        over = all(spell.over[column] for column in group)
        so = [column for column in group if bool(spell.over[column]) == over]
        rows = {c: int(spell.end[c] if over else np.flatnonzero(known[:, c])[-1]) for c in so}
        column = min(so, key=lambda c: (not shares[rows[c], c] >= bad, table.keys[c].call))
        start = int(spell.start[so].min())
        made = sum(bool(known[start:, c].any()) for c in every[output])
        key, partly = table.keys[column], len(so) < made
        yield Calls(
            column,
            start,
            rows[column],
            float(shares[rows[column], column]),
            over,
            called(key if partly else replace(key, call=0)),
            f" in {'one' if len(so) == 1 else 'some'} of its calls" if partly else "",
            in_calls([table.keys[c].call for c in so], made),
        )
