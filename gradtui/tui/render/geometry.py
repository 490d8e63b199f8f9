"""How large a map's cells are on the screen, and which of them show."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, NamedTuple

# Columns and rows of a cell, the best first. A character is about twice as high as it is wide.
_WITH_NUMBERS: Final = (
    (12, 5), (10, 4), (8, 3), (7, 3), (6, 3), (7, 2), (6, 2), (6, 1),
)  # fmt: skip
_WITHOUT: Final = ((4, 2), (3, 2), (2, 1))
FLAT: Final = 4
"""Maps of at most this many rows may have cells twice as high as wide: a vector is easier to see so."""
WIDE: Final = 4
"""So may maps that have so many times as many columns as rows: they still look wide, and use rows that were free."""


class Span(NamedTuple):
    """Where something is drawn: columns and rows from the map's own corner."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Geometry:
    """Where the parts of a map go.

    Args:
        rows: The map's rows.
        columns: The map's columns.
        width: Columns of the region.
        height: Rows of the region.
        cell_width: Columns of a cell.
        cell_height: Rows of a cell.
        half: Two cells share a character, one above the other.
        left: Columns taken by row labels.
        top: Rows taken by the title and the column labels.
        numbers: Cells have room for their numbers.
        first_row: The first row shown.
        first_column: The first column shown.
    """

    rows: int
    columns: int
    width: int
    height: int
    cell_width: int = 1
    cell_height: int = 1
    half: bool = False
    left: int = 0
    top: int = 0
    numbers: bool = False
    first_row: int = 0
    first_column: int = 0

    @property
    def shown_rows(self) -> int:
        """How many rows have room."""
        lines = max(self.height - self.top, 0)
        return min(lines * 2 if self.half else lines // self.cell_height, self.rows)

    @property
    def shown_columns(self) -> int:
        """How many columns have room."""
        return min(max(self.width - self.left, 0) // self.cell_width, self.columns)

    def scrolled_to(self, row: int, column: int) -> Geometry:
        """The geometry with a cell in view, moved no further than it must be."""
        first_row = _follow(self.first_row, row, self.shown_rows, self.rows)
        if self.half:
            # A row keeps its half of the character, so that a scroll moves whole characters.
            first_row += first_row % 2 if row > first_row else -(first_row % 2)
        first_column = _follow(self.first_column, column, self.shown_columns, self.columns)
        if (first_row, first_column) == (self.first_row, self.first_column):
            return self
        return replace(self, first_row=first_row, first_column=first_column)

    def place(self, row: int, column: int) -> Span:
        """Where a cell is drawn; empty where it is out of view."""
        y, x = row - self.first_row, column - self.first_column
        if not (0 <= y < self.shown_rows and 0 <= x < self.shown_columns):
            return Span(0, 0, 0, 0)
        line = y // 2 if self.half else y * self.cell_height
        return Span(
            self.left + x * self.cell_width, self.top + line, self.cell_width, self.cell_height
        )

    def cell_at(self, x: int, y: int) -> tuple[int, int]:
        """The cell drawn at a place, its upper one where two share it; (-1, -1) where there is none."""
        x, y = x - self.left, y - self.top
        if x < 0 or y < 0:
            return (-1, -1)
        row, column = y * 2 if self.half else y // self.cell_height, x // self.cell_width
        if row >= self.shown_rows or column >= self.shown_columns:
            return (-1, -1)
        return (row + self.first_row, column + self.first_column)


def _follow(first: int, wanted: int, shown: int, total: int) -> int:
    last = max(total - shown, 0)
    if wanted < 0 or shown <= 0:
        return min(first, last)
    return max(min(first, wanted, last), min(wanted - shown + 1, last))


def label_step(cell_width: int, label_width: int) -> int:
    """Every how many cells a label has room: a power of two, as layers' sizes are."""
    step = 1
    while step * cell_width < label_width + 1:
        step *= 2
    return step


def choose(
    rows: int,
    columns: int,
    width: int,
    height: int,
    *,
    digits: int = 1,
    halves: bool = True,
    numbers: bool = True,
) -> Geometry:
    """The largest cells with which a map fits a region, or the smallest where none do.

    Args:
        rows: Rows of the map; 0 gives a geometry that shows nothing.
        columns: Columns of the map.
        width: Columns of the region.
        height: Rows of the region.
        digits: Digits of the largest row label.
        halves: Two cells may share a character (``▀``).
        numbers: Cells may be large enough for their numbers.
    """
    top = 2 if height >= 5 else min(max(height - 1, 0), 1)
    left = digits + 1 if width >= digits + 5 else 0
    plan = Geometry(rows, columns, max(width, 0), max(height, 0), left=left, top=top)
    free_width, free_height = plan.width - left, plan.height - top
    for cell_width, cell_height in (*(_WITH_NUMBERS if numbers else ()), *_WITHOUT):
        if columns * cell_width <= free_width and rows * cell_height <= free_height:
            return replace(
                plan,
                cell_width=cell_width,
                cell_height=cell_height,
                numbers=(cell_width, cell_height) in _WITH_NUMBERS,
            )
    flat = rows <= FLAT or columns >= WIDE * rows
    if halves and not (flat and rows <= free_height):
        return replace(plan, half=True)
    return plan
