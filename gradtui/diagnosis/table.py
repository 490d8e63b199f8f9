"""One quantity of all tensors over the steps of a run, as a matrix that rules work on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from gradtui.core.arrays import no_floats

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gradtui.core.arrays import Array, Flags, Floats, Indices
    from gradtui.core.run.keys import SeriesKey

NEWEST: Final = 256
"""Newest measurements that rules see one by one."""
OLDER: Final = 256
"""Rows that all older measurements are joined into: it bounds the cost of a diagnosis, however long the run."""


def _no_rows() -> Floats:
    return np.zeros((0, 0))


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """One quantity: a row for each span of steps, a column for each series.

    Attributes:
        keys: whose, n.
        steps: int64 [k], ascending: the first step of each row.
        ends: int64 [k]: the last one.
        low: [k, n]: the least value of the span; NaN where nothing was measured.
        high: [k, n]: the greatest.
        last: [k, n]: the newest.
    """

    keys: tuple[SeriesKey, ...] = ()
    steps: Array = field(default_factory=no_floats)
    ends: Array = field(default_factory=no_floats)
    low: Floats = field(default_factory=_no_rows)
    high: Floats = field(default_factory=_no_rows)
    last: Floats = field(default_factory=_no_rows)

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def empty(self) -> bool:
        """Whether there is no row or no column."""
        return not self.last.size

    @property
    def known(self) -> Flags:
        """Where something was measured [k, n]."""
        return ~np.isnan(self.last)

    def pick(
        self, columns: Indices | Sequence[int], keys: tuple[SeriesKey, ...] | None = None
    ) -> Table:
        """Return some columns; ``keys`` are theirs where they are at hand."""
        at = np.asarray(columns, np.intp)
        if keys is None:
            keys = tuple([self.keys[i] for i in at.tolist()])
        return self._of(keys, self.steps, self.ends, lambda values: values[:, at])

    def _of(
        self,
        keys: tuple[SeriesKey, ...],
        steps: Array,
        ends: Array,
        change: Callable[[Floats], Floats],
    ) -> Table:
        """The table with its values changed; what is one array stays one."""
        last = change(self.last)
        low = last if self.low is self.last else change(self.low)
        high = last if self.high is self.last else change(self.high)
        return Table(keys, steps, ends, low, high, last)

    def until(self, rows: int) -> Table:
        """Return the first rows alone: the run as it was known then."""
        return self._of(
            self.keys, self.steps[:rows], self.ends[:rows], lambda values: values[:rows]
        )

    def within(self, largest: float) -> Table:
        """Return the table with numbers beyond ``largest`` (infinities) brought back to it; NaN stays."""
        return self._of(
            self.keys, self.steps, self.ends, lambda values: np.clip(values, -largest, largest)
        )

    def without(self, hidden: Flags) -> Table:
        """Return the table with NaN wherever ``hidden`` [k, n] says so."""
        if not hidden.any():
            return self
        return self._of(
            self.keys, self.steps, self.ends, lambda values: np.where(hidden, np.nan, values)
        )

    def or_else(self, other: Table) -> Table:
        """Return the table with the numbers of another of the same shape, and its keys, where this has none."""
        known = ~np.isnan(self.last)
        return Table(
            other.keys,
            other.steps,
            other.ends,
            np.where(known, self.low, other.low),
            np.where(known, self.high, other.high),
            np.where(known, self.last, other.last),
        )

    def at(self, columns: Indices, like: Table, *, stale: bool = True) -> Table:
        """Return the table with the rows of another and the given columns; -1 is a column of NaN.

        A row of the other gets the row of this one in which its last step lies, or else the newest before;
        NaN in place of the latter where it is not to be ``stale``.
        """
        if self.empty:
            nothing = np.full((len(like), len(columns)), np.nan)
            return Table(like.keys, like.steps, like.ends, nothing, nothing, nothing)
        rows = np.searchsorted(self.steps, like.ends, side="right") - 1
        if len(self) == len(like) and bool(np.all(rows == np.arange(len(rows)))):
            if len(columns) == len(self.keys) and bool(np.all(columns == np.arange(len(columns)))):
                return Table(like.keys, like.steps, like.ends, self.low, self.high, self.last)
            rows = np.arange(len(self))
        late = np.zeros(len(rows), np.bool_) if stale else self.ends[rows] < like.steps
        missing = ((rows < 0) | late)[:, None] | (columns < 0)[None, :]
        place = np.ix_(np.maximum(rows, 0), np.maximum(columns, 0))
        gaps = bool(missing.any())
        return self._of(
            like.keys,
            like.steps,
            like.ends,
            lambda values: np.where(missing, np.nan, values[place]) if gaps else values[place],
        )


def bounded(table: Table, newest: int = NEWEST, older: int = OLDER) -> Table:
    """Return a table of at most ``newest + older`` rows: the older ones are joined, ``last`` by their last known."""
    many = len(table) - newest
    if many <= older:
        return table
    starts = np.unique(np.linspace(0, many, older, endpoint=False).astype(np.intp))
    starts = np.concatenate([starts, np.arange(many, len(table))])
    ends = np.append(starts[1:], len(table)) - 1
    last = table.last[ends]
    high = np.fmax.reduceat(table.high, starts, axis=0)
    # A span whose last row has nothing still has its extremes.
    last = np.where(np.isnan(last), high, last)
    low = np.fmin.reduceat(table.low, starts, axis=0)
    return Table(table.keys, table.steps[starts], table.ends[ends], low, high, last)


def joined(tables: Sequence[Table]) -> Table:
    """Return several tables as one: all keys, all rows, in the order of their steps.

    A key that stands in two of them has the rows of both; the other columns are NaN there.
    """
    full = [table for table in tables if not table.empty]
    if len(full) <= 1:
        return full[0] if full else Table()
    keys = full[0].keys
    if any(table.keys != keys for table in full):
        keys = tuple(dict.fromkeys(key for table in full for key in table.keys))
    place = {key: i for i, key in enumerate(keys)}
    steps = np.concatenate([table.steps for table in full])
    ends = np.concatenate([table.ends for table in full])
    order = np.argsort(ends, kind="stable")
    stacked = []
    for part in ("low", "high", "last"):
        whole = np.full((len(steps), len(keys)), np.nan)
        row = 0
        for table in full:
            columns = [place[key] for key in table.keys]
            whole[row : row + len(table), columns] = getattr(table, part)
            row += len(table)
        stacked.append(whole[order])
    return Table(keys, steps[order], ends[order], *stacked)


def ongoing(mask: Flags, known: Flags, gap: int) -> tuple[Indices, Indices]:
    """Return since which row a condition holds that still holds at the end, and for how many rows.

    Args:
        mask: [k, n]: where the condition holds.
        known: [k, n]: where it could be judged; other rows neither confirm nor end it.
        gap: known rows that may miss it, in a row.

    Returns:
        start [n], -1 where it does not hold at the end, and the number of rows that confirm it [n].
    """
    rows, columns = mask.shape
    start = np.full(columns, -1, np.intp)
    count = np.zeros(columns, np.intp)
    misses = np.zeros(columns, np.intp)
    alive = np.ones(columns, np.bool_)
    for row in range(rows - 1, -1, -1):
        holds = mask[row] & known[row] & alive
        start[holds] = row
        count += holds
        misses[holds] = 0
        missed = known[row] & ~mask[row] & alive
        if missed.any():
            misses[missed] += 1
            alive &= misses <= gap
            if not alive.any():
                break
    return start, count


@dataclass(frozen=True, slots=True, eq=False)
class Spell:
    """For each column the newest time that a condition lasted.

    Attributes:
        start: intp [n]: the first row; -1 where it never lasted.
        end: intp [n]: the last row that confirms it.
        count: intp [n]: how many rows do.
        over: bool [n]: whether it holds no more.
    """

    start: Indices
    end: Indices
    count: Indices
    over: Flags

    @property
    def ongoing(self) -> Indices:
        """The columns in which it still holds."""
        return np.flatnonzero((self.start >= 0) & ~self.over)

    @property
    def past(self) -> Indices:
        """The columns in which it is over."""
        return np.flatnonzero((self.start >= 0) & self.over)


def spell_of(mask: Flags, known: Flags, gap: int, least: int) -> Spell:
    """Return when a condition lasted last: what `ongoing` tells, and of what ended, when that was.

    Args:
        mask: [k, n]: where the condition holds.
        known: [k, n]: where it could be judged; other rows neither confirm nor end it.
        gap: known rows that may miss it, in a row.
        least: rows that must confirm it; what was shorter is passed over.
    """
    columns = mask.shape[1]
    start, end = np.full(columns, -1, np.intp), np.full(columns, -1, np.intp)
    count, misses = np.zeros(columns, np.intp), np.zeros(columns, np.intp)
    over = np.zeros(columns, np.bool_)
    sought = np.count_nonzero(mask & known, axis=0) >= least
    for row in range(len(mask) - 1, -1, -1):
        if not sought.any():
            break
        here = known[row] & sought
        holds = here & mask[row]
        new = holds & (count == 0)
        end[new], over[new] = row, misses[new] > gap
        start[holds] = row
        count += holds
        misses = np.where(holds, 0, misses + (here & ~mask[row]))
        begun = (count > 0) & (misses > gap)
        sought &= ~(begun & (count >= least))
        count[begun & (count < least)] = 0
    start[count < least] = -1
    return Spell(start, end, count, over)


def lasting(values: Floats, rows: int) -> Floats:
    """Return for each row the least of it and the ``rows - 1`` before [k, n]: what was exceeded all the time.

    NaN is passed over; the first rows look back as far as there is.
    """
    result: Floats = values.copy()
    for back in range(1, min(rows, len(values))):
        np.fmin(result[back:], values[:-back], out=result[back:])
    return result


def middle(values: Floats, axis: int = 0) -> Floats:
    """Return medians over the known values along an axis; NaN where there are none.

    By sorting: numpy's ``nanmedian`` takes many times as long for wide arrays, and warns.
    """
    if not values.shape[axis]:
        return np.full(np.delete(values.shape, axis), np.nan)
    return upper(values, 0.5, axis)


def upper(values: Floats, share: float, axis: int = 0) -> Floats:
    """Return a quantile of the known values along an axis: the value that ``share`` of them do not exceed."""
    ordered = np.sort(values, axis=axis)  # NaN goes last
    count = np.count_nonzero(~np.isnan(values), axis=axis)
    place = np.maximum(np.ceil(share * count).astype(np.intp) - 1, 0)
    found: Floats = np.take_along_axis(ordered, np.expand_dims(place, axis), axis).squeeze(axis)
    return found


def newest(values: Floats, rows: int) -> Floats:
    """Return the median of the newest known values of each column [n], at most ``rows`` of them.

    NaN only where a column has none at all: what ended in NaN is told by what it was before.
    """
    known = ~np.isnan(values)
    after = np.cumsum(known[::-1], axis=0)[::-1]
    return middle(np.where(known & (after <= rows), values, np.nan))
