"""Thresholds: which links of a flow are worth showing.

What is at least the threshold passes. Magnitudes and ranks count a negative flow as much as a
positive one; a rank is one among all links of the pair, so that it means the same at every node.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np

from gradtui.core.arrays import as_floats
from gradtui.core.explicit import ExplicitFlow
from gradtui.core.flow import Extent, Flow
from gradtui.core.sparse_flow import SparseFlow
from gradtui.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from gradtui.core.arrays import Flags
    from gradtui.core.links import Links

Mode: TypeAlias = Literal["magnitude", "value", "quantile", "top-k", "vnittest"]
MODES: Final[tuple[Mode, ...]] = ("magnitude", "value", "quantile", "top-k", "vnittest")
TOP_K: Final = 12.0
QUANTILE: Final = 0.95
_STEPS: Final = 100
_ONE_BY_ONE: Final = 20


@dataclass(frozen=True, slots=True)
class Threshold:
    """What a person set.

    Attributes:
        mode: what a link is compared by. ``magnitude``: |value|; ``value``: the value with its sign;
            ``quantile``: |value| against that quantile of the pair, 0 to 1; ``top-k``: the k strongest
            links of the pair; ``vnittest``: the original's rule.
        value: in the unit of the mode.
    """

    mode: Mode = "magnitude"
    value: float = 0.0


@dataclass(frozen=True, slots=True)
class Cut:
    """A threshold made out for one flow: what is left is one comparison a link.

    Attributes:
        by: compare magnitudes, values, or nothing (all links have the same standing).
        least: what passes is at least this.
        strict: what passes is above it.
    """

    by: Literal["magnitude", "value", "existence"]
    least: float
    strict: bool = False

    def passes(self, values: npt.ArrayLike) -> Flags:
        """Return which values pass. NaN never does; an infinite magnitude always does."""
        numbers = as_floats(values)
        if self.by == "existence":
            return np.full(numbers.shape, self.least <= 1)
        if self.by == "magnitude":
            numbers = np.abs(numbers)
        passing: Flags = numbers > self.least if self.strict else numbers >= self.least
        return passing


def resolve(flow: Flow, threshold: Threshold) -> Cut:
    """Return what a threshold means for a flow.

    A rank costs a pass over all links the first time; the flow remembers it. Links that tie with the
    k-th all pass. A quantile q lets the strongest ``(1 − q)`` of the links pass, and at least one.

    vnittest's rule is ``F[i, j] > threshold`` for a matrix or an estimate, ``>=`` for links that are listed
    or explicit, where each explicit link counts as 1.

    Raises:
        UsageError: an unknown mode, or a threshold that is NaN.

    Special values: NaN among the links has no rank; a flow without links lets nothing pass.
    """
    mode, value = threshold.mode, threshold.value
    if math.isnan(value):
        raise UsageError("a threshold is a number, not NaN")
    if mode == "magnitude":
        return Cut("magnitude", value)
    if mode == "value":
        return Cut("value", value)
    if mode == "vnittest":
        if isinstance(flow, ExplicitFlow):
            return Cut("existence", value)
        return Cut("value", value, strict=not isinstance(flow, SparseFlow))
    if mode == "top-k":
        return Cut("magnitude", flow.kth_magnitude(max(1, _whole(value, flow.ranked_count))))
    if mode == "quantile":
        share = 1 - min(max(value, 0.0), 1.0)
        return Cut("magnitude", flow.kth_magnitude(max(1, math.ceil(share * flow.ranked_count))))
    raise UsageError(f"no threshold is called {mode}: {', '.join(MODES)}")


def select(flow: Flow, node: int, direction: Literal["out", "in"], threshold: Threshold) -> Links:
    """Return the links of a node that pass: its fan-out in the direction out, its fan-in in the direction in.

    Raises:
        IndexError: there is no such node.
        UsageError: as `resolve`.
    """
    links = flow.row(node) if direction == "out" else flow.column(node)
    return links.where(resolve(flow, threshold).passes(links.values))


def threshold_range(flows: Flow | Iterable[Flow], mode: Mode = "magnitude") -> tuple[float, float]:
    """Return the least and the greatest threshold that tell links apart.

    Args:
        flows: one flow, or several for one range over all of them, as vnittest has it.
        mode: for which thresholds.

    Special values: over finite links; flows without any give (0, 0), but quantiles are always (0, 1).
        For top-k it is the number of links, at least 1.
    """
    several = (flows,) if isinstance(flows, Flow) else tuple(flows)
    if mode == "quantile":
        return (0.0, 1.0)
    if mode == "top-k":
        return (1.0, float(max(1, sum(flow.ranked_count for flow in several))))
    whole = Extent()
    for flow in several:
        counted = flow.extent()
        if mode == "vnittest" and isinstance(flow, ExplicitFlow) and counted.finite:
            counted = Extent(1.0, 1.0, 1.0, 1.0, counted.nonfinite, counted.finite)
        whole = whole.joined(counted)
    if mode == "magnitude":
        return (whole.smallest, whole.largest)
    return (whole.minimum, whole.maximum)


def default_threshold(flows: Flow | Iterable[Flow], mode: Mode = "magnitude") -> Threshold:
    """Return where to begin: the midpoint of the range, so that the strongest links always pass.

    For quantiles `QUANTILE`, for top-k `TOP_K`, for vnittest its ``(max − min) / 2``, which lets everything
    or nothing pass where the range lies far from zero.

    Args:
        flows: as `threshold_range`.
        mode: for which thresholds.
    """
    if mode == "quantile":
        return Threshold(mode, QUANTILE)
    low, high = threshold_range(flows, mode)
    if mode == "top-k":
        return Threshold(mode, min(TOP_K, high))
    # Halves first: the sum of two large numbers may overflow.
    if mode == "vnittest":
        return Threshold(mode, high / 2 - low / 2)
    return Threshold(mode, low / 2 + high / 2)


def step(threshold: Threshold, steps: int, limits: tuple[float, float]) -> Threshold:
    """Return a threshold that lets fewer links pass, by so many steps; more where they are negative.

    A step is a hundredth of the range. For top-k, fewer links are a smaller k: by one up to 20, by a
    tenth above.

    Args:
        threshold: where from; one outside the range begins at its nearest end.
        steps: how many.
        limits: what `threshold_range` gives for the mode.
    """
    low, high = limits
    value = min(max(threshold.value, low), high)
    if threshold.mode == "top-k":
        for _ in range(min(abs(steps), 1000)):
            small = value <= _ONE_BY_ONE if steps > 0 else value < _ONE_BY_ONE
            size = 1.0 if small else max(1.0, round(value / 10))
            value += -size if steps > 0 else size
        return replace(threshold, value=min(max(value, low), high))
    # Two products, since the width of the range may overflow.
    share = steps / _STEPS
    moved = value + high * share - low * share
    return replace(threshold, value=min(max(moved, low), high))


def _whole(value: float, most: int) -> int:
    return most if value >= most else math.floor(value)
