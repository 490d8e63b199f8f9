"""Regions: the part of a map that is looked at."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Region:
    """A box of cells; all four bounds are inclusive."""

    row0: int
    row1: int
    column0: int
    column1: int

    def within(self, shape: tuple[int, int]) -> Region:
        """Return the part that lies in a map; a region that lies outside gives its nearest cell."""
        rows, columns = max(shape[0], 1), max(shape[1], 1)
        row0, column0 = min(max(self.row0, 0), rows - 1), min(max(self.column0, 0), columns - 1)
        return Region(
            row0,
            min(max(self.row1, row0), rows - 1),
            column0,
            min(max(self.column1, column0), columns - 1),
        )

    def contains(self, row: int, column: int) -> bool:
        """Whether a cell lies in it."""
        return self.row0 <= row <= self.row1 and self.column0 <= column <= self.column1
