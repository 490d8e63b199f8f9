"""Consecutive buckets of steps as arrays, and how buckets become wider ones, exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradtui.core.arrays import Array, Flags, Indices


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Consecutive buckets.

    Attributes:
        first: int64 [k]: the first step that was seen of each bucket.
        final: int64 [k]: the last one.
        low: float32 [k, n]; NaN: nothing was measured in the bucket.
        high: float32 [k, n].
        last: float32 [k, n]: the newest value that is not NaN; scalars of the run: the newest value.
    """

    first: Array
    final: Array
    low: Array
    high: Array
    last: Array

    def __len__(self) -> int:
        return len(self.first)

    def __getitem__(self, part: slice) -> Block:
        low, high, last = self.low[part], self.high[part], self.last[part]
        if self.is_single:
            low = high = last
        return Block(self.first[part], self.final[part], low, high, last)

    @property
    def is_single(self) -> bool:
        """Whether low, high and last are one array: of single steps, or where one alone was asked for."""
        return self.low is self.last and self.high is self.last

    @property
    def nbytes(self) -> int:
        """Bytes of the values; arrays that are one and the same count once."""
        return sum({id(array): array.nbytes for array in (self.low, self.high, self.last)}.values())


def merged(blocks: Sequence[Block], width: int, logged: Flags) -> Block:
    """Join blocks whose buckets are of one width or narrower into one block of buckets of ``width`` steps.

    Args:
        blocks: each ascending; of equal steps the later block is the newer.
        width: steps a bucket.
        logged: [n]: the columns in which NaN is a value.
    """
    if len(blocks) > 1:
        block = stacked(blocks)
        order = np.argsort(block.final, kind="stable")
        if np.any(order[1:] < order[:-1]):
            last = block.last[order]
            low, high = (last, last) if block.is_single else (block.low[order], block.high[order])
            block = Block(block.first[order], block.final[order], low, high, last)
    else:
        block = blocks[0]
    if len(block) == 0:
        return block
    buckets = block.final // width
    starts = np.flatnonzero(np.concatenate([[True], buckets[1:] != buckets[:-1]]))
    if len(starts) == len(block):
        return block
    ends = np.append(starts[1:], len(block)) - 1
    low = folded(np.fmin, block.low, starts, ends)
    high = folded(np.fmax, block.high, starts, ends)
    last = block.last[ends]
    missing = np.isnan(last) & ~np.isnan(low) & ~logged
    before = ends
    while np.any(missing):
        before = np.maximum(before - 1, starts)
        last = np.where(missing, block.last[before], last)
        missing &= np.isnan(last)
    first = np.minimum.reduceat(block.first, starts)
    return Block(first, block.final[ends], low, high, last)


def folded(ufunc: np.ufunc, values: Array, starts: Array, ends: Array) -> Array:
    """Fold rows together, group by group: several times faster than ``ufunc.reduceat`` along rows.

    Args:
        ufunc: fmin or fmax: NaN gives nothing.
        values: [k, n].
        starts: [g], the first row of each group.
        ends: [g], the last row of each group.

    Returns:
        [g, n].
    """
    result: Array = values[starts]
    offset = 0
    while True:
        offset += 1
        going = starts + offset <= ends
        if going.all():
            ufunc(result, values[starts + offset], out=result)
        elif going.any():
            result[going] = ufunc(result[going], values[starts[going] + offset])
        else:
            return result


def stacked(blocks: Sequence[Block]) -> Block:
    """Put blocks of the same columns, at least one, one behind the other."""
    if len(blocks) == 1:
        return blocks[0]
    first = np.concatenate([block.first for block in blocks])
    final = np.concatenate([block.final for block in blocks])
    last = np.concatenate([block.last for block in blocks])
    if all(block.is_single for block in blocks):
        return Block(first, final, last, last, last)
    low = np.concatenate([block.low for block in blocks])
    high = np.concatenate([block.high for block in blocks])
    return Block(first, final, low, high, last)


def spans_of(steps: Array, first: float, last: float, points: int) -> Array:
    """Return into which of ``points`` equal spans of [first, last] each step falls, int64 [k]."""
    if last <= first:
        return np.zeros(len(steps), np.int64)
    places = (np.asarray(steps, np.float64) - first) * (points / (last - first))
    return np.clip(places.astype(np.int64), 0, points - 1)


def fold_spans(result: Array, values: Array, spans: Array, columns: Indices) -> None:
    """Raise the greatest values of spans to those of some rows.

    Args:
        result: [points, n]; NaN where a span had no row yet. Written to.
        values: [k, m]; NaN raises nothing.
        spans: int64 [k], ascending: which span each row falls into.
        columns: [m]: which columns of ``result`` the values belong to.
    """
    if len(spans) == 0:
        return
    everything = len(columns) == result.shape[1]
    starts = np.flatnonzero(np.concatenate([[True], spans[1:] != spans[:-1]]))
    for start, stop in zip(starts, [*starts[1:], len(spans)], strict=True):
        found = np.fmax.reduce(values[start:stop], axis=0) if stop - start > 1 else values[start]
        row = result[spans[start]]
        if everything:
            np.fmax(row, found, out=row)
        else:
            row[columns] = np.fmax(row[columns], found)
