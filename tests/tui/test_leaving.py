"""Leaving: no key leaves without the question that edits are owed, and what a line calls back goes back."""

from __future__ import annotations

from kit import places
from kit.pilot import driven
from textual import events

from gradtui.folder.location import DebugFolder
from gradtui.launch import Launch
from gradtui.tui.app import GradtuiApp


def test_no_key_is_left_to_textual():
    app = GradtuiApp(Launch("nowhere"))
    assert not app._bindings.key_to_bindings


async def test_ctrl_q_asks_as_q_does(tmp_path):
    folder = places.branched_folder(tmp_path)
    async with driven(folder.shown, size=(80, 24)) as d:
        await d.open()
        await d.press("space")
        for key in ("ctrl+p", "ctrl+s", "f1"):
            await d.press(key)
            assert len(d.app.screen_stack) == 1
        for typed, what in ((":", "the line"), ("?", "the help")):
            await d.press(typed, "ctrl+q")
            assert d.app.return_value is None, f"it leaves {what}, no more"
            assert not d.work.is_typing
            assert len(d.app.screen_stack) == 1
        await d.press("ctrl+q")
        assert "1 unsaved edit" in d.text()
        assert d.app.return_value is None
        await d.work.pressed("d")
        assert d.app.return_value == 0


async def test_a_key_that_comes_after_the_end_opens_no_line(tmp_path):
    folder = places.branched_folder(tmp_path)
    async with driven(folder.shown, size=(80, 24)) as d:
        await d.open()
    await d.app.shell.on_key(events.Key("colon", ":"))
    assert not d.work.is_typing


async def test_the_log_is_left_for_the_view_before_it(tmp_path):
    folder = DebugFolder.at(tmp_path / "later")
    folder.root.mkdir()
    async with driven(folder.shown, size=(80, 24), wait=True) as d:
        await d.wait(lambda: d.app.shell.workspace is not None)
        await d.keys("f")
        for key in ("q", "escape", "ctrl+q"):
            await d.run("log")
            assert "q back" in d.text()
            await d.press(key)
            assert d.desk.selection.view == "flow", key
        assert d.app.return_value is None, "nothing was there yet, and yet it stays"
