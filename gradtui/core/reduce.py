"""Zooming out of a map: blocks of cells shown as one, by the strongest of them and never by the mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradtui.core.arrays import BLOCK

if TYPE_CHECKING:
    from gradtui.core.arrays import Array


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
    return _reduced(_reduced(values, block, 0), block, 1)


def _reduced(values: Array, block: int, axis: int) -> Array:
    """Extremes along one axis; of block by block the larger magnitude, which two passes keep exactly."""
    length = values.shape[axis]
    starts = np.arange(0, length, block)
    if values.dtype.kind == "b":
        found: Array = np.logical_or.reduceat(values, starts, axis=axis)
        return found
    out_shape = (starts.size, values.shape[1]) if axis == 0 else (values.shape[0], starts.size)
    out = np.empty(out_shape, dtype=values.dtype)
    other = 1 - axis
    step = max(1, BLOCK // max(length, 1))
    for start in range(0, values.shape[other], step):
        part = slice(start, start + step)
        piece = values[:, part] if axis == 0 else values[part]
        with np.errstate(invalid="ignore"):
            low = np.minimum.reduceat(piece, starts, axis=axis)
            high = np.maximum.reduceat(piece, starts, axis=axis)
        # Negating the lowest integer of a type gives itself; as a float it compares as it should.
        size = -low if values.dtype.kind == "f" else -low.astype(np.float64)
        chosen = np.where(size > high, low, high)
        if axis == 0:
            out[:, part] = chosen
        else:
            out[part] = chosen
    return out
