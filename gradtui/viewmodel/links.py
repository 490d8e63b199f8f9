"""The links on the screen: the pair's threshold, the highlighted nodes, and the cells that maps share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from gradtui.core.layer import node_index
from gradtui.core.links import Links
from gradtui.core.offsets import NOWHERE, pointed_at, pointing_at
from gradtui.core.threshold import Threshold, default_threshold, select, threshold_range
from gradtui.viewmodel.levels import MARK_IN, MARK_OUT
from gradtui.viewmodel.selection import (
    layer_place,
    layer_shape,
    map_shape,
    shown_direction,
    shown_offsets,
    shown_pairs,
)
from gradtui.viewmodel.text import number, safe_label

if TYPE_CHECKING:
    from gradtui.core.arrays import Array, Indices
    from gradtui.core.session import Pair, Session
    from gradtui.viewmodel.selection import Cell, MapKey, Selection


def pair_threshold(session: Session, selection: Selection, pair: Pair) -> Threshold:
    """Return the threshold of a pair: the one that was set, else the default of the mode.

    In the global scope, which is vnittest's, the default is that of the session's pairs together.
    """
    mode = selection.threshold_mode
    value = selection.thresholds.get((pair.source, pair.target, mode))
    if value is not None:
        return Threshold(mode, value)
    if selection.threshold_scope == "global":
        return default_threshold([one.flow for one in session.pairs], mode)
    return default_threshold(pair.flow, mode)


def threshold_limits(session: Session, selection: Selection, pair: Pair) -> tuple[float, float]:
    """Return the least and the greatest threshold of the mode in force, for a pair or for all."""
    mode = selection.threshold_mode
    if selection.threshold_scope == "global":
        return threshold_range([one.flow for one in session.pairs], mode)
    return threshold_range(pair.flow, mode)


def threshold_words(threshold: Threshold) -> str:
    """Say what a threshold lets pass."""
    value = number(threshold.value, 9)
    return {
        "magnitude": f"|flow| ≥ {value}",
        "value": f"flow ≥ {value}",
        "quantile": f"quantile ≥ {value}",
        "top-k": f"strongest {value}",
        "vnittest": f"flow > {value} (vnittest)",
    }[threshold.mode]


@dataclass(frozen=True, slots=True)
class Ends:
    """Nodes at the far end of highlighted links, and the values of those links."""

    nodes: Indices = field(default_factory=lambda: np.zeros(0, np.intp))
    values: Array = field(default_factory=lambda: np.zeros(0))

    def cells(self, shape: Cell) -> tuple[Indices, Indices]:
        """Return rows and columns of the nodes in a map of ``shape``."""
        width = max(shape[1], 1)
        return self.nodes // width, self.nodes % width

    def negative(self) -> Ends:
        """Return those whose link is negative."""
        below = self.values < 0
        return Ends(self.nodes[below], self.values[below])


@dataclass(frozen=True, slots=True)
class Highlights:
    """What is highlighted: links of the selected node, and those of the connected map's cursor.

    Attributes:
        direction: the direction in force; empty where the layer has no pair.
        connected: ends in the connected layer of links of the selected node.
        source: ends in the selected layer of links into the connected map's cursor; only in both
            directions at once.
        missing: the row or column is not in the folder: it must be asked for.
        about: the selected node's name and cell, printable.
    """

    direction: Literal["out", "in", "both", ""] = ""
    connected: Ends = field(default_factory=Ends)
    source: Ends = field(default_factory=Ends)
    missing: bool = False
    about: str = ""

    def of(self, key: MapKey) -> tuple[tuple[Ends, int], ...]:
        """Return the highlighted ends in a map, each with the mark that it gets."""
        if key == "connected":
            bit = MARK_IN if self.direction == "in" else MARK_OUT
            return ((self.connected, bit),)
        if key == "source" and self.direction == "both":
            return ((self.source, MARK_IN),)
        return ()

    def words(self, key: MapKey, quantity: str) -> str:
        """Return what a layer's map shows: links of a node, else the layer's own ``quantity``."""
        if key == "source":
            return "fan-in" if self.direction == "both" else quantity
        if self.missing:
            return "links not in the folder"
        return {"out": "fan-out", "in": "fan-in", "both": "fan-out", "": quantity}[self.direction]


def highlights(session: Session, selection: Selection) -> Highlights:
    """Return the highlighted nodes of the pair on the screen: links at or above its threshold."""
    pairs = shown_pairs(session, selection)
    if not pairs:
        return Highlights()
    pair = pairs[0]
    direction = shown_direction(session, selection)
    threshold = pair_threshold(session, selection, pair)
    node = node_of(session, selection.layer, selection.node)
    about = f"{safe_label(selection.layer, 24)} ({selection.node[0]},{selection.node[1]})"
    if node < 0:
        return Highlights(direction, about=about)
    if direction == "in":
        found = select(pair.flow, node, "in", threshold)
        return Highlights(
            "in",
            Ends(found.sources, found.values),
            missing=not pair.flow.has_column(node),
            about=about,
        )
    found = select(pair.flow, node, "out", threshold)
    source = Ends()
    if direction == "both":
        far = node_of(session, pair.target, selection.cursor("connected"))
        back = select(pair.flow, far, "in", threshold) if far >= 0 else Links.empty()
        source = Ends(back.sources, back.values)
    return Highlights(
        direction,
        Ends(found.targets, found.values),
        source,
        missing=not pair.flow.has_row(node),
        about=about,
    )


def node_of(session: Session, name: str, cell: Cell) -> int:
    """Return the node of a layer's cell, -1 where the layer has no such cell."""
    height, width = layer_shape(session, name)
    row, column = cell
    if not (0 <= row < height and 0 <= column < width):
        return -1
    return node_index((height, width), cell)


def linked_cells(session: Session, selection: Selection) -> dict[MapKey, Cell]:
    """Return the cells that lie under the cursor of the map with the keys, in the other maps.

    A node of a layer points at cells of input and target through the pair's offsets, and a cell of
    those points back at a node. What points outside a map is left out.
    """
    focus = selection.focus
    base: MapKey = focus if focus in ("source", "connected") else "source"
    name = selection.layer if base == "source" else selection.connected
    of_input, of_target = shown_offsets(session, selection, name)
    cell = selection.cursor(focus)
    found: dict[MapKey, Cell] = {}
    if focus in ("input", "target"):
        offset = of_input if focus == "input" else of_target
        cell = pointing_at(cell, offset, map_shape(session, selection, "source"))
        if cell == NOWHERE:
            return {}
        found["source"] = cell
    pointed: tuple[tuple[MapKey, Cell], ...] = (("input", of_input), ("target", of_target))
    for key, offset in pointed:
        if key != focus:
            there = pointed_at(cell, offset, map_shape(session, selection, key))
            if there != NOWHERE:
                found[key] = there
    return found


@dataclass(frozen=True, slots=True)
class Wanted:
    """A row or column of a pair that the folder lacks and the screen wants."""

    source: str
    target: str
    node: int
    kind: Literal["flow-row", "flow-column"]


def wanted(session: Session, selection: Selection) -> tuple[Wanted, ...]:
    """Return what must be asked of the adapter before the highlights can be shown."""
    found: list[Wanted] = []
    for pair in shown_pairs(session, selection):
        node = node_of(session, selection.layer, selection.node)
        direction = shown_direction(session, selection)
        if node < 0:
            continue
        if direction == "in":
            if not pair.flow.has_column(node):
                found.append(Wanted(pair.source, pair.target, node, "flow-column"))
            continue
        if not pair.flow.has_row(node):
            found.append(Wanted(pair.source, pair.target, node, "flow-row"))
        far = selection.cursors.get(layer_place(pair.target), (-1, -1))
        place = node_of(session, pair.target, far)
        if direction == "both" and place >= 0 and not pair.flow.has_column(place):
            found.append(Wanted(pair.source, pair.target, place, "flow-column"))
    return tuple(found)
