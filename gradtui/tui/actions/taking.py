"""Taking away and following: copies of values and tables, and the links that enter follows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gradtui.viewmodel import moves
from gradtui.viewmodel.levels import NOWHERE
from gradtui.viewmodel.overview import overview_tsv
from gradtui.viewmodel.text import printable
from gradtui.viewmodel.values import cell_at

if TYPE_CHECKING:
    from gradtui.tui.actions.desk import Desk
    from gradtui.viewmodel.flow_lines import PathNode


def copy_value(desk: Desk, _count: int) -> None:
    """Copy the number under the cursor, in full precision, and its place."""
    view = desk.focused
    if desk.selection.view == "flow":
        _copy_row(desk)
        return
    if desk.selection.view == "overview" or view is None or view.cursor == NOWHERE:
        numbers = desk.summary.numbers.get(desk.selection.layer)
        norm = numbers.norm if numbers else math.nan
        desk.room.copy(f"{norm!r}\t{printable(desk.selection.layer)}", "norm and layer")
        return
    value = float(view.values[view.cursor])
    channel, row, column = cell_at(view, view.cursor)
    place = f"{view.title} ({row},{column})" + (f" channel {channel}" if view.tiles > 1 else "")
    desk.room.copy(f"{value!r}\t{place}", "value and place")


def _copy_row(desk: Desk) -> None:
    """Copy the flow of the row with the cursor, and the link that it takes."""
    from gradtui.viewmodel.flow_paths import fans

    paths = [fan.paths for fan in fans(desk.session, desk.selection)]
    row = desk.selection.row
    for rows in paths:
        if row < len(rows):
            here, there = rows[row][0], rows[row][1]
            ends = f"{_at(here)} {_at(there)}"
            desk.room.copy(f"{there.flow!r}\t{ends}", "flow")
            return
    desk.say("no row to copy")


def _at(node: PathNode) -> str:
    return f"{printable(node.layer)} ({node.cell[0]},{node.cell[1]})"


def copy_table(desk: Desk, _count: int) -> None:
    """Copy the table of the view, tab-separated: layers, links, or the map's numbers."""
    if desk.selection.view == "overview":
        desk.room.copy(overview_tsv(desk.rows), "layers")
    elif desk.selection.view == "flow":
        from gradtui.viewmodel.flow_table import tsv

        desk.room.copy(tsv(desk.session, desk.selection), "links")
    elif view := desk.focused:
        lines = ("\t".join(repr(float(x)) for x in row) for row in view.values)
        desk.room.copy("\n".join(lines) + "\n", f"map {view.title}")


def follow(desk: Desk) -> None:
    """In Values: go to the other end of the link under the cursor of the connected map."""
    if desk.selection.focus == "connected":
        desk.selection = moves.follow(desk.selection, desk.session)
    else:
        desk.say("tab to the connected map, then enter follows the link to its node")


def follow_row(desk: Desk) -> None:
    """In Flow: go to the node of the row."""
    from gradtui.viewmodel.flow_table import flow_rows

    rows = flow_rows(desk.session, desk.selection)
    if desk.selection.row < len(rows):
        layer, cell = rows[desk.selection.row]
        desk.selection = moves.go_along(desk.selection, desk.session, layer, cell)
