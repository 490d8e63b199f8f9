"""The views: each draws the desk into its widgets, and decides how they are arranged."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from textual.containers import Container, Horizontal

from gradtui.core.edit import EditHistory
from gradtui.tui.actions.moving import overview_place
from gradtui.tui.widgets.heatmap import Heatmap
from gradtui.tui.widgets.table import Table
from gradtui.viewmodel.flow_table import flow_table
from gradtui.viewmodel.overview import overview_header, overview_line, overview_rows
from gradtui.viewmodel.selection import MAP_KEYS, map_shape
from gradtui.viewmodel.text import line, printable
from gradtui.viewmodel.values import value_maps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from textual.app import ComposeResult

    from gradtui.tui.actions.desk import Desk
    from gradtui.viewmodel.selection import MapKey
    from gradtui.viewmodel.text import TextLine

MINI_WIDTH: Final = 60
RAIL_WIDTH: Final = 110


def desk_edits(desk: Desk) -> EditHistory:
    """Return the edits as far as they belong to what is shown: an older generation has none."""
    if desk.generations.comparing or not desk.generations.following:
        return EditHistory()
    return desk.edits


class OverviewView(Table):
    """The tree of layers."""

    def draw(self, desk: Desk, *, ascii: bool) -> None:
        """Show the rows, with the cursor on the selected one."""
        selection = desk.selection
        desk.rows = overview_rows(
            desk.summary,
            folds=selection.folds,
            sort=selection.sort,
            descending=selection.descending,
            filter=selection.filter,
        )
        width = self.size.width
        rows = [overview_line(row, width, ascii=ascii) for row in desk.rows]
        header = overview_header(width, selection.sort, selection.descending, ascii=ascii)
        self.show(rows, overview_place(desk) if rows else -1, header=(header,))


class RailView(OverviewView):
    """The tree of layers beside the maps, on wide screens."""

    DEFAULT_CSS = "RailView { width: 30; }"


class ValuesView(Container):
    """The four maps, beside each other, in two rows, or the focused one alone."""

    DEFAULT_CSS = """
    ValuesView { layout: grid; grid-size: 4 1; grid-gutter: 0 1; width: 1fr; height: 1fr; }
    """

    def __init__(self) -> None:
        super().__init__(id="values")
        self.maps: dict[MapKey, Heatmap] = {key: Heatmap(id=f"map-{key}") for key in MAP_KEYS}
        self.alone = False
        self._arranged: tuple[Any, ...] = ()

    def compose(self) -> ComposeResult:
        """Lay out the maps."""
        yield from self.maps.values()

    def draw(self, desk: Desk) -> None:
        """Show the maps, arranged so that their cells are as large as they can be."""
        arranged = self._arrangement(desk)
        if arranged != self._arranged:
            self._arranged = arranged
            shown, columns = arranged[0], arranged[1]
            for key, heatmap in self.maps.items():
                heatmap.display = key in shown
            self.styles.grid_size_columns = columns
            self.styles.grid_size_rows = -(-len(shown) // columns)
        rows = -(-len(arranged[0]) // arranged[1])
        room_of = {key: self._room(desk, arranged[1], rows) for key in arranged[0]}
        desk.maps = value_maps(desk.session, desk.selection, desk_edits(desk), room=room_of)
        for view in desk.maps:
            if view.key in arranged[0]:
                self.maps[view.key].show(view)

    def _room(self, _desk: Desk, columns: int, rows: int) -> tuple[int, int]:
        """Rows and columns of cells of a map in the arrangement, before it is laid out."""
        width = (self.size.width - (columns - 1)) // columns - 4
        height = self.size.height // rows - 2
        solid = self.maps["input"].palette.solid
        return (max(height * 2 if solid else height, 1), max(width, 1))

    def _arrangement(self, desk: Desk) -> tuple[tuple[MapKey, ...], int]:
        """Which maps are shown, and in how many columns."""
        keys = [key for key in MAP_KEYS if 0 not in map_shape(desk.session, desk.selection, key)]
        focus = desk.selection.focus
        if not keys:
            return (("source",), 1)
        if self.alone or self.size.width < MINI_WIDTH or self.size.height < 6:
            return ((focus if focus in keys else keys[0],), 1)
        shapes = [map_shape(desk.session, desk.selection, key) for key in keys]
        scored = [
            (min(self._cell_area(shape, columns, len(keys)) for shape in shapes), -columns)
            for columns in sorted({1, 2, len(keys)})
            if self.size.height // -(-len(keys) // columns) >= 5
        ]
        area, columns = max(scored)
        return (tuple(keys), -columns) if area > 0 else ((focus,), 1)

    def _cell_area(self, shape: tuple[int, int], columns: int, count: int) -> float:
        """How large a cell of a map would be; below half a character the map is reduced."""
        width = max((self.size.width - (columns - 1)) // columns - 4, 1)
        height = max(self.size.height // -(-count // columns) - 2, 1)
        # A cell is square when it is twice as many columns as rows.
        return min(width / 2 / max(shape[1], 1), height / max(shape[0], 1))


class FlowView(Table):
    """The text Sankey."""

    headline: TextLine = ()

    def draw(self, desk: Desk, *, ascii: bool) -> None:
        """Show the paths of the selected node, with the cursor on one of them."""
        table = flow_table(
            desk.session,
            desk.selection,
            width=self.size.width,
            height=self.size.height,
            ascii=ascii,
        )
        self.headline = table.header
        desk.selection = replace(desk.selection, row=table.cursor)
        gap = max(self.size.height - len(table.lines) - len(table.footer) - 1, 1)
        self.show(
            (*table.lines, *(line() for _ in range(gap)), *table.footer),
            table.cursor if table.ends else -1,
            header=(table.columns,),
        )


class LogView(Table):
    """What the adapter's process printed, the newest line last."""

    def draw(self, lines: tuple[str, ...], row: int) -> None:
        """Show the lines; ``row`` counts from the end."""
        shown = [line(" " + printable(text)) for text in lines] or [
            line((" nothing printed", "dim"))
        ]
        self.show(shown, max(len(shown) - 1 - row, 0))


class Views(Horizontal):
    """All views in one place, of which one is shown; the rail stands beside them where there is room."""

    DEFAULT_CSS = "Views { width: 1fr; height: 1fr; } Views > * { display: none; }"

    def __init__(self) -> None:
        super().__init__(id="views")
        self.rail = RailView(id="rail")
        self.overview = OverviewView(id="overview")
        self.values = ValuesView()
        self.flow = FlowView(id="flow")
        self.log_view = LogView(id="log")
        self.rail_width = 30
        self.rail_wanted = True
        self._shown: tuple[str, bool] = ("", False)

    def compose(self) -> ComposeResult:
        """Lay out the views."""
        yield self.rail
        yield self.overview
        yield self.values
        yield self.flow
        yield self.log_view

    def palette_users(self) -> Iterator[Heatmap | Table]:
        """Every widget that draws with the palette."""
        yield from (self.rail, self.overview, self.flow, self.log_view)
        yield from self.values.maps.values()

    def draw(self, desk: Desk, lines: tuple[str, ...], *, ascii: bool) -> bool:
        """Draw the view that is chosen; False when the layout must settle first."""
        view = desk.selection.view
        rail = (
            self.rail_wanted and view in ("values", "flow") and self.screen.size.width >= RAIL_WIDTH
        )
        settled = self._arrange(view, rail)
        if view == "overview":
            self.overview.draw(desk, ascii=ascii)
        elif view == "log":
            self.log_view.draw(lines, desk.selection.row)
        if rail:
            self.rail.draw(desk, ascii=ascii)
        if view == "values":
            self.values.draw(desk)
        elif view == "flow":
            self.flow.draw(desk, ascii=ascii)
            # Moves by cell and the readout go by the maps, shown or not.
            desk.maps = value_maps(desk.session, desk.selection, desk_edits(desk))
        return settled

    def _arrange(self, view: str, rail: bool) -> bool:
        if self.rail.styles.width is None or self.rail.styles.width.value != self.rail_width:
            self.rail.styles.width = self.rail_width
        if (view, rail) == self._shown:
            return True
        self._shown = (view, rail)
        shown = {"overview": self.overview, "values": self.values, "flow": self.flow}
        for widget in (self.overview, self.values, self.flow, self.log_view):
            widget.display = widget is shown.get(view, self.log_view)
        self.rail.display = rail
        return False
