"""One map of coloured cells, of any size, that repaints only the cells that changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.geometry import Region
from textual.message import Message

from gradtui.tui.render.geometry import Geometry
from gradtui.tui.render.heatmap import Heat, geometry_of, heatmap_line
from gradtui.tui.widgets.direct import Direct

if TYPE_CHECKING:
    from collections.abc import Iterator

    from textual import events
    from textual.strip import Strip

    from gradtui.tui.render.palette import Palette
    from gradtui.viewmodel.maps import MapView


class Heatmap(Direct):
    """Shows a `MapView`: title, scale, labels, cells, cursor and marks.

    The cells are as large as the region allows, with their numbers where there is ample room; a map
    that does not fit scrolls with its cursor.
    """

    DEFAULT_CSS = "Heatmap { width: 1fr; height: 1fr; }"

    class Picked(Message):
        """A cell was clicked."""

        def __init__(self, heatmap: Heatmap, cell: tuple[int, int]) -> None:
            super().__init__()
            self.heatmap = heatmap
            self.cell = cell

        @property
        def control(self) -> Heatmap:
            """The map that was clicked."""
            return self.heatmap

    def __init__(self, *, palette: Palette | None = None, id: str | None = None) -> None:  # noqa: A002
        super().__init__(palette=palette, id=id)
        self._view: MapView | None = None
        self._heat = Heat()
        self._geometry = Geometry(0, 0, 0, 0)

    @property
    def view(self) -> MapView | None:
        """The view that is shown; None before the first."""
        return self._view

    def recoloured(self) -> None:
        """Place the cells anew: another palette may need other ones."""
        self._place()
        self.refresh()

    @property
    def geometry(self) -> Geometry:
        """Where the parts of the map go at present."""
        return self._geometry

    @property
    def room(self) -> tuple[int, int]:
        """Rows and columns of the largest map that shows whole, for choosing a zoom."""
        free_height, free_width = max(self.size.height - 2, 0), max(self.size.width - 4, 0)
        return (free_height * 2 if self.palette.solid else free_height), free_width

    def show(self, view: MapView) -> None:
        """Show a view; only what differs from the view before is repainted."""
        self._view = view
        if not self.size:
            # It is hidden, and painted anew when it comes back.
            self.refresh()
            return
        before, geometry = self._heat, self._geometry
        self._place()
        if self._geometry != geometry:
            self.refresh()
            return
        regions = self._changes(before, self._heat)
        if regions:
            self.refresh(*regions)

    def cell_at(self, x: int, y: int) -> tuple[int, int]:
        """The cell shown at a place of the widget; (-1, -1) where there is none."""
        return self._geometry.cell_at(x, y)

    def on_click(self, event: events.Click) -> None:
        """Tell who listens which cell was clicked."""
        cell = self.cell_at(event.x, event.y)
        if cell >= (0, 0):
            event.stop()
            self.post_message(self.Picked(self, cell))

    def on_resize(self) -> None:
        """Fit the cells to the new size, if they were not painted for it already."""
        before = (self._geometry, self._heat)
        self._place()
        if (self._geometry, self._heat) != before:
            self.refresh()

    def _place(self) -> None:
        if self._view is None or not self.size:
            return
        before = self._geometry
        geometry = geometry_of(self._view, self.size.width, self.size.height, self.palette)
        kept = (before.rows, before.columns, before.width, before.height, before.half)
        if kept == (
            geometry.rows,
            geometry.columns,
            geometry.width,
            geometry.height,
            geometry.half,
        ):
            # The same map in the same region: it scrolls from where it was.
            geometry = before.scrolled_to(*self._view.cursor)
        self._geometry = geometry
        self._heat = Heat.of(self._view, geometry)

    def _changes(self, before: Heat, after: Heat) -> list[Region]:
        """The regions that must be repainted between two pictures of one geometry."""
        geometry = self._geometry
        if _labels(before) != _labels(after) or before.columns != after.columns:
            return [self.size.region]
        regions: list[Region] = []
        if before.cursor != after.cursor:
            regions.append(Region(0, 1, geometry.width, max(geometry.top - 1, 0)))
            for row, column in (before.cursor, after.cursor):
                regions.append(self._part(row, column, column))
                label = geometry.place(row, geometry.first_column)
                regions.append(Region(0, label.y, geometry.left, geometry.cell_height))
        if _heading(before) != _heading(after):
            regions.append(Region(0, 0, geometry.width, 1))
        for old, new in (
            (before.levels, after.levels),
            (before.marks, after.marks),
            (before.numbers, after.numbers),
        ):
            if old != new and len(old) == len(new):
                regions += [self._part(*run) for run in _runs(old, new, after.columns)]
            elif old != new:
                return [self.size.region]
        return [region for region in dict.fromkeys(regions) if region]

    def _part(self, row: int, first: int, last: int) -> Region:
        """The region of some cells of a row, as far as they are in view."""
        geometry = self._geometry
        first = max(first, geometry.first_column)
        last = min(last, geometry.first_column + geometry.shown_columns - 1)
        x, y, width, height = geometry.place(row, first)
        return Region(x, y, width * max(last - first + 1, 0), height)

    def render_line(self, y: int) -> Strip:
        """One line of the map."""
        if (self._geometry.width, self._geometry.height) != self.size:
            # The first paint in a new size comes before the event that tells of it.
            self._place()
        return heatmap_line(self._heat, self._geometry, self.palette, y)


def _runs(
    old: bytes | tuple[str, ...], new: bytes | tuple[str, ...], columns: int
) -> Iterator[tuple[int, int, int]]:
    """The rows that differ, each with the first and the last column that does."""
    for row in range(len(new) // max(columns, 1)):
        start = row * columns
        was, now = old[start : start + columns], new[start : start + columns]
        if was != now:
            differ = [column for column in range(columns) if was[column] != now[column]]
            yield row, differ[0], differ[-1]


def _labels(heat: Heat) -> tuple[object, ...]:
    return heat.row_labels, heat.column_labels, heat.empty_text


def _heading(heat: Heat) -> tuple[object, ...]:
    return heat.title, heat.subtitle, heat.focused, heat.low, heat.high
