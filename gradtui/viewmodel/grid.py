"""Which cells of a map are shown, in what order and in what blocks, and the way there and back.

Crop, polyphase zoom and blocks all act on rows and columns apart, so a grid is two lists of them.
The nine channels of explicit mode stand three by three, each tile a grid of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from gradtui.core.arrays import Array, Indices
    from gradtui.viewmodel.maps import MapView
    from gradtui.viewmodel.selection import Cell

TILES: Final = 3
"""Tiles a side where the nine channels of explicit mode stand side by side."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The rows and columns of a map in the order they are shown, before blocks.

    Attributes:
        shape: rows and columns of the whole map.
        rows: indices of rows, [r].
        columns: indices of columns, [c].
        block: how many of them, each way, one shown cell covers.
        tiles: 3 for nine channels side by side, else 1.
    """

    shape: Cell
    rows: Indices
    columns: Indices
    block: int
    tiles: int

    @property
    def shown_shape(self) -> Cell:
        """Rows and columns of the cells shown, all tiles together."""
        height, width = -(-self.rows.size // self.block), -(-self.columns.size // self.block)
        return (height * self.tiles, width * self.tiles)

    @property
    def starts(self) -> tuple[Indices, Indices]:
        """The map's row that each shown row starts at, and the same for columns."""
        rows, columns = self.rows[:: self.block], self.columns[:: self.block]
        return np.tile(rows, self.tiles), np.tile(columns, self.tiles)

    @property
    def whole(self) -> bool:
        """Whether every cell of the map is shown as it is, in one tile."""
        plain = self.block == 1 and self.tiles == 1
        return (
            plain
            and self.rows.size == self.shape[0]
            and self.columns.size == self.shape[1]
            and bool((self.rows[1:] > self.rows[:-1]).all())
            and bool((self.columns[1:] > self.columns[:-1]).all())
        )

    def take(self, array: Array) -> Array:
        """Return a map's cells in the order they are shown, before blocks: [r, c].

        Without a crop and a reordering it is the array itself, not a copy.
        """
        if self.rows.size == self.shape[0] and _ascending(self.rows):
            if self.columns.size == self.shape[1] and _ascending(self.columns):
                return array
            return array[:, self.columns]
        return array[self.rows][:, self.columns]

    def shown(self, cell: Cell, tile: int = 0) -> Cell:
        """Return the shown cell that covers a cell of the map; (-1, -1) where it is cropped away."""
        row = np.flatnonzero(self.rows == cell[0])
        column = np.flatnonzero(self.columns == cell[1])
        if not row.size or not column.size:
            return (-1, -1)
        height, width = self.shown_shape
        down, right = divmod(tile, TILES) if self.tiles > 1 else (0, 0)
        return (
            int(row[0]) // self.block + down * (height // self.tiles),
            int(column[0]) // self.block + right * (width // self.tiles),
        )

    def mark(self, marks: Array, cells: tuple[Indices, Indices], bit: int, tile: int = -1) -> None:
        """Set a bit of the shown cells that cover cells of the map; those cropped away are left out.

        Args:
            marks: [h, w] uint8 of the shown cells; changed in place.
            cells: rows and columns of the map.
            bit: what is set.
            tile: one tile of nine; all of them when negative.
        """
        row_of = np.full(self.shape[0], -1, np.intp)
        row_of[self.rows] = np.arange(self.rows.size) // self.block
        column_of = np.full(self.shape[1], -1, np.intp)
        column_of[self.columns] = np.arange(self.columns.size) // self.block
        rows, columns = row_of[cells[0]], column_of[cells[1]]
        inside = (rows >= 0) & (columns >= 0)
        rows, columns = rows[inside], columns[inside]
        height, width = (n // self.tiles for n in self.shown_shape)
        tiles = range(self.tiles**2) if tile < 0 or self.tiles == 1 else (tile,)
        for one in tiles:
            down, right = divmod(one, TILES) if self.tiles > 1 else (0, 0)
            marks[rows + down * height, columns + right * width] |= np.uint8(bit)


def _ascending(indices: Indices) -> bool:
    return bool((indices[1:] > indices[:-1]).all())


def smallest_block(rows: int, columns: int, room: Cell) -> int:
    """Return the smallest block with which a map fits into ``room`` cells; 1 where there is no room."""
    height, width = room
    if height <= 0 or width <= 0:
        return 1
    return max(-(-rows // height), -(-columns // width), 1)


def cell_at(view: MapView, shown: Cell) -> tuple[int, int, int]:
    """Return the channel (-1 where one map is shown), row and column that a shown cell starts at.

    The shown cell must be inside the map.
    """
    row, column = shown
    if view.rows.size and view.columns.size:
        real = (int(view.rows[row]), int(view.columns[column]))
    else:
        real = (view.row0 + row * view.block, view.col0 + column * view.block)
    if view.tiles == 1:
        return (-1, *real)
    height, width = (n // view.tiles for n in view.shape)
    return (TILES * (row // height) + column // width, *real)
