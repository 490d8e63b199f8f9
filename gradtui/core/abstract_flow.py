"""Gradient flow between two layers: what every form of it can answer.

``F[i, j]`` is the share of source node i's gradient that came through target node j. A row is a
node's fan-out, a column its fan-in.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gradtui.core.ranking import Ranking
from gradtui.core.ranks import TOP, largest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gradtui.core.arrays import Array, Floats
    from gradtui.core.links import Links


@dataclass(frozen=True, slots=True)
class Extent:
    """The range of a flow's links.

    Attributes:
        minimum: the smallest finite value, with its sign.
        maximum: the largest finite value.
        smallest: the smallest finite magnitude.
        largest: the largest finite magnitude.
        nonfinite: how many links are NaN or infinite.
        finite: how many are not. Where this is 0 the other four are 0.
    """

    minimum: float = 0.0
    maximum: float = 0.0
    smallest: float = 0.0
    largest: float = 0.0
    nonfinite: int = 0
    finite: int = 0

    def joined(self, other: Extent) -> Extent:
        """Return the range of the links of both."""
        nonfinite = self.nonfinite + other.nonfinite
        if not self.finite or not other.finite:
            one = self if self.finite else other
            return Extent(
                one.minimum, one.maximum, one.smallest, one.largest, nonfinite, one.finite
            )
        return Extent(
            min(self.minimum, other.minimum),
            max(self.maximum, other.maximum),
            min(self.smallest, other.smallest),
            max(self.largest, other.largest),
            nonfinite,
            self.finite + other.finite,
        )


def extent_of(pieces: Iterable[Array]) -> Extent:
    """Return the range over arrays of any real dtype, looked at one after the other."""
    found = Extent()
    for piece in pieces:
        found = found.joined(_extent(piece))
    return found


def _extent(values: Array) -> Extent:
    if not values.size:
        return Extent()
    low, high = values.min(), values.max()
    if np.isfinite(low) and np.isfinite(high):
        finite, nonfinite = values, 0
    else:
        kept = np.isfinite(values)
        finite = values[kept]
        nonfinite = int(values.size - finite.size)
        if not finite.size:
            return Extent(nonfinite=nonfinite)
        low, high = finite.min(), finite.max()
    minimum, maximum = float(low), float(high)
    if minimum > 0 or maximum < 0:
        smallest = min(abs(minimum), abs(maximum))
    else:
        # The magnitude of the smallest integer of a type has no place in that type.
        wide = finite if finite.dtype.kind == "f" else finite.astype(np.float64)
        smallest = float(np.abs(wide).min())
    return Extent(
        minimum, maximum, smallest, max(abs(minimum), abs(maximum)), nonfinite, int(finite.size)
    )


class Flow(ABC):
    """The flow between N source nodes and M target nodes.

    Numbers that come out are float64. A flow never changes; what is costly is found once and kept.
    """

    __slots__ = ("_columns_total", "_extent", "_ranking", "_ranks", "_rows_total", "_shape", "_top")

    def __init__(self, shape: tuple[int, int]) -> None:
        self._shape = (int(shape[0]), int(shape[1]))
        self._extent: Extent | None = None
        self._rows_total: Floats | None = None
        self._columns_total: Floats | None = None
        self._ranks: dict[int, float] = {}
        self._ranking: Ranking | None = None
        self._top: Floats | None = None

    def __repr__(self) -> str:
        rows, columns = self._shape
        return f"{type(self).__name__}({rows}x{columns}, {self.link_count} links)"

    @property
    def shape(self) -> tuple[int, int]:
        """N and M."""
        return self._shape

    @property
    @abstractmethod
    def link_count(self) -> int:
        """How many links there are: N · M where every pair has a value, else those that are listed."""

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Bytes of the arrays that hold it; views count by their size."""

    @abstractmethod
    def row(self, node: int) -> Links:
        """Return a source node's fan-out, by rising target; empty where the row is not known.

        Raises:
            IndexError: there is no such node.
        """

    @abstractmethod
    def column(self, node: int) -> Links:
        """Return a target node's fan-in, by rising source; empty where the column is not known.

        Raises:
            IndexError: there is no such node.
        """

    @abstractmethod
    def pieces(self) -> Iterator[Array]:
        """Yield the values of all known links, each once, in pieces of bounded size."""

    @abstractmethod
    def _sum_rows(self) -> Floats: ...

    @abstractmethod
    def _sum_columns(self) -> Floats: ...

    @abstractmethod
    def dense(self) -> Floats:
        """Return the whole [N, M] matrix in float64, zero where there is no link.

        It costs 8 · N · M bytes: for export and for tests.
        """

    def has_row(self, node: int) -> bool:
        """Whether a source node's links are known."""
        return 0 <= node < self._shape[0]

    def has_column(self, node: int) -> bool:
        """Whether a target node's links are known."""
        return 0 <= node < self._shape[1]

    def row_sums(self) -> Floats:
        """Return ``Σ_j F[i, j]`` for every source node.

        Shapes: [N], float64. Special values: IEEE 754 for NaN and Inf; 0 where there are no links.
        """
        if self._rows_total is None:
            with np.errstate(over="ignore", invalid="ignore"):
                self._rows_total = self._sum_rows()
            self._rows_total.flags.writeable = False
        return self._rows_total

    def column_sums(self) -> Floats:
        """Return ``Σ_i F[i, j]`` for every target node; shapes and special values as `row_sums`."""
        if self._columns_total is None:
            with np.errstate(over="ignore", invalid="ignore"):
                self._columns_total = self._sum_columns()
            self._columns_total.flags.writeable = False
        return self._columns_total

    def extent(self) -> Extent:
        """Return the range of the links over their finite part; zeros where there is none."""
        if self._extent is None:
            self._extent = self._range()
        return self._extent

    @property
    def ranked_count(self) -> int:
        """How many known links there are to rank, NaN among them."""
        return self.link_count

    def kth_magnitude(self, rank: int) -> float:
        """Return the magnitude of the link of a rank, 1 being the strongest.

        Special values: infinite links rank first, NaN not at all. Infinity for a rank below 1, 0 where
        there are fewer links: so many pass anyway.
        """
        if rank < 1:
            return float("inf")
        if rank <= TOP:
            if self._top is None:
                self._top = self._strongest()
            return float(self._top[rank - 1]) if rank <= self._top.size else 0.0
        if rank not in self._ranks:
            self._ranks[rank] = self._ranked(rank)
        return self._ranks[rank]

    def _strongest(self) -> Floats:
        return largest(self.pieces())

    def _ranked(self, rank: int) -> float:
        if self._ranking is None:
            self._ranking = Ranking(self.pieces)
        return self._ranking.kth(self.pieces, rank)

    def _range(self) -> Extent:
        return extent_of(self.pieces())

    def _check(self, node: int, axis: int) -> None:
        if not 0 <= node < self._shape[axis]:
            side = ("source", "target")[axis]
            raise IndexError(f"no {side} node {node}: there are {self._shape[axis]}")
