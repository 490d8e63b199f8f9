"""A layer's weights at one moment: their histogram, clusters, what lies at the ends, kernels alike, in words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from gradtui.core.analysis.clusters import FEWEST, Cluster, clusters_of
from gradtui.core.analysis.kernels import BOUND, Kernels, kernels_alike
from gradtui.core.arrays import as_floats, finite_parts, no_floats, read_only

if TYPE_CHECKING:
    import numpy.typing as npt

    from gradtui.core.arrays import Array

BINS: Final = 50
SAMPLE: Final = 1 << 18
"""Clusters are looked for among this many values."""
END: Final = 0.05
"""How much of the range, on each side, is an end."""
MUCH_AT_ENDS: Final = 0.3
"""A uniform distribution has a tenth of its numbers in the two ends together."""
MUCH_ZERO: Final = 0.5
_SAID: Final = 4


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """What a parameter looks like.

    Attributes:
        name: of the parameter.
        shape: of the parameter.
        counts: int64 [bins]: finite values in each bin.
        edges: float64 [bins + 1]; empty without finite values.
        mean: of the finite values, as ``deviation``; NaN without any.
        zeros: how many are 0; ``nonfinite``: NaN or infinite.
        at_ends: share of the finite values in the outer 5 % of the range on either side; NaN without a range.
        clusters: see `gradtui.core.analysis.clusters`.
        kernels: see `gradtui.core.analysis.kernels`.
    """

    name: str
    shape: tuple[int, ...]
    counts: Array = field(default_factory=lambda: read_only(np.zeros(0, np.int64)))
    edges: Array = field(default_factory=no_floats)
    mean: float = float("nan")
    deviation: float = float("nan")
    zeros: int = 0
    nonfinite: int = 0
    at_ends: float = float("nan")
    clusters: tuple[Cluster, ...] = ()
    kernels: Kernels = field(default_factory=lambda: Kernels(0))

    @property
    def count(self) -> int:
        """Values of the parameter, finite or not."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is worth saying, one thing a line; empty where nothing is."""
        return tuple(_remarks(self))


def look_at_weights(
    name: str,
    weight: npt.ArrayLike,
    *,
    bins: int = BINS,
    bound: float = BOUND,
    axis: int = 0,
) -> Weights:
    """Describe a parameter.

    Shapes: any; see `kernels_alike` for ``bound`` and ``axis``.

    Raises:
        UsageError: for a bound or an axis that can't be.

    Special values: NaN and infinities are counted and otherwise left out; an empty parameter has NaN
        means, no bins and no clusters; one of equal values has one bin that holds them.
    """
    array = np.asarray(weight)
    kernels = kernels_alike(array, bound, axis)
    count, zeros, total = 0, 0, 0.0
    low, high = np.inf, -np.inf
    for part in finite_parts(array):
        if part.size:
            low, high = min(low, float(part.min())), max(high, float(part.max()))
            with np.errstate(over="ignore"):
                total += float(part.sum())
        count, zeros = count + part.size, zeros + int((part == 0).sum())
    lost = array.size - count
    if not count:
        return Weights(name, array.shape, nonfinite=lost, kernels=kernels)
    mean, spread = total / count, high - low
    spread_out = 0 < spread < np.inf
    edges = np.linspace(low, high, bins + 1) if spread_out else np.array([low, high])
    counts, at_ends, squares = np.zeros(len(edges) - 1, np.int64), 0, 0.0
    for part in finite_parts(array):
        with np.errstate(over="ignore", invalid="ignore"):
            squares += float(((part - mean) ** 2).sum())
        counts += np.histogram(part, edges)[0] if spread_out else np.int64(part.size)
        at_ends += int(((part < low + END * spread) | (part > high - END * spread)).sum())
    return Weights(
        name,
        array.shape,
        read_only(counts),
        read_only(as_floats(edges)),
        mean,
        float(np.sqrt(squares / count)),
        zeros,
        lost,
        at_ends / count if spread_out else float("nan"),
        clusters_of(_sample(array)),
        kernels,
    )


def _sample(array: Array) -> Array:
    """At most `SAMPLE` of the values, at even distances: enough for any density."""
    stride = -(-array.size // SAMPLE)
    flat = array.reshape(-1)
    return flat[:: max(stride, 1)]


def _remarks(weights: Weights) -> list[str]:
    said = []
    if weights.nonfinite:
        said.append(f"{weights.nonfinite} of {weights.count} values are NaN or infinite")
    if weights.count and weights.zeros > MUCH_ZERO * weights.count:
        said.append(f"{weights.zeros / weights.count:.0%} of the values are 0")
    if len(weights.clusters) > 1:
        said.append(cluster_words(weights.clusters))
    if weights.at_ends > MUCH_AT_ENDS and weights.count >= FEWEST:
        said.append(
            f"{weights.at_ends:.0%} of the values lie in the outer {END:.0%} of the range on either side: "
            "what they feed may saturate"
        )
    return said + kernel_words(weights.kernels)


def cluster_words(clusters: tuple[Cluster, ...]) -> str:
    """Return clusters in words: ``3 clusters: around -0.5 (30%), ...``; the largest eight."""
    largest = sorted(clusters, key=lambda cluster: -cluster.share)[: 2 * _SAID]
    kept = sorted(largest, key=lambda cluster: cluster.centre)
    parts = [f"{cluster.centre:.3g} ({cluster.share:.0%})" for cluster in kept]
    more = ", ..." if len(clusters) > len(kept) else ""
    noun = "cluster" if len(clusters) == 1 else "clusters"
    return f"{len(clusters)} {noun}, around {', '.join(parts)}{more}"


def kernel_words(kernels: Kernels) -> list[str]:
    """Return what is worth saying of kernels, one thing a line."""
    said = []
    if kernels.zero:
        said.append(
            f"{len(kernels.zero)} of {kernels.count} kernels are zero: {_list(kernels.zero)}"
        )
    if kernels.nonfinite:
        said.append(
            f"{len(kernels.nonfinite)} of {kernels.count} kernels hold NaN or infinities: "
            f"{_list(kernels.nonfinite)}"
        )
    if kernels.pair_count:
        shown = [pair.words for pair in kernels.pairs[:_SAID]]
        if kernels.pair_count > len(shown):
            shown.append(f"{kernels.pair_count - len(shown)} more")
        grouped = sum(len(group) for group in kernels.groups)
        said.append(
            f"{grouped} of {kernels.count} kernels have a twin (|cosine| ≥ {kernels.bound:.3g}): "
            + "; ".join(shown)
        )
    if kernels.compared < kernels.count - len(kernels.zero) - len(kernels.nonfinite):
        said.append(f"{kernels.compared} of {kernels.count} kernels were compared")
    return said


def _list(places: tuple[int, ...]) -> str:
    shown = ", ".join(str(place) for place in places[: 2 * _SAID])
    return shown + (", ..." if len(places) > 2 * _SAID else "")
