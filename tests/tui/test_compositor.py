"""Cells sent as differences: the same screen as Textual's own writing, in a real pty."""

from __future__ import annotations

import random
import signal
from pathlib import Path

import kit
import pytest
from kit.pty_driver import Terminal, python
from textual._compositor import LayoutUpdate
from textual.strip import Strip

from gradtui.tui.render.cells import COLOR_SYSTEMS, cells_of
from gradtui.tui.screens import compositor
from gradtui.tui.screens.compositor import SparseApp, Unknown, patches_of

DEMO = Path(kit.__file__).with_name("maps_demo.py")


INTERRUPTED = Path(kit.__file__).with_name("interrupted_resize.py")


def demo(*arguments, program=DEMO, **options):
    terminal = Terminal(python(program, *arguments), **options)
    terminal.wait_for("new data")
    terminal.wait_for(lambda t: "ok" in t.text)
    terminal.settle()
    return terminal


def looks(terminal):
    """Every cell as it is seen; the foreground of a blank is not."""
    screen = terminal.screen
    rows = []
    for y in range(screen.lines):
        row = []
        for x in range(screen.columns):
            c = screen.buffer[y][x]
            blank = c.data == " " and not (c.reverse or c.underscore)
            row.append((c.data, c.bg, () if blank else (c.fg, c.bold, c.underscore, c.reverse)))
        rows.append(row)
    return rows


def come_to_look_alike(one, other):
    """Quiet is not done: on a busy machine either may have something to answer yet."""

    def alike(terminal):
        other.read(0.0)
        return looks(terminal) == looks(other)

    one.wait_for(alike)


@pytest.mark.parametrize(
    ("arguments", "columns", "rows", "options"),
    [
        (("--data", "nasty", "--opaque"), 120, 40, {}),
        (("--rows", "40", "--columns", "50"), 80, 24, {"colorterm": "truecolor"}),
        (("--rows", "3", "--columns", "5", "--ascii"), 60, 18, {"term": "xterm"}),
    ],
)
def test_the_screen_is_that_of_stock_textual(arguments, columns, rows, options):
    script = random.Random(columns)
    with (
        demo(*arguments, columns=columns, rows=rows, **options) as ours,
        demo(*arguments, "--stock", columns=columns, rows=rows, **options) as stock,
    ):
        come_to_look_alike(ours, stock)
        for _ in range(8):
            keys = "".join(script.choices("hjklLJnr", (4, 4, 4, 4, 1, 1, 0.6, 0.4), k=12))
            for terminal in (ours, stock):
                terminal.send(keys)
            ours.settle()
            stock.settle()
            come_to_look_alike(ours, stock)
        assert len(ours.log) < 0.7 * len(stock.log)


def test_resizes_leave_the_screen_of_a_fresh_start():
    with demo(columns=100, rows=30) as moved:
        for size in ((1, 1), (40, 10), (120, 40), (119, 40), (120, 40), (3, 2), (90, 28)):
            moved.resize(*size)
        with demo(columns=90, rows=28) as fresh:
            come_to_look_alike(moved, fresh)


def test_resizing_there_and_back_repaints():
    with demo(columns=100, rows=30) as terminal:
        before = looks(terminal)
        terminal.resize(50, 10)
        terminal.resize(100, 30)
        terminal.wait_for(lambda t: looks(t) == before)


def test_a_size_that_is_told_late_is_not_taken():
    """A signal that interrupts the handler of the one before it: of the two sizes, the older is told last."""
    kits = str(INTERRUPTED.parents[1])
    with demo(columns=100, rows=30, program=INTERRUPTED, env={"PYTHONPATH": kits}) as terminal:
        before = looks(terminal)
        terminal.resize(50, 10)
        terminal.wait_for_bytes(b"\x1b]2;read\x07")
        terminal.resize(100, 30)
        terminal.wait_for_bytes(b"\x1b]2;told\x07")
        terminal.wait_for(lambda t: looks(t) == before)


def test_repainting_mends_what_others_wrote():
    with demo(columns=100, rows=30) as terminal:
        before = looks(terminal)
        terminal.screen.reset()
        terminal.screen.reset_mode(7 << 5)
        terminal.send("r")
        terminal.wait_for(lambda t: looks(t) == before)


def test_after_a_suspension_the_screen_is_whole():
    with demo(columns=100, rows=30) as terminal:
        before = looks(terminal)
        terminal.signal(signal.SIGTSTP)
        terminal.wait_for(lambda t: t.left_alternate_screen and t.stopped)
        terminal.screen.reset()
        terminal.signal(signal.SIGCONT)
        terminal.wait_for(lambda t: looks(t) == before)


def test_nasty_names_reach_the_terminal_as_text():
    with demo("--data", "nasty", columns=120, rows=40) as terminal:
        assert (
            "\\x1b" in terminal.lines[0] or "ZXZpbA==\\x07[/][@click=app.quit]" in terminal.lines[0]
        )
        for sequence in (b"\x1b]0;", b"\x1b]52", "\u202e".encode()):
            assert sequence not in terminal.log


def test_the_private_names_that_this_needs_are_there():
    """When this fails with a new Textual, screens are still right, but cost more bytes."""
    assert compositor.SUPPORTED


def test_updates_of_another_shape_are_left_to_textual():
    class Other:
        pass

    for update in (Other(), LayoutUpdate.__new__(LayoutUpdate)):
        with pytest.raises(Unknown):
            patches_of(update, COLOR_SYSTEMS["256"])


async def test_an_app_without_the_names_still_runs(monkeypatch):
    monkeypatch.setattr(SparseApp, "sparse", False)
    app: SparseApp[None] = SparseApp()
    async with app.run_test():
        app.repaint_all()


def test_links_are_left_out():
    from rich.segment import Segment
    from rich.style import Style

    strip = Strip([Segment("a", Style(link="https://example.com"))], 1)
    (cell,) = cells_of(strip, COLOR_SYSTEMS["256"])
    assert tuple(cell.pen) == ("", "", "")
