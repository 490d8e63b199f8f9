"""The forms that a flow has in memory: a whole matrix, a product, sums with some rows and columns."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np

from gradtui.core.abstract_flow import Extent, Flow, extent_of
from gradtui.core.arrays import as_floats, blocks_of_rows, read_only
from gradtui.core.links import Links
from gradtui.core.ranks import kth_largest_product, largest_products

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt

    from gradtui.core.arrays import Array, Floats

_SCANNED: Final = 1 << 22
"""Up to so many products are looked at one by one, which is exact to the last bit."""


class DenseFlow(Flow):
    """A flow whose [N, M] matrix is at hand, in whatever real dtype it came; it is never copied whole."""

    __slots__ = ("_matrix",)

    def __init__(self, matrix: Array) -> None:
        if matrix.ndim != 2:
            raise ValueError(f"a flow is [N, M], not {matrix.shape}")
        super().__init__((matrix.shape[0], matrix.shape[1]))
        self._matrix = read_only(matrix)

    @property
    def matrix(self) -> Array:
        """The matrix as it came, read-only."""
        return self._matrix

    @property
    def link_count(self) -> int:
        """N · M, zeros included."""
        return int(self._matrix.size)

    @property
    def nbytes(self) -> int:
        """Bytes of the matrix."""
        return int(self._matrix.nbytes)

    def row(self, node: int) -> Links:
        """Return all M links of a source node, zeros included."""
        self._check(node, 0)
        width = self.shape[1]
        return Links(np.full(width, node), np.arange(width), as_floats(self._matrix[node]))

    def column(self, node: int) -> Links:
        """Return all N links of a target node, zeros included."""
        self._check(node, 1)
        height = self.shape[0]
        return Links(np.arange(height), np.full(height, node), as_floats(self._matrix[:, node]))

    def pieces(self) -> Iterator[Array]:
        """Yield views of whole rows, or of whole columns where the matrix is stored by columns."""
        turned = self._matrix.flags.f_contiguous and not self._matrix.flags.c_contiguous
        matrix = self._matrix.T if turned else self._matrix
        for rows in blocks_of_rows(*matrix.shape):
            yield matrix[rows]

    def dense(self) -> Floats:
        """Return the matrix in float64."""
        return as_floats(self._matrix)

    def _sum_rows(self) -> Floats:
        total = np.zeros(self.shape[0])
        for rows in blocks_of_rows(*self.shape):
            total[rows] = self._matrix[rows].sum(axis=1, dtype=np.float64)
        return total

    def _sum_columns(self) -> Floats:
        total = np.zeros(self.shape[1])
        for rows in blocks_of_rows(*self.shape):
            total += self._matrix[rows].sum(axis=0, dtype=np.float64)
        return total


class OuterFlow(Flow):
    """A flow of rank one, ``F[i, j] = left[i] · right[j]``: N + M numbers in place of N · M."""

    __slots__ = ("_left", "_right")

    def __init__(self, left: npt.ArrayLike, right: npt.ArrayLike) -> None:
        self._left: Floats = read_only(as_floats(left))
        self._right: Floats = read_only(as_floats(right))
        super().__init__((self._left.size, self._right.size))

    @property
    def left(self) -> Floats:
        """The factor of each source node, [N]."""
        return self._left

    @property
    def right(self) -> Floats:
        """The factor of each target node, [M]."""
        return self._right

    @property
    def link_count(self) -> int:
        """N · M, zeros included."""
        return self.shape[0] * self.shape[1]

    @property
    def nbytes(self) -> int:
        """Bytes of the two factors."""
        return int(self._left.nbytes + self._right.nbytes)

    def row(self, node: int) -> Links:
        """Return all M links of a source node, zeros included."""
        self._check(node, 0)
        width = self.shape[1]
        with np.errstate(over="ignore", invalid="ignore"):
            return Links(np.full(width, node), np.arange(width), self._left[node] * self._right)

    def column(self, node: int) -> Links:
        """Return all N links of a target node, zeros included."""
        self._check(node, 1)
        height = self.shape[0]
        with np.errstate(over="ignore", invalid="ignore"):
            return Links(np.arange(height), np.full(height, node), self._left * self._right[node])

    def pieces(self) -> Iterator[Array]:
        """Yield products of some source nodes with all target nodes."""
        for rows in blocks_of_rows(*self.shape):
            with np.errstate(over="ignore", invalid="ignore"):
                piece = self._left[rows, None] * self._right
            yield piece

    def dense(self) -> Floats:
        """Return the product."""
        with np.errstate(over="ignore", invalid="ignore"):
            product: Floats = self._left[:, None] * self._right
        return product

    def _sum_rows(self) -> Floats:
        return _times(self._left, float(self._right.sum()))

    def _sum_columns(self) -> Floats:
        return _times(self._right, float(self._left.sum()))

    def _strongest(self) -> Floats:
        return largest_products(self._left, self._right)

    def _ranked(self, rank: int) -> float:
        if self.link_count <= _SCANNED or self.extent().nonfinite:
            return super()._ranked(rank)
        return kth_largest_product(self._left, self._right, rank)

    def _range(self) -> Extent:
        left, right = extent_of([self._left]), extent_of([self._right])
        finite = left.finite * right.finite
        nonfinite = self.link_count - finite
        if not finite:
            return Extent(nonfinite=nonfinite)
        # Signed products of finite numbers are extreme where both factors are.
        corners = [
            a * b for a in (left.minimum, left.maximum) for b in (right.minimum, right.maximum)
        ]
        largest = left.largest * right.largest
        if not np.isfinite(largest):
            return extent_of(self.pieces())
        smallest = left.smallest * right.smallest
        return Extent(min(corners), max(corners), smallest, largest, nonfinite, finite)


def _times(factor: Floats, total: float) -> Floats:
    """A sum of products; shares that add up to 1 but for rounding must not overflow the largest number."""
    product: Floats = factor * total
    limit = np.finfo(np.float64).max
    over = np.isinf(product) & np.isfinite(factor) & (abs(total) <= 1 + 1e-9)
    return np.where(over, np.copysign(limit, product), product) if over.any() else product


class SummedFlow(Flow):
    """A flow too large to be written whole: its sums, and the rows and columns that were asked for."""

    __slots__ = ("_columns", "_count", "_given", "_rows")

    def __init__(
        self,
        row_sums: npt.ArrayLike,
        column_sums: npt.ArrayLike,
        rows: Mapping[int, Links] = MappingProxyType({}),
        columns: Mapping[int, Links] = MappingProxyType({}),
        *,
        link_count: int = -1,
    ) -> None:
        """Args are the sums, the known links by node, and how many links there are (-1: unknown, N · M)."""
        given: tuple[Floats, Floats] = (
            as_floats(row_sums).flatten(),
            as_floats(column_sums).flatten(),
        )
        super().__init__((given[0].size, given[1].size))
        self._given = given
        self._rows = MappingProxyType(dict(rows))
        self._columns = MappingProxyType(dict(columns))
        self._count = link_count if link_count >= 0 else self.shape[0] * self.shape[1]

    @property
    def link_count(self) -> int:
        """How many links the writer counted; N · M where it did not say."""
        return self._count

    @property
    def nbytes(self) -> int:
        """Bytes of the sums and of the links that came."""
        came = [*self._rows.values(), *self._columns.values()]
        return int(sum(a.nbytes for a in self._given)) + sum(24 * len(links) for links in came)

    @property
    def rows(self) -> Mapping[int, Links]:
        """The source nodes whose links came, read-only."""
        return self._rows

    @property
    def columns(self) -> Mapping[int, Links]:
        """The target nodes whose links came, read-only."""
        return self._columns

    def has_row(self, node: int) -> bool:
        """Whether the links of a source node came."""
        return node in self._rows

    def has_column(self, node: int) -> bool:
        """Whether the links of a target node came."""
        return node in self._columns

    def with_row(self, node: int, values: npt.ArrayLike) -> SummedFlow:
        """Return the flow with one more row known.

        Args:
            node: the source node.
            values: [M]; zeros are no links.

        Raises:
            IndexError: there is no such node.
            ValueError: another number of values.
        """
        self._check(node, 0)
        targets, found = _nonzero(values, self.shape[1])
        links = Links(np.full(targets.size, node), targets, found)
        return self._with({**self._rows, node: links}, self._columns)

    def with_column(self, node: int, values: npt.ArrayLike) -> SummedFlow:
        """Return the flow with one more column known; ``values`` is [N], otherwise as `with_row`."""
        self._check(node, 1)
        sources, found = _nonzero(values, self.shape[0])
        links = Links(sources, np.full(sources.size, node), found)
        return self._with(self._rows, {**self._columns, node: links})

    def row(self, node: int) -> Links:
        """Return the links of a source node; empty until they came."""
        self._check(node, 0)
        return self._rows.get(node, Links.empty())

    def column(self, node: int) -> Links:
        """Return the links of a target node; empty until they came."""
        self._check(node, 1)
        return self._columns.get(node, Links.empty())

    @property
    def ranked_count(self) -> int:
        """How many links came."""
        return sum(int(piece.size) for piece in self.pieces())

    def pieces(self) -> Iterator[Array]:
        """Yield the values of the rows and columns that came, a link in both of them once."""
        for links in self._rows.values():
            yield links.values
        known = np.fromiter(self._rows, dtype=np.intp, count=len(self._rows))
        for links in self._columns.values():
            yield links.values[~np.isin(links.sources, known)]

    def dense(self) -> Floats:
        """Return the matrix of what came, zero elsewhere."""
        matrix = np.zeros(self.shape)
        for links in (*self._columns.values(), *self._rows.values()):
            matrix[links.sources, links.targets] = links.values
        return matrix

    def _with(self, rows: Mapping[int, Links], columns: Mapping[int, Links]) -> SummedFlow:
        return SummedFlow(*self._given, rows, columns, link_count=self._count)

    def _sum_rows(self) -> Floats:
        return self._given[0]

    def _sum_columns(self) -> Floats:
        return self._given[1]


def _nonzero(values: npt.ArrayLike, length: int) -> tuple[Array, Floats]:
    numbers = as_floats(values)
    if numbers.shape != (length,):
        raise ValueError(f"{length} values were expected, not an array of shape {numbers.shape}")
    places = np.flatnonzero(numbers)
    return places, numbers[places]
