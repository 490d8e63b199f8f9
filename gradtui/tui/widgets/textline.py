"""A few lines of spans: headers, readouts, key lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.strip import Strip

from gradtui.tui.render.spans import strip_of
from gradtui.tui.widgets.changes import refresh_changed
from gradtui.tui.widgets.direct import Direct

if TYPE_CHECKING:
    from gradtui.tui.render.palette import Palette
    from gradtui.viewmodel.text import TextLine


class LineView(Direct):
    """Shows lines of spans as they are, one row each; what does not fit is cut with ``…``.

    A line that did not change is not painted again.
    """

    DEFAULT_CSS = "LineView { width: 1fr; height: 1; }"

    def __init__(
        self,
        *lines: TextLine,
        palette: Palette | None = None,
        id: str | None = None,  # noqa: A002
        classes: str | None = None,
    ) -> None:
        super().__init__(palette=palette, id=id, classes=classes)
        self._lines = lines

    @property
    def lines(self) -> tuple[TextLine, ...]:
        """The lines that are shown."""
        return self._lines

    def show(self, *lines: TextLine) -> None:
        """Show these lines; those that differ from the ones before are repainted."""
        before, self._lines = self._lines, lines
        refresh_changed(self, before, lines)

    def render_line(self, y: int) -> Strip:
        """One line."""
        if y >= len(self._lines):
            return Strip.blank(self.size.width)
        return strip_of(self._lines[y], self.size.width, self.palette)
