"""What the rules about outputs share: how often, at which of nested modules, and once for several calls."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gradtui.diagnosis.table import Spell, spell_of
from gradtui.diagnosis.words import called, in_calls

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gradtui.core.arrays import Flags, Floats
    from gradtui.core.run.keys import SeriesKey
    from gradtui.diagnosis.bounds import Bounds
    from gradtui.diagnosis.table import Table


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
        row: the newest row that was measured, or the last one for which it was so.
        share: how much of the output it is at least, all that time.
        grew: whether it was more at times.
        before: where less of it was so already before ``start``: since which row; -1 where not.
        before_share: and how much at least.
        over: whether it is so no more.
        name: what it is about: "output" where it is so in every call, "output (call 1)" where others are fine.
        where: " in one of its calls", " in some of its calls", or "" where it is so in every call.
        words: in how many of how many calls; "" where there is only one.
    """

    column: int
    start: int
    row: int
    share: float
    grew: bool
    before: int
    before_share: float
    over: bool
    name: str
    where: str
    words: str


@dataclass(frozen=True, slots=True, eq=False)
class Times:
    """When outputs were so, and when they were so in a bad way.

    Attributes:
        spell: when, by column; where it is bad and goes on, only since then: what is told holds of all that time.
        whole: when, in a bad way or not.
        shares: how much of each output it is [k, n]; NaN where it was not so.
        known: where something was measured [k, n].
    """

    spell: Spell
    whole: Spell
    shares: Floats
    known: Flags

    @classmethod
    def of(cls, mask: Flags, shares: Floats, bad: float, bounds: Bounds) -> Times:
        """Return them by ``mask`` [k, n], where it is so, and the share from which on it is bad."""
        known: Flags = ~np.isnan(shares)
        whole = spell_of(mask, known, bounds.gap, few_rows(bounds))
        worse = spell_of(mask & (shares >= bad), known, bounds.gap, few_rows(bounds))
        later = (worse.start >= 0) & ~worse.over & ~whole.over
        spell = Spell(
            np.where(later, worse.start, whole.start),
            whole.end,
            np.where(later, worse.count, whole.count),
            whole.over,
        )
        return cls(spell, whole, np.where(mask, shares, np.nan), known)

    def within(self, column: int, start: int) -> Floats:
        """Return the shares of a column from a row on for which it was so, up to the last one."""
        shares: Floats = self.shares[start : int(self.spell.end[column]) + 1, column]
        return shares[~np.isnan(shares)]

    def least(self, column: int) -> float:
        """Return what it was at least all the time that is told."""
        shares = self.within(column, int(self.spell.start[column]))
        # Measurements that miss what is bad do not end it: the count tells how many do not.
        return float(np.sort(shares)[-int(self.spell.count[column])])


def by_module(table: Table, times: Times, columns: Sequence[int], bad: float) -> Iterator[Calls]:
    """Yield the columns that are the same output of one module at several calls as one.

    Told is what goes on before what is over, then what is bad, then the lowest call. Where it goes on in some calls,
    those in which it is over are not counted, nor where it is bad in some those in which it is not.

    Args:
        table: any quantity of outputs [k, n].
        times: when it was so.
        columns: in which it was.
        bad: the share from which on it is bad.
    """
    if not columns:
        return
    spell, known = times.spell, times.known
    alike: dict[tuple[str, str], list[int]] = {}
    for column in columns:
        alike.setdefault((table.keys[column].path, table.keys[column].slot), []).append(column)
    every: dict[tuple[str, str], list[int]] = {output: [] for output in alike}
    for column, key in enumerate(table.keys):
        if (key.path, key.slot) in every:
            every[key.path, key.slot].append(column)
    for output, group in alike.items():
        over = all(spell.over[column] for column in group)
        least = {c: times.least(c) for c in group if bool(spell.over[c]) == over}
        column = min(least, key=lambda c: (not least[c] >= bad, table.keys[c].call))
        so = [c for c in least if (least[c] >= bad) == (least[column] >= bad)]
        start, before = int(spell.start[so].min()), int(times.whole.start[column])
        made = sum(bool(known[start:, c].any()) for c in every[output])
        key, partly = table.keys[column], len(so) < made
        earlier = before < spell.start[column]
        yield Calls(
            column,
            start,
            int(spell.end[column] if over else np.flatnonzero(known[:, column])[-1]),
            least[column],
            bool(times.within(column, int(spell.start[column])).max() > least[column]),
            before if earlier else -1,
            float(times.within(column, before).min()),
            over,
            called(key if partly else replace(key, call=0)),
            f" in {'one' if len(so) == 1 else 'some'} of its calls" if partly else "",
            in_calls([table.keys[c].call for c in so], made),
        )
