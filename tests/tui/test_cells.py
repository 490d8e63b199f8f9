"""The shadow of the terminal: whatever is painted, the terminal shows the same, and in few bytes."""

from __future__ import annotations

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style

from gradtui.tui.render.cells import PLAIN, Cell, Pen, Shadow, cells_of, change_pen, pen_of

WIDTH, HEIGHT = 12, 3
STYLES = [
    None, Style(), Style(color="red"), Style(bgcolor="blue"), Style(color="red", bgcolor="blue"),
    Style(bold=True), Style(bold=True, color="green"), Style(reverse=True), Style(underline=True, bgcolor="red"),
    Style(italic=True, strike=True),
]  # fmt: skip
# A few characters of one pen, so that runs, gaps and blanks of all kinds come about.
PIECES = st.tuples(
    st.text("ab ▀…", min_size=1, max_size=6) | st.sampled_from([" ", "  ", " a ", "a"]),
    st.sampled_from(STYLES),
)
PATCH = st.tuples(
    st.integers(-1, HEIGHT), st.integers(-3, WIDTH + 1), st.lists(PIECES, min_size=1, max_size=4)
)


def cells(*pieces):
    return cells_of([Segment(text, style) for text, style in pieces], ColorSystem.EIGHT_BIT)


def looks(screen):
    """What can be seen: the foreground of a blank cannot, unless it is underlined or reversed."""
    rows = []
    for y in range(screen.lines):
        for x in range(screen.columns):
            c = screen.buffer[y][x]
            blank = c.data == " " and not (c.reverse or c.underscore or c.strikethrough)
            rows.append(
                (
                    c.data,
                    c.bg,
                    ""
                    if blank
                    else (c.fg, c.bold, c.italics, c.underscore, c.reverse, c.strikethrough),
                )
            )
    return rows


def directly(screen, row, column, pieces, width=WIDTH, height=HEIGHT):
    """The slow way: every cell with an address, a full pen and a reset."""
    for text, style in pieces:
        pen = pen_of(style, ColorSystem.EIGHT_BIT)
        for character in text:
            if 0 <= column < width and 0 <= row < height:
                codes = ";".join(part for part in pen if part)
                yield f"\x1b[{row + 1};{column + 1}H\x1b[0;{codes}m{character}\x1b[0m".replace(
                    ";m", "m"
                )
            column += 1


@given(st.lists(st.lists(PATCH, max_size=3), max_size=4))
def test_the_terminal_shows_what_was_painted(updates):
    ours, slow = pyte.Screen(WIDTH, HEIGHT), pyte.Screen(WIDTH, HEIGHT)
    our_stream, slow_stream = pyte.Stream(ours), pyte.Stream(slow)
    for screen in (ours, slow):
        screen.reset_mode(pyte.modes.DECAWM)
    shadow = Shadow()
    shadow.forget(WIDTH, HEIGHT)
    for patches in updates:
        for row, column, pieces in patches:
            for sequence in directly(slow, row, column, pieces):
                slow_stream.feed(sequence)
        our_stream.feed(
            shadow.update([(row, column, cells(*pieces)) for row, column, pieces in patches])
        )
        assert looks(ours) == looks(slow)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 39), PIECES), max_size=60))
def test_runs_may_be_written_in_any_order(spots):
    """Cells here and there, as a move on a map changes them: the cheapest way is no other picture."""
    ours, slow = pyte.Screen(40, 10), pyte.Screen(40, 10)
    for screen in (ours, slow):
        screen.reset_mode(pyte.modes.DECAWM)
    shadow = Shadow()
    shadow.forget(40, 10)
    background = [(row, 0, cells(("ab▀ " * 10, STYLES[4]))) for row in range(10)]
    pyte.Stream(ours).feed(shadow.update(background))
    for row in range(10):
        pyte.Stream(slow).feed(f"\x1b[{row + 1};1H\x1b[31;44m" + "ab▀ " * 10 + "\x1b[m")
    patches = [(row, column, cells(piece)) for row, column, piece in spots]
    pyte.Stream(ours).feed(shadow.update(patches))
    for row, column, piece in spots:
        for sequence in directly(slow, row, column, [piece], width=40, height=10):
            pyte.Stream(slow).feed(sequence)
    assert looks(ours) == looks(slow)


WIDE = st.tuples(st.text("a 中▀", min_size=1, max_size=5), st.sampled_from(STYLES))


@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 2), st.integers(0, 11), WIDE), max_size=4), max_size=5
    )
)
def test_differences_end_in_what_a_whole_paint_shows(updates):
    """With wide characters among them, cut and written over."""
    step, whole = pyte.Screen(WIDTH, HEIGHT), pyte.Screen(WIDTH, HEIGHT)
    for screen in (step, whole):
        screen.reset_mode(pyte.modes.DECAWM)
    stepwise, at_once = Shadow(), Shadow()
    stepwise.forget(WIDTH, HEIGHT)
    blank = [(row, 0, cells((" " * WIDTH, None))) for row in range(HEIGHT)]
    stream = pyte.Stream(step)
    stream.feed(stepwise.update(blank))
    for spots in updates:
        stream.feed(stepwise.update([(row, x, cells(piece)) for row, x, piece in spots]))
    at_once.forget(WIDTH, HEIGHT)
    rows = [(row, 0, list(stepwise._rows[row])) for row in range(HEIGHT)]
    pyte.Stream(whole).feed(at_once.update(rows))
    assert looks(step) == looks(whole)


def test_neighbours_of_one_pen_come_one_after_the_other():
    shadow = Shadow()
    shadow.forget(60, 3)
    shadow.update([(row, 0, cells(("." * 60, None))) for row in range(3)])
    red, blue = Style(color="color(160)"), Style(color="color(27)")
    text = shadow.update(
        [
            (row, column, cells(("x", ink)))
            for row in range(3)
            for column, ink in ((10, red), (20, blue))
        ]
    )
    assert text.count("160m") == 1
    assert text.count("27m") == 1


def test_marks_within_a_run_do_not_move_what_follows():
    shadow = Shadow()
    shadow.forget(8, 1)
    screen = pyte.Screen(8, 1)
    pyte.Stream(screen).feed(shadow.update([(0, 0, cells(("ae\u0301bc", STYLES[4])))]))
    assert [screen.buffer[0][x].data for x in (0, 2, 3)] == ["a", "b", "c"]


def test_nothing_new_costs_nothing():
    shadow = Shadow()
    shadow.forget(10, 2)
    patch = [(0, 0, cells(("hello", STYLES[4])))]
    assert shadow.update(patch)
    assert shadow.update(patch) == ""


def test_one_cell_costs_its_address_pen_and_text():
    shadow = Shadow()
    shadow.forget(10, 2)
    shadow.update([(0, 0, cells(("hello", None)))])
    assert shadow.update([(0, 0, cells(("hallo", None)))]) == "\x1b[1;2Ha"


def test_short_gaps_are_written_and_long_ones_jumped():
    shadow = Shadow()
    shadow.forget(30, 1)
    shadow.update([(0, 0, cells(("abcdefghijklmnop", None)))])
    assert shadow.update([(0, 0, cells(("AbcDefghijklmnoP", None)))]) == "\x1b[1;1HAbcD\x1b[11CP"


def test_a_forgotten_screen_is_written_whole():
    shadow = Shadow()
    shadow.forget(4, 1)
    first = shadow.update([(0, 0, cells(("abcd", None)))])
    shadow.forget(4, 1)
    assert shadow.update([(0, 0, cells(("abcd", None)))]) == first


@pytest.mark.parametrize(
    ("before", "after", "sequence"),
    [
        (PLAIN, PLAIN, ""),
        (Pen("1", "31", "44"), PLAIN, "\x1b[m"),
        (PLAIN, Pen("1", "31", ""), "\x1b[1;31m"),
        (Pen("", "31", "44"), Pen("", "32", "44"), "\x1b[32m"),
        (Pen("", "31", "44"), Pen("", "31", ""), "\x1b[49m"),
        (Pen("1", "31", "44"), Pen("", "31", "44"), "\x1b[22m"),
        (Pen("1;4", "31", "44"), Pen("2", "31", "44"), "\x1b[22;24;2m"),
        (Pen("1;3;4", "31", "44"), Pen("", "32", ""), "\x1b[;32m"),
    ],
)
def test_pens_change_by_what_differs(before, after, sequence):
    assert change_pen(before, after) == sequence


def test_wide_characters_are_whole_or_gone():
    shadow = Shadow()
    shadow.forget(6, 1)
    screen = pyte.Screen(6, 1)
    stream = pyte.Stream(screen)
    stream.feed(shadow.update([(0, 0, cells(("中文ab", None)))]))
    assert screen.display[0] == "中文ab"
    # The second half of the first character is written over: its first half is blank then.
    stream.feed(shadow.update([(0, 1, cells(("x", None)))]))
    assert screen.display[0] == " x文ab"
    stream.feed(shadow.update([(0, 0, cells(("abcdef", None)))]))
    assert screen.display[0] == "abcdef"


def test_a_wide_character_cut_by_the_edge_is_a_blank():
    shadow = Shadow()
    shadow.forget(3, 1)
    assert shadow.update([(0, 0, cells(("ab中", None)))]) == "\x1b[1;1Hab "


def test_marks_and_wide_characters_that_even_out_are_not_single():
    assert [cell.text for cell in cells(("e\u0301中x", None))] == ["e\u0301", "中", "", "x"]


def test_marks_stay_on_their_character():
    assert cells(("e\u0301x", None)) == [Cell("e\u0301", PLAIN), Cell("x", PLAIN)]


@pytest.mark.parametrize("size", [(0, 0), (1, 1)])
def test_tiny_screens(size):
    shadow = Shadow()
    shadow.forget(*size)
    text = shadow.update([(0, 0, cells(("abc", None))), (5, 5, cells(("x", None)))])
    assert text == ("\x1b[1;1Ha" if size == (1, 1) else "")
