"""Padding correction: which cell of the input or target a node of a layer points at."""

from __future__ import annotations

Cell = tuple[int, int]

NOWHERE: Cell = (-1, -1)


def pointed_at(cell: Cell, offset: Cell, shape: tuple[int, int]) -> Cell:
    """Return ``(r − row_offset, c − column_offset)``, or `NOWHERE` when that lies outside the map.

    Units: cells. Special values: an empty map is pointed at by nothing.
    """
    row, column = cell[0] - offset[0], cell[1] - offset[1]
    if 0 <= row < shape[0] and 0 <= column < shape[1]:
        return (row, column)
    return NOWHERE


def pointing_at(cell: Cell, offset: Cell, shape: tuple[int, int]) -> Cell:
    """Return the node of a layer of ``shape`` that points at a cell, or `NOWHERE` where none does.

    The inverse of `pointed_at`: the cursor of the input moves the layer's by it.
    """
    return pointed_at(cell, (-offset[0], -offset[1]), shape)
