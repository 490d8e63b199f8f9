"""Widgets that paint whole lines by themselves: no border, no padding, no style of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.strip import Strip
from textual.widget import Widget

from gradtui.tui.render.palette import Palette, colours_of, palette_for

if TYPE_CHECKING:
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

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return the part of the lines that is asked for."""
        size = self.size
        if size != self._painted_size:
            self._painted.clear()
            self._painted_size = size
        wanted = range(crop.y, crop.bottom)
        missing = [y for y in wanted if y not in self._painted]
        if missing:
            # The theme's own colours, once: asking for them costs more than a line.
            style = self.rich_style
            for y in missing:
                inside = 0 <= y < size.height
                line = self.render_line(y) if inside else Strip.blank(size.width)
                self._painted[y] = line.apply_style(style)
        return [self._painted[y].crop(crop.x, crop.right) for y in wanted]

    def refresh(self, *regions: Region, **changes: Any) -> Self:
        """Paint anew: the lines of these regions, or all."""
        if regions:
            for region in regions:
                for y in range(region.y, region.bottom):
                    self._painted.pop(y, None)
        else:
            self._painted.clear()
        return super().refresh(*regions, **changes)
