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

    from gradtui.core.arrays import Array, Indices

SMALLEST_EXPONENT: Final = -149
"""float32 has no finer steps than 2^-149."""
_SIGNIFICANT: Final = 24
"""Bins finer than float32's own resolution say nothing; and so every offset is below 2^25."""
_ROWS_AT_ONCE: Final = 4096
_VALUES_AT_ONCE: Final = 1 << 15
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


def binned(samples: Array, bins: int = 64, reject: float = 0.0) -> Binned:
    """Count n samples of s values each, [n, s]; see `binned_parts`."""
    n, s = samples.shape
    return binned_parts(samples.ravel(), np.full(n, s, np.intp), bins, reject)


def binned_parts(values: Array, sizes: Array, bins: int = 64, reject: float = 0.0) -> Binned:
    """Count n samples into bins, each on the finest grid that covers it.

    Args:
        values: [m], the samples one after the other, float32 or narrower.
        sizes: [n], how many values each sample has; together m.
        bins: bins a histogram, at least 2.
        reject: the share p of the finite values that is left out: the ``floor(p · m)`` of m values that are farthest
            from their median, of equally far ones the greater first. They are counted in ``tails``.

    Returns:
        counts uint16 (uint32 where a sample has more than 65,535 values).

    Special values: NaN and infinities are counted in ``tails`` alone. A sample without finite values has no counts,
    the smallest exponent and offset 0; a constant one has one bin that is 2^-23 of it wide; -0 is 0.

    Raises:
        ValueError: fewer than 2 bins, or a share outside [0, 1].
    """
    if bins < 2 or not 0 <= reject <= 1:
        raise ValueError("at least 2 bins, and a share between 0 and 1")
    values, sizes = np.asarray(values, np.float32), np.asarray(sizes, np.intp)
    wide = bool(sizes.max(initial=0) > np.iinfo(np.uint16).max)
    ends = np.cumsum(sizes)
    done, first = [], 0
    while first < len(sizes):
        start = int(ends[first] - sizes[first])
        # As many samples at a time as stay in the cache with what is made of them, and at least one.
        last = max(int(np.searchsorted(ends, start + _VALUES_AT_ONCE, "right")), first + 1)
        part = values[start : int(ends[last - 1])]
        done.append(_binned(part, sizes[first:last], bins, reject))
        first = last
    counts_type = np.uint32 if wide else np.uint16
    if not done:
        none = np.zeros((0, bins), counts_type)
        return Binned(
            none, np.zeros(0, np.int16), np.zeros(0, np.int32), np.zeros((0, 5), np.int32)
        )
    return Binned(
        np.concatenate([each.counts for each in done], dtype=counts_type, casting="unsafe"),
        np.concatenate([each.exponents for each in done]),
        np.concatenate([each.offsets for each in done]),
        np.concatenate([each.tails for each in done]),
    )


def _binned(values: Array, sizes: Indices, bins: int, reject: float) -> Binned:
    n = len(sizes)
    tails = np.zeros((n, 5), np.int32)
    low, high = _extremes(values, sizes)
    if not (np.isfinite(low) & np.isfinite(high))[sizes > 0].all():
        owner, there = np.repeat(np.arange(n), sizes), np.isfinite(values)
        for tail, found in (
            (NAN, np.isnan(values)),
            (POSITIVE, np.isposinf(values)),
            (NEGATIVE, np.isneginf(values)),
        ):
            tails[:, tail] = np.bincount(owner[found], minlength=n)
        values, sizes = values[there], np.bincount(owner[there], minlength=n)
        low, high = _extremes(values, sizes)
    if reject > 0:
        values, sizes, tails[:, BELOW], tails[:, ABOVE] = _nearest(values, sizes, reject)
        low, high = _extremes(values, sizes)
    nothing = low > high
    low[nothing] = high[nothing] = 0.0
    exponents = _finest(low, high, bins)
    scale = np.ldexp(1.0, -exponents)
    offsets = np.floor(low * scale)
    # Zeros lie in bin 0 of any grid, and theirs is too fine for a scale of float32.
    scale[(low == 0) & (high == 0)] = 1.0
    # A power of two from 1 to 2^126 scales float32 without loss, for all that a grid covers is below 2^24 of its bins.
    exact = ((scale >= 1.0) & (scale <= 2.0**126)).all()
    kind = np.float32 if exact else np.float64
    scaled = values * np.repeat(scale.astype(kind), sizes)
    places = np.floor(scaled, out=scaled).astype(np.intp)
    places += np.repeat(np.arange(n) * bins - offsets.astype(np.intp), sizes)
    counts = np.bincount(places, minlength=n * bins).reshape(n, bins)
    return Binned(counts, exponents.astype(np.int16), offsets.astype(np.int32), tails)


def _extremes(values: Array, sizes: Indices) -> tuple[Array, Array]:
    """The least and the greatest value of each sample, float64 [n]: Inf and -Inf of an empty one, NaN where one is."""
    low, high = np.full(len(sizes), np.inf), np.full(len(sizes), -np.inf)
    # An empty range would take the value at its start.
    full = np.flatnonzero(sizes)
    if len(full):
        starts = (np.cumsum(sizes) - sizes)[full]
        low[full] = np.minimum.reduceat(values, starts)
        high[full] = np.maximum.reduceat(values, starts)
    return low, high


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


def _nearest(
    values: Array, sizes: Indices, share: float
) -> tuple[Array, Indices, Indices, Indices]:
    """What rejection leaves of finite values: ``(values, sizes, below, above)``, the last two counts of the rejected."""
    kept, left = [values[:0]], sizes.copy()
    below, above = np.zeros_like(sizes), np.zeros_like(sizes)
    for row, part in enumerate(np.split(values, np.cumsum(sizes)[:-1])):
        size = len(part)
        drop = int(np.floor(share * size))
        ordered = np.sort(part)
        exact = ordered.astype(np.float64)
        if drop:
            median = 0.5 * exact[(size - 1) // 2] + 0.5 * exact[size // 2]
            # Of equally far ones the smaller comes first, for they come in order.
            nearest = np.argsort(np.abs(exact - median), kind="stable")
            below[row] = np.count_nonzero(exact[nearest[size - drop :]] < median)
            above[row] = drop - below[row]
            ordered = ordered[nearest[: size - drop]]
        left[row] = len(ordered)
        kept.append(ordered)
    return np.concatenate(kept), left, below, above


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
