"""Flow paths: where a node's gradient comes from through several layers, and where it dies.

The flow of a path i → j → k is ``F[i, j] · F[j, k] / g[j]``: of what reached i through j, the part that
j itself has from k. Over maps whose nodes are single units this is the chain rule, and the paths of a
node add up to its gradient; where a node sums channels it is a share, as for any flow between nodes.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from gradtui.core.threshold import resolve

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradtui.core.links import Links
    from gradtui.core.session import Pair, Session
    from gradtui.core.threshold import Threshold

Direction = Literal["out", "in"]
End = Literal[
    "", "last layer", "no gradient", "below threshold", "unknown", "circle", "not followed"
]

LOOKUPS: Final = 256
"""Rows or columns that a trace reads at most, whatever the size of the pairs."""
WIDTH: Final = 64
"""Links of one node that a trace goes on with at most, the strongest."""


@dataclass(frozen=True, slots=True)
class PathStep:
    """One node of a path.

    Attributes:
        layer: its layer.
        node: its index, row-major.
        link: the flow of the link that leads to it; the gradient itself for the first node.
        flow: the part of the first node's gradient that takes this path so far.
        share: ``flow`` over the first node's gradient; NaN where that is 0 or not finite.
    """

    layer: str
    node: int
    link: float
    flow: float
    share: float


@dataclass(frozen=True, slots=True)
class FlowPath:
    """A path from the selected node, and why it ends where it does.

    Attributes:
        steps: at least the selected node.
        end: ``last layer``: no pair leads on; ``no gradient``: what leads on is all zero;
            ``below threshold``: nothing that leads on passes; ``unknown``: the links are not in the folder;
            ``circle``: all that leads on has been passed; ``not followed``: the budget was spent.
    """

    steps: tuple[PathStep, ...]
    end: End = ""


@dataclass(frozen=True, slots=True)
class Death:
    """Between which layers a gradient is lost.

    Attributes:
        source: the last layer, seen from the loss, without gradient at the nodes looked at; empty where
            the gradient has not died.
        target: the layer that still has one; empty where none of those that follow has.
        passed: layers without any gradient on the way there, from the node on.
    """

    source: str = ""
    target: str = ""
    passed: tuple[str, ...] = ()


def trace_paths(
    session: Session,
    layer: str,
    node: int,
    *,
    direction: Direction = "out",
    top: int = 12,
    threshold: Callable[[Pair], Threshold] | None = None,
    lookups: int = LOOKUPS,
) -> tuple[FlowPath, ...]:
    """Return the strongest paths of a node, by falling |flow|.

    The strongest path so far is followed first, so that the first ``top`` ends are found without the
    others; with flows of both signs, whose parts can be larger than the whole, that is a good order and
    no proof. In the direction in, a link's flow is the part of the target's that goes to the source.

    Args:
        session: with the layers and pairs.
        layer: where to begin.
        node: which node of it.
        direction: out follows where its gradient came from, in where it goes.
        top: how many paths.
        threshold: what a link of a pair must reach to be followed; all links that are not 0 without it.
        lookups: how many rows (or columns) are read at most.

    Raises:
        KeyError: there is no such layer.
        IndexError: there is no such node.

    Special values: a link that is NaN has no rank and is not followed. A node whose gradient is 0, NaN or
        infinite has no share to hand on: the flow of paths through it is NaN, and they come last.
    """
    gradients = _Gradients(session)
    start = gradients.of(layer, node)
    first = PathStep(layer, node, start, start, _ratio(start, start))
    waiting: list[tuple[float, int, tuple[PathStep, ...]]] = [(-math.inf, 0, (first,))]
    found: list[FlowPath] = []
    count = 0
    while waiting and len(found) < top:
        _, _, steps = heapq.heappop(waiting)
        if lookups <= 0:
            found.append(FlowPath(steps, "not followed"))
            continue
        end, onward, read = _onward(session, steps, direction, threshold)
        lookups -= read
        if end:
            found.append(FlowPath(steps, end))
            continue
        here = steps[-1]
        part = 1.0 if len(steps) == 1 else _ratio(here.flow, gradients.of(here.layer, here.node))
        for name, places, values in onward:
            for place, value in zip(places, values, strict=True):
                flow = part * float(value)
                step = PathStep(name, int(place), float(value), flow, _ratio(flow, start))
                count += 1
                rank = math.inf if math.isnan(flow) else -abs(flow)
                heapq.heappush(waiting, (rank, count, (*steps, step)))
    found.sort(key=lambda path: _rank(path.steps[-1].flow), reverse=True)
    return tuple(found)


def where_it_dies(session: Session, layer: str, node: int) -> Death:
    """Return between which layers a node's gradient is lost, on the way back from the loss.

    From the node towards the loss: the first layer that has a gradient anywhere, and the one before it.

    Raises:
        KeyError: there is no such layer.
        IndexError: there is no such node.

    Special values: NaN and infinities are a gradient, if a bad one.
    """
    if _Gradients(session).of(layer, node) != 0:
        return Death()
    passed = [layer]
    seen = {layer}
    for name in passed:
        for pair in session.pairs_from(name):
            if pair.target in seen:
                continue
            seen.add(pair.target)
            if np.any(session.layer(pair.target).map()):
                return Death(name, pair.target, tuple(passed[1:]))
            passed.append(pair.target)
    return Death(passed[-1], "", tuple(passed[1:]))


class _Gradients:
    """Gradients by layer and node."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def of(self, layer: str, node: int) -> float:
        found = self._session.layer(layer).map()
        height, width = found.shape
        if not 0 <= node < height * width:
            raise IndexError(f"no node {node} in a map of {height} by {width}")
        return float(found[divmod(node, width)])


def _onward(
    session: Session,
    steps: tuple[PathStep, ...],
    direction: Direction,
    threshold: Callable[[Pair], Threshold] | None,
) -> tuple[End, list[tuple[str, list[int], list[float]]], int]:
    """Why a path ends, or the links it goes on by, and how many rows were read."""
    here = steps[-1]
    out = direction == "out"
    pairs = session.pairs_from(here.layer) if out else session.pairs_to(here.layer)
    if not pairs:
        return "last layer", [], 0
    passed = {step.layer for step in steps}
    fresh = [pair for pair in pairs if (pair.target if out else pair.source) not in passed]
    if not fresh:
        return "circle", [], 0
    ends: set[End] = set()
    onward: list[tuple[str, list[int], list[float]]] = []
    for pair in fresh:
        known = pair.flow.has_row(here.node) if out else pair.flow.has_column(here.node)
        if not known:
            ends.add("unknown")
            continue
        links = pair.flow.row(here.node) if out else pair.flow.column(here.node)
        kept = _kept(pair, links, threshold)
        if not len(kept):
            ends.add("below threshold" if np.any(links.values) else "no gradient")
            continue
        strongest = kept.strongest(WIDTH)
        places = strongest.targets if out else strongest.sources
        name = pair.target if out else pair.source
        onward.append((name, places.tolist(), strongest.values.tolist()))
    if onward:
        return "", onward, len(fresh)
    order: tuple[End, ...] = ("below threshold", "unknown", "no gradient")
    return next(end for end in order if end in ends), [], len(fresh)


def _kept(pair: Pair, links: Links, threshold: Callable[[Pair], Threshold] | None) -> Links:
    some = (links.values != 0) & ~np.isnan(links.values)
    if threshold is not None:
        some &= resolve(pair.flow, threshold(pair)).passes(links.values)
    return links.where(some)


def _ratio(part: float, whole: float) -> float:
    if whole == 0 or not math.isfinite(whole):
        return math.nan
    return part / whole


def _rank(flow: float) -> float:
    return -1.0 if math.isnan(flow) else abs(flow)
