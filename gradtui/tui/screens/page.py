"""A page of text over the screen: the help, the analyses of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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


class PageScreen(Screen[Any]):
    """Lines that are made for the width that there is; j and k scroll, any other key leaves."""

    CSS = "PageScreen { layout: vertical; } PageScreen LineView { height: 1; }"
    AUTO_FOCUS = ""

    def __init__(
        self, title: str, make: Callable[[int], tuple[TextLine, ...]], palette: Palette
    ) -> None:
        """Show what ``make`` returns for a width in columns."""
        super().__init__()
        self._heading = title
        self._make = make
        self._lines: tuple[TextLine, ...] = ()
        self._table = Table(palette=palette)
        self._palette = palette

    def compose(self) -> ComposeResult:
        """Lay out the title and the list."""
        hint = line(
            (" j k", "key"), (" scroll  ", "dim"), ("any other key", "key"), (" back", "dim")
        )
        yield LineView(line((f" {self._heading}", "title")), palette=self._palette)
        yield self._table
        yield LineView(hint, palette=self._palette)

    def on_resize(self, event: events.Resize) -> None:
        """Show the list in the width there is."""
        self._lines = self._make(event.size.width)
        self._table.show(self._lines)

    def on_key(self, event: events.Key) -> None:
        """Scroll or leave."""
        event.stop()
        page = max(self._table.page - 1, 1)
        steps = {
            "j": 1, "down": 1, "k": -1, "up": -1, "J": page, "pagedown": page, "space": page,
            "K": -page, "pageup": -page, "g": -len(self._lines), "G": len(self._lines),
        }  # fmt: skip
        key = event.character if event.is_printable and event.character != " " else event.key
        if key in steps:
            self._table.scroll_rows(steps[key])
        elif self.is_current:
            self.dismiss()
        else:
            # Typed ahead, while it was leaving already: it is for whoever is there now.
            self.app.screen.post_message(event)
