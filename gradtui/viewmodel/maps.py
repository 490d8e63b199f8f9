"""One map as it is shown: the values and levels of its cells, its marks, and where it lies in its layer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gradtui.viewmodel.levels import NOWHERE

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class MapView:
    """A map, cut and reduced to what is shown.

    Args:
        key: Which map this is: "input", "source", "connected" or "target".
        title: Its name, made printable.
        subtitle: What it holds ("gradient", "fan-out"), made printable; may be empty.
        values: The values shown, [h, w]; blocks are reduced to one cell each. float64, but for large
            maps that are not reduced: those have the dtype of their file.
        levels: [h, w] uint8: 0..31, or `LEVEL_NAN`, `LEVEL_NEGATIVE_INF`, `LEVEL_POSITIVE_INF`
            (`gradtui.viewmodel.levels`).
        marks: [h, w] uint8 of `MARK_...` bits.
        low: The value of level 0.
        high: The value of level 31.
        cursor: The cell of the cursor as (row, column) of what is shown, or `NOWHERE`.
        focused: The keys act on this map.
        row0: The layer's row that the first row shown starts at.
        col0: The layer's column that the first column shown starts at.
        block: How many of the layer's rows and columns one cell covers.
        rows: The layer's row that each row shown starts at, [h]; where polyphase zoom reorders rows
            they don't follow from ``row0`` and ``block``.
        columns: The same for columns, [w].
        tiles: 3 where the nine channels of explicit mode stand side by side, three by three; else 1.
        empty_text: Words to show in place of a map that has no cells.
    """

    key: Literal["input", "source", "connected", "target"] = "source"
    title: str = ""
    subtitle: str = ""
    values: NDArray[Any] = field(default_factory=lambda: np.zeros((0, 0)))
    levels: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((0, 0), np.uint8))
    marks: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((0, 0), np.uint8))
    low: float = 0.0
    high: float = 0.0
    cursor: tuple[int, int] = NOWHERE
    focused: bool = False
    row0: int = 0
    col0: int = 0
    block: int = 1
    rows: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, np.intp))
    columns: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, np.intp))
    tiles: int = 1
    empty_text: str = ""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the cells shown."""
        rows, columns = self.levels.shape
        return (rows, columns)
