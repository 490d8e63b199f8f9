"""Where a node's gradient goes, as rows of a table: its strongest links, and each one's strongest way on.

A row follows one link of the selected node through further layers, always along the strongest link
at or above that pair's threshold, and says why it ends. Its numbers are parts of the selected node's
gradient: the flow of a path i, j, k is ``F[i, j] * F[j, k] / g[j]``, of what reached i through j the
part that j itself has from k. Over maps whose nodes are single units this is the chain rule, and the
paths of a node add up to its gradient; where a node sums channels it is a share, as for any flow
between nodes. The flow through a node whose gradient is 0, NaN or infinite is NaN.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from gradtui.core.layer import node_cell
from gradtui.core.links import Links
from gradtui.core.threshold import select
from gradtui.viewmodel.flow_lines import Path, PathNode
from gradtui.viewmodel.links import node_of, pair_threshold
from gradtui.viewmodel.selection import layer_place, layer_shape, shown_direction, shown_pairs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradtui.core.arrays import Indices
    from gradtui.core.session import Pair, Session
    from gradtui.viewmodel.selection import Cell, Selection

HOPS: Final = 4
"""Links that a row follows at most."""

BELOW: Final = "below threshold"
DIES: Final = "dies here: no gradient"
MISSING: Final = "links not in the folder"

Way = Literal["out", "in"]


@dataclass(frozen=True, slots=True)
class Fan:
    """The rows of one direction.

    Attributes:
        way: "out" from sources to targets, "in" the other way.
        layers: the names of the columns, from the selected layer outwards.
        paths: rows, each from the selected node outwards; rows that share a node stand together.
        above: how many links of the node reach the threshold.
        total: how many links the node has.
        missing: the node's links are not in the folder.
    """

    way: Way
    layers: tuple[str, ...] = ()
    paths: tuple[Path, ...] = ()
    above: int = 0
    total: int = 0
    missing: bool = False


def fans(session: Session, selection: Selection) -> tuple[Fan, ...]:
    """Return the fan-out, the fan-in, or both of the selected node; none where its layer has no pair.

    In both directions at once the fan-in goes along the first pair into the layer.
    """
    pairs = shown_pairs(session, selection)
    if not pairs:
        return ()
    direction = shown_direction(session, selection)
    if direction != "both":
        return (_fan(session, selection, pairs[0], direction),)
    incoming = session.pairs_to(selection.layer)
    found = [_fan(session, selection, pairs[0], "out")]
    if incoming:
        found.append(_fan(session, selection, incoming[0], "in"))
    return tuple(found)


def row_ends(found: Sequence[Fan]) -> tuple[tuple[str, Cell], ...]:
    """Return for each row of the table the layer and cell that it leads to.

    The far end of the row's first link: of the fan-out where there is one, else of the fan-in.
    """
    ends = []
    for row in range(max((len(fan.paths) for fan in found), default=0)):
        path = next(fan.paths[row] for fan in found if row < len(fan.paths))
        ends.append((path[1].layer, path[1].cell))
    return tuple(ends)


def _fan(session: Session, selection: Selection, first: Pair, way: Way) -> Fan:
    chain = _chain(session, first, way)
    layers = (selection.layer, *(_far(pair, way) for pair in chain))
    node = node_of(session, selection.layer, selection.node)
    if node < 0:
        return Fan(way, layers)
    if not _known(first, node, way):
        return Fan(way, layers, missing=True)
    every = first.flow.row(node) if way == "out" else first.flow.column(node)
    above = select(first.flow, node, way, pair_threshold(session, selection, first))
    kept = _in_region(session, selection, above, _far(first, way), way)
    gradient = float(session.layer(selection.layer).map()[selection.node])
    root = PathNode(selection.layer, selection.node, gradient, gradient)
    shown = kept.strongest(max(selection.top, 1))
    paths = [
        (root, *_onward(session, selection, chain, int(end), float(value), way))
        for end, value in zip(_ends(shown, way), shown.values, strict=True)
    ]
    return Fan(way, layers, tuple(_together(paths)), len(kept), len(every))


def _chain(session: Session, first: Pair, way: Way) -> tuple[Pair, ...]:
    """The pairs that rows follow: on from the far layer, each time to the nearest layer of the session."""
    place = {layer.name: position for position, layer in enumerate(session.layers)}
    chain = [first]
    while len(chain) < HOPS:
        name = _far(chain[-1], way)
        on = session.pairs_from(name) if way == "out" else session.pairs_to(name)
        on = tuple(
            p
            for p in on
            if _far(p, way) not in {x.source for x in chain} | {x.target for x in chain}
        )
        if not on:
            break
        chain.append(min(on, key=lambda p: abs(place[_far(p, way)] - place[name])))
    return tuple(chain)


def _far(pair: Pair, way: Way) -> str:
    return pair.target if way == "out" else pair.source


def _known(pair: Pair, node: int, way: Way) -> bool:
    return pair.flow.has_row(node) if way == "out" else pair.flow.has_column(node)


def _ends(links: Links, way: Way) -> Indices:
    return links.targets if way == "out" else links.sources


def _in_region(session: Session, selection: Selection, links: Links, name: str, way: Way) -> Links:
    """The links whose far end lies in the crop of its layer."""
    region = selection.regions.get(layer_place(name))
    if region is None:
        return links
    height, width = layer_shape(session, name)
    crop = region.within((height, width))
    rows, columns = np.divmod(_ends(links, way), max(width, 1))
    inside = (rows >= crop.row0) & (rows <= crop.row1)
    inside &= (columns >= crop.column0) & (columns <= crop.column1)
    return links.where(inside)


def _onward(
    session: Session,
    selection: Selection,
    chain: Sequence[Pair],
    node: int,
    value: float,
    way: Way,
) -> Path:
    """The nodes of a row after the selected one."""
    path: list[PathNode] = []
    flow = link = value
    for hop, pair in enumerate(chain):
        name = _far(pair, way)
        cell = node_cell(layer_shape(session, name), node)
        if hop + 1 == len(chain):
            path.append(PathNode(name, cell, flow, link))
            break
        end, links = _strongest_on(session, selection, chain[hop + 1], node, way)
        path.append(PathNode(name, cell, flow, link, end))
        if end:
            break
        gradient = float(session.layer(name).map()[cell])
        node, link = int(_ends(links, way)[0]), float(links.values[0])
        flow = flow * link / gradient if gradient and math.isfinite(gradient) else math.nan
    return tuple(path)


def _strongest_on(
    session: Session, selection: Selection, pair: Pair, node: int, way: Way
) -> tuple[str, Links]:
    """Why a row ends at a node, or the one link that it follows."""
    if not _known(pair, node, way):
        return MISSING, Links.empty()
    above = select(pair.flow, node, way, pair_threshold(session, selection, pair))
    above = _in_region(session, selection, above, _far(pair, way), way)
    if len(above):
        return "", above.strongest(1)
    every = pair.flow.row(node) if way == "out" else pair.flow.column(node)
    return (BELOW if np.any(every.values) else DIES), Links.empty()


def _size(path: Path) -> float:
    """The size of a row's first link; NaN last."""
    size = abs(path[1].flow)
    return size if size == size else -1.0


def _together(paths: Sequence[Path], column: int = HOPS) -> list[Path]:
    """Order rows so that those that share a node stand together, and strong ones first.

    A node has one way on, so rows that share a node share all that comes after it.
    """
    if column < 2:
        return sorted(paths, key=_size, reverse=True)
    groups: dict[object, list[Path]] = {}
    for path in paths:
        node = path[min(column, len(path) - 1)]
        groups.setdefault((node.layer, node.cell), []).append(path)
    ordered = sorted(groups.values(), key=lambda group: max(map(_size, group)), reverse=True)
    return [path for group in ordered for path in _together(group, column - 1)]
