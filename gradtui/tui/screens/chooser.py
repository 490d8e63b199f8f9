"""A list over the screen, one row of which is taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.screen import Screen

from gradtui.tui.widgets.table import Table
from gradtui.tui.widgets.textline import LineView
from gradtui.viewmodel.text import line

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual import events
    from textual.app import ComposeResult

    from gradtui.tui.render.palette import Palette
    from gradtui.viewmodel.text import TextLine

LEAVE = frozenset({"q", "ctrl+q", "backspace", "escape", "ctrl+c", "O"})


class ChooserScreen(Screen["int | None"]):
    """Rows under a header, made for the width that there is; enter takes the one of the cursor."""

    CSS = "ChooserScreen { layout: vertical; } ChooserScreen LineView { height: 1; }"
    AUTO_FOCUS = ""

    def __init__(self, title: str, palette: Palette) -> None:
        """There are no rows yet: call `fill`."""
        super().__init__()
        self._heading = title
        self._make: Callable[[int], tuple[TextLine, ...]] | None = None
        self._cursor = 0
        self._lines: tuple[TextLine, ...] = (line((" looking", "dim")),)
        self._early: list[str] = []
        """Keys that came before there were rows."""
        self._table = Table(palette=palette)
        self._palette = palette

    def compose(self) -> ComposeResult:
        """Lay out the title and the list."""
        hint = line(
            (" j k", "key"), (" choose  ", "dim"), ("enter", "key"), (" opens  ", "dim"),
            ("q", "key"), (" back", "dim"),
        )  # fmt: skip
        yield LineView(line((f" {self._heading}", "title")), palette=self._palette)
        yield self._table
        yield LineView(hint, palette=self._palette)

    def fill(self, make: Callable[[int], tuple[TextLine, ...]], cursor: int) -> None:
        """Show what ``make`` returns for a width in columns: a header, then the rows, with the cursor on one."""
        self._make, self._cursor = make, cursor
        self._lines = make(self.size.width)
        self._show(0)
        while self._early and self.is_current:
            self._act(self._early.pop(0))

    def on_resize(self, event: events.Resize) -> None:
        """Show the list in the width there is."""
        if self._make is not None:
            self._lines = self._make(event.size.width)
        self._show(0)

    def _show(self, rows: int) -> None:
        header, *lines = self._lines
        self._cursor = min(max(self._cursor + rows, 0), max(len(lines) - 1, 0))
        self._table.show(lines, self._cursor, header=(header,))

    def on_table_picked(self, message: Table.Picked) -> None:
        """A row was clicked: the cursor goes there."""
        self._show(message.row - self._cursor)

    def on_key(self, event: events.Key) -> None:
        """Act on a key; before there are rows, all but those that leave wait."""
        event.stop()
        key = event.character if event.is_printable and event.character != " " else event.key
        key = key or event.key
        if not self.is_current:
            # Typed ahead, while it was leaving already: it is for whoever is there now.
            self.app.screen.post_message(event)
        elif self._make is None and key not in LEAVE:
            self._early.append(key)
        else:
            self._act(key)

    def _act(self, key: str) -> None:
        """Move, take a row, or leave."""
        page, many = max(self._table.page - 1, 1), len(self._lines)
        steps = {
            "j": 1, "down": 1, "k": -1, "up": -1, "J": page, "pagedown": page, "K": -page,
            "pageup": -page, "g": -many, "home": -many, "G": many, "end": many,
        }  # fmt: skip
        if key in steps:
            self._show(steps[key])
        elif key == "enter" and many > 1:
            self.dismiss(self._cursor)
        elif key in LEAVE:
            self.dismiss(None)
