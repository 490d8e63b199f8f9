"""V3 and V4: editing the input from the keyboard, writing it, and losing nothing on the way."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest
from kit import places
from kit.folders import age, flow_info, write_foreign
from kit.hostile import npy_bytes
from kit.pilot import driven

from gradtui.errors import SaveFailed
from gradtui.folder.location import DebugFolder
from gradtui.store.keeper import Keeper
from gradtui.viewmodel.levels import MARK_EDITED


def written(folder, name="input_representation.npy"):
    return np.load(folder.root / name)


@pytest.fixture
async def plain(tmp_path):
    """The branched network at 80x24, its input with the keys: zeros but a 2 at (1, 2)."""
    folder = places.branched_folder(tmp_path)
    async with driven(folder.shown, size=(80, 24)) as d:
        await d.open()
        d.folder = folder
        yield d


async def test_v3_the_first_screen_has_the_input_ready_and_z_in_its_scale(plain):
    assert (plain.desk.selection.view, plain.desk.selection.focus) == ("values", "input")
    assert plain.desk.selection.z == 2


async def test_v3_space_toggles_between_zero_and_z(plain):
    d = plain
    await d.keys("jll")
    await d.keys(" ")
    assert d.desk.edits.value((1, 2)) == 0
    assert "edited from 2" in d.text()
    await d.keys(" ")
    assert d.desk.edits.pending_count == 0
    for z in ("-0.5", "3", "1e-3"):
        await d.keys("x")
        await d.press(*["backspace"] * len(d.work.prompt.query_one("PromptInput").value))
        assert d.work.is_typing
        await d.press("~" + z, "enter")
        await d.keys("h ")
        row, column = d.desk.selection.cursor("input")
        assert d.desk.edits.value((row, column)) == float(z)
        await d.keys(" ")
        assert d.desk.edits.pending_count == 0


async def test_v3_set_undo_redo_revert(plain):
    d = plain
    await d.press("=", "~-7.25", "enter")
    await d.keys("l ")
    assert dict(d.desk.edits.cells) == {(0, 0): -7.25, (0, 1): 2}
    assert "2 unsaved" in d.text()
    marks = d.desk.maps[0].marks & MARK_EDITED
    assert [tuple(cell) for cell in np.argwhere(marks)] == [(0, 0), (0, 1)]
    await d.keys("u")
    assert dict(d.desk.edits.cells) == {(0, 0): -7.25}
    await d.keys("U")
    assert d.desk.edits.pending_count == 2
    await d.keys("R")
    assert d.desk.edits.pending_count == 0
    assert "2 edits reverted" in d.notice
    await d.keys("u")
    assert d.desk.edits.pending_count == 2
    await d.keys("9u")
    assert d.desk.edits.pending_count == 0
    assert "nothing to undo" in d.notice
    await d.keys("9U")
    assert "nothing to redo" in d.notice


async def test_v3_only_the_input_of_the_newest_generation_can_be_edited(tmp_path):
    with places.served(tmp_path) as writer:
        async with driven(writer.folder.shown, size=(80, 24)) as d:
            await d.open(1)
            writer.write(places.branched(2) | places.BLANK, np.eye(4, 6))
            await d.open(2)
            for keys, said in [("[ ", "}"), ("} ", ""), ("b[D ", "D shows"), ("D}", "")]:
                await d.keys(keys)
                assert said in d.notice, keys
            assert d.desk.edits.pending_count == 1
            await d.keys("", "tab", "space")
            assert "only the input" in d.notice
            assert d.desk.edits.pending_count == 1


async def test_v4_write_is_refused_without_edits_and_done_with_them(plain):
    d = plain
    await d.keys("W")
    assert "no unsaved edits" in d.notice
    await d.keys(" W")
    await d.wait(lambda: d.notice.startswith("written: input_representation.npy"))
    assert written(d.folder)[0, 0] == 2
    await d.wait(lambda: d.desk.edits.pending_count == 0)
    assert "unsaved" not in d.text()
    assert d.desk.generations.kept[-1].input[0, 0] == 2


async def test_v4_save_to_another_name_keeps_the_edits_and_asks_before_it_overwrites(plain):
    d = plain
    await d.keys(" ")
    await d.run("w other")
    await d.wait(lambda: d.notice.startswith("written: other.npy"))
    assert written(d.folder, "other.npy")[0, 0] == 2
    assert d.desk.edits.pending_count == 1
    assert written(d.folder)[0, 0] == 0
    # A file of that name that is not ours.
    np.save(d.folder.root / "other.npy", np.zeros((4, 6)))
    await d.keys("l ")
    await d.run("w other")
    await d.wait(lambda: d.work.asking.text)
    assert "o write over it" in d.text()
    await d.keys("k")
    assert written(d.folder, "other.npy")[0, 1] == 0
    await d.run("w other")
    await d.wait(lambda: d.work.asking.text)
    await d.keys("o")
    await d.wait(lambda: d.notice.startswith("written: other.npy"))
    assert written(d.folder, "other.npy")[0, 1] == 2
    assert written(d.folder)[0, 0] == 0
    await d.run("w! other")
    await d.wait(lambda: d.notice.startswith("written: other.npy"))
    await d.run("w ../out")
    await d.wait(lambda: "plain file name" in d.notice)
    assert d.desk.edits.pending_count == 2


@pytest.mark.parametrize("answer", ["o", "r", "x"])
async def test_v4_a_conflict_is_asked_about(plain, answer, monkeypatch):
    """The other side writes between the last look and the save: the question comes before anything is lost."""
    d = plain
    await d.keys(" ")
    monkeypatch.setattr(Keeper, "_look", lambda self: 0.05)
    theirs = np.full((4, 6), 9.0)
    d.folder.input.write_bytes(npy_bytes(theirs))
    await d.keys("W")
    await d.wait(lambda: d.work.asking.text)
    assert "input_representation.npy" in d.text()
    assert "o write over it" in d.text()
    monkeypatch.undo()
    await d.keys(answer)
    if answer == "o":
        await d.wait(lambda: d.notice.startswith("written"))
        assert written(d.folder)[0, 0] == 2
        return
    np.testing.assert_array_equal(written(d.folder), theirs)
    age(d.folder)
    await d.wait(lambda: d.desk.session.input[3, 5] == 9)
    assert d.desk.edits.value((0, 0)) == 2
    assert d.desk.edits.pending_count == 1


async def test_v4_unsaved_edits_survive_a_reload_and_are_told(plain):
    d = plain
    await d.keys(" ")
    other = np.zeros((4, 6))
    other[3, 3] = 5
    write_foreign(d.folder, places.branched(2), input_=other)
    await d.wait(lambda: d.desk.session.input[3, 3] == 5)
    assert "1 unsaved edit kept" in d.notice
    assert d.desk.edits.applied()[0, 0] == 2
    assert d.desk.edits.applied()[3, 3] == 5
    # The other side changed the same cell.
    other[0, 0] = 8
    write_foreign(d.folder, places.branched(3), input_=other)
    await d.wait(lambda: d.desk.session.input[0, 0] == 8)
    assert "changed on disk under your edit" in d.notice
    assert d.desk.edits.value((0, 0)) == 2
    # The same value comes from the other side: nothing is unsaved any more.
    other[0, 0] = 2
    write_foreign(d.folder, places.branched(4), input_=other)
    await d.wait(lambda: d.desk.session.input[0, 0] == 2)
    assert d.desk.edits.pending_count == 0
    # An input of another shape has no such cells.
    await d.keys("G$ ")
    assert d.desk.edits.pending_count == 1
    write_foreign(d.folder, flow_info(), input_=np.zeros((2, 2)))
    await d.wait(lambda: d.desk.session.input.shape == (2, 2))
    assert "another shape" in d.work.asking.text
    assert d.desk.edits.pending_count == 0


async def crash(folder, *keys):
    """Edits in an app that ends without being asked."""
    async with driven(folder.shown, size=(80, 24)) as d:
        await d.open()
        await d.keys(*keys)
        d.app.exit(137)
        await d.settle()


async def test_v4_a_crash_loses_no_edit(tmp_path):
    folder = places.branched_folder(tmp_path)
    await crash(folder, " l ")
    async with driven(folder.shown, size=(80, 24)) as d:
        await d.open()
        assert "2 unsaved edits of an earlier session" in d.text()
        assert "y take them up" in d.text()
        # Another key leaves the question for the next time, and the edits where they are.
        await d.keys("jj")
        assert d.desk.edits.pending_count == 0
    async with driven(folder.shown, size=(80, 24)) as d:
        await d.open()
        await d.keys("y")
        assert dict(d.desk.edits.cells) == {(0, 0): 2, (0, 1): 2}
        assert "2 unsaved" in d.text()
        # What was taken up is kept too.
        d.app.exit(137)
        await d.settle()
    async with driven(folder.shown, size=(80, 24)) as d:
        await d.open()
        await d.keys("n")
        await d.keys("q")
    async with driven(folder.shown, size=(80, 24)) as d:
        await d.open()
        assert not d.work.asking.text
        assert d.desk.edits.pending_count == 0


async def test_v4_an_answer_of_the_disk_clears_what_was_kept_for_a_crash(tmp_path):
    folder = places.branched_folder(tmp_path)
    async with driven(folder.shown, size=(80, 24)) as d:
        await d.open()
        await d.keys(" W")
        await d.wait(lambda: d.desk.edits.pending_count == 0 and d.notice.startswith("written"))
    async with driven(folder.shown, size=(80, 24)) as d:
        await d.open()
        assert not d.work.asking.text


@pytest.mark.parametrize("way", ["w", "d", "k", ":wq", ":q!"])
async def test_v4_quitting_asks_when_edits_are_unsaved(tmp_path, way):
    folder = places.branched_folder(tmp_path)
    async with driven(folder.shown, size=(80, 24)) as d:
        await d.open()
        await d.keys(" ")
        if way.startswith(":"):
            d.work.answered("command", way[1:])
        else:
            await d.keys("q")
            assert "1 unsaved edit" in d.text()
            assert "w write and quit  d drop them and quit  any other key stays" in d.text()
            await d.work.pressed(way)
        if way == "k":
            assert d.app.is_running
            assert d.desk.edits.pending_count == 1
            await d.work.pressed("q")
            await d.work.pressed("d")
        while d.app.is_running and d.app.return_value is None:
            await d.settle()
        assert d.app.return_value == 0
    assert written(folder)[0, 0] == (2 if way in ("w", ":wq") else 0)
    age(folder)
    async with driven(folder.shown, size=(80, 24)) as d:
        await d.open()
        assert not d.work.asking.text, "what was dropped or written is not offered again"


async def test_v4_a_failing_write_is_told_and_keeps_the_edits(plain, monkeypatch):
    d = plain

    def refuse(*_args, **_options):
        raise SaveFailed(d.folder.input, "No space left on device")

    monkeypatch.setattr(Keeper, "save", refuse)
    await d.keys(" W")
    await d.wait(lambda: "No space left" in d.notice)
    assert d.desk.notice[1] == "bad"
    await d.keys("q")
    await d.keys("w")
    await d.wait(lambda: "No space left" in d.notice)
    assert d.app.is_running
    assert d.app.return_value is None
    assert d.desk.edits.pending_count == 1


async def test_v3_an_integer_input_says_what_it_cannot_hold(tmp_path):
    folder = DebugFolder.at(tmp_path / "whole")
    write_foreign(folder, input_=np.zeros((3, 4), np.uint8))
    async with driven(folder.shown, size=(80, 24)) as d:
        await d.open()
        for value in ("0.5", "-1", "256", "nan", "inf", "words", ""):
            await d.run(f"set {value}")
            assert d.desk.notice[1] == "warn", value
        await d.run("set 255")
        assert d.desk.edits.value((0, 0)) == 255
        await d.keys("W")
        await d.wait(lambda: d.notice.startswith("written"))
        assert written(folder).dtype == np.uint8


async def test_v3_nan_can_be_set_and_toggled_away(plain):
    d = plain
    await d.run("set nan")
    assert np.isnan(d.desk.edits.value((0, 0)))
    await d.keys(" ")
    assert d.desk.edits.pending_count == 0


@pytest.mark.parametrize("typed", ["q", ":q", ":wq"])
async def test_quitting_waits_for_the_save_that_runs(tmp_path, monkeypatch, typed):
    folder = places.branched_folder(tmp_path)
    begin, save = threading.Event(), Keeper.save
    saves = []

    def slow(self, *arguments, **options):
        saves.append(arguments)
        assert begin.wait(30)
        return save(self, *arguments, **options)

    monkeypatch.setattr(Keeper, "save", slow)
    async with driven(folder.shown, size=(80, 24)) as d:
        await d.open()
        await d.keys("j ")
        await d.keys("W")
        await (d.run(typed[1:]) if typed[0] == ":" else d.keys(typed))
        assert not d.work.asking.text
        assert d.app.is_running
        begin.set()
        while d.app.is_running and d.app.return_value is None:
            await asyncio.sleep(0.002)
    assert len(saves) == 1
    assert written(folder)[1, 0] == 2


async def test_quitting_asks_again_when_more_was_edited_than_is_being_saved(tmp_path, monkeypatch):
    folder = places.branched_folder(tmp_path)
    begin, save = threading.Event(), Keeper.save

    def slow(self, *arguments, **options):
        assert begin.wait(30)
        return save(self, *arguments, **options)

    monkeypatch.setattr(Keeper, "save", slow)
    async with driven(folder.shown, size=(80, 24)) as d:
        await d.open()
        await d.keys("j W")
        await d.keys("l q")
        assert d.work.asking.text == "2 unsaved edits"
        begin.set()


async def test_v4_an_edit_between_a_save_and_its_arrival_is_not_lost(tmp_path):
    folder = places.branched_folder(tmp_path)
    async with driven(folder.shown, size=(80, 24)) as d:
        await d.open()
        cell = (0, *d.desk.selection.cursor("input"))[-2:]
        await d.keys(" ")
        value = d.desk.edits.value(cell)
        # Three keys as they come from a paste: nothing is drawn or read between them.
        for key in ("W", "space"):
            await d.work.pressed(key)
        await d.wait(lambda: d.desk.edits.on_disk(cell) == value, "the save's arrival")
        assert d.desk.edits.value(cell) == 0
        assert d.desk.edits.pending_count == 1
        assert "changed on disk" not in d.notice
        await d.keys("W")
        await d.wait(lambda: d.desk.edits.pending_count == 0)
        assert written(folder)[cell] == 0
