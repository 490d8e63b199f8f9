"""Histograms that join exactly: bins are 2^e wide and begin at multiples of 2^e.

A bin of width 2^(e+1) is a pair of bins of width 2^e, whatever range a histogram was made for: so histograms of other
steps or of other ranks join by adding counts, and the result is that of all their samples at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradtui.core.arrays import Array, Flags, Indices

SMALLEST_EXPONENT: Final = -149
"""float32 has no finer steps than 2^-149."""
_SIGNIFICANT: Final = 24
"""Bins finer than float32's own resolution say nothing; and so every offset is below 2^25."""
_ROWS_AT_ONCE: Final = 4096
NAN, POSITIVE, NEGATIVE, BELOW, ABOVE = range(5)


@dataclass(frozen=True, slots=True, eq=False)
class Binned:
    """Histograms of n samples, each on its own grid.

    Attributes:
        counts: [n, bins] integers.
        exponents: int16 [n]: bins are 2^exponent wide.
        offsets: int32 [n]: bin k covers [(offset + k) · 2^exponent, (offset + k + 1) · 2^exponent).
        tails: int32 [n, 5] or wider integers: NaN, +Inf, -Inf, rejected below, rejected above.
    """

    counts: Array
    exponents: Array
    offsets: Array
    tails: Array

    def rows(self, part: slice) -> Binned:
        """Return some of the histograms, as views."""
        return Binned(self.counts[part], self.exponents[part], self.offsets[part], self.tails[part])


def binned(
    samples: Array, bins: int = 64, reject: float = 0.0, sizes: Array | None = None
) -> Binned:
    """Count n samples into bins, each on the finest grid that covers it.

    Args:
        samples: [n, s], float32 or narrower.
        bins: bins a histogram, at least 2.
        reject: the share p of the finite values that is left out: the ``floor(p · m)`` of m values that are farthest
            from their median, of equally far ones the greater first. They are counted in ``tails``.
        sizes: [n], how many values of each row count; the rest is padding. None: all.

    Returns:
        counts uint16 (uint32 for s above 65,535).

    Special values: NaN and infinities are counted in ``tails`` alone. A row without finite values has no counts,
    the smallest exponent and offset 0; a constant one has one bin that is 2^-23 of it wide; -0 is 0.

    Raises:
        ValueError: fewer than 2 bins, or a share outside [0, 1].
    """
    if bins < 2 or not 0 <= reject <= 1:
        raise ValueError("at least 2 bins, and a share between 0 and 1")
    values = np.asarray(samples, np.float64)
    n, s = values.shape
    tails = np.zeros((n, 5), np.int32)
    counts_type = np.uint16 if s <= 0xFFFF else np.uint32
    if n == 0 or s == 0:
        return Binned(
            np.zeros((n, bins), counts_type),
            np.full(n, SMALLEST_EXPONENT, np.int16),
            np.zeros(n, np.int32),
            tails,
        )
    there = np.isfinite(values)
    if sizes is not None:
        valid = np.arange(s) < np.asarray(sizes)[:, None]
        there &= valid
    else:
        valid = np.ones(1, np.bool_)
    if not there.all():
        tails[:, NAN] = np.count_nonzero(np.isnan(values) & valid, axis=1)
        tails[:, POSITIVE] = np.count_nonzero(np.isposinf(values) & valid, axis=1)
        tails[:, NEGATIVE] = np.count_nonzero(np.isneginf(values) & valid, axis=1)
    if reject > 0:
        below, above = _farthest(values, there, reject)
        tails[:, BELOW] = np.count_nonzero(below, axis=1)
        tails[:, ABOVE] = np.count_nonzero(above, axis=1)
        there &= ~(below | above)
    low = np.min(values, axis=1, where=there, initial=np.inf)
    high = np.max(values, axis=1, where=there, initial=-np.inf)
    nothing = low > high
    low[nothing] = high[nothing] = 0.0
    exponents = _finest(low, high, bins)
    scale = np.ldexp(1.0, -exponents)
    offsets = np.floor(low * scale)
    with np.errstate(invalid="ignore"):
        places = np.floor(values * scale[:, None]) - offsets[:, None]
        if not there.all():
            places[~there] = bins
    places += (np.arange(n) * (bins + 1))[:, None]
    flat = np.bincount(places.astype(np.intp).ravel(), minlength=n * (bins + 1))
    counts = flat.reshape(n, bins + 1)[:, :bins].astype(counts_type)
    return Binned(counts, exponents.astype(np.int16), offsets.astype(np.int32), tails)


def _finest(low: Array, high: Array, bins: int) -> Indices:
    """The smallest exponents with which ``bins`` bins cover [low, high]; both [n], finite."""
    largest = np.maximum(np.abs(low), np.abs(high))
    # frexp: x = m · 2^e with m in [0.5, 1); so |x| < 2^e.
    fine = np.frexp(largest)[1].astype(np.intp) - _SIGNIFICANT
    # Zeros fit any grid: the finest, so that they make no other coarser.
    exponents = np.where(largest > 0, np.maximum(fine, SMALLEST_EXPONENT), SMALLEST_EXPONENT)
    width = (high - low) / bins
    exponents = np.maximum(
        exponents, np.where(width > 0, np.frexp(width)[1] - 1, SMALLEST_EXPONENT)
    )
    while True:
        scale = np.ldexp(1.0, -exponents)
        wide = np.floor(high * scale) - np.floor(low * scale) >= bins
        if not wide.any():
            result: Indices = exponents.astype(np.intp)
            return result
        exponents = exponents + wide


def _farthest(values: Array, there: Flags, share: float) -> tuple[Flags, Flags]:
    """Which finite values are rejected, those below and those above the median; both [n, s]."""
    finite = np.where(there, values, np.nan)
    ordered = np.sort(finite, axis=1)
    size = np.count_nonzero(there, axis=1)
    rows = np.arange(len(values))
    lower, upper = np.maximum(size - 1, 0) // 2, size // 2
    upper = np.minimum(upper, values.shape[1] - 1)
    median = 0.5 * ordered[rows, lower] + 0.5 * ordered[rows, upper]
    distance = np.where(there, np.abs(values - median[:, None]), -1.0)
    # The farthest first; of equally far ones the greater.
    order = np.lexsort((-np.where(there, values, 0.0), -distance), axis=1)
    drop = np.floor(share * size).astype(np.intp)
    rejected = np.zeros(values.shape, np.bool_)
    np.put_along_axis(rejected, order, np.arange(values.shape[1]) < drop[:, None], axis=1)
    rejected &= there
    below = rejected & (values < median[:, None])
    return below, rejected & ~below


def joined(parts: Sequence[Binned], bins: int = 0) -> Binned:
    """Add histograms of the same n samples' tensors, each of other steps or ranks: exactly those of all values.

    Args:
        parts: at least one, all of n rows.
        bins: bins of the result; 0: the most of the parts.

    Returns:
        Each row on the finest grid that the parts and ``bins`` allow; counts uint16 where all fit, else uint32.

    Special values: rows without counts change nothing.
    """
    bins = bins or max(part.counts.shape[1] for part in parts)
    n = len(parts[0].counts)
    if n <= _ROWS_AT_ONCE:
        return _joined(parts, bins)
    # In between everything is of 64 bits: of many rows that would be a multiple of what comes out.
    done = []
    for start in range(0, n, _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        done.append(_joined([part.rows(rows) for part in parts], bins))
    return Binned(
        np.concatenate([each.counts for each in done]),
        np.concatenate([each.exponents for each in done]),
        np.concatenate([each.offsets for each in done]),
        np.concatenate([each.tails for each in done]),
    )


def _joined(parts: Sequence[Binned], bins: int) -> Binned:
    n = len(parts[0].counts)
    exponents = np.full(n, SMALLEST_EXPONENT, np.int64)
    extents = [_extent(part) for part in parts]
    for part, (low, high) in zip(parts, extents, strict=True):
        exponents = np.maximum(exponents, np.where(low <= high, part.exponents, exponents))
    while True:
        least = np.full(n, np.iinfo(np.int64).max)
        most = np.full(n, np.iinfo(np.int64).min)
        for part, (low, high) in zip(parts, extents, strict=True):
            there = low <= high
            shift = np.where(there, exponents - part.exponents, 0)
            least = np.minimum(least, np.where(there, low >> shift, least))
            most = np.maximum(most, np.where(there, high >> shift, most))
        nothing = least > most
        least[nothing] = most[nothing] = 0
        wide = most - least >= bins
        if not wide.any():
            break
        exponents += wide
    exponents[nothing] = SMALLEST_EXPONENT
    counts = np.zeros(n * bins, np.int64)
    for part in parts:
        shift = np.maximum(exponents - part.exponents, 0)[:, None]
        cells = part.offsets.astype(np.int64)[:, None] + np.arange(part.counts.shape[1])
        cells >>= shift
        cells -= least[:, None]
        # Where a cell lies outside the grid it is empty.
        np.clip(cells, 0, bins - 1, out=cells)
        cells += (np.arange(n) * bins)[:, None]
        counts += np.bincount(cells.ravel(), part.counts.ravel(), n * bins).astype(np.int64)
    tails = np.sum([part.tails.astype(np.int64) for part in parts], axis=0)
    small = counts.max(initial=0) <= np.iinfo(np.uint16).max
    return Binned(
        counts.reshape(n, bins).astype(np.uint16 if small else np.uint32),
        exponents.astype(np.int16),
        least.astype(np.int32),
        tails,
    )


def _extent(part: Binned) -> tuple[Array, Array]:
    """The first and the last bin in use of each row, counted from zero of the grid; without any: first > last."""
    used = part.counts > 0
    width = part.counts.shape[1]
    some = used.any(axis=1)
    first = np.where(some, used.argmax(axis=1), 1)
    last = np.where(some, width - 1 - used[:, ::-1].argmax(axis=1), 0)
    offsets = part.offsets.astype(np.int64)
    return offsets + first, offsets + last


def common_grid(row: Sequence[Binned], index: int, bins: int = 0) -> tuple[Array, float, float]:
    """Put one tensor's histograms of several steps on one grid.

    Args:
        row: a histogram of each step.
        index: which of their rows.
        bins: most bins of the grid; 0: the most of the parts.

    Returns:
        counts int64 [t, bins' <= bins], the lower edge of bin 0, the width of a bin.

    Special values: where no step has a count the grid is [t, 0] from 0, of width 1.
    """
    parts = [
        Binned(
            part.counts[index : index + 1],
            part.exponents[index : index + 1],
            part.offsets[index : index + 1],
            part.tails[index : index + 1],
        )
        for part in row
    ]
    if not parts:
        return np.zeros((0, 0), np.int64), 0.0, 1.0
    whole = joined(parts, bins)
    used = np.flatnonzero(whole.counts[0])
    if len(used) == 0:
        return np.zeros((len(parts), 0), np.int64), 0.0, 1.0
    exponent = int(whole.exponents[0])
    first = int(whole.offsets[0]) + int(used[0])
    counts = np.zeros((len(parts), int(used[-1] - used[0]) + 1), np.int64)
    for step, part in enumerate(parts):
        places = np.flatnonzero(part.counts[0])
        target = ((int(part.offsets[0]) + places) >> (exponent - int(part.exponents[0]))) - first
        np.add.at(counts[step], target, part.counts[0, places].astype(np.int64))
    width = float(np.ldexp(1.0, exponent))
    return counts, first * width, width
