"""Polyphase zoom of explicit mode: a map of nine channels split into 4^k smaller ones, nothing lost.

Level k takes each cell's place modulo ``s = 2^k`` as its phase: ``z[ch, a·s + b, i, j] =
x[ch, s·i + br(a), s·j + br(b)]`` with br the reversal of k bits, so that phase 0 keeps every s-th cell
and each level splits the phases of the level before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gradtui.core.arrays import Array, Indices


def largest_level(shape: tuple[int, int]) -> int:
    """Return the largest k with ``2^k`` dividing both sides; 0 for an empty map."""
    height, width = shape
    level = 0
    while height and width and height % 2 == 0 and width % 2 == 0:
        level, height, width = level + 1, height // 2, width // 2
    return level


def bit_reversal(level: int) -> Indices:
    """Return br(0), …, br(2^level − 1): the numbers with their ``level`` bits in reverse order."""
    reversed_: Indices = np.zeros(1, dtype=np.intp)
    for _ in range(level):
        reversed_ = np.concatenate([reversed_ * 2, reversed_ * 2 + 1])
    return reversed_


def polyphase_order(length: int, level: int) -> Indices:
    """Return the rows (or columns) of a map in the order in which its phases stand side by side.

    Shapes: [length], a permutation: phase by phase, ``s·i + br(a)`` for rising a and then i.

    Raises:
        ValueError: ``2^level`` does not divide the length.
    """
    size = 1 << level
    if length % size:
        raise ValueError(f"level {level} of {length} rows")
    order: Indices = (bit_reversal(level)[:, None] + np.arange(0, length, size)).ravel()
    return order


def source_cells(shape: tuple[int, int], level: int) -> tuple[Indices, Indices]:
    """Return the row and the column in the whole map of every cell of every phase.

    Shapes: both [4^level, H / 2^level, W / 2^level].

    Raises:
        ValueError: a level below 0 or above `largest_level`.
    """
    if not 0 <= level <= largest_level(shape):
        raise ValueError(f"level {level} of a map of {shape[0]} by {shape[1]}")
    size = 1 << level
    height, width = shape[0] // size, shape[1] // size
    rows = polyphase_order(shape[0], level).reshape(size, 1, height, 1)
    columns = polyphase_order(shape[1], level).reshape(1, size, 1, width)
    full, flat = (size, size, height, width), (size * size, height, width)
    return (
        np.broadcast_to(rows, full).reshape(flat),
        np.broadcast_to(columns, full).reshape(flat),
    )


def phases(array: Array, level: int) -> Array:
    """Return a map split into its phases.

    Shapes: [..., H, W] to [..., 4^level, H / 2^level, W / 2^level]. Units and dtype stay; every value
    appears once, whatever it is.

    Raises:
        ValueError: as `source_cells`.
    """
    rows, columns = source_cells((array.shape[-2], array.shape[-1]), level)
    split: Array = array[..., rows, columns]
    return split


def phase_cell(cell: tuple[int, int], level: int) -> tuple[int, int, int]:
    """Return the phase of a cell of the whole map, and its row and column there."""
    size = 1 << level
    reverse = bit_reversal(level)
    # A reversal of bits is its own inverse.
    phase = int(reverse[cell[0] % size]) * size + int(reverse[cell[1] % size])
    return phase, cell[0] // size, cell[1] // size
