"""A flow that lists its links: what convolutions and other local modules have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from gradtui.core.abstract_flow import Flow
from gradtui.core.arrays import BLOCK, as_floats, read_only
from gradtui.core.links import Links

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from gradtui.core.arrays import Array, Floats, Indices

_SMALL: Final = 1 << 31


class SparseFlow(Flow):
    """Links sorted by source and target, with the order by target made when a column is first asked for.

    A link that is listed twice is one link with the sum of both values.
    """

    __slots__ = ("_by_target", "_ends", "_starts", "_targets", "_values")

    def __init__(
        self,
        shape: tuple[int, int],
        sources: npt.ArrayLike,
        targets: npt.ArrayLike,
        values: npt.ArrayLike,
    ) -> None:
        """Args are N and M, and three vectors of one length in any order.

        Raises:
            ValueError: lengths differ, or a node is outside its layer.
        """
        super().__init__(shape)
        rows, columns = np.asarray(sources).ravel(), np.asarray(targets).ravel()
        numbers = np.asarray(values).ravel()
        if not rows.size == columns.size == numbers.size:
            raise ValueError("sources, targets and values of links differ in length")
        for nodes, count in ((rows, self.shape[0]), (columns, self.shape[1])):
            if nodes.size and (nodes.min() < 0 or nodes.max() >= count):
                raise ValueError(f"a link's node is not below {count}")
        flat = rows.astype(np.int64) * max(self.shape[1], 1)
        flat += columns.astype(np.int64, copy=False)
        flat, numbers = _sorted_once(flat, numbers)
        width = max(self.shape[1], 1)
        bounds = np.arange(self.shape[0] + 1, dtype=np.int64) * width
        self._starts = np.searchsorted(flat, bounds)
        np.remainder(flat, width, out=flat)
        self._targets: Array = flat.astype(np.int32) if self.shape[1] < _SMALL else flat
        self._values = read_only(numbers)
        self._by_target: Array | None = None
        self._ends: Indices | None = None

    @property
    def link_count(self) -> int:
        """How many links are listed."""
        return int(self._values.size)

    @property
    def nbytes(self) -> int:
        """Bytes of the links and their order."""
        arrays = [self._values, self._targets, self._starts, self._by_target, self._ends]
        return sum(array.nbytes for array in arrays if array is not None)

    def row(self, node: int) -> Links:
        """Return the links of a source node, by rising target."""
        self._check(node, 0)
        span = slice(self._starts[node], self._starts[node + 1])
        targets = self._targets[span]
        return Links(np.full(targets.size, node), targets, as_floats(self._values[span]))

    def column(self, node: int) -> Links:
        """Return the links of a target node, by rising source."""
        self._check(node, 1)
        if self._by_target is None or self._ends is None:
            order = np.argsort(self._targets, kind="stable")
            self._by_target = order.astype(np.int32) if order.size < _SMALL else order
            counts = np.bincount(self._targets, minlength=self.shape[1])
            self._ends = np.concatenate([[0], np.cumsum(counts)])
        places = self._by_target[self._ends[node] : self._ends[node + 1]]
        sources = np.searchsorted(self._starts, places, side="right") - 1
        return Links(sources, np.full(places.size, node), as_floats(self._values[places]))

    def links(self) -> Links:
        """Return every link, by rising source and then target: 24 bytes a link."""
        return Links(self._sources(), self._targets, as_floats(self._values))

    def pieces(self) -> Iterator[Array]:
        """Yield the values in the order of the links."""
        for part in self._parts():
            yield self._values[part]

    def dense(self) -> Floats:
        """Return the matrix, zero where there is no link."""
        matrix = np.zeros(self.shape)
        matrix[self._sources(), self._targets] = as_floats(self._values)
        return matrix

    def _sources(self) -> Indices:
        return np.repeat(np.arange(self.shape[0]), np.diff(self._starts))

    def _sum_rows(self) -> Floats:
        total = np.zeros(self.shape[0])
        for part in self._parts():
            sources = np.searchsorted(self._starts, np.arange(part.start, part.stop), "right") - 1
            # A row may go on in the next part.
            first = int(sources[0])
            sums = np.bincount(sources - first, weights=self._values[part])
            total[first : first + sums.size] += sums
        return total

    def _sum_columns(self) -> Floats:
        total = np.zeros(self.shape[1])
        for part in self._parts():
            total += np.bincount(
                self._targets[part], weights=self._values[part], minlength=self.shape[1]
            )
        return total

    def _parts(self) -> Iterator[slice]:
        count = self._values.size
        for start in range(0, count, BLOCK):
            yield slice(start, min(start + BLOCK, count))


def _sorted_once(flat: npt.NDArray[np.int64], values: Array) -> tuple[npt.NDArray[np.int64], Array]:
    """Links in rising order, each once: what is listed twice is added up."""
    if flat.size > 1 and not (flat[1:] > flat[:-1]).all():
        if not (flat[1:] >= flat[:-1]).all():
            order = np.argsort(flat, kind="stable")
            flat, values = flat[order], values[order]
            del order
        first = np.concatenate([[True], flat[1:] != flat[:-1]])
        if not first.all():
            starts = np.flatnonzero(first)
            with np.errstate(over="ignore", invalid="ignore"):
                values = np.add.reduceat(as_floats(values), starts)
            flat = flat[starts]
    return flat, values
