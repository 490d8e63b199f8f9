"""Zooming out of a map: blocks of cells shown as one, by the strongest of them and never by the mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from gradtui.core.arrays import BLOCK, as_floats, as_table, blocks_of_rows

if TYPE_CHECKING:
    from gradtui.core.arrays import Array


_WIDER: Final = {1: np.int16, 2: np.int32, 4: np.int64}
"""By the bytes of an integer type, one that holds all of its numbers and their negatives."""


def signed_max(values: Array, block: int) -> Array:
    """Return for each block of cells the value of the largest magnitude, with its sign.

    A mean would show a block of +1 and −1 as nothing.

    Shapes: [H, W] to [⌈H / block⌉, ⌈W / block⌉]; blocks at the lower and right border may be smaller.
    Units and dtype: those of the values.

    Args:
        values: of any real dtype.
        block: cells along each side; 1 returns the values themselves.

    Raises:
        ValueError: a block below 1, or an array that is no map.

    Special values: NaN wins over all, infinities over finite numbers, and of +x and −x the +x;
        an empty map stays empty.
    """
    if block < 1 or values.ndim != 2:
        raise ValueError(f"blocks of {block} in an array of shape {values.shape}")
    if block == 1 or not values.size:
        height, width = -(-values.shape[0] // block), -(-values.shape[1] // block)
        return values if block == 1 else values.reshape(height, width)
    height, width = -(-values.shape[0] // block), -(-values.shape[1] // block)
    out = np.empty((height, width), dtype=values.dtype)
    # Whole rows of blocks at a time: their cells lie together in memory.
    step = max(1, BLOCK // (block * values.shape[1]))
    for start in range(0, height, step):
        piece = values[start * block : (start + step) * block]
        out[start : start + step] = _extremes(_extremes(piece, block, 0), block, 1)
    return out


def strongest(values: Array) -> int:
    """Return the place, row-major, of the cell of the largest finite magnitude, the first of equals.

    Shapes: any. Special values: 0 for an array without cells, or without finite ones.
    """
    table = as_table(values)
    place, most = 0, -1.0
    for rows in blocks_of_rows(*table.shape):
        size = np.abs(as_floats(table[rows])).ravel()
        size[~np.isfinite(size)] = -1.0
        best = int(np.argmax(size))
        if size[best] > most:
            place, most = rows.start * table.shape[1] + best, float(size[best])
    return place


def _extremes(values: Array, block: int, axis: int) -> Array:
    """The larger magnitude of each block along one axis; two passes, one each way, keep the exact one."""
    # One operation on all blocks' k-th cells after the other: many times faster than ``reduceat``.
    slices = [_every(values, k, block, axis) for k in range(min(block, values.shape[axis]))]
    if len(slices) == 1:
        return slices[0]
    low, high = slices[0].copy(), slices[0].copy()
    for cells in slices[1:]:
        there = _first(cells.shape[axis], axis)
        with np.errstate(invalid="ignore"):
            np.minimum(low[there], cells, out=low[there])
            np.maximum(high[there], cells, out=high[there])
    if values.dtype.kind == "b":
        flags: Array = high
        return flags
    # Negating the lowest integer of a type gives itself; in a wider one it compares as it should.
    size = (
        np.negative(low, dtype=_WIDER.get(values.dtype.itemsize, np.float64))
        if values.dtype.kind != "f"
        else -low
    )
    chosen: Array = np.where(size > high, low, high)
    return chosen


def _every(values: Array, start: int, block: int, axis: int) -> Array:
    cells: Array = values[start::block] if axis == 0 else values[:, start::block]
    return cells


def _first(count: int, axis: int) -> tuple[slice, ...]:
    return (slice(None),) * axis + (slice(count),)
