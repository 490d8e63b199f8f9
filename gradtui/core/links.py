"""Some links of a flow: where they start, where they end, what flows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gradtui.core.arrays import as_floats, no_floats, read_only

if TYPE_CHECKING:
    import numpy.typing as npt

    from gradtui.core.arrays import Array, Floats


@dataclass(frozen=True, slots=True, eq=False)
class Links:
    """Links as three vectors of one length: the k-th goes from ``sources[k]`` to ``targets[k]``.

    Attributes:
        sources: nodes of the source layer, row-major.
        targets: nodes of the target layer, row-major.
        values: the flow of each, float64.
    """

    sources: Array
    targets: Array
    values: Floats

    def __post_init__(self) -> None:
        object.__setattr__(self, "sources", read_only(np.asarray(self.sources, dtype=np.intp)))
        object.__setattr__(self, "targets", read_only(np.asarray(self.targets, dtype=np.intp)))
        object.__setattr__(self, "values", read_only(as_floats(self.values)))
        if not self.sources.shape == self.targets.shape == self.values.shape:
            raise ValueError("sources, targets and values of links differ in length")

    def __len__(self) -> int:
        return int(self.values.size)

    @staticmethod
    def empty() -> Links:
        """Return no links."""
        nothing = np.zeros(0, dtype=np.intp)
        return Links(nothing, nothing, no_floats())

    def where(self, chosen: npt.ArrayLike) -> Links:
        """Return the links that a mask keeps, or an index array picks, in its order."""
        key = np.asarray(chosen)
        return Links(self.sources[key], self.targets[key], self.values[key])

    def strongest(self, count: int = -1) -> Links:
        """Return the links by falling magnitude, ties in their old order.

        Args:
            count: how many; -1 for all. Fewer where there are fewer.

        Special values: infinities come first, NaN last.
        """
        size = np.abs(self.values)
        # NaN has no rank: below every number, zero included.
        size = np.where(np.isnan(size), -1.0, size)
        if 0 <= count < size.size // 4:
            if count == 0:
                return Links.empty()
            least = np.partition(size, size.size - count)[size.size - count]
            near = np.flatnonzero(size >= least)
            order = near[np.argsort(-size[near], kind="stable")][:count]
        else:
            order = np.argsort(-size, kind="stable")
            order = order if count < 0 else order[:count]
        return self.where(order)
