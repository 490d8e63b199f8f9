"""Maps as text and as a widget: geometry, marks without colour, and repaints of what changed alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.app import App

from gradtui.tui.render.geometry import choose, label_step
from gradtui.tui.render.heatmap import Heat, geometry_of, heatmap_line
from gradtui.tui.render.marks import half_mark, mark_text, single_mark
from gradtui.tui.render.palette import CUBE_LEVELS, Palette, cube_colour
from gradtui.tui.widgets.heatmap import Heatmap
from gradtui.viewmodel.colours import TRUE_LEVELS
from gradtui.viewmodel.levels import LEVEL_NAN, LEVEL_NEGATIVE_INF, LEVEL_POSITIVE_INF
from gradtui.viewmodel.maps import MapView

SOLID, ASCII, NONE = Palette("256"), Palette("256", ascii_only=True), Palette("none")


def view(values, *, marks=None, cursor=(-1, -1), **fields):
    values = np.asarray(values, float)
    limit = np.abs(values[np.isfinite(values)]).max(initial=0) or 1.0
    levels = np.clip(
        (np.nan_to_num(values, posinf=0, neginf=0) / limit + 1) * 15.5 + 0.5, 0, 31
    ).astype(np.uint8)
    levels[np.isnan(values)] = LEVEL_NAN
    levels[np.isposinf(values)] = LEVEL_POSITIVE_INF
    levels[np.isneginf(values)] = LEVEL_NEGATIVE_INF
    marks = np.zeros(values.shape, np.uint8) if marks is None else np.asarray(marks, np.uint8)
    return MapView(
        title="conv1",
        values=values,
        levels=levels,
        marks=marks,
        low=-limit,
        high=limit,
        cursor=cursor,
        **fields,
    )


def lines(shown, width, height, palette=SOLID):
    geometry = geometry_of(shown, width, height, palette)
    heat = Heat.of(shown, geometry)
    strips = [heatmap_line(heat, geometry, palette, y) for y in range(height)]
    assert all(strip.cell_length == width for strip in strips)
    return [strip.text.rstrip() for strip in strips]


def test_a_small_map_has_its_numbers():
    text = lines(view([[1.0, -0.5], [0.25, 0.0]], cursor=(0, 1), focused=True), 20, 8)
    assert text == [
        ">conv1   -1 ████ 1",
        "     0       1",
        "",
        "0       1 [  -0.5]",
        "",
        "",
        "1    0.25       0",
        "",
    ]


def test_a_large_map_shares_characters():
    text = lines(view(np.arange(64.0).reshape(8, 8) - 32, cursor=(3, 5)), 12, 6)
    assert text[3].startswith("3 ")
    assert text[3][2 + 5] == "▾"


@pytest.mark.parametrize("palette", [SOLID, ASCII, NONE, Palette("16")])
@pytest.mark.parametrize(
    "shape", [(1, 1), (4, 4), (1, 64), (64, 1), (9, 9), (40, 100), (0, 0), (3, 0)]
)
@pytest.mark.parametrize("size", [(1, 1), (5, 2), (20, 6), (60, 20)])
def test_any_map_fits_any_region(palette, shape, size):
    rows, columns = shape
    shown = view(
        np.linspace(-1, 1, rows * columns).reshape(shape),
        cursor=(rows - 1, columns - 1),
        empty_text="no map",
    )
    lines(shown, size[0], size[1], palette)


def test_no_cells_have_words():
    assert lines(view(np.zeros((0, 3)), empty_text="no gradient"), 20, 5)[2] == "no gradient"


@pytest.mark.parametrize("palette", [SOLID, ASCII, NONE])
def test_without_colour_every_cell_state_has_its_own_look(palette):
    values = np.ones((1, 9))
    values[0, 5:8] = np.nan, np.inf, -np.inf
    marks = [[0, 1, 2, 4, 17, 0, 0, 0, 8]]
    text = lines(view(values, marks=marks), 2 + 9 * 2 + 1, 3, palette)[1]
    looks = [text[2 + 2 * i : 4 + 2 * i] for i in range(9)]
    assert len(set(looks)) == 9


def test_marks_have_glyphs_of_their_own_in_half_cells_too():
    kinds = [0, 1, 2, 3, 4, 17, 18, 19]
    upper, lower = {half_mark(m, 0) for m in kinds}, {half_mark(0, m) for m in kinds}
    assert len(upper) >= 7
    assert upper & lower == {""}
    assert len({mark_text(m) for m in kinds}) == len(kinds)
    assert len({single_mark(m) for m in kinds}) == len(kinds)
    assert all(single_mark(m).isascii() for m in kinds)


def test_ascii_is_ascii():
    values = np.linspace(-1, 1, 60).reshape(5, 12)
    values[0, :3] = np.nan, np.inf, -np.inf
    marks = np.arange(60).reshape(5, 12) % 32
    for size in ((16, 8), (40, 8), (110, 20)):
        assert "".join(lines(view(values, marks=marks, cursor=(2, 2)), *size, ASCII)).isascii()


def test_signs_show_without_colour():
    assert NONE.ramp(0).isalpha()
    assert NONE.ramp(31) == "@"
    assert NONE.ramp(15) == NONE.ramp(16) == " "
    assert Palette("none", inverted=True).ramp(31).isalpha()


@pytest.mark.parametrize("colours", [TRUE_LEVELS, tuple(map(cube_colour, CUBE_LEVELS))])
def test_lightness_falls_to_both_sides(colours):
    light = [
        0.2126 * int(c[:2], 16) ** 2.2
        + 0.7152 * int(c[2:4], 16) ** 2.2
        + 0.0722 * int(c[4:], 16) ** 2.2
        for c in colours
    ]
    assert light[:16] == sorted(light[:16])
    assert light[16:] == sorted(light[16:], reverse=True)


@given(
    st.integers(1, 200), st.integers(1, 200), st.integers(1, 130), st.integers(1, 45),
    st.lists(st.tuples(st.integers(0, 199), st.integers(0, 199)), min_size=1, max_size=6), st.booleans(),
)  # fmt: skip
def test_the_cursor_is_always_in_view(rows, columns, width, height, cells, halves):
    geometry = choose(rows, columns, width, height, digits=3, halves=halves)
    for row, column in cells:
        row, column = min(row, rows - 1), min(column, columns - 1)
        geometry = geometry.scrolled_to(row, column)
        if not (geometry.shown_rows and geometry.shown_columns):
            continue
        place = geometry.place(row, column)
        assert place.width
        assert place.x + place.width <= width
        assert place.y < height
        found = geometry.cell_at(place.x, place.y)
        assert found == (row - (row - geometry.first_row) % 2 if geometry.half else row, column)


def test_labels_have_room():
    assert [
        label_step(1, 1),
        label_step(1, 2),
        label_step(1, 3),
        label_step(2, 1),
        label_step(2, 2),
        label_step(8, 3),
    ] == [2, 4, 4, 1, 2, 1]


def test_the_cursor_has_its_labels():
    text = lines(view(np.zeros((20, 40)), cursor=(7, 13)), 50, 14)
    assert "13" in text[1].split()
    assert any(row.startswith(" 7 ") for row in text)


def test_blocks_and_crops_are_labelled_by_the_layers_rows():
    text = lines(view(np.zeros((4, 4)), row0=8, col0=16, block=2), 40, 20)
    assert text[1].split() == ["16", "18", "20", "22"]
    assert [row.split()[0] for row in text[2:] if row.split()] == ["8", "10", "12", "14"]


class One(App[None]):
    def compose(self):
        yield Heatmap()


async def test_only_changed_cells_are_repainted(monkeypatch):
    app = One()
    async with app.run_test(size=(60, 20)) as pilot:
        widget = app.query_one(Heatmap)
        first = view(np.zeros((16, 16)), cursor=(0, 0))
        widget.show(first)
        await pilot.pause()
        asked = []
        monkeypatch.setattr(widget, "refresh", lambda *regions, **_: asked.append(regions))
        widget.show(first)
        assert asked == []
        widget.show(replace(first, cursor=(5, 5)))
        (regions,) = asked
        assert sum(region.area for region in regions) < 100
        asked.clear()
        widget.show(view(np.random.default_rng(0).standard_normal((16, 16))))
        (regions,) = asked
        # A line of the screen is asked for once for each of its two rows of cells, not once a cell.
        assert {region.y for region in regions} >= set(range(2, 10))
        assert len(regions) <= 16 + 6


async def test_clicks_name_the_cell():
    picked = []

    class Clicks(One):
        def on_heatmap_picked(self, event):
            picked.append(event.cell)

    app = Clicks()
    async with app.run_test(size=(60, 20)) as pilot:
        app.query_one(Heatmap).show(view(np.zeros((4, 4))))
        await pilot.pause()
        place = app.query_one(Heatmap).geometry.place(2, 3)
        await pilot.click(Heatmap, offset=(place.x, place.y))
        await pilot.pause()
    assert picked == [(2, 3)]


async def test_a_map_shown_before_it_has_a_size_is_there_when_it_has():
    class Early(One):
        def on_mount(self):
            self.query_one(Heatmap).show(view(np.zeros((4, 4))))

    app = Early()
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.pause()
        widget = app.query_one(Heatmap)
        assert "conv1" in widget.render_line(0).text
        await pilot.resize_terminal(1, 1)
        await pilot.resize_terminal(40, 10)
        await pilot.pause()
        assert "conv1" in widget.render_line(0).text


@pytest.mark.parametrize(
    ("rows", "columns", "height", "lines"),
    [
        # Wide maps take the rows that are free, one each...
        (8, 40, 14, 8), (8, 45, 14, 8), (14, 76, 16, 14),
        # ...but not where these are too few, or where the map would look high.
        (14, 76, 12, 7), (20, 60, 30, 10), (28, 28, 20, 14),
    ],
)  # fmt: skip
def test_a_wide_map_takes_rows_that_are_free(rows, columns, height, lines):
    plan = choose(rows, columns, columns + 2, height)
    assert plan.shown_rows == rows
    assert plan.place(rows - 1, 0).y - plan.top + 1 == lines
