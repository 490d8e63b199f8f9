"""The four maps of the Values view: the input, the selected layer, the connected layer, the target.

Every interaction makes them anew from the session, so the work is bounded by what is shown: a
map is cropped and reduced before anything else looks at its cells.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from gradtui.core.arrays import BLOCK, as_floats
from gradtui.core.polyphase import largest_level, polyphase_order
from gradtui.core.reduce import signed_max
from gradtui.core.scale import scaling
from gradtui.viewmodel.contents import Content, map_content
from gradtui.viewmodel.grid import TILES, Grid, cell_at, smallest_block
from gradtui.viewmodel.levels import (
    MARK_EDITED,
    MARK_LINKED,
    MARK_NEGATIVE,
    NOWHERE,
)
from gradtui.viewmodel.links import Highlights, highlights, linked_cells
from gradtui.viewmodel.maps import MapView
from gradtui.viewmodel.selection import MAP_KEYS, SUMMED, map_shape
from gradtui.viewmodel.text import number, safe_label

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from gradtui.core.arrays import Array
    from gradtui.core.edit import EditHistory
    from gradtui.core.scale import Scaling
    from gradtui.core.session import Session
    from gradtui.viewmodel.selection import Cell, MapKey, Selection

__all__ = ["cell_at", "joint_scaling", "map_cell", "value_maps"]


def value_maps(
    session: Session,
    selection: Selection,
    edits: EditHistory,
    *,
    room: Mapping[MapKey, Cell] | None = None,
    seen: Collection[MapKey] = MAP_KEYS,
    scalings: Mapping[MapKey, Scaling] = MappingProxyType({}),
) -> tuple[MapView, MapView, MapView, MapView]:
    """Return the input, the selected layer, the connected layer and the target as they are shown.

    Args:
        session: the generation on the screen.
        selection: reconciled with it.
        edits: the edits that are not written yet; they show in the input.
        room: how many cells, down and across, each map has on the screen. A map that is larger is
            reduced to fit, unless a zoom was chosen for it. Maps that are not named keep their size.
        seen: the maps that are painted. By the others only moves go: their levels are all 0, and cost
            nothing however large the map is.
        scalings: of maps whose levels shall be those of others, too; any other map has its own.
    """
    found = highlights(session, selection)
    linked = linked_cells(session, selection)
    input_view, source, connected, target = (
        _map(
            session,
            selection,
            key,
            map_content(session, selection, key, edits),
            (room or {}).get(key, (0, 0)),
            found,
            linked.get(key, NOWHERE),
            edits,
            key in seen,
            scalings.get(key),
        )
        for key in MAP_KEYS
    )
    return input_view, source, connected, target


def joint_scaling(sessions: Sequence[Session], selection: Selection) -> Scaling:
    """Return one scaling for the selected layer in all of some sessions: one that lacks it has no part in it."""
    maps = [
        map_content(session, selection, "source").array
        for session in sessions
        if session.has_layer(selection.layer)
    ]
    return scaling(selection.scale, *maps)


def map_cell(view: MapView, selection: Selection) -> tuple[int, int, int]:
    """Return channel (-1 where one map is shown), row and column of a map's cursor."""
    row, column = selection.cursor(view.key)
    return (selection.tile if view.tiles > 1 else -1, row, column)


def _grid(
    session: Session, selection: Selection, key: MapKey, content: Content, room: Cell
) -> Grid:
    """Crop, reorder and block a map as the selection says."""
    height, width = (int(n) for n in content.array.shape[-2:])
    rows, columns = np.arange(height), np.arange(width)
    if selection.polyphase and session.explicit:
        level = min(selection.polyphase, largest_level((height, width)))
        rows, columns = polyphase_order(height, level), polyphase_order(width, level)
    region = selection.regions.get(selection.place_of(key))
    if region is not None:
        crop = region.within((height, width))
        rows = rows[(rows >= crop.row0) & (rows <= crop.row1)]
        columns = columns[(columns >= crop.column0) & (columns <= crop.column1)]
    zoom = selection.zooms.get(selection.place_of(key), -1)
    if zoom >= 0:
        block = 1 << zoom
    else:
        share = (room[0] // content.tiles, room[1] // content.tiles)
        block = smallest_block(rows.size, columns.size, share)
    # A block larger than the map would show its one cell all the same.
    block = max(min(block, max(rows.size, columns.size)), 1)
    return Grid((height, width), rows, columns, block, content.tiles)


def _shown_values(content: Content, grid: Grid) -> Array:
    """The cells as they are shown, [h, w]; a large map zoomed in keeps its dtype, and is no copy."""
    if content.tiles == 1:
        shown = signed_max(grid.take(content.array), grid.block)
    else:
        tiles = [signed_max(grid.take(tile), grid.block) for tile in content.array]
        shown = np.block([tiles[start : start + TILES] for start in range(0, TILES**2, TILES)])
    return as_floats(shown) if shown.size <= BLOCK else shown


def _map(
    session: Session,
    selection: Selection,
    key: MapKey,
    content: Content,
    room: Cell,
    found: Highlights,
    linked: Cell,
    edits: EditHistory,
    is_seen: bool,
    scale: Scaling | None,
) -> MapView:
    focused = selection.focus == key
    title, subtitle = _titles(session, selection, key, content, found)
    if not content.array.size:
        return MapView(
            key=key, title=title, focused=focused, empty_text=_empty_words(session, selection, key)
        )
    grid = _grid(session, selection, key, content, room)
    values = _shown_values(content, grid)
    if scale is None:
        scale = scaling(selection.scale, values if is_seen else ())
    marks = np.zeros(values.shape, np.uint8)
    for links, bit in found.of(key):
        grid.mark(marks, links.cells(map_shape(session, selection, key)), bit)
        negative = links.negative()
        grid.mark(marks, negative.cells(map_shape(session, selection, key)), MARK_NEGATIVE)
    if linked != NOWHERE:
        grid.mark(marks, (np.array([linked[0]]), np.array([linked[1]])), MARK_LINKED)
    if key == "input":
        _mark_edits(marks, grid, selection, edits, session.input.shape)
    starts = grid.starts
    return MapView(
        key=key,
        title=title,
        subtitle=subtitle + (f"  {grid.block}:1" if grid.block > 1 else ""),
        values=values,
        levels=scale.levels(values, inverted=selection.inverted)
        if is_seen
        else np.broadcast_to(np.uint8(0), values.shape),
        marks=marks,
        # Zero has one sign on the screen.
        low=0.0 - scale.limit,
        high=scale.limit,
        cursor=grid.shown(selection.cursor(key), selection.tile),
        focused=focused,
        row0=int(min(starts[0], default=0)),
        col0=int(min(starts[1], default=0)),
        block=grid.block,
        rows=starts[0],
        columns=starts[1],
        tiles=content.tiles,
    )


def _mark_edits(
    marks: Array, grid: Grid, selection: Selection, edits: EditHistory, shape: tuple[int, ...]
) -> None:
    """Mark the cells whose edits are not written; with one channel shown, only its own."""
    for cell in edits.cells if edits.base.shape == shape else ():
        channel = cell[0] if len(shape) == 3 else -1
        if channel >= 0 and grid.tiles == 1 and selection.channel not in (channel, SUMMED):
            continue
        where = (np.array([cell[-2]]), np.array([cell[-1]]))
        grid.mark(marks, where, MARK_EDITED, channel)


def _titles(
    session: Session, selection: Selection, key: MapKey, content: Content, found: Highlights
) -> tuple[str, str]:
    """The name of a map, and words about what it holds."""
    height, width = map_shape(session, selection, key)
    size = f"{height}x{width}" if height and width else ""
    if key in ("input", "target"):
        words = [size, content.words, _largest(content.array) if key == "target" else ""]
        title = key.upper()
    else:
        name = selection.layer if key == "source" else selection.connected
        title = safe_label(name, 40) if name else ("no layer" if key == "source" else "no pair")
        quantity = session.layer(name).quantity if session.has_layer(name) else "gradient"
        words = [size, found.words(key, quantity), content.words]
    if selection.polyphase and session.explicit:
        words.append(f"phases {1 << selection.polyphase}")
    return title, " ".join(word for word in words if word)


def _largest(array: Array) -> str:
    """The largest value of a target that is one row, and where: the class that a network chose."""
    if array.ndim != 2 or array.shape[0] != 1 or not np.isfinite(array).any():
        return ""
    place = int(np.nanargmax(np.where(np.isfinite(array), array, np.nan)))
    return f"max {number(float(array[0, place]), 6, digits=3)} at {place}"


def _empty_words(session: Session, selection: Selection, key: MapKey) -> str:
    if key == "input":
        return "the folder has no input"
    if key == "target":
        return "the folder has no target"
    if not session.layers:
        return "the folder has no layers yet"
    if key == "connected" and not selection.connected:
        return "no flow from or to this layer"
    return "this layer has no cells"
