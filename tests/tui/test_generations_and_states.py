"""V5, V6 and V13: generations as they arrive, what the folder is doing, and what stays over restarts."""

from __future__ import annotations

import shutil
import time

import numpy as np
import pytest
from kit import places
from kit.folders import age, flow_info, write_foreign
from kit.hostile import npy_bytes
from kit.pilot import driven

from gradtui.core.region import Region
from gradtui.folder.location import DebugFolder
from gradtui.tui.child import ChildState
from gradtui.tui.screens import drawing


def write(writer, scale):
    return writer.write(places.branched(scale) | places.BLANK, np.eye(4, 6) * scale)


@pytest.fixture
async def served(tmp_path):
    """A folder with an adapter at work, in its fourth generation; each is the first times its number."""
    with places.served(tmp_path) as writer:
        async with driven(writer.folder.shown, size=(100, 30)) as d:
            await d.open(1)
            for scale in (2, 3, 4):
                write(writer, scale)
                await d.open(scale)
            d.writer = writer
            yield d


def at(d):
    return d.desk.generations.shown.generation


async def test_v5_new_generations_show_by_themselves_with_what_was_before(served):
    d = served
    await d.run("layer net.a")
    await d.keys("", "tab")
    await d.run("node 1 1")
    value = places.branched()["activation_gradients"]["net.a"][1, 1]
    assert at(d) == 4
    assert f"was {3 * value:.4g}" in d.text()
    assert "generation 4" in d.text()
    write(d.writer, 10)
    await d.open(5)
    assert f"was {4 * value:.4g}" in d.text()
    assert d.desk.selection.node == (1, 1)


async def test_v5_stepping_through_generations(served):
    d = served
    for key, generation in [
        ("[", 3),
        ("[", 2),
        ("[", 1),
        ("[", 1),
        ("]", 2),
        ("{", 1),
        ("}", 4),
        ("2[", 2),
        ("9]", 4),
    ]:
        await d.keys(key)
        assert at(d) == generation, key
    await d.keys("[[")
    assert "paused, 2 newer" in d.text()
    # What arrives while one looks back does not take the look away.
    write(d.writer, 5)
    await d.wait(lambda: len(d.desk.generations.kept) == 5)
    assert at(d) == 2
    assert "paused, 3 newer" in d.text()
    await d.keys("}")
    assert at(d) == 5
    assert "paused" not in d.text()


async def test_v5_pausing(served):
    d = served
    await d.keys("p")
    assert "paused" in d.notice
    write(d.writer, 5)
    await d.wait(lambda: len(d.desk.generations.kept) == 5)
    assert at(d) == 4
    await d.keys("p")
    assert at(d) == 5


async def test_v5_the_difference_to_a_baseline(served):
    d = served
    await d.keys("D")
    assert "no baseline yet" in d.notice
    await d.keys("[[b}D")
    assert "minus 2" in d.text()
    first = places.branched()["activation_gradients"]["net.a"]
    np.testing.assert_allclose(d.desk.session.layer("net.a").map(), first * 2, rtol=1e-6)
    assert d.desk.session is d.desk.session, "made once, not for each look"
    for view in "ovf":
        await d.keys(view + "hjkl")
    await d.keys("D")
    np.testing.assert_allclose(d.desk.session.layer("net.a").map(), first * 4, rtol=1e-6)


async def test_v5_layers_that_come_and_go(served):
    d = served
    await d.run("layer net.b")
    other = {"activation_gradients": {"new": np.ones((2, 2))}, "gradient_flows": {}}
    d.writer.write(other | places.BLANK)
    await d.open(5)
    assert d.desk.selection.layer == "new"
    for view in "ovf":
        await d.keys(view + "hjkl[hjkl]hjkl")
    await d.keys("[b]D")
    assert np.isnan(d.desk.session.layer("new").map()).all()
    await d.keys("ovfhjkl")


async def test_v6_what_was_chosen_stays_over_a_restart(tmp_path):
    folder = places.branched_folder(tmp_path)
    async with driven(folder.shown, size=(120, 40)) as d:
        await d.open()
        await d.run("layer net.b")
        await d.keys("", "tab")
        for command in (
            "node 2 1", "threshold 0.125", "scale symlog", "direction in", "region 1 2 1 2", "z -3",
            "offsets 1 0 0 1", "top 5", "estimate equal",
        ):  # fmt: skip
            await d.run(command)
        await d.keys("maio*2s")
        before = d.desk.selection
        await d.keys("q")
    async with driven(folder.shown, size=(80, 24)) as d:
        await d.open()
        after = d.desk.selection
        for name in (
            "view", "layer", "connected", "direction", "node", "scale", "inverted", "z", "thresholds", "offsets",
            "top", "estimate", "folds", "marks", "sort", "descending", "regions", "focus",
        ):  # fmt: skip
            assert getattr(after, name) == getattr(before, name), name
        assert after.regions["layer:net.b"] == Region(1, 2, 1, 2)
        assert after.z == -3


async def test_v6_the_state_is_kept_after_a_moment_without_quitting(tmp_path, monkeypatch):
    folder = places.branched_folder(tmp_path)
    monkeypatch.setattr("gradtui.tui.screens.workspace.STATE_DELAY", 0.01)
    async with driven(folder.shown, size=(80, 24)) as d:
        await d.open()
        kept = []
        real = d.work.door.keep_state

        def keep(state):
            real(state)
            kept.append(state)

        monkeypatch.setattr(d.work.door, "keep_state", keep)
        await d.run("z 5")
        await d.wait(lambda: kept)
        d.app.exit(137)
        await d.settle()
    async with driven(folder.shown, size=(80, 24)) as d:
        await d.open()
        assert d.desk.selection.z == 5


@pytest.mark.parametrize(
    "state",
    [
        b"",
        b"[]",
        b"{",
        b'{"schema": 1, "state": {"view": "nowhere", "cursors": 7, "z": "x"}}',
        b"\xff" * 99,
    ],
)
async def test_v6_a_damaged_state_is_no_state(tmp_path, state):
    from gradtui.store.state import state_path

    folder = places.branched_folder(tmp_path)
    path = state_path(folder.key)
    path.parent.mkdir(parents=True)
    path.write_bytes(state)
    async with driven(folder.shown, size=(80, 24)) as d:
        await d.open()
        assert d.desk.selection.view == "values"


async def test_a_broken_file_keeps_the_last_good_view_and_its_time(tmp_path):
    folder = places.branched_folder(tmp_path)
    async with driven(folder.shown, size=(80, 24)) as d:
        await d.open()
        good = d.desk.session
        whole = folder.flow_info.read_bytes()
        folder.flow_info.write_bytes(whole[: len(whole) // 2])
        age(folder)
        await d.wait(lambda: d.work.view.status.kind == "broken")
        assert "flow_info.pkl" in d.text()
        assert f"view of {drawing.clock(d.work.view.loaded_at)}" in d.text()
        assert d.desk.session is good
        await d.keys("hjkl o")
        # Its recovery is seen.
        folder.flow_info.write_bytes(whole)
        age(folder, 90)
        await d.wait(lambda: d.work.view.status.kind == "live")
        assert "view of" not in d.text()


async def test_a_folder_that_vanishes_and_comes_back(tmp_path):
    folder = places.branched_folder(tmp_path)
    async with driven(folder.shown, size=(80, 24)) as d:
        await d.open()
        away = tmp_path / "away"
        shutil.move(folder.root, away)
        await d.wait(lambda: d.work.view.status.kind == "missing")
        assert "the folder is gone" in d.text()
        assert "view of" in d.text()
        await d.keys(" ")
        assert d.desk.edits.pending_count == 1
        shutil.move(away, folder.root)
        await d.wait(lambda: d.work.view.status.kind == "live")
        assert d.desk.edits.pending_count == 1


async def test_a_busy_writer_is_told(tmp_path):
    folder = places.branched_folder(tmp_path)
    async with driven(folder.shown, size=(80, 24)) as d:
        await d.open()
        good = d.desk.session
        # Another program's file that has just been written may not be whole.
        write_foreign(folder, places.branched(2), input_=np.zeros((4, 6)), aged=False)
        await d.wait(lambda: d.work.view.status.kind == "busy")
        assert "view of" in d.text()
        assert d.desk.session is good
        age(folder)
        await d.wait(lambda: d.work.view.status.kind == "live" and d.desk.session is not good)


async def test_v13_waiting_starting_and_training_are_told_with_a_bar(tmp_path):
    from gradtui.folder.generation import AdapterWriter

    place = tmp_path / "later"
    async with driven(place, size=(80, 24), wait=True) as d:
        await d.wait(lambda: d.app.shell.workspace is not None)
        assert "waiting for the folder" in d.text()
        assert "later  it opens when it is written" in d.screen()[1]
        assert "nothing to show yet: a training begins it by watch" in d.text()
        assert "layer" not in d.text()
        for key in "vfo+-PTMOXCzZ =xuURWeEnsyY*[]{}pbD":
            await d.keys(key)
            if d.work.is_typing:
                await d.press("escape")
        with AdapterWriter(place) as writer:
            writer.set_state("training", progress=0.25, message="epoch 1 of 4")
            await d.wait(lambda: d.work.view.adapter.state == "training")
            assert "training █████░░░░░░░░░░░░░░░ 25%" in d.text()
            assert "epoch 1 of 4" in d.text()
            writer.write(places.branched() | places.BLANK, np.eye(4, 6))
            writer.set_state("serving")
            await d.open(1)
            await d.wait(lambda: d.work.view.status.kind == "live")
            assert "█" not in d.text()
            # A save of ours waits for the adapter's answer.
            await d.keys("v W")
            await d.wait(lambda: "on their way" in d.text())
        await d.wait(lambda: d.work.view.status.kind in ("finished", "stale"))


async def test_an_older_view_says_its_day():
    assert drawing.clock(0) == ""
    assert len(drawing.clock(time.time())) == len("12:34:56")
    assert len(drawing.clock(time.time() - 10 * 86_400)) == len("2026-01-01 12:34")


async def test_a_note_about_the_folder_is_said_once_and_kept_in_the_log(tmp_path, monkeypatch):
    folder = places.branched_folder(tmp_path)
    async with driven(folder.shown, size=(80, 24)) as d:
        await d.open()
        from dataclasses import replace

        d.work.took(replace(d.work.view, notes=("one", "two")))
        assert d.notice == "one   1 more in :log"
        await d.keys("j")
        d.work.took(replace(d.work.view, notes=("one", "two")))
        assert d.notice == ""
        await d.run("log")
        assert "one" in "\n".join(d.screen())
        await d.keys("gkkkjG")
        assert d.desk.selection.row == 0


async def test_an_empty_prefix_of_files_works_as_a_folder(tmp_path):
    folder = DebugFolder.at(str(tmp_path / "data" / "test_"))
    folder.root.mkdir()
    write_foreign(folder)
    folder.path("other.npy").write_bytes(npy_bytes(np.ones(3)))
    age(folder)
    async with driven(str(tmp_path / "data" / "test_"), size=(80, 24)) as d:
        await d.open()
        await d.keys(" W")
        await d.wait(lambda: d.notice.startswith("written: test_input_representation.npy"))


@pytest.mark.parametrize(
    "loss",
    [10**400, -(10**400), True, "x", float("nan"), 3],
    ids=["huge", "minus", "flag", "text", "nan", "three"],
)
async def test_a_loss_of_any_kind_in_the_file_is_shown_or_left_out(tmp_path, loss):
    folder = DebugFolder.at(tmp_path / "run")
    write_foreign(folder, {**flow_info(1.0), "meta": {"schema": 1, "loss": loss}})
    age(folder)
    async with driven(folder.shown, size=(80, 24)) as d:
        await d.open()
        await d.keys("o")
        assert ("loss" in d.text()) == (loss == 3 or loss != loss)


async def test_gradients_as_large_as_floats_can_be_have_a_flow(tmp_path):
    folder = DebugFolder.at(tmp_path / "run")
    gradients = {"a": np.full((2, 2), 1e308), "b": np.full((2, 2), -1e308)}
    write_foreign(folder, {"activation_gradients": gradients, "gradient_flows": {("a", "b"): None}})
    age(folder)
    async with driven(folder.shown, size=(80, 24)) as d:
        await d.open()
        await d.keys("f")
        assert "fan-out of a (0,0)" in d.text()


async def test_a_mistake_while_drawing_keeps_the_screen_and_the_edits(tmp_path, monkeypatch):
    folder = places.branched_folder(tmp_path)
    async with driven(folder.shown, size=(100, 24)) as d:
        await d.open()
        await d.keys(" ")
        with monkeypatch.context() as patch:
            patch.setattr(d.work.views, "draw", lambda *_args, **_named: 1 // 0)
            await d.keys("l")
            assert "this cannot be drawn (ZeroDivisionError" in d.text()
        await d.keys("l")
        assert d.desk.edits.pending_count == 1
        assert "cannot be drawn" not in d.text()
        d.work.drawing.problem = ""


async def test_the_log_is_not_where_the_next_start_begins(tmp_path):
    folder = places.branched_folder(tmp_path)
    async with driven(folder.shown, size=(80, 24)) as d:
        await d.open()
        await d.keys("o")
        await d.run("log")
        assert d.desk.selection.view == "log"
        d.work.remember()
    async with driven(folder.shown, size=(80, 24)) as d:
        await d.open()
        assert d.desk.selection.view == "overview"


async def test_a_restart_is_no_end(served):
    """Between the adapter that ended and the one that begins nobody stopped anything."""
    d = served
    d.work.child_changed(ChildState(running=True, starts=1))
    d.writer.close()
    await d.wait(lambda: "loading again" in d.text(), "the restart")
    assert "adapter stopped" not in d.text()
    d.work.child_changed(ChildState(running=False, starts=1))
    await d.wait(lambda: "adapter stopped" in d.text(), "the end")
