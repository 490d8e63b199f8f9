"""Widgets that paint whole lines by themselves: no border, no padding, no style of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.color import ColorSystem
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from gradtui.tui.render.cells import PLAIN, pen_of
from gradtui.tui.render.palette import Palette, colours_of, palette_for

if TYPE_CHECKING:
    from collections.abc import Iterable

    from textual.geometry import Region, Size
    from typing_extensions import Self


class Direct(Widget):
    """A widget whose `render_line` gives finished lines of its width.

    Textual passes each line through the widget's styles, which takes longer than to make it. Here a
    line is kept as it is until a refresh names it.
    """

    def __init__(
        self,
        *,
        palette: Palette | None = None,
        id: str | None = None,  # noqa: A002
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._palette = palette
        self._painted: dict[int, Strip] = {}
        self._painted_size: Size | None = None
        self._under: Style | None = None

    @property
    def palette(self) -> Palette:
        """The colours in use: those given, else what the terminal can show."""
        if self._palette is None:
            self._palette = palette_for(colours_of(self.app))
        return self._palette

    @palette.setter
    def palette(self, palette: Palette) -> None:
        if palette is not self._palette:
            self._palette = palette
            self.recoloured()

    def recoloured(self) -> None:
        """Paint in another palette."""
        self.refresh()

    def painted(self, rows: Iterable[int]) -> list[Strip]:
        """Return whole lines, of which only those that were refreshed are made anew."""
        size = self.size
        if size != self._painted_size:
            self._painted.clear()
            self._painted_size = size
        lines = []
        for y in rows:
            line = self._painted.get(y)
            if line is None:
                inside = 0 <= y < size.height
                line = self.render_line(y) if inside else Strip.blank(size.width)
                if under := self._style_under():
                    line = line.apply_style(under)
                self._painted[y] = line
            lines.append(line)
        return lines

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return the part of the lines that is asked for."""
        lines = self.painted(range(crop.y, crop.bottom))
        return [line.crop(crop.x, crop.right) for line in lines]

    def notify_style_update(self) -> None:
        """Take the theme's colours anew."""
        super().notify_style_update()
        self._under = None
        self._painted.clear()

    def _style_under(self) -> Style:
        """The theme's own colours, found once; the null style where they are the terminal's."""
        if self._under is None:
            style = self.rich_style
            shows = pen_of(style, ColorSystem.TRUECOLOR) != PLAIN
            self._under = style if shows else Style.null()
        return self._under

    def refresh(self, *regions: Region, **changes: Any) -> Self:
        """Paint anew: the lines of these regions, or all."""
        if regions:
            for region in regions:
                for y in range(region.y, region.bottom):
                    self._painted.pop(y, None)
        else:
            self._painted.clear()
        return super().refresh(*regions, **changes)
