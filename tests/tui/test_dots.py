"""Curves as dots: where they go, which of two is seen, and that a line has no holes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradtui.tui.render.dots import dotted
from gradtui.viewmodel.text import line_width, plain

SHARE = st.floats(0, 1)


def stroke(*points):
    return (np.array([x for x, _ in points], float), np.array([y for _, y in points], float))


def picture(columns, rows, *strokes, ascii=False):
    return [plain(line) for line in dotted([("curve 0", strokes)], columns, rows, ascii=ascii)]


def test_the_ends_of_the_axes_are_the_corners():
    corners = [stroke((x, y)) for x in (0, 1) for y in (0, 1)]
    assert picture(4, 3, *corners, ascii=True) == ["*  *", "    ", "*  *"]
    found = picture(4, 3, *corners)
    assert [bool(c != " ") for c in found[0]] == [True, False, False, True]
    assert found[1] == "    "


def test_dots_are_in_the_middle_of_the_cells_at_the_ends():
    assert picture(1, 1, stroke((0, 0))) == ["⠐"]
    assert picture(2, 1, stroke((0, 0), (1, 0))) == ["⠐⠒"]


def test_a_rising_line():
    assert picture(4, 4, stroke((0, 0), (1, 1)), ascii=True) == ["   *", "  * ", " *  ", "*   "]


def test_of_curves_that_share_a_cell_the_first_is_seen():
    flat, high = stroke((0, 0.5), (1, 0.5)), stroke((0.5, 0), (0.5, 1))
    lines = dotted([("curve 0", [flat]), ("curve 1", [high])], 3, 3, ascii=True)
    assert [[(s.text, s.role) for s in line if s.text.strip()] for line in lines] == [
        [("*", "curve 1")],
        [("***", "curve 0")],
        [("*", "curve 1")],
    ]


def test_nothing_is_blank():
    assert picture(5, 2) == ["     ", "     "]
    assert [plain(line) for line in dotted([], 2, 1)] == ["  "]


@pytest.mark.parametrize("ascii", [False, True])
@given(
    points=st.lists(st.tuples(SHARE, SHARE), min_size=1, max_size=8),
    columns=st.integers(1, 30),
    rows=st.integers(1, 12),
)
def test_a_line_goes_through_all_its_corners_without_holes(points, columns, rows, ascii):
    lines = dotted([("curve 0", [stroke(*points)])], columns, rows, ascii=ascii)
    assert all(line_width(line) == columns for line in lines)
    text = [plain(line) for line in lines]
    cells = {(y, x) for y, row in enumerate(text) for x, c in enumerate(row) if c != " "}
    for x, y in points:
        down = rows - 1 - int(np.floor(y * (rows - 1) + 0.5))
        assert (down, int(np.floor(x * (columns - 1) + 0.5))) in cells
    # One piece: each cell is reached from any other over neighbours.
    reached, left = set(), [next(iter(cells))]
    while left:
        here = left.pop()
        if here in reached:
            continue
        reached.add(here)
        around = ((here[0] + a, here[1] + b) for a in (-1, 0, 1) for b in (-1, 0, 1))
        left += [cell for cell in around if cell in cells]
    assert reached == cells
