"""Views that are lists of rows."""

from __future__ import annotations

from textual.geometry import Size

from gradtui.tui.screens.maps import Resized
from gradtui.tui.widgets.table import Table


class ListView(Table):
    """A view of rows; what it shows is made for the size that it has, or will have."""

    drawn_for: Size = Size(0, 0)

    def on_resize(self) -> None:
        """Keep the cursor in view, and ask for rows of the new width."""
        super().on_resize()
        if self.size != self.drawn_for:
            self.post_message(Resized())
