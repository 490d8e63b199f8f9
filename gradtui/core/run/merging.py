"""Numbers of several shards as those of the whole, and divisions of them.

Every function here takes blocks [k, n] whose columns are the same series.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradtui.core.run.block import Block, folded
from gradtui.core.run.keys import MERGED_BY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradtui.core.arrays import Array, Flags, Floats


def combined(values: Sequence[Array], quantity: str, logged: bool = False) -> Floats:
    """Return the whole's numbers from its shards', by `MERGED_BY`, in float64.

    Args:
        values: of each shard, all of one shape.
        quantity: a name of `MERGED_BY`; others are merged as the greatest.
        logged: scalars of the run, in which a NaN of any rank is the whole's.

    Special values: a shard with NaN (none) gives nothing; NaN where all are NaN, and where infinities cancel.
    """
    stack = np.stack([np.asarray(each, np.float64) for each in values])
    how = MERGED_BY.get(quantity, "max")
    none = np.isnan(stack).all(axis=0)
    result: Floats
    if logged:
        result = np.sqrt((stack * stack).sum(axis=0)) if how == "squares" else stack.mean(axis=0)
    elif how == "sum":
        with np.errstate(invalid="ignore"):
            result = np.where(none, np.nan, np.nansum(stack, axis=0))
    elif how == "squares":
        # The squares of float32 numbers stay within float64.
        result = np.where(none, np.nan, np.sqrt(np.nansum(stack * stack, axis=0)))
    elif how == "min":
        result = np.fmin.reduce(stack, axis=0)
    elif how == "mean":
        result = np.where(
            none, np.nan, np.nansum(stack, axis=0) / (~np.isnan(stack)).sum(axis=0).clip(1)
        )
    else:
        result = np.fmax.reduce(stack, axis=0)
    return result


def together(blocks: Sequence[Block], quantity: str, logged: bool = False) -> Block:
    """Merge the blocks of several ranks, at the steps that all of them have reached.

    ``last`` is exact. Over a bucket of several steps ``low`` and ``high`` are merged from the ranks' own, so that they
    enclose the whole's; for ``minimum`` and ``maximum``, and for single steps, they are exact.

    Args:
        blocks: of each rank, ascending.
        quantity: by which rule.
        logged: see `combined`.
    """
    finals = blocks[0].final
    for block in blocks[1:]:
        finals = np.intersect1d(finals, block.final)
    if len(finals) == 0:
        empty = np.zeros((0, blocks[0].last.shape[1]))
        return Block(np.zeros(0, np.int64), np.zeros(0, np.int64), empty, empty, empty)
    aligned = [_ending_at(block, finals) for block in blocks]
    first = np.min([block.first for block in aligned], axis=0)
    if all(block.is_single for block in aligned):
        last = combined([block.last for block in aligned], quantity, logged)
        return Block(first, finals, last, last, last)
    low = combined([block.low for block in aligned], quantity, logged)
    high = combined([block.high for block in aligned], quantity, logged)
    last = combined([block.last for block in aligned], quantity, logged)
    return Block(first, finals, low, high, last)


def chosen(columns: Flags, one: Block, other: Block) -> Block:
    """Take some columns of one block and the rest of another, which has the same rows."""
    if one.is_single and other.is_single:
        last = np.where(columns, one.last, other.last)
        return Block(one.first, one.final, last, last, last)
    parts = [
        np.where(columns, mine, theirs)
        for mine, theirs in ((one.low, other.low), (one.high, other.high), (one.last, other.last))
    ]
    return Block(one.first, one.final, *parts)


def divided(above: Block, below: Block) -> Block:
    """Divide series by others that are not negative, at the steps that both have.

    ``last`` is the quotient; ``low`` and ``high`` are the least and the greatest that the spans allow.

    Special values: x / 0 is NaN, and so is what is NaN in either.
    """
    finals = np.intersect1d(above.final, below.final)
    if len(finals) == 0:
        empty = np.zeros((0, above.last.shape[1]))
        return Block(np.zeros(0, np.int64), np.zeros(0, np.int64), empty, empty, empty)
    above, below = _ending_at(above, finals), _ending_at(below, finals)
    last = quotient(above.last, below.last)
    if above.is_single and below.is_single:
        return Block(above.first, finals, last, last, last)
    corners = [
        quotient(one, other) for one in (above.low, above.high) for other in (below.low, below.high)
    ]
    low = np.fmin.reduce([*corners, last])
    high = np.fmax.reduce([*corners, last])
    return Block(above.first, finals, low, high, last)


def less(block: Block, others: Sequence[Block]) -> Block:
    """Subtract counts of the same steps: NaN in them subtracts nothing."""
    last = np.asarray(block.last, np.float64)
    if block.is_single and all(other.is_single for other in others):
        for other in others:
            if np.array_equal(other.final, block.final):
                last = last - np.nan_to_num(other.last)
        return Block(block.first, block.final, last, last, last)
    low, high = np.asarray(block.low, np.float64), np.asarray(block.high, np.float64)
    for other in others:
        if np.array_equal(other.final, block.final):
            last = last - np.nan_to_num(other.last)
            low = low - np.nan_to_num(other.high)
            high = high - np.nan_to_num(other.low)
    return Block(block.first, block.final, np.maximum(low, 0), high, last)


def quotient(above: Array, below: Array) -> Floats:
    """Return above / below in float64; NaN where below is 0, either is NaN, or both are infinite."""
    above, below = np.asarray(above, np.float64), np.asarray(below, np.float64)
    shape = np.broadcast_shapes(above.shape, below.shape)
    # Norms that float32 could not hold are infinite.
    with np.errstate(invalid="ignore", over="ignore"):
        result: Floats = np.divide(above, below, out=np.full(shape, np.nan), where=below != 0)
    return result


def _ending_at(block: Block, finals: Array) -> Block:
    """Group the buckets so that they end at ``finals``, which are some of theirs."""
    ends = np.searchsorted(block.final, finals, "right") - 1
    if len(ends) == len(block):
        return block
    starts = np.append(0, ends[:-1] + 1)
    return Block(
        block.first[starts],
        finals,
        folded(np.fmin, block.low, starts, ends),
        folded(np.fmax, block.high, starts, ends),
        block.last[ends],
    )
