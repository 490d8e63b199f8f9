"""Clusters of numbers on a line, found as hills of their density that real valleys part.

The density is a Gaussian kernel estimate; its bandwidth is 0.4 of Silverman's rule, ``0.9 · min(σ, IQR / 1.349) ·
n^(-1/5)`` (Density Estimation for Statistics and Data Analysis, 1986, eq. 3.31), which alone would melt clusters
together. What the narrower kernel finds too much of is taken out again: two neighbouring hills are two clusters when

- the valley between them is at most half as high as the lower hill, and
- lower by at least four standard errors of the estimate there, ``√(f / (2 √π n h))`` (the same book, section 3.3), and
- each side holds at least 5 % of the numbers.

The pair that fails by most is joined first, until all that are left pass. Samples of normal, uniform, Laplace
and t distributions come out as one cluster.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from gradtui.core.arrays import as_floats

if TYPE_CHECKING:
    import numpy.typing as npt

    from gradtui.core.arrays import Floats

FEWEST: Final = 30
"""Fewer finite numbers than this are no evidence of anything: they are one cluster."""
BANDWIDTH: Final = 0.4
DIP: Final = 0.5
ERRORS: Final = 4.0
LEAST_SHARE: Final = 0.05
_GRID: Final = 1024
_ROUNDING: Final = 1e-12
"""Numbers that lie closer together than this share of the largest are equal, but for rounding."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Numbers that lie together.

    Attributes:
        centre: where their density is highest.
        low: the end on the left, a valley's bottom or the least number; ``high`` on the right.
        share: of all finite numbers, 0 to 1.
    """

    centre: float
    low: float
    high: float
    share: float


def clusters_of(values: npt.ArrayLike) -> tuple[Cluster, ...]:
    """Find the clusters of numbers, from left to right.

    Shapes: any; units are the numbers'.

    Special values: NaN and infinities are left out; empty without finite numbers; one cluster for fewer than
        `FEWEST`, and for numbers that are all the same, zero among them.
    """
    flat = as_floats(values).ravel()
    flat = flat[np.isfinite(flat)]
    if not flat.size:
        return ()
    # By the largest magnitude first: squares and sums of very large numbers leave float64's range.
    unit = float(np.abs(flat).max()) or 1.0
    flat = flat / unit
    low, high = float(flat.min()), float(flat.max())
    quarter, three = np.percentile(flat, [25, 75])
    spread = _narrower(float(flat.std()), float(three - quarter) / 1.349)
    width = BANDWIDTH * 0.9 * spread * flat.size**-0.2
    if flat.size < FEWEST or width < _ROUNDING:
        return (Cluster(float(np.median(flat)) * unit, low * unit, high * unit, 1.0),)
    # Far outliers would leave all the rest in one cell of the grid: they count at its ends.
    first, last = np.percentile(flat, [1, 99])
    ends = (
        max(low - 3 * width, 2 * first - last - 3 * width),
        min(high + 3 * width, 2 * last - first + 3 * width),
    )
    counts, edges = np.histogram(np.clip(flat, *ends), _GRID, ends)
    found = _clusters(as_floats(counts), as_floats(edges), width, (low, high))
    return tuple(Cluster(c.centre * unit, c.low * unit, c.high * unit, c.share) for c in found)


def clusters_in(counts: npt.ArrayLike, low: float, width: float) -> tuple[Cluster, ...]:
    """Find the clusters of a histogram, as `clusters_of` does of the numbers themselves.

    Clusters that are nearer to each other than about two bins are one.

    Shapes: counts [bins]; bin k covers ``low + k · width`` to ``low + (k + 1) · width``.

    Special values: empty where nothing was counted; one cluster for fewer than `FEWEST` numbers.
    """
    held = as_floats(counts)
    total = float(held.sum())
    if not total > 0:
        return ()
    centres = low + (np.arange(held.size) + 0.5) * width
    filled = np.flatnonzero(held)
    ends = (low + float(filled[0]) * width, low + float(filled[-1] + 1) * width)
    mean = float((held * centres).sum() / total)
    spread = float(np.sqrt((held * (centres - mean) ** 2).sum() / total))
    quarter, three = np.interp([0.25, 0.75], np.cumsum(held) / total, centres)
    spread = _narrower(spread, float(three - quarter) / 1.349)
    kernel = max(BANDWIDTH * 0.9 * spread * total**-0.2, 0.75 * width)
    if total < FEWEST or not 0 < kernel < np.inf:
        return (Cluster(float(centres[int(held.argmax())]), *ends, 1.0),)
    cells = max(1, _GRID // held.size)
    margin = int(np.ceil(3 * kernel / width))
    fine = np.repeat(np.pad(held, margin) / cells, cells)
    edges = low + width * (np.arange(fine.size + 1) / cells - margin)
    return _clusters(fine, edges, kernel, ends)


def _narrower(deviation: float, from_quartiles: float) -> float:
    # Where half of the numbers are equal the quartiles say nothing of the rest.
    return min(deviation, from_quartiles) if from_quartiles > 0 else deviation


def _clusters(
    counts: Floats, edges: Floats, bandwidth: float, ends: tuple[float, float]
) -> tuple[Cluster, ...]:
    step, total = float(edges[1] - edges[0]), float(counts.sum())
    density = _smoothed(counts, bandwidth / step) / (total * step)
    before = np.concatenate(([-1.0], density[:-1]))
    after = np.concatenate((density[1:], [-1.0]))
    hills = [int(place) for place in np.flatnonzero((density >= before) & (density > after))]
    valleys = [a + int(np.argmin(density[a : b + 1])) for a, b in pairwise(hills)]
    summed = np.concatenate(([0.0], np.cumsum(counts)))
    error = 1.0 / (2.0 * np.sqrt(np.pi) * total * bandwidth)
    while valleys:
        bounds = [0, *valleys, counts.size]
        shares = np.diff(summed[bounds]) / total
        failing = [
            _failing(density[hills[k : k + 2]], density[valley], error, shares[k : k + 2])
            for k, valley in enumerate(valleys)
        ]
        worst = int(np.argmax(failing))
        if failing[worst] <= 1:
            break
        del valleys[worst]
        del hills[worst if density[hills[worst]] < density[hills[worst + 1]] else worst + 1]
    bounds = [0, *valleys, counts.size]
    places = [ends[0], *(float(edges[valley] + step / 2) for valley in valleys), ends[1]]
    return tuple(
        Cluster(
            float(edges[hill] + step / 2),
            places[k],
            places[k + 1],
            float((summed[bounds[k + 1]] - summed[bounds[k]]) / total),
        )
        for k, hill in enumerate(hills)
    )


def _failing(hills: Floats, valley: float, error: float, shares: Floats) -> float:
    """How far two hills are from being two clusters; at most 1 when they are."""
    lower = float(hills.min())
    depth = lower - valley
    if depth <= 0:
        return float("inf")
    return max(
        float(valley) / lower / DIP,
        ERRORS * float(np.sqrt(lower * error)) / depth,
        LEAST_SHARE / max(float(shares.min()), 1e-12),
    )


def _smoothed(counts: Floats, deviation: float) -> Floats:
    reach = int(np.ceil(4 * deviation))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    whole = np.convolve(counts, kernel / kernel.sum())
    smoothed: Floats = whole[reach : reach + counts.size]
    return smoothed
