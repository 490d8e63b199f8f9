"""What a key changed is on the terminal before anything else happens, where only lines changed."""

from __future__ import annotations

import pytest
from textual.containers import Vertical
from textual.widgets import Static

from gradtui.tui.screens.at_once import Lines, lines_due
from gradtui.tui.screens.compositor import SparseApp
from gradtui.tui.widgets.textline import LineView
from gradtui.viewmodel.text import line


class Two(SparseApp[None]):
    CSS = "#over { layer: above; width: 20; height: 1; } Screen { layers: below above; }"

    def __init__(self):
        super().__init__()
        self.shown = []
        self.pilot = None

    def compose(self):
        with Vertical():
            yield LineView(line("one"), id="one")
            yield LineView(line("two"), id="two")
            yield Static("three", id="three")
        yield Static("", id="over")

    def _display(self, screen, renderable):
        self.shown.append(renderable)
        super()._display(screen, renderable)

    def on_mount(self):
        self.query_one("#over").display = False


@pytest.fixture
async def app():
    made = Two()
    async with made.run_test(size=(40, 6)) as pilot:
        await pilot.pause()
        made.shown.clear()
        made.pilot = pilot
        yield made


def texts(found):
    return [(row, column, strip.text.rstrip()) for row, column, strip in found.lines]


async def test_the_changed_lines_are_shown_at_once(app):
    app.query_one("#two", LineView).show(line("TWO"))
    app.paint_now()
    (found,) = app.shown
    assert texts(found) == [(1, 0, "TWO")]
    app.paint_now()
    assert len(app.shown) == 1


async def test_nothing_is_painted_twice(app):
    app.query_one("#two", LineView).show(line("TWO"))
    app.paint_now()
    await app.pilot.pause(0.05)
    assert [type(update) for update in app.shown] == [Lines]


@pytest.mark.parametrize(
    "more",
    [
        lambda app: app.query_one("#one").refresh(layout=True),
        lambda app: app.query_one("#three").refresh(),
        lambda app: app.screen.refresh(),
        lambda app: setattr(app.query_one("#three"), "display", False),
    ],
)
async def test_a_layout_or_a_widget_of_another_kind_is_left_to_textual(app, more):
    app.query_one("#two", LineView).show(line("TWO"))
    more(app)
    assert lines_due(app.screen) == Lines(())
    app.paint_now()
    assert app.shown == []


async def test_a_covered_line_is_left_to_textual(app):
    over = app.query_one("#over")
    over.display = True
    await app.pilot.pause()
    app.shown.clear()
    app.query_one("#one", LineView).show(line("ONE"))
    assert lines_due(app.screen) == Lines(())


async def test_a_line_out_of_view_is_no_reason_to_wait(app):
    app.query_one("#one", LineView).display = False
    await app.pilot.pause()
    app.query_one("#two", LineView).show(line("TWO"))
    app.query_one("#one", LineView).show(line("ONE"))
    assert texts(lines_due(app.screen)) == [(0, 0, "TWO")]


async def test_while_more_keys_wait_nothing_is_painted_yet(app):
    app.query_one("#two", LineView).show(line("TWO"))
    app.call_later(lambda: None)
    app.paint_now()
    assert app.shown == []


async def test_another_textual_paints_by_itself(app, monkeypatch):
    app.query_one("#two", LineView).show(line("TWO"))
    with monkeypatch.context() as patched:
        patched.setattr(app.screen, "_compositor", None)
        assert lines_due(app.screen) == Lines(())
