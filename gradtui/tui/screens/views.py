"""The views: each draws the desk into its widgets, and decides how they are arranged."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from textual.containers import Horizontal
from textual.geometry import Size

from gradtui.tui.actions.moving import overview_place
from gradtui.tui.actions.offered import RAIL_WIDTH
from gradtui.tui.screens.lists import ListView, Rows
from gradtui.tui.screens.maps import ValuesView, desk_edits
from gradtui.viewmodel.overview import overview_header, overview_line, overview_rows
from gradtui.viewmodel.text import TextLine, line, printable
from gradtui.viewmodel.values import value_maps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from textual.widget import AwaitMount, Widget

    from gradtui.tui.actions.desk import Desk
    from gradtui.tui.render.palette import Palette
    from gradtui.tui.screens.architecture import ArchitectureView
    from gradtui.tui.screens.history import HistoryView
    from gradtui.tui.screens.training import TrainingView
    from gradtui.tui.widgets.direct import Direct
    from gradtui.viewmodel.overview import OverviewRow

NAME_WIDTH: Final = 7


class _Rows(Rows):
    """Rows of the Overview."""

    def __init__(self, rows: tuple[OverviewRow, ...], width: int, ascii: bool) -> None:
        self._rows, self._width, self._ascii = rows, width, ascii

    def __len__(self) -> int:
        return len(self._rows)

    def line_at(self, place: int) -> TextLine:
        """Make the row at a place."""
        return overview_line(self._rows[place], self._width, ascii=self._ascii)


class OverviewView(ListView):
    """The tree of layers."""

    _made_from: tuple[object, ...] = ()

    def draw(self, desk: Desk, size: Size, *, ascii: bool) -> None:
        """Show the rows, with the cursor on the selected one."""
        selection, summary = desk.selection, desk.summary
        # Not the summary itself: while this view is hidden, its layers would stay in memory with it.
        made_from = (
            summary.numbers, summary.findings, tuple((one.name, one.shape) for one in summary.layers),
            selection.folds, selection.sort, selection.descending, selection.filter,
        )  # fmt: skip
        if made_from != self._made_from or not desk.rows:
            self._made_from = made_from
            desk.rows = overview_rows(
                desk.summary,
                folds=selection.folds,
                sort=selection.sort,
                descending=selection.descending,
                filter=selection.filter,
            )
        self.drawn_for = size
        rows = _Rows(desk.rows, size.width, ascii)
        header = overview_header(size.width, selection.sort, selection.descending, ascii=ascii)
        # Columns of nothing would look like an answer.
        titles = (header,) if desk.session.layers else ()
        self.show(rows, overview_place(desk) if rows else -1, header=titles)


class RailView(OverviewView):
    """The tree of layers beside the maps, on wide screens."""

    DEFAULT_CSS = "RailView { margin-right: 1; }"


class FlowView(ListView):
    """The text Sankey."""

    headline: TextLine = ()

    def draw(self, desk: Desk, size: Size, *, ascii: bool) -> None:
        """Show the paths of the selected node, with the cursor on one of them."""
        # Here: the first screen shows maps, and need not wait for this import.
        from gradtui.viewmodel.flow_table import flow_table

        self.drawn_for = size
        # The header stands after the view's name, on a line of the whole screen.
        whole = self.screen.size.width if self.is_attached else size.width
        table = flow_table(
            desk.session,
            desk.selection,
            width=size.width,
            header_width=max(whole - NAME_WIDTH, 1),
            ascii=ascii,
            watched=desk.watching,
        )
        self.headline = table.header
        desk.selection = replace(desk.selection, row=table.cursor)
        gap = max(size.height - len(table.lines) - len(table.footer) - 1, 1)
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


def shown_view(desk: Desk) -> str:
    """Return which view is drawn: a run has an Overview of its own."""
    view = desk.selection.view
    return "training" if desk.watching and view == "overview" else view


class Views(Horizontal):
    """All views in one place, of which one is shown; the rail stands beside them where there is room."""

    DEFAULT_CSS = "Views { width: 1fr; height: 1fr; } "

    def __init__(self) -> None:
        super().__init__(id="views")
        self.rail = RailView(id="rail")
        self.overview = OverviewView(id="overview")
        self.values = ValuesView()
        self.flow = FlowView(id="flow")
        self.log_view = LogView(id="log")
        self._of_runs: tuple[TrainingView, HistoryView] | tuple[()] = ()
        self._of_plan: tuple[ArchitectureView] | tuple[()] = ()
        self._palette: Palette | None = None
        self.rail_width = 30
        self.rail_wanted = True
        self._shown: tuple[str, bool] = ("", False)
        self._mounting: list[AwaitMount] = []

    def recoloured(self, palette: Palette) -> None:
        """Draw with a palette from now on."""
        self._palette = palette
        for widget in self._palette_users():
            widget.palette = palette

    def _palette_users(self) -> Iterator[Direct]:
        yield from (
            self.rail,
            self.overview,
            self.flow,
            self.log_view,
            *self._of_runs,
            *self._of_plan,
        )
        yield from self.values.maps.values()

    @property
    def training(self) -> TrainingView:
        """The Overview of a run."""
        return self._views_of_runs()[0]

    @property
    def history(self) -> HistoryView:
        """The History of a run."""
        return self._views_of_runs()[1]

    @property
    def architecture(self) -> ArchitectureView:
        """The architecture of the model."""
        if not self._of_plan:
            # Here: most folders have no graph, and need not wait for what shows one.
            from gradtui.tui.screens.architecture import ArchitectureView

            self._of_plan = (ArchitectureView(id="architecture"),)
            if self._palette is not None:
                self.recoloured(self._palette)
        return self._of_plan[0]

    def _views_of_runs(self) -> tuple[TrainingView, HistoryView]:
        if not self._of_runs:
            # Here: most folders have no run, and need not wait for what shows one.
            from gradtui.tui.screens.history import HistoryView
            from gradtui.tui.screens.training import TrainingView

            self._of_runs = (TrainingView(id="training"), HistoryView(id="history"))
            if self._palette is not None:
                self.recoloured(self._palette)
        return self._of_runs

    def draw(self, desk: Desk, lines: tuple[str, ...], size: Size, *, ascii: bool) -> None:
        """Draw the view that is chosen, for the size that all views together have."""
        view = shown_view(desk)
        rail = (
            self.rail_wanted and view in ("values", "flow") and self.screen.size.width >= RAIL_WIDTH
        )
        if rail:
            self.rail.draw(desk, Size(self.rail_width, size.height), ascii=ascii)
            size = Size(max(size.width - self.rail_width - 1, 0), size.height)
        if view == "overview":
            self.overview.draw(desk, size, ascii=ascii)
        elif view == "training":
            self.training.draw(desk, size, ascii=ascii)
        elif view == "history":
            self.history.draw(desk, size, ascii=ascii)
        elif view == "architecture":
            self.architecture.draw(desk, size, ascii=ascii)
        elif view == "log":
            self.log_view.draw(lines, desk.selection.row)
        elif view == "values":
            self.values.draw(desk, size)
        else:
            self.flow.draw(desk, size, ascii=ascii)
            # Moves by cell and the readout go by the maps, shown or not.
            desk.maps = value_maps(desk.session, desk.selection, desk_edits(desk), seen=())
        self._arrange(view, rail)

    async def mounted(self) -> None:
        """Wait until the views that are wanted are there."""
        while self._mounting:
            await self._mounting.pop()

    def _arrange(self, view: str, rail: bool) -> None:
        if self.rail.styles.width is None or self.rail.styles.width.value != self.rail_width:
            self.rail.styles.width = self.rail_width
        if (view, rail) == self._shown:
            return
        self._shown = (view, rail)
        views: dict[str, Widget] = {
            "overview": self.overview, "values": self.values, "flow": self.flow, "log": self.log_view,
        }  # fmt: skip
        if self._of_runs:
            views |= {"training": self.training, "history": self.history}
        if self._of_plan:
            views["architecture"] = self.architecture
        shown: list[Widget] = [self.rail] if rail else []
        shown.append(views[view])
        for widget in self.children:
            widget.display = widget in shown
        for widget in shown:
            # A view is mounted when it is first wanted: each costs the first screen milliseconds.
            if widget not in self.children:
                widget.display = True
                first = widget is self.rail and bool(self.children)
                self._mounting.append(self.mount(widget, before=0 if first else None))
