"""Lines and tables: what shows, what is repainted, and names that mean harm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from textual.app import App

from gradtui.tui.render.palette import Palette, palette_for
from gradtui.tui.render.spans import strip_of
from gradtui.tui.widgets.table import Table
from gradtui.tui.widgets.textline import LineView
from gradtui.viewmodel.text import ROLES, Span, line

PLAIN = Palette("none")


@pytest.mark.parametrize("width", [0, 1, 3, 5, 40])
def test_lines_fill_their_width(width):
    strip = strip_of(line("abc", ("中文中", "dim")), width, PLAIN)
    assert strip.cell_length == width == len(strip.text) + sum(c in "中文" for c in strip.text)


def test_text_that_missed_the_door_is_made_harmless():
    assert strip_of((Span("a\x1b[31m\nb[/]"),), 40, PLAIN).text.rstrip() == "a\\x1b[31m\\x0ab[/]"


@pytest.mark.parametrize("system", ["truecolor", "256", "standard", None])
def test_every_role_has_a_style(system):
    palette = palette_for(system)
    assert all(palette.role(role) is palette.role(role) for role in ROLES)
    assert palette.role("cursor").reverse
    assert palette.role("edited").underline


def test_users_choose_colours_of_roles():
    color = palette_for("256", overrides={"warn": "#123456"}).role("warn").color
    assert color is not None
    assert color.name == "#123456"


class Both(App[None]):
    CSS = "LineView { height: 2; }"

    def compose(self):
        yield LineView(line("first"))
        yield Table()


async def test_only_changed_lines_are_repainted(monkeypatch):
    app = Both()
    async with app.run_test(size=(40, 12)):
        view = app.query_one(LineView)
        asked = []
        monkeypatch.setattr(view, "refresh", lambda *regions, **_: asked.append(regions))
        view.show(line("first"), line("second"))
        view.show(line("first"), line("second"))
        assert [[region.y for region in regions] for regions in asked] == [[1]]


class Rows(Sequence[Any]):
    """Forty thousand rows that are made when they are asked for."""

    def __init__(self):
        self.made = 0

    def __len__(self):
        return 40_000

    def __getitem__(self, row):
        self.made += 1
        return line(f"row {row}")


async def test_a_table_makes_the_rows_in_view_alone():
    app = Both()
    async with app.run_test(size=(40, 12)) as pilot:
        table, rows = app.query_one(Table), Rows()
        table.show(rows, 20_000, header=(line("name"),))
        await pilot.pause()
        assert table.page == 9
        assert table.render_line(0).text.rstrip() == "name"
        shown = [table.render_line(y).text.rstrip() for y in range(1, 10)]
        assert "row 20000" in shown
        assert rows.made < 100


async def test_the_cursor_row_stays_in_view_with_a_margin():
    app = Both()
    async with app.run_test(size=(40, 12)) as pilot:
        table = app.query_one(Table)
        rows = [line(f"row {i}") for i in range(50)]
        for cursor in (0, 9, 49, 30, 2, 60):
            table.show(rows, cursor)
            await pilot.pause()
            cursor = min(cursor, 49)
            assert table.cursor == cursor
            at = cursor - table.first
            assert min(2, cursor) <= at < table.page - min(2, 49 - cursor)


async def test_tables_survive_any_size_and_no_rows():
    app = Both()
    async with app.run_test(size=(40, 12)) as pilot:
        table = app.query_one(Table)
        table.show([line(f"row {i}") for i in range(50)], 49)
        for size in ((1, 1), (5, 3), (100, 40)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
        assert table.render_line(table.size.height - 1).text.rstrip() == "row 49"
        table.show([], 0)
        await pilot.pause()
        assert table.cursor == -1
        assert table.render_line(0).text.strip() == ""


async def test_clicks_name_the_row():
    picked = []

    class Clicks(Both):
        def on_table_picked(self, event):
            picked.append(event.row)

    app = Clicks()
    async with app.run_test(size=(40, 12)) as pilot:
        app.query_one(Table).show([line(f"row {i}") for i in range(5)], 0, header=(line("head"),))
        await pilot.pause()
        await pilot.click(Table, offset=(3, 3))
        await pilot.pause()
    assert picked == [2]
