"""What people who saw the program for the first time stumbled over."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from kit.folders import flow_info, write_foreign
from kit.pilot import driven
from textual.events import Key

from gradtui.folder.location import DebugFolder
from gradtui.tui.bridge import Bridge


def chain(tmp_path):
    """Three layers of one shape, whose maps differ, in a row."""
    rng = np.random.default_rng(3)
    maps = {name: rng.normal(size=(6, 6)) for name in ("one", "two", "three")}
    flows = {
        pair: rng.normal(size=(36, 36)).astype(np.float32)
        for pair in (("one", "two"), ("two", "three"))
    }
    folder = DebugFolder.at(str(tmp_path) + "/")
    write_foreign(
        folder,
        {"activation_gradients": maps, "gradient_flows": flows},
        input_=np.eye(6),
        target=np.arange(6.0).reshape(1, 6),
    )
    return folder, maps


async def test_values_shows_the_layer_that_was_chosen_in_flow(tmp_path):
    _, maps = chain(tmp_path)
    async with driven(tmp_path) as d:
        await d.open()
        await d.press("f", ")", "v")
        shown = d.work.views.values.maps["source"]
        np.testing.assert_array_equal(shown.view.values, maps["two"])
        painted = [strip.text for strip in shown.render_lines(shown.size.region)]
        fresh = [shown.render_line(y).text for y in range(shown.size.height)]
        assert painted == fresh
        assert "two" in painted[0]


async def test_keys_work_after_a_prompt_and_the_help(tmp_path):
    chain(tmp_path)
    async with driven(tmp_path) as d:
        await d.open()
        await d.press("O", "escape", "f", "?", "x", "v")
        assert d.desk.selection.view == "values"
        await d.press("o")
        assert d.desk.selection.view == "overview"


@pytest.mark.parametrize(
    ("keys", "view"),
    [
        ("f : v backspace backspace o", "overview"),
        (": f l o w enter", "flow"),
        (": f l tab enter", "flow"),
        (": escape f", "flow"),
        (": x v backspace backspace backspace o", "overview"),
        (": ctrl+q o", "overview"),
    ],
)
async def test_keys_of_a_line_that_has_no_focus_yet_are_its_own(tmp_path, keys, view):
    """The view is told all of them, for it is at the first of them while the others come."""
    chain(tmp_path)
    async with driven(tmp_path) as d:
        await d.open()
        for key in keys.split():
            character = ":" if key == ":" else key if len(key) == 1 else None
            d.app.shell.post_message(Key("colon" if key == ":" else key, character))
        await d.wait(lambda: d.desk.selection.view == view and not d.work.is_typing)


async def test_keys_that_come_while_the_folder_is_read_are_not_lost(tmp_path, monkeypatch):
    chain(tmp_path)
    read = threading.Event()
    opened = Bridge._open

    def late(bridge):
        assert read.wait(30)
        opened(bridge)

    monkeypatch.setattr(Bridge, "_open", late)
    async with driven(tmp_path) as d:
        await d.press("v", "x", "o", "f", ":", "t", "o", "p")
        assert "other keys act" in d.text()
        read.set()
        await d.open()
        await d.wait(lambda: d.desk.selection.view == "flow", "the view")
        await d.wait(lambda: "came too early" in d.notice, "what became of the line")
        assert not d.work.is_typing
        assert not d.desk.edits.pending_count, "nothing was seen to edit"
        assert d.desk.selection.view == "flow"
    read.clear()
    async with driven(tmp_path) as d:
        await d.press("q")
        assert d.app.return_code == 0
        read.set()


async def test_a_view_that_was_chosen_while_nothing_was_there_stays(tmp_path):
    place = tmp_path / "later"
    async with driven(place, wait=True) as d:
        await d.wait(lambda: d.app.shell.workspace is not None)
        await d.press("f")
        chain(place)
        await d.open()
        assert d.desk.selection.view == "flow"


async def test_a_count_goes_to_that_row(tmp_path):
    chain(tmp_path)
    async with driven(tmp_path) as d:
        await d.open()
        await d.press("g", "2", "j", "4", "G")
        assert d.desk.selection.cursor("input")[0] == 4
        await d.press("1", "G")
        assert d.desk.selection.cursor("input")[0] == 1


async def test_the_connected_cursor_goes_to_the_strongest_link(tmp_path):
    chain(tmp_path)
    async with driven(tmp_path) as d:
        await d.open()
        await d.press("tab", "l", "j")
        (pair,) = d.desk.session.pairs_from("one")
        row, column = d.desk.selection.node
        best = int(np.abs(pair.flow.row(row * 6 + column).values).argmax())
        assert d.desk.selection.cursor("connected") == divmod(best, 6)


async def test_the_largest_score_is_named(tmp_path):
    chain(tmp_path)
    async with driven(tmp_path) as d:
        await d.open()
        assert "max 5 at 5" in d.desk.maps[3].subtitle


async def test_a_difference_of_nothing_has_no_flags(tmp_path):
    chain(tmp_path)
    async with driven(tmp_path) as d:
        await d.open()
        await d.press("b", "D", "o")
        assert d.desk.summary.findings == ()


async def test_edits_that_lost_their_place_can_be_written_aside(tmp_path):
    folder, _ = chain(tmp_path)
    async with driven(tmp_path, poll=True) as d:
        await d.open()
        await d.press("g", "0", "space")
        before = d.desk.edits.applied()
        write_foreign(folder, flow_info(), input_=np.zeros((3, 4)))
        await d.wait(lambda: d.work.asking.text, "the question")
        await d.press("w")
        await d.wait(lambda: (tmp_path / "edited_input.npy").exists(), "the file")
        await d.wait(lambda: "written" in d.notice)
    np.testing.assert_array_equal(np.load(tmp_path / "edited_input.npy"), before)


async def test_a_picture_never_replaces_a_file(tmp_path):
    chain(tmp_path)
    mine = tmp_path / "mine.svg"
    mine.write_text("mine")
    async with driven(tmp_path) as d:
        await d.open()
        d.work.room.save_svg(str(mine))
        assert "exists" in d.notice
    assert mine.read_text() == "mine"


async def test_a_question_that_nobody_called_for_does_not_take_a_key_typed_before(
    tmp_path, monkeypatch
):
    chain(tmp_path)
    async with driven(tmp_path) as d:
        await d.open()
        from gradtui.tui.screens import room

        taken = []
        monkeypatch.setattr(room, "GRACE_SECONDS", 3600.0)
        d.work.room.interrupt("now?", {"o": ("do it", lambda: taken.append("o"))}, "leaves it")
        await d.press("o")
        assert taken == []
        assert d.work.asking.text
        monkeypatch.setattr(room, "GRACE_SECONDS", 0.0)
        await d.press("o")
        assert taken == ["o"]
