"""Kernels of one layer that do the same: equal, scaled, or with the sign turned.

Two kernels whose responses differ by a factor alone carry one feature between them. They are found by the
cosine of their weights.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np

from gradtui.core.analysis.similarity import finite_rows
from gradtui.core.arrays import as_floats, blocks_of_rows
from gradtui.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from gradtui.core.arrays import Array, Flags, Floats, Indices

BOUND: Final = 0.95
MOST_KERNELS: Final = 4096
"""Of a layer with more kernels an even sample of this many is compared."""
MOST_VALUES: Final = 1 << 25
"""Likewise of kernels with so many values together: 256 MB in float64."""
MOST_PAIRS: Final = 1000
"""Of more pairs the most alike are kept."""
CHANCE: Final = 0.05
"""How many pairs of random directions may reach the bound, all pairs of a layer together."""
_SAME_LENGTH: Final = 0.05
_BLOCK: Final = 512

Likeness: TypeAlias = Literal["alike", "scaled", "sign-flipped", "sign-flipped, scaled"]


@dataclass(frozen=True, slots=True)
class KernelPair:
    """Two kernels of a layer that are alike.

    Attributes:
        first: index of a kernel, the lower; ``second`` the higher.
        cosine: of their weights, -1 to 1.
        ratio: length of the second over that of the first, positive.
    """

    first: int
    second: int
    cosine: float
    ratio: float

    @property
    def likeness(self) -> Likeness:
        """How they are alike; lengths within 5 % are the same."""
        scaled = abs(math.log(self.ratio)) > math.log1p(_SAME_LENGTH)
        if self.cosine > 0:
            return "scaled" if scaled else "alike"
        return "sign-flipped, scaled" if scaled else "sign-flipped"

    @property
    def words(self) -> str:
        """The pair in words: ``3 and 7 alike (cosine 0.998)``, ``5 ≈ -1.2 × 2 (cosine -0.97)``."""
        if self.likeness == "alike":
            return f"{self.first} and {self.second} alike (cosine {self.cosine:.3f})"
        factor = math.copysign(self.ratio, self.cosine)
        return f"{self.second} ≈ {factor:.3g} × {self.first} (cosine {self.cosine:.3f})"


@dataclass(frozen=True, slots=True)
class Kernels:
    """What comparing a layer's kernels gave.

    Attributes:
        count: kernels of the layer.
        bound: the least magnitude of a cosine that counts as alike.
        pairs: those that reach it, the most alike first, at most `MOST_PAIRS`.
        pair_count: how many reach it.
        groups: kernels that pairs join, each group rising, the largest first.
        zero: kernels of zeros alone.
        nonfinite: kernels with NaN or infinities; neither these nor zero ones are compared.
        compared: how many kernels were compared.
    """

    count: int
    bound: float = BOUND
    pairs: tuple[KernelPair, ...] = ()
    pair_count: int = 0
    groups: tuple[tuple[int, ...], ...] = ()
    zero: tuple[int, ...] = ()
    nonfinite: tuple[int, ...] = ()
    compared: int = 0


def kernels_alike(weight: npt.ArrayLike, bound: float = BOUND, axis: int = 0) -> Kernels:
    """Find the kernels of a layer that are alike: ``|cos| ≥ bound``.

    Short kernels point alike by chance. The bound is raised where needed, so that of as many pairs of random
    directions no more than `CHANCE` would be expected to reach it: of d weights,
    ``P(|cos| ≥ c) ≤ (1 − c²)^a / (a · B(a, ½) · c)`` with ``a = (d − 1) / 2``, from the distribution of the cosine of
    random directions (Cai, Fan, Jiang 2013, "Distributions of Angles in Random Packing on Spheres").

    Shapes: [out, ...]; a kernel is all of one output's weights: [in, h, w] of a convolution, a row of a linear layer.

    Args:
        weight: of any real dtype.
        bound: above 0, at most 1.
        axis: the dimension that counts kernels; 1 for a transposed convolution.

    Raises:
        UsageError: for a bound or an axis that can't be.

    Special values: kernels of zeros and non-finite ones are listed and not compared; fewer than two
        dimensions, or fewer than two weights a kernel, give no pairs.
    """
    array = np.asarray(weight)
    if not 0 < bound <= 1:
        raise UsageError(f"bound={bound}: a cosine above 0 and at most 1 is needed")
    if array.ndim < 2:
        return Kernels(0, bound)
    if not -array.ndim <= axis < array.ndim:
        raise UsageError(f"axis={axis}: the weight has {array.ndim} dimensions")
    moved = np.moveaxis(array, axis, 0)
    rows = moved.reshape(moved.shape[0], -1) if moved.size else np.zeros((0, 0))
    finite, largest = _magnitudes(rows)
    zero = finite & (largest == 0)
    usable = np.flatnonzero(finite & ~zero)
    room = min(MOST_KERNELS, MOST_VALUES // max(rows.shape[1], 1))
    if usable.size > room:
        usable = usable[np.linspace(0, usable.size - 1, room).astype(np.intp)]
    values = as_floats(rows[usable])
    size = values.shape[1]
    bound = max(bound, chance_bound(usable.size * (usable.size - 1) // 2, size))
    pairs: list[KernelPair] = []
    count = 0
    labels = np.arange(moved.shape[0])
    if size > 1 and bound <= 1:
        for found, best in _close(values, largest[usable], usable, bound, labels):
            count += found
            pairs = sorted(pairs + best, key=lambda p: (-abs(p.cosine), p.first, p.second))
            del pairs[MOST_PAIRS:]
    return Kernels(
        int(moved.shape[0]),
        bound,
        tuple(pairs),
        count,
        _groups(labels),
        _places(zero),
        _places(~finite),
        int(usable.size),
    )


def _magnitudes(rows: Array) -> tuple[Flags, Floats]:
    """Which kernels are finite, and the largest magnitude of those, 0 of the others."""
    finite, largest = np.zeros(len(rows), np.bool_), np.zeros(len(rows))
    for part in blocks_of_rows(*rows.shape):
        size = np.abs(as_floats(rows[part]))
        finite[part] = finite_rows(size)
        largest[part] = np.where(finite[part], size.max(axis=1, initial=0.0), 0.0)
    return finite, largest


def chance_bound(pairs: int, size: int) -> float:
    """Return the least cosine that at most `CHANCE` of so many pairs of random directions are expected to reach.

    Args:
        pairs: how many are compared.
        size: weights a kernel; below 2 no cosine says anything, and the bound is infinite.
    """
    if size < 2:
        return math.inf
    if pairs < 1:
        return 0.0
    a = (size - 1) / 2
    log_beta = math.lgamma(a) + math.lgamma(0.5) - math.lgamma(a + 0.5)
    low, high = 1e-6, 1.0 - 1e-12
    for _ in range(60):
        middle = (low + high) / 2
        log_chance = a * math.log1p(-middle * middle) - math.log(a * middle) - log_beta
        if math.log(pairs) + log_chance > math.log(CHANCE):
            low = middle
        else:
            high = middle
    return high


def _close(
    values: Floats, largest: Floats, names: Indices, bound: float, labels: Indices
) -> Iterator[tuple[int, list[KernelPair]]]:
    """Yield how many pairs a block of kernels has with later ones, and the most alike; join labels of all."""
    # By the largest magnitude first: squares of very small or large weights leave float64's range.
    values = values / largest[:, None]
    length = np.sqrt((values**2).sum(axis=1))
    directions = values / length[:, None]
    logs = np.log(largest) + np.log(length)
    later = np.arange(len(names))
    for start in range(0, len(names), _BLOCK):
        cosines = np.clip(directions[start : start + _BLOCK] @ directions.T, -1.0, 1.0)
        rows = later[start : start + _BLOCK, None]
        # What is equal but for a factor must reach a bound of 1 too.
        close = (np.abs(cosines) >= bound - 1e-12) & (later > rows)
        for row in np.flatnonzero(close.any(axis=1)):
            joined = np.append(labels[names[close[row]]], labels[names[start + row]])
            labels[np.isin(labels, joined)] = joined.min()
        first, second = np.nonzero(close)
        chosen = np.argsort(-np.abs(cosines[first, second]), kind="stable")[:MOST_PAIRS]
        pairs = []
        for i, j in zip(first[chosen], second[chosen], strict=True):
            # Lengths may be further apart than any number says.
            ratio = float(np.exp(np.clip(logs[j] - logs[i + start], -700, 700)))
            cosine = float(cosines[i, j])
            pairs.append(KernelPair(int(names[i + start]), int(names[j]), cosine, ratio))
        yield len(first), pairs


def _groups(labels: Indices) -> tuple[tuple[int, ...], ...]:
    order = np.argsort(labels, kind="stable")
    starts = np.flatnonzero(np.diff(labels[order])) + 1
    groups = [tuple(int(k) for k in group) for group in np.split(order, starts) if len(group) > 1]
    return tuple(sorted(groups, key=lambda group: (-len(group), group)))


def _places(mask: Flags) -> tuple[int, ...]:
    return tuple(int(place) for place in np.flatnonzero(mask))
