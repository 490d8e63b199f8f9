"""The transitions that change what is looked at: cursor, map, layer, pair, following links, marks.

Cursors move in the cells that are shown, whatever zoom or order they have, and are kept as cells of
the whole map. Each function returns the next selection, or the same one where there is no way on.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from gradtui.core.layer import node_cell
from gradtui.viewmodel.levels import MARK_IN, MARK_OUT, NOWHERE
from gradtui.viewmodel.links import node_of
from gradtui.viewmodel.selection import (
    MAP_KEYS,
    Visit,
    connections,
    layer_place,
    layer_shape,
    map_shape,
    reconcile,
    shown_direction,
    shown_pairs,
)
from gradtui.viewmodel.values import cell_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradtui.core.session import Session
    from gradtui.viewmodel.maps import MapView
    from gradtui.viewmodel.selection import Cell, MapKey, Selection

LONGEST_TRAIL: Final = 200


def put_cursor(selection: Selection, view: MapView, shown: Cell) -> Selection:
    """Put the cursor of a map on a shown cell, the nearest one where it lies outside."""
    height, width = view.shape
    if not height or not width:
        return selection
    inside = (min(max(shown[0], 0), height - 1), min(max(shown[1], 0), width - 1))
    channel, row, column = cell_at(view, inside)
    moved = selection.with_cursor(selection.place_of(view.key), (row, column))
    return replace(moved, tile=channel) if view.tiles > 1 else moved


def move(selection: Selection, view: MapView, rows: int, columns: int) -> Selection:
    """Move the cursor of a map by shown cells; it stops at the edge."""
    if view.cursor == NOWHERE:
        return put_cursor(selection, view, (0, 0))
    return put_cursor(selection, view, (view.cursor[0] + rows, view.cursor[1] + columns))


def next_focus(selection: Selection, session: Session, step: int = 1) -> Selection:
    """Give the keys to the map ``step`` places on, among those that have cells."""
    keys = [key for key in MAP_KEYS if 0 not in map_shape(session, selection, key)]
    if not keys:
        return selection
    position = keys.index(selection.focus) if selection.focus in keys else -step
    return replace(selection, focus=keys[(position + step) % len(keys)])


def with_focus(selection: Selection, session: Session, key: MapKey) -> Selection:
    """Give the keys to a map, if it has cells."""
    return selection if 0 in map_shape(session, selection, key) else replace(selection, focus=key)


def with_layer(selection: Selection, session: Session, name: str) -> Selection:
    """Select a layer; its cursor is where it was left, or on its strongest node."""
    if not session.has_layer(name):
        return selection
    return reconcile(replace(selection, layer=name, row=0), session)


def next_layer(selection: Selection, session: Session, step: int = 1) -> Selection:
    """Select the layer ``step`` places on, in topological order; it stops at the ends."""
    names = [layer.name for layer in session.layers]
    if selection.layer not in names:
        return reconcile(selection, session)
    position = min(max(names.index(selection.layer) + step, 0), len(names) - 1)
    return with_layer(selection, session, names[position])


def next_pair(selection: Selection, session: Session, step: int = 1) -> Selection:
    """Show the next pair of the layer, and the first after the last."""
    others = connections(session, selection)
    if not others:
        return selection
    position = others.index(selection.connected) if selection.connected in others else -step
    return with_pair(selection, session, others[(position + step) % len(others)])


def with_pair(selection: Selection, session: Session, connected: str) -> Selection:
    """Show the pair with another layer, if there is one in the direction in force."""
    if connected not in connections(session, selection):
        return selection
    return reconcile(replace(selection, connected=connected, row=0), session)


def next_highlight(selection: Selection, views: Sequence[MapView], step: int = 1) -> Selection:
    """Move to the next highlighted cell, row by row, and on from the start after the last.

    The map with the keys is searched if it has highlights, else the first one that has, which then
    gets the keys.
    """
    ordered = sorted(views, key=lambda view: view.key != selection.focus)
    for view in ordered:
        cells = np.flatnonzero((view.marks & (MARK_OUT | MARK_IN)).ravel())
        if not cells.size:
            continue
        width = view.shape[1]
        here = view.cursor[0] * width + view.cursor[1] if view.cursor != NOWHERE else -1
        if step > 0:
            position = int(np.searchsorted(cells, here, side="right")) + step - 1
        else:
            position = int(np.searchsorted(cells, here, side="left")) + step
        row, column = divmod(int(cells[position % cells.size]), width)
        return put_cursor(replace(selection, focus=view.key), view, (row, column))
    return selection


def at_strongest_link(selection: Selection, session: Session) -> Selection:
    """Put the cursor of the connected map on the other end of the selected node's strongest link.

    Where nothing links the node, or its links are not in the folder, the cursor stays.
    """
    for pair in shown_pairs(session, selection):
        node = node_of(session, selection.layer, selection.node)
        into = shown_direction(session, selection) == "in"
        known = pair.flow.has_column(node) if into else pair.flow.has_row(node)
        if node < 0 or not known:
            break
        best = (pair.flow.column(node) if into else pair.flow.row(node)).strongest(1)
        if best.values.size and best.values[0]:
            end = int(best.sources[0] if into else best.targets[0])
            shape = layer_shape(session, selection.connected)
            return selection.with_cursor(layer_place(selection.connected), node_cell(shape, end))
    return selection


def visit(selection: Selection) -> Visit:
    """Return the place where the selection is."""
    return Visit(selection.layer, selection.connected, selection.direction, selection.node)


def go(selection: Selection, session: Session, layer: str, cell: Cell) -> Selection:
    """Select a node of a layer and remember where one was, for `back`."""
    if not any(known.name == layer for known in session.layers):
        return selection
    trail = (*selection.trail, visit(selection))[-LONGEST_TRAIL:]
    there = replace(
        selection.with_cursor(layer_place(layer), cell), layer=layer, row=0, trail=trail
    )
    return reconcile(there, session)


def follow(selection: Selection, session: Session) -> Selection:
    """Go to the node under the cursor of the connected map: the link's other end.

    The direction stays as long as the layer there has pairs in it.
    """
    if not selection.connected:
        return selection
    return go_along(selection, session, selection.connected, selection.cursor("connected"))


def go_along(selection: Selection, session: Session, layer: str, cell: Cell) -> Selection:
    """Go to a node along a link: where the layer there has no pairs onward, the pair one came by stays."""
    came_from = selection.layer
    there = go(selection, session, layer, cell)
    if shown_direction(session, there) != selection.direction and came_from in connections(
        session, there
    ):
        there = reconcile(replace(there, connected=came_from), session)
    return replace(there, focus="source")


def back(selection: Selection, session: Session) -> Selection:
    """Return to the place before the last `go` or `follow`."""
    if not selection.trail:
        return selection
    return to_visit(replace(selection, trail=selection.trail[:-1]), session, selection.trail[-1])


def set_mark(selection: Selection, name: str) -> Selection:
    """Remember this place under a letter."""
    return replace(selection, marks={**selection.marks, name: visit(selection)})


def jump_mark(selection: Selection, session: Session, name: str) -> Selection:
    """Go to the place that a letter stands for; back returns from it."""
    place = selection.marks.get(name)
    if place is None:
        return selection
    trail = (*selection.trail, visit(selection))[-LONGEST_TRAIL:]
    return to_visit(replace(selection, trail=trail), session, place)


def to_visit(selection: Selection, session: Session, place: Visit) -> Selection:
    """Go to a place, as far as it still exists."""
    if not any(known.name == place.layer for known in session.layers):
        return selection
    moved = selection.with_cursor(layer_place(place.layer), place.cell)
    return reconcile(
        replace(
            moved,
            layer=place.layer,
            connected=place.connected,
            direction=place.direction,
            row=0,
        ),
        session,
    )
