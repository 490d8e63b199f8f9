"""Moving: the cursor, the maps, layers, pairs, links, places."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from gradtui.viewmodel import moves
from gradtui.viewmodel.levels import NOWHERE
from gradtui.viewmodel.selection import connections

if TYPE_CHECKING:
    from gradtui.tui.actions.desk import Desk

PAGE: Final = 8
"""Cells of a map that a page key moves."""
_FAR: Final = 1 << 40


def _step(desk: Desk, rows: int, columns: int) -> None:
    if desk.selection.view in ("overview", "log"):
        _row(desk, rows)
    elif desk.selection.view == "flow" and not columns:
        desk.selection = replace(desk.selection, row=max(desk.selection.row + rows, 0))
    elif desk.selection.view == "flow":
        _node(desk, columns)
    elif view := desk.focused:
        desk.selection = moves.move(desk.selection, view, rows, columns)


def _node(desk: Desk, steps: int) -> None:
    """In Flow: another node of the layer, in reading order, so that each can be reached; ends are of a row."""
    for view in desk.maps:
        if view.key != "source" or not view.values.size:
            continue
        width = view.shape[1]
        row, column = view.cursor if view.cursor != NOWHERE else (0, 0)
        if abs(steps) < _FAR:
            place = min(max(row * width + column + steps, 0), view.values.size - 1)
            row, column = divmod(place, width)
        else:
            column = 0 if steps < 0 else width - 1
        desk.selection = replace(moves.put_cursor(desk.selection, view, (row, column)), row=0)


def _row(desk: Desk, rows: int) -> None:
    """Move in a list: the Overview selects the layer of the row, the log scrolls."""
    if desk.selection.view == "log":
        # The newest line is the last: rows count from there.
        desk.selection = replace(desk.selection, row=max(desk.selection.row - rows, 0))
        return
    if desk.rows:
        place = min(max(overview_place(desk) + rows, 0), len(desk.rows) - 1)
        go_to_row(desk, place)


def overview_place(desk: Desk) -> int:
    """Return the row of the Overview that the cursor is on."""
    for place, row in enumerate(desk.rows):
        if row.path == desk.path:
            return place
    return next((n for n, row in enumerate(desk.rows) if row.layer == desk.selection.layer), 0)


def go_to_row(desk: Desk, place: int) -> None:
    """Put the cursor on a row of the Overview; a row that is a layer selects it everywhere."""
    row = desk.rows[place]
    desk.path = row.path
    if row.layer:
        desk.selection = moves.with_layer(desk.selection, desk.session, row.layer)


def left(desk: Desk, count: int) -> None:
    """Left by ``count`` cells."""
    _step(desk, 0, -max(count, 1))


def right(desk: Desk, count: int) -> None:
    """Right by ``count`` cells."""
    _step(desk, 0, max(count, 1))


def up(desk: Desk, count: int) -> None:
    """Up by ``count`` rows."""
    _step(desk, -max(count, 1), 0)


def down(desk: Desk, count: int) -> None:
    """Down by ``count`` rows."""
    _step(desk, max(count, 1), 0)


def page_left(desk: Desk, count: int) -> None:
    """A page to the left."""
    left(desk, PAGE * max(count, 1))


def page_right(desk: Desk, count: int) -> None:
    """A page to the right."""
    right(desk, PAGE * max(count, 1))


def page_up(desk: Desk, count: int) -> None:
    """A page up."""
    up(desk, PAGE * max(count, 1))


def page_down(desk: Desk, count: int) -> None:
    """A page down."""
    down(desk, PAGE * max(count, 1))


def row_start(desk: Desk, _count: int) -> None:
    """To the first column."""
    left(desk, _FAR)


def row_end(desk: Desk, _count: int) -> None:
    """To the last column."""
    right(desk, _FAR)


def top(desk: Desk, _count: int) -> None:
    """To the first row."""
    up(desk, _FAR)


def bottom(desk: Desk, count: int) -> None:
    """To the last row; with a count, to that row: by its label in a map, from 1 in a list."""
    if not count:
        down(desk, _FAR)
    elif desk.selection.view == "overview":
        if desk.rows:
            go_to_row(desk, min(count, len(desk.rows)) - 1)
    elif desk.selection.view != "values":
        desk.selection = replace(desk.selection, row=count - 1)
    elif view := desk.focused:
        desk.selection = moves.put_cursor(desk.selection, view, (count, max(view.cursor[1], 0)))


def next_map(desk: Desk, count: int) -> None:
    """Give the keys to the next map."""
    desk.selection = moves.next_focus(desk.selection, desk.session, max(count, 1))


def previous_map(desk: Desk, count: int) -> None:
    """Give the keys to the previous map."""
    desk.selection = moves.next_focus(desk.selection, desk.session, -max(count, 1))


def next_layer(desk: Desk, count: int) -> None:
    """Select the next layer."""
    desk.selection = moves.next_layer(desk.selection, desk.session, max(count, 1))


def previous_layer(desk: Desk, count: int) -> None:
    """Select the previous layer."""
    desk.selection = moves.next_layer(desk.selection, desk.session, -max(count, 1))


def next_pair(desk: Desk, count: int) -> None:
    """Show the next pair of the layer."""
    if len(connections(desk.session, desk.selection)) < 2:
        desk.say("this layer has no other pair")
    desk.selection = moves.next_pair(desk.selection, desk.session, max(count, 1))


def next_link(desk: Desk, count: int) -> None:
    """Move to the next highlighted node; in Flow, where each row is one, to the next row."""
    if desk.selection.view == "flow":
        _other_row(desk, max(count, 1))
        return
    desk.selection = moves.next_highlight(desk.selection, desk.maps, max(count, 1))


def previous_link(desk: Desk, count: int) -> None:
    """Move to the previous highlighted node; in Flow to the previous row."""
    if desk.selection.view == "flow":
        _other_row(desk, -max(count, 1))
        return
    desk.selection = moves.next_highlight(desk.selection, desk.maps, -max(count, 1))


def _other_row(desk: Desk, steps: int) -> None:
    from gradtui.viewmodel.flow_table import flow_rows

    rows = len(flow_rows(desk.session, desk.selection))
    if rows:
        desk.selection = replace(desk.selection, row=(desk.selection.row + steps) % rows)


def back(desk: Desk, _count: int) -> None:
    """Return to the place before the last jump."""
    if desk.box:
        desk.box = ()
        return
    if not desk.selection.trail:
        desk.say("nothing to go back to")
    desk.selection = moves.back(desk.selection, desk.session)


def set_mark(desk: Desk, name: str) -> None:
    """Remember this place under a letter."""
    desk.selection = moves.set_mark(desk.selection, name)
    desk.say(f"marked {name}")


def jump_mark(desk: Desk, name: str) -> None:
    """Go to a marked place."""
    if name not in desk.selection.marks:
        desk.say(f"no mark {name}", "warn")
    desk.selection = moves.jump_mark(desk.selection, desk.session, name)
