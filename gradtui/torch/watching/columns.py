"""Which number stands in which column: layouts that grow as calls are met, and stay the same otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from gradtui.core.run.keys import SeriesKey
from gradtui.core.run.records import Layout

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from gradtui.core.run.keys import Phase, Role

STATISTICS: Final = (
    "l2", "l1", "sum", "minimum", "maximum", "count", "zeros", "nan", "inf",
    "units", "dead", "saturated",
)  # fmt: skip
"""The columns of a row of measured statistics."""
TENSOR: Final[tuple[str, ...]] = STATISTICS[:9]
OUTPUT: Final[tuple[str, ...]] = STATISTICS[:11]
SATURATING: Final = STATISTICS
GRADIENT: Final = ("l2", "count", "nan", "inf")
"""Of the gradient of an input or output: what the norms of its rows tell, which its histogram is made of."""
PARAMETER: Final = ("l2", "l1", "minimum", "maximum", "count", "zeros", "nan", "inf")
EVERY_STEP: Final = ("l2", "nan", "inf")
"""Of a parameter's gradient at every step: what one pass over it tells."""
WITH_LOG: Final = ("l1", "minimum", "maximum", "count", "nan", "inf")
"""Of a parameter's gradient on logged steps: two more passes."""


MOST_LAYOUTS: Final = 64


Name: TypeAlias = "tuple[str, Role, str, int, Phase]"
"""Of a tensor: path, role, slot, call, phase. Plain, for it is looked up with every tensor of a logged step."""


def key_of(name: Name, quantity: str = "") -> SeriesKey:
    """The key of one of a tensor's numbers."""
    path, role, slot, call, phase = name
    return SeriesKey(path, role, quantity, slot, call, phase)


class Numbers:
    """Gives out the numbers of layouts, unique within a rank's history."""

    def __init__(self) -> None:
        self._next = 0

    def take(self) -> int:
        """The next number."""
        self._next += 1
        return self._next - 1


class Columns:
    """Entries, each a block of consecutive columns; a new entry makes a new layout that keeps the old columns.

    Attributes:
        width: columns of the layout that was told last.
    """

    def __init__(self, numbers: Numbers) -> None:
        self.keys: list[SeriesKey] = []
        self.sampled: list[int] = []
        self._numbers = numbers
        self._entries: dict[Name, int] = {}
        self._first: list[int] = []
        self._taken: list[tuple[int, ...]] = []
        self.width = -1
        self._number = -1
        self._maps: dict[
            tuple[tuple[int, ...], tuple[int, ...]], tuple[_Index, _Index, _Index]
        ] = {}

    def entry(self, name: Name, quantities: Sequence[str], sampled: Sequence[str] = ()) -> int:
        """The entry of a tensor, made where it is new.

        Args:
            name: of the tensor.
            quantities: which of `STATISTICS` it has, or others for `row` to fill.
            sampled: which of them come from a sample.
        """
        found = self._entries.get(name)
        if found is None:
            # An interrupt may come at any line, and a notebook go on after it: what is half made counts for nothing.
            found = len(self._entries)
            del self._first[found:], self._taken[found:]
            self._first.append(len(self.keys))
            self._taken.append(
                tuple(STATISTICS.index(q) if q in STATISTICS else -1 for q in quantities)
            )
            for quantity in quantities:
                if quantity in sampled:
                    self.sampled.append(len(self.keys))
                self.keys.append(key_of(name, quantity))
            self._entries[name] = found
        return found

    def layout(self) -> tuple[int, Layout | None]:
        """The number of the layout of all columns so far, and the layout itself where it is to be written first."""
        if self.width == len(self.keys):
            return self._number, None
        # The training goes on meanwhile, and may add keys: these are the layout's, once and for all.
        keys = tuple(self.keys)
        replaced, self.width, self._number = self._number, len(keys), self._numbers.take()
        sampled = tuple(column for column in self.sampled if column < self.width)
        return self._number, Layout(self._number, "scalars", keys, sampled, replaced)

    def first(self, entry: int) -> int:
        """The first column of an entry."""
        return self._first[entry]

    def place(
        self, entries: Sequence[int], rows: Sequence[int], statistics: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float32]:
        """One record's values: for each entry its quantities, from its row of ``statistics`` ``[rows, 12]``."""
        values = np.full(self.width, np.nan, np.float32)
        if not len(entries):
            return values
        signature = (tuple(entries), tuple(rows))
        maps = self._maps.get(signature)
        if maps is None:
            maps = self._mapped(entries, rows)
            if len(self._maps) >= 16:
                self._maps.clear()
            self._maps[signature] = maps
        target, row, quantity = maps
        values[target] = as_float32(statistics[row, quantity])
        return values

    def _mapped(self, entries: Sequence[int], rows: Sequence[int]) -> tuple[_Index, _Index, _Index]:
        target: list[int] = []
        source: list[int] = []
        quantity: list[int] = []
        for entry, row in zip(entries, rows, strict=True):
            taken = self._taken[entry]
            target.extend(range(self._first[entry], self._first[entry] + len(taken)))
            source.extend([row] * len(taken))
            quantity.extend(taken)
        return (
            np.array(target, np.intp),
            np.array(source, np.intp),
            np.array(quantity, np.intp),
        )


class Rows:
    """The rows of histogram records: the same for one key each."""

    def __init__(self, numbers: Numbers) -> None:
        self._numbers = numbers
        self._rows: dict[tuple[Name, str], int] = {}
        self._layouts: dict[tuple[int, ...], int] = {}
        # The newest of all rows, and its number.
        self._all: tuple[tuple[int, ...], int] = (), -1

    def entry(self, name: Name, quantity: str) -> int:
        """The row of a tensor's histogram, made where it is new."""
        return self._rows.setdefault((name, quantity), len(self._rows))

    def layout(self, rows: tuple[int, ...]) -> tuple[int, Layout | None, tuple[int, ...]]:
        """The layout for these rows: its number, itself where it is to be written first, and the rows that it has.

        A model that takes other ways at every step would make no end of layouts: after some, all rows are in one.
        """
        number, replaced = self._layouts.get(rows), -1
        if number is not None:
            return number, None, rows
        if len(self._layouts) < MOST_LAYOUTS:
            number = self._layouts[rows] = self._numbers.take()
        else:
            known, replaced = self._all
            if max(rows) < len(known):
                return replaced, None, known
            rows, number = self._all = tuple(range(len(self._rows))), self._numbers.take()
        # A copy, in one go: the training goes on meanwhile, and may add rows.
        keys = [key_of(name, quantity) for name, quantity in list(self._rows)]
        layout = Layout(number, "histograms", tuple(keys[row] for row in rows), replaces=replaced)
        return number, layout, rows


def as_float32(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """As float32; what lies beyond its range is its largest number, since infinities mean something else."""
    largest = float(np.finfo(np.float32).max)
    bounded = np.where(np.isfinite(values), np.clip(values, -largest, largest), values)
    found: npt.NDArray[np.float32] = bounded.astype(np.float32)
    return found


_Index = np.ndarray[tuple[int, ...], np.dtype[np.intp]]
