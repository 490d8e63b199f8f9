"""Views that are lists of rows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import overload

from textual.geometry import Size

from gradtui.tui.screens.maps import Resized
from gradtui.tui.widgets.table import Table
from gradtui.viewmodel.text import TextLine


class Rows(Sequence[TextLine]):
    """Rows of a list, each made when it comes into view."""

    @abstractmethod
    def line_at(self, place: int) -> TextLine:
        """Make, or find, the row at a place."""

    @overload
    def __getitem__(self, place: int) -> TextLine: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[TextLine, ...]: ...
    def __getitem__(self, place: int | slice) -> TextLine | tuple[TextLine, ...]:
        if isinstance(place, slice):
            return tuple(self[i] for i in range(*place.indices(len(self))))
        return self.line_at(place)


class ListView(Table):
    """A view of rows; what it shows is made for the size that it has, or will have."""

    drawn_for: Size = Size(0, 0)

    def on_resize(self) -> None:
        """Keep the cursor in view, and ask for rows of the new width."""
        super().on_resize()
        if self.size != self.drawn_for:
            self.post_message(Resized())
