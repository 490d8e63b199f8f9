"""Reading a finding whole: the lines below the rows have room for its beginning alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradtui.viewmodel.run.detail import told

if TYPE_CHECKING:
    from gradtui.tui.actions.desk import Desk


def read(desk: Desk, _count: int) -> None:
    """Show all findings on a page over the screen: the one about the selected module first."""
    choice = desk.selection.run
    path = desk.watch.recorded(choice) if desk.selection.view == "history" else choice.path
    desk.room.show_findings(told(desk.watch.training(choice), path, desk.finding))
