"""What was clicked on: the keys go there."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from gradtui.errors import GradtuiError

if TYPE_CHECKING:
    from gradtui.tui.screens.workspace import Workspace
    from gradtui.viewmodel.selection import MapKey


def picked_cell(work: Workspace, key: MapKey, cell: tuple[int, int]) -> None:
    """A cell of a map was clicked: the keys go there; a second click toggles an input cell."""
    from gradtui.tui.actions.table import ACTIONS
    from gradtui.viewmodel import moves

    desk, before = work.desk, work.desk.selection
    view = next(view for view in desk.maps if view.key == key)
    again = before.focus == key and view.cursor == cell
    desk.selection = moves.put_cursor(moves.with_focus(before, desk.session, key), view, cell)
    if again and key == "input":
        with contextlib.suppress(GradtuiError):
            ACTIONS["edit.toggle"](desk, 0)
    work.after(before)


def picked_row(work: Workspace, row: int) -> None:
    """A row of the Overview or the rail was clicked."""
    from gradtui.tui.actions.moving import go_to_row

    before = work.desk.selection
    if before.view == "architecture":
        from gradtui.tui.actions import graph_rows

        graph_rows.go(work.desk, row)
    elif work.desk.watching and before.view == "overview":
        from gradtui.tui.actions import watching

        watching.go_to_row(work.desk, row)
    elif row < len(work.desk.rows):
        go_to_row(work.desk, row)
    work.after(before)
