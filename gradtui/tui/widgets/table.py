"""Rows of spans with a cursor, of which only those in view are ever looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.message import Message
from textual.strip import Strip

from gradtui.tui.render.spans import strip_of
from gradtui.tui.widgets.changes import refresh_changed
from gradtui.tui.widgets.direct import Direct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events

    from gradtui.tui.render.palette import Palette
    from gradtui.viewmodel.text import TextLine

MARGIN = 2
"""Rows that stay in view above and below the cursor, where the table is high enough."""


class Table(Direct):
    """Shows rows under an optional header; scrolls with the cursor row.

    Rows are taken as they are: cut to the width, never wrapped. Nothing is done for rows out of view,
    so that their number does not matter.
    """

    DEFAULT_CSS = "Table { width: 1fr; height: 1fr; }"

    class Picked(Message):
        """A row was clicked."""

        def __init__(self, table: Table, row: int) -> None:
            super().__init__()
            self.table = table
            self.row = row

        @property
        def control(self) -> Table:
            """The table that was clicked."""
            return self.table

    def __init__(
        self,
        *,
        palette: Palette | None = None,
        id: str | None = None,  # noqa: A002
        classes: str | None = None,
    ) -> None:
        super().__init__(palette=palette, id=id, classes=classes)
        self._rows: Sequence[TextLine] = ()
        self._header: tuple[TextLine, ...] = ()
        self._cursor = -1
        self._first = 0

    @property
    def cursor(self) -> int:
        """The row of the cursor; -1 without one."""
        return self._cursor

    @property
    def first(self) -> int:
        """The first row in view."""
        return self._first

    @property
    def page(self) -> int:
        """How many rows have room, for keys that move by a page."""
        return max(self.size.height - len(self._header), 0)

    def show(
        self, rows: Sequence[TextLine], cursor: int = -1, *, header: tuple[TextLine, ...] = ()
    ) -> None:
        """Show rows, with the cursor on one of them (-1: none) and in view.

        Args:
            rows: The rows; any sequence, also one that makes its rows when they are asked for.
            cursor: Row of the cursor; beyond the end it is the last.
            header: Lines that stay above the rows.
        """
        before = self._in_view()
        self._rows, self._header = rows, header
        self._cursor = min(cursor, len(rows) - 1)
        self._follow()
        refresh_changed(self, before, self._in_view())

    def scroll_rows(self, count: int) -> None:
        """Move the rows without the cursor; they come back to it when it next moves."""
        before = self._in_view()
        self._first = max(0, min(self._first + count, len(self._rows) - self.page))
        refresh_changed(self, before, self._in_view())

    def on_resize(self) -> None:
        """Keep the cursor in view."""
        self._follow()
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        """Tell who listens which row was clicked."""
        row = self._first + event.y - len(self._header)
        if event.y >= len(self._header) and row < len(self._rows):
            event.stop()
            self.post_message(self.Picked(self, row))

    def on_mouse_scroll_down(self) -> None:
        """Move on by three rows."""
        self.scroll_rows(3)

    def on_mouse_scroll_up(self) -> None:
        """Move back by three rows."""
        self.scroll_rows(-3)

    def _follow(self) -> None:
        page = self.page
        if page <= 0:
            return
        last = max(len(self._rows) - page, 0)
        if self._cursor >= 0:
            margin = MARGIN if page > 2 * MARGIN else 0
            highest = max(self._cursor - page + 1 + margin, 0)
            lowest = max(self._cursor - margin, 0)
            self._first = min(max(self._first, highest), lowest)
        self._first = min(self._first, last)

    def _in_view(self) -> list[tuple[TextLine, bool]]:
        """Every line of the widget, and whether the cursor is on it."""
        lines: list[tuple[TextLine, bool]] = [(line, False) for line in self._header]
        stop = min(self._first + self.page, len(self._rows))
        lines += [(self._rows[row], row == self._cursor) for row in range(self._first, stop)]
        return lines

    def render_line(self, y: int) -> Strip:
        """One line of the header or of the rows."""
        width, header = self.size.width, len(self._header)
        if y < header:
            return strip_of(self._header[y], width, self.palette)
        row = self._first + y - header
        if not 0 <= row < len(self._rows):
            return Strip.blank(width)
        over = self.palette.role("cursor") if row == self._cursor else None
        return strip_of(self._rows[row], width, self.palette, over=over)
