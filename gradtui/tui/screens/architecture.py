"""The Architecture: one row a node, with lanes, and a map of the whole beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gradtui.core.architecture.categories import Colours
from gradtui.tui.screens.lists import ListView, Rows
from gradtui.viewmodel.architecture.differences import difference_lines, difference_words
from gradtui.viewmodel.architecture.table import architecture_header, architecture_line
from gradtui.viewmodel.architecture.words import fault_lines, graph_headline, minimap, row_detail
from gradtui.viewmodel.text import Span, TextLine, clip, line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.geometry import Size

    from gradtui.tui.actions.desk import Desk
    from gradtui.viewmodel.architecture.listing import ArchitectureView as View

LEAST_FOR_FAULT: Final = 8
"""Rows from which the reason of a failed pass has lines of its own."""
MAP_FROM: Final = 60
"""Columns from which the map of the whole has room."""
_MAP_WIDTH: Final = 3


class _Rows(Rows):
    """Rows of the architecture."""

    def __init__(self, view: View, width: int, colours: Colours, *, ascii: bool) -> None:
        self.made_from = (view, width, ascii)
        self._colours = colours
        self._lines: dict[int, TextLine] = {}

    def __len__(self) -> int:
        return len(self.made_from[0].shown)

    def line_at(self, place: int) -> TextLine:
        """Find the row at a place, or make it."""
        found = self._lines.get(place)
        if found is None:
            view, width, ascii = self.made_from
            found = architecture_line(view, place, width, self._colours, ascii=ascii)
            self._lines[place] = found
        return found


class _WithMap(Rows):
    """Rows with a cell of the map at the end of those in view."""

    def __init__(self, rows: _Rows, cells: Sequence[TextLine], first: int) -> None:
        self._rows, self._cells, self._first = rows, cells, first

    def __len__(self) -> int:
        return len(self._rows)

    def line_at(self, place: int) -> TextLine:
        """The row at a place, with its cell of the map."""
        cell = place - self._first
        end = self._cells[cell] if 0 <= cell < len(self._cells) else ()
        return (*self._rows[place], *end)


class ArchitectureView(ListView):
    """The rows of the model's graph, or what they differ in from another."""

    headline: TextLine = ()
    detail: tuple[TextLine, ...] = ()
    columns: int = 0
    """Columns of a row, without the map."""
    _made: _Rows | None = None

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.colours = Colours()

    def draw(self, desk: Desk, size: Size, *, ascii: bool) -> None:
        """Show the rows, with the cursor on one of them."""
        self.drawn_for = size
        plan, choices = desk.plan, desk.selection.architecture
        if plan.empty:
            self._nothing(desk)
        elif plan.comparing:
            self._difference(desk, size)
        else:
            self._graph(desk, plan.view(choices, desk.live), size, ascii=ascii)

    def _graph(self, desk: Desk, view: View, size: Size, *, ascii: bool) -> None:
        fault = fault_lines(view.graph.fault, size.width) if size.height > LEAST_FOR_FAULT else ()
        page = size.height - 1 - len(fault)
        mapped = size.width >= MAP_FROM and len(view.shown) > page > 4
        width = size.width - (_MAP_WIDTH if mapped else 0)
        self.columns = width
        if self._made is None or self._made.made_from != (view, width, ascii):
            self._made = _Rows(view, width, self.colours, ascii=ascii)
        row = desk.selection.architecture.row if len(view.shown) else -1
        header = (*fault, architecture_header(view, width, ascii=ascii))
        self.show(self._made, row, header=header)
        if mapped:
            # Where the rows stand is known once the cursor is in view.
            cells = [
                _cell(share, on, ascii=ascii)
                for share, on in minimap(view.heat, page, self.first, page)
            ]
            self.show(_WithMap(self._made, cells, self.first), row, header=header)
        whole = self.screen.size.width if self.is_attached else size.width
        self.headline = graph_headline(view, whole)
        self.detail = row_detail(view, row, whole)

    def _nothing(self, desk: Desk) -> None:
        words = "no architecture yet: gradtui trace FILE.py:FACTORY finds a model's"
        if desk.room.has_process:
            words = "no architecture yet; :log shows what was printed"
        self.headline = line((" Architecture", "title"))
        self.detail = ()
        self.show((line((f"   {words}", "dim")),), -1)

    def _difference(self, desk: Desk, size: Size) -> None:
        plan = desk.plan
        rows = plan.difference()
        lines = difference_lines(plan.baseline, plan.graph, rows, size.width)
        words = difference_words(plan.baseline, plan.graph, rows)
        self.headline = line(
            (" Architecture  ", "dim"), ("difference to the baseline", "title"), "   ", words
        )
        self.detail = (line((" D shows the graph again", "dim")),)
        nothing = (line(("   the two graphs are the same", "good")),)
        self.show(lines or nothing, desk.selection.architecture.row if lines else -1)


def _cell(share: float, on_screen: bool, *, ascii: bool) -> TextLine:
    """A cell of the map: how hot its rows are, and a rail beside those on the screen."""
    if ascii:
        heat = " .:*#"[min(int(share * 4 + 0.999), 4)]
    else:
        heat = " ░▒▓█"[min(int(share * 4 + 0.999), 4)]
    rail = ("|" if ascii else "▐") if on_screen else " "
    return clip((Span(" "), Span(heat, "dim"), Span(rail, "key")), _MAP_WIDTH)
