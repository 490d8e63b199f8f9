"""The k-th largest magnitude of numbers that are never all in memory in float64 at once.

Here are one rank, the first few thousand, and products; `gradtui.core.ranking` counts once for many ranks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from gradtui.core.arrays import as_floats

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gradtui.core.arrays import Array, Floats

TOP: Final = 1 << 12
"""So many of the largest magnitudes are found in one cheap pass."""


def largest(pieces: Iterable[Array], count: int = TOP) -> Floats:
    """Return the ``count`` largest magnitudes, the largest first; fewer where there are fewer.

    Special values: infinities are the largest; NaN has no rank and is left out.
    """
    kept = np.zeros(0)
    least = -1.0
    for piece in pieces:
        size = np.abs(piece) if piece.dtype.kind == "f" else np.abs(as_floats(piece))
        # Comparisons with NaN are false, which leaves it out.
        new = as_floats(size[size > least] if kept.size >= count else size[size >= 0])
        if not new.size:
            continue
        kept = np.concatenate([kept, new])
        if kept.size > count:
            kept = np.partition(kept, kept.size - count)[kept.size - count :]
            least = float(kept.min())
    return np.sort(kept)[::-1]


def largest_products(left: Floats, right: Floats, count: int = TOP) -> Floats:
    """Return the ``count`` largest ``|left[i] · right[j]|``, the largest first, without all products.

    The a-th largest left and the b-th largest right have a · b products that are no smaller, so that
    only those with a · b ≤ count can be among them: count · log(count), whatever the lengths.

    Special values: as `largest`; infinity times zero is NaN and left out.
    """
    one, other = largest([left], count), largest([right], count)
    found = [np.zeros(0)]
    with np.errstate(over="ignore", invalid="ignore"):
        for place, factor in enumerate(one):
            found.append(factor * other[: count // (place + 1)])
    return largest(found, count)


def kth_largest_product(left: Floats, right: Floats, rank: int) -> float:
    """Return the magnitude that ``rank`` of all products of finite numbers reach, to rounding.

    Bisection over the bits of the answer: how many products reach a number is one search a row among
    sorted columns, so that 10¹⁰ products cost some 64 · N · log M steps and no memory.

    Returns:
        0 where fewer products exist.
    """
    rows, columns = np.sort(np.abs(left)), np.sort(np.abs(right))
    rows = rows[rows > 0]
    low, high = 0, int(np.array([np.finfo(np.float64).max]).view(np.uint64)[0])
    while low < high:
        middle = (low + high + 1) // 2
        limit = float(np.array([middle], dtype=np.uint64).view(np.float64)[0])
        with np.errstate(over="ignore"):
            reach = np.searchsorted(columns, limit / rows, side="left")
        if int(rows.size * columns.size - reach.sum()) >= rank:
            low = middle
        else:
            high = middle - 1
    return float(np.array([low], dtype=np.uint64).view(np.float64)[0])
