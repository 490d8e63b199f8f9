"""The views: each draws the desk into its widgets, and decides how they are arranged."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from textual.containers import Horizontal

from gradtui.tui.actions.moving import overview_place
from gradtui.tui.screens.maps import Resized, ValuesView, desk_edits
from gradtui.tui.widgets.table import Table
from gradtui.viewmodel.flow_table import flow_table
from gradtui.viewmodel.overview import overview_header, overview_line, overview_rows
from gradtui.viewmodel.text import line, printable
from gradtui.viewmodel.values import value_maps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from textual.app import ComposeResult

    from gradtui.tui.actions.desk import Desk
    from gradtui.tui.widgets.heatmap import Heatmap
    from gradtui.viewmodel.text import TextLine

RAIL_WIDTH: Final = 110


class ListView(Table):
    """A view of rows."""

    def on_resize(self) -> None:
        """Keep the cursor in view, and ask for rows of the new width."""
        super().on_resize()
        self.post_message(Resized())


class OverviewView(ListView):
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

    DEFAULT_CSS = "RailView { width: 30; margin-right: 1; }"


class FlowView(ListView):
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


class LogView(ListView):
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

    def draw(self, desk: Desk, lines: tuple[str, ...], *, ascii: bool) -> None:
        """Draw the view that is chosen; one that just appeared asks again once it has its size."""
        view = desk.selection.view
        rail = (
            self.rail_wanted and view in ("values", "flow") and self.screen.size.width >= RAIL_WIDTH
        )
        self._arrange(view, rail)
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

    def _arrange(self, view: str, rail: bool) -> None:
        if self.rail.styles.width is None or self.rail.styles.width.value != self.rail_width:
            self.rail.styles.width = self.rail_width
        if (view, rail) == self._shown:
            return
        self._shown = (view, rail)
        shown = {"overview": self.overview, "values": self.values, "flow": self.flow}
        for widget in (self.overview, self.values, self.flow, self.log_view):
            widget.display = widget is shown.get(view, self.log_view)
        self.rail.display = rail
