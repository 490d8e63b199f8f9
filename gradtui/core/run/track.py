"""The numbers of one layout over all steps, in bounded memory.

Steps are put into buckets of 2^k steps that begin at multiples of 2^k, so that it does not matter in which order
records come (the newest segment is read first), and that doubling the width merges pairs of buckets exactly: the
least and the greatest value of a bucket are those of all its steps, and its last is the value of its newest one.
Where rows come in several turns whose steps lie among each other's within one bucket (a run that went back to a
checkpoint), its last is of the turn that reaches farthest: the step of each number is not kept.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from gradtui.core.arrays import read_only
from gradtui.core.run.block import Block, merged, stacked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradtui.core.arrays import Array, Flags, Indices
    from gradtui.core.run.key_table import KeyTable
    from gradtui.core.run.keys import SeriesKey

MOST_BUCKETS: Final = 4096
LEAST_BUCKETS: Final = 16
MOST_RECENT: Final = 256
LEAST_RECENT: Final = 8
# Live steps are added to the last block by copying it: so it stays small.
_BLOCK_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Consecutive `Scalars` of one layout, as one array.

    Attributes:
        layout: the number of the layout.
        steps: int64 [k].
        times: float64 [k]: wall times, seconds since 1970.
        values: float32 [k, n].
    """

    layout: int
    steps: Array
    times: Array
    values: Array


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """The numbers of one layout, frozen.

    Attributes:
        table: the keys of the columns.
        width: steps a bucket, a power of two.
        blocks: the buckets, ascending and disjoint.
        latest: float32 [n]: the values of the newest record.
        latest_step: its step; -1 when there is none.
    """

    table: KeyTable
    width: int
    blocks: tuple[Block, ...]
    latest: Array
    latest_step: int

    @property
    def keys(self) -> tuple[SeriesKey, ...]:
        """The keys of the columns."""
        return self.table.keys

    @property
    def first(self) -> Array:
        """The first step of each bucket, int64 [k]."""
        return _joined([block.first for block in self.blocks], np.int64)

    @property
    def final(self) -> Array:
        """The last step of each bucket, int64 [k]."""
        return _joined([block.final for block in self.blocks], np.int64)

    def columns(self, positions: Indices, part: str = "last") -> Array:
        """Return some columns of all buckets, float32 [k, len(positions)]; ``part``: low, high or last."""
        if not self.blocks:
            return np.zeros((0, len(positions)), np.float32)
        return np.concatenate([getattr(block, part)[:, positions] for block in self.blocks])

    @property
    def nbytes(self) -> int:
        """Bytes of the values."""
        return sum(block.nbytes for block in self.blocks) + self.latest.nbytes


class GrowingTrack:
    """A track that takes rows in any order and stays within a number of buckets.

    The newest rows (at most 256) are also kept step by step.
    """

    def __init__(self, table: KeyTable, budget: int = 64 << 20) -> None:
        self._table = table
        self._logged: Flags = table.is_logged
        self._width = 1
        self._blocks: list[Block] = []
        self._recent: list[Block] = []
        self._latest: Array = read_only(np.full(len(table), np.nan, np.float32))
        self._latest_step = -1
        self._most = MOST_BUCKETS
        self._most_recent = MOST_RECENT
        self.limit(budget)

    @property
    def nbytes(self) -> int:
        """Bytes of all values that are held."""
        return sum(block.nbytes for block in (*self._blocks, *self._recent))

    def limit(self, budget: int) -> None:
        """Keep within about ``budget`` bytes from now on; 16 buckets and 8 newest rows are kept in any case."""
        row = max(4 * len(self._table), 1)
        self._most = min(max(budget // (3 * row), LEAST_BUCKETS), MOST_BUCKETS)
        self._most_recent = min(max(budget // (4 * row), LEAST_RECENT), MOST_RECENT)
        while sum(map(len, self._blocks)) > self._most:
            self._widen()
        self._trim()

    def add(self, steps: Array, values: Array) -> None:
        """Take rows.

        Args:
            steps: int64 [k], in any order; of equal ones the later row is the newer.
            values: float32 [k, n]; copied.

        Special values: NaN is "none" but for scalars of the run; k = 0 changes nothing.
        """
        if len(steps) == 0:
            return
        steps = np.asarray(steps, np.int64)
        if np.any(steps[1:] < steps[:-1]):
            order = np.argsort(steps, kind="stable")
            steps, values = steps[order], values[order]
        if steps[-1] >= self._latest_step:
            self._latest = read_only(np.array(values[-1], np.float32))
            self._latest_step = int(steps[-1])
        while self._count(steps) > self._most:
            self._widen()
        if self._width > 1:
            self._keep_recent(steps, values)
        owned = np.array(values, np.float32) if self._width == 1 else np.asarray(values, np.float32)
        rows = Block(steps, steps, owned, owned, owned)
        _insert(self._blocks, merged([rows], self._width, self._logged), self._width, self._logged)

    def track(self) -> Track:
        """Return what was taken so far; it shares memory with this, and does not change."""
        blocks = self._blocks
        if self._recent:
            # The newest buckets are told step by step, from the first one that is there whole.
            begin = -(-int(self._recent[0].first[0]) // self._width)
            blocks = _before(blocks, begin, self._width)
            blocks += _after(self._recent, begin * self._width)
        return Track(self._table, self._width, tuple(blocks), self._latest, self._latest_step)

    def _count(self, steps: Array) -> int:
        """How many buckets there would be with these steps, at most."""
        buckets = steps // self._width
        count = 1 + int(np.count_nonzero(buckets[1:] != buckets[:-1]))
        for block in self._blocks:
            count += len(block)
            if block.first[0] // self._width <= buckets[0] <= block.final[-1] // self._width:
                count -= 1
        return count

    def _widen(self) -> None:
        if self._width == 1:
            self._recent = _newest(self._blocks, self._most_recent)
        self._width *= 2
        blocks: list[Block] = []
        for block in self._blocks:
            _insert(blocks, merged([block], self._width, self._logged), self._width, self._logged)
        self._blocks = blocks

    def _keep_recent(self, steps: Array, values: Array) -> None:
        have = sum(map(len, self._recent))
        if have >= self._most_recent and steps[-1] < self._recent[0].first[0]:
            return
        rows = merged([Block(steps, steps, values, values, values)], 1, self._logged)
        rows = rows[-self._most_recent :]
        owned = np.array(rows.last, np.float32)
        same = rows.low is rows.last
        low, high = (owned, owned) if same else (np.array(rows.low), np.array(rows.high))
        _insert(self._recent, Block(rows.first, rows.final, low, high, owned), 1, self._logged)
        self._trim()

    def _trim(self) -> None:
        # Blocks go whole, so that what stays is not copied; one too many is cut by a view.
        self._recent = _newest(self._recent, self._most_recent)


def _insert(blocks: list[Block], new: Block, width: int, logged: Flags) -> None:
    """Put a block into its place among others; buckets that are there already are merged."""
    low, high = int(new.first[0]) // width, int(new.final[-1]) // width
    begin = bisect_left(blocks, low, key=lambda block: int(block.final[-1]) // width)
    end = bisect_right(blocks, high, key=lambda block: int(block.first[0]) // width)
    left, middle, right = [], [], []
    for block in blocks[begin:end]:
        buckets = block.final // width
        start, stop = (
            int(np.searchsorted(buckets, low)),
            int(np.searchsorted(buckets, high, "right")),
        )
        left += [block[:start]] if start else []
        middle += [block[start:stop]] if stop > start else []
        right += [block[stop:]] if stop < len(block) else []
    if middle:
        new = merged([*middle, new], width, logged)
    if not left and begin:
        begin -= 1
        left = [blocks[begin]]
    if left and left[-1].nbytes + new.nbytes <= _BLOCK_BYTES:
        new = stacked([left.pop(), new])
    blocks[begin:end] = [*left, new, *right]


def _newest(blocks: Sequence[Block], count: int) -> list[Block]:
    kept: list[Block] = []
    for block in reversed(blocks):
        if count <= 0:
            break
        kept.append(block if len(block) <= count else block[len(block) - count :])
        count -= len(block)
    return kept[::-1]


def _before(blocks: Sequence[Block], bucket: int, width: int) -> list[Block]:
    kept = []
    for block in blocks:
        stop = int(np.searchsorted(block.final // width, bucket))
        if stop:
            kept.append(block[:stop])
    return kept


def _after(blocks: Sequence[Block], step: int) -> list[Block]:
    kept = []
    for block in blocks:
        start = int(np.searchsorted(block.final, step))
        if start < len(block):
            kept.append(block[start:])
    return kept


def _joined(arrays: list[Array], dtype: type) -> Array:
    return np.concatenate(arrays) if arrays else np.zeros(0, dtype)
