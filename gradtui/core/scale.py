"""Scales: numbers to the 32 levels that colours have, zero in the middle."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np

from gradtui.core.arrays import as_floats, as_table, blocks_of_rows, finite_parts
from gradtui.errors import UsageError

if TYPE_CHECKING:
    import numpy.typing as npt

    from gradtui.core.arrays import Floats

    Levels: TypeAlias = npt.NDArray[np.uint8]

Scale: TypeAlias = Literal["linear", "symlog", "percentile"]
SCALES: Final[tuple[Scale, ...]] = ("linear", "symlog", "percentile")
LEVELS: Final = 32
NAN_LEVEL: Final = 253
NEGATIVE_INF_LEVEL: Final = 254
POSITIVE_INF_LEVEL: Final = 255
DECADES: Final = 4
"""A symmetric log scale is linear below the largest magnitude over 10 to this power."""
_HALF: Final = LEVELS // 2
_SAMPLE: Final = 1 << 16


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """How numbers become levels; made from one map, it can be used for others that shall compare.

    Attributes:
        scale: which.
        limit: the magnitude that has the outermost level; 0 where there is none.
        steps: magnitudes at which a rank scale goes to its next level, rising; empty for the others.
    """

    scale: Scale
    limit: float
    steps: Floats

    def levels(self, values: npt.ArrayLike, *, inverted: bool = False) -> Levels:
        """Return a level for each number.

        Shapes: as given, uint8. Levels 0 to 15 are negative, the strongest first; 16 to 31 are zero and
        positive, the strongest last. The order of levels is the order of numbers.

        Args:
            values: of any real dtype.
            inverted: negative and positive change places, zero becomes 15.

        Special values: 253 for NaN, 254 and 255 for the infinities, inverted or not. Beyond the limit: the
            outermost levels. A limit of 0: everything finite is at zero's level.
        """
        array = np.asarray(values)
        table = as_table(array)
        # A map of bytes, copied whole into float64 several times, would take far more than its file.
        levels = np.empty(table.shape, np.uint8)
        for rows in blocks_of_rows(*table.shape):
            levels[rows] = self._levels(as_floats(table[rows]), inverted)
        return levels.reshape(array.shape)

    def _levels(self, numbers: Floats, inverted: bool) -> Levels:
        finite = np.isfinite(numbers)
        size = np.abs(numbers)
        share = self._share(np.where(finite, size, 0.0))
        rank = np.minimum((share * _HALF).astype(np.int64), _HALF - 1)
        levels = np.where(numbers < 0, _HALF - 1 - rank, _HALF + rank).astype(np.uint8)
        if inverted:
            levels = (LEVELS - 1 - levels).astype(np.uint8)
        if not finite.all():
            levels[np.isnan(numbers)] = NAN_LEVEL
            levels[numbers == -np.inf] = NEGATIVE_INF_LEVEL
            levels[numbers == np.inf] = POSITIVE_INF_LEVEL
        return levels

    def _share(self, size: Floats) -> Floats:
        """Magnitudes as 0 to 1, rising."""
        if self.scale == "percentile":
            if not self.steps.size:
                return np.zeros_like(size)
            found = np.searchsorted(self.steps, size, side="right")
            return as_floats(found / _HALF)
        if self.limit <= 0:
            return np.zeros_like(size)
        share = np.minimum(size / self.limit, 1.0)
        if self.scale == "symlog":
            share = np.log1p(share * 10.0**DECADES) / np.log1p(10.0**DECADES)
        return as_floats(share)


def scaling(scale: str, *maps: npt.ArrayLike) -> Scaling:
    """Return the scaling that fits a map, or several together.

    - ``linear``: levels are equal steps of magnitude up to the largest.
    - ``symlog``: ``log(1 + |x| · 10⁴ / max) / log(1 + 10⁴)``, for numbers over many orders.
    - ``percentile``: levels hold equally many of the magnitudes that are not 0, whatever their size.

    Args:
        scale: one of `SCALES`.
        maps: of any shapes and real dtypes.

    Raises:
        UsageError: there is no such scale.

    Special values: NaN and infinities have no part in it; an empty map, or one of zeros, has a limit of
        0, as no map has. More than 65,536 cells are ranked by an even sample of them.
    """
    if scale not in SCALES:
        raise UsageError(f"no scale is called {scale}: {', '.join(SCALES)}")
    arrays = [np.asarray(values) for values in maps]
    limit, count = 0.0, 0
    for part in chain.from_iterable(map(finite_parts, arrays)):
        size = np.abs(part)
        limit = max(limit, float(size.max(initial=0.0)))
        count += size.size
    steps = np.zeros(0)
    if scale == "percentile" and count:
        # An even sample, the first cell of each stride: the same map always looks the same.
        stride = max(1, -(-count // _SAMPLE))
        taken, passed = [], 0
        for part in chain.from_iterable(map(finite_parts, arrays)):
            positive = np.abs(part[part != 0])
            taken.append(positive[-passed % stride :: stride])
            passed += positive.size
        sample = np.sort(np.concatenate(taken))
        if sample.size:
            steps = sample[(np.arange(1, _HALF) * sample.size) // _HALF]
    return Scaling(next(known for known in SCALES if known == scale), limit, steps)
