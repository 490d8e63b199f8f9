"""Another run of a folder, or of a second model in it, chosen by keyboard."""

from __future__ import annotations

import pytest
from kit.pilot import driven
from kit.run_folders import SmallGpt
from kit.run_records import kept, preamble, steps
from kit.segments import Segments

from gradtui.core.run.keys import SeriesKey
from gradtui.folder.history.writer import HistoryWriter
from gradtui.folder.location import DebugFolder
from gradtui.tui.screens import workspace


@pytest.fixture
def folder(tmp_path):
    """An older run of 10 steps, a newer one of 3, and another model's of 6."""
    path = tmp_path / "run"
    segments = Segments(DebugFolder.at(path))
    segments.begin([*preamble("old", started=1e9), *steps(0, 9)])
    segments.begin([*preamble("new", started=2e9), *steps(0, 2)])
    inner = Segments(DebugFolder.at(path / "Decoder"))
    inner.begin([*preamble("d", started=2e9, modules=1), *steps(0, 5, columns=5)])
    return path


async def shows(d, last):
    await d.wait(lambda: d.desk.watching and d.desk.watch.run.last_step == last, f"step {last}")
    await d.settle()


async def rows(d):
    """The rows of the chooser, once they are there."""
    await d.wait(lambda: "last step" in d.seen(), "the runs")
    return [" ".join(row.split()) for row in d.screen()]


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_an_older_run_is_chosen_and_said_and_left_again(folder, size):
    async with driven(folder, size=size) as d:
        await d.opened_run()
        assert any("O shows" in note for note in d.work.view.notes)
        await d.keys("O")
        listed = await rows(d)
        assert listed[2].startswith("> 1 Net, newest 2 ")
        assert listed[3].startswith("2 Net 9 ")
        assert listed[4].startswith("3 Decoder/ Net 5 ")
        await d.press("j", "enter")
        await shows(d, 9)
        assert "step 9 of an older run" in d.screen()[0]
        assert not d.work.room.is_answered
        # What is written meanwhile is another run's.
        segments = Segments(DebugFolder.at(folder))
        segments.number = 2
        segments.append(steps(3, 4))
        await d.keys("O")
        assert (await rows(d))[3].startswith("> 2 Net 9 ")
        await d.press("k", "enter")
        await shows(d, 4)
        assert "older run" not in d.screen()[0]
        segments.append(steps(5, 5))
        await shows(d, 5)


async def test_the_run_of_a_second_model_is_chosen_and_named(folder):
    async with driven(folder, size=(120, 40)) as d:
        await d.opened_run()
        await d.run("runs")
        await rows(d)
        await d.press("G", "enter")
        await shows(d, 5)
        assert "run/Decoder" in d.screen()[0]
        assert len(d.desk.watch.run.modules) == 1
        assert "older" not in d.screen()[0]


async def test_a_picture_is_made_of_the_run_that_is_shown(tmp_path):
    pytest.importorskip("PIL")
    segments = Segments(DebugFolder.at(tmp_path / "run"))
    segments.begin([*preamble("old", started=1e9), *steps(0, 9), kept(2), kept(6), kept(8)])
    segments.begin([*preamble("new", started=2e9), *steps(0, 2), kept(1)])
    out = tmp_path / "layer.gif"
    async with driven(tmp_path / "run", size=(120, 40)) as d:
        await d.opened_run()
        await d.run(f"gif layer0 {out}")
        await d.wait(lambda: "1 frames, steps 1 to 1" in d.notice, "the newest run's")
        await d.keys("O")
        await rows(d)
        await d.press("j", "enter")
        await shows(d, 9)
        await d.run(f"gif layer0 {out}")
        await d.wait(lambda: "3 frames, steps 2 to 8" in d.notice, "the older run's")


async def test_what_was_looked_at_stays_but_for_the_steps(folder):
    async with driven(folder, size=(80, 24)) as d:
        await d.opened_run()
        await d.run("find layer1")
        await d.keys("t ,,")
        key = SeriesKey("layer1", "gradient", "l2", "weight")
        assert d.desk.selection.run.pins == (key,)
        assert d.desk.selection.run.cursor == 0
        await d.press("O", "j", "enter")
        await shows(d, 9)
        assert d.desk.selection.view == "history"
        assert d.desk.selection.run.pins == (key,)
        assert "cursor 9" in d.seen()


async def test_the_list_is_left_without_a_choice(folder):
    async with driven(folder, size=(80, 24)) as d:
        await d.opened_run()
        for leave in ("q", "backspace"):
            await d.keys("O")
            await rows(d)
            await d.press(leave)
            await d.wait(lambda: "Overview" in d.seen(), "the Overview")
        assert d.desk.watch.run.last_step == 2


@pytest.mark.parametrize("seconds", [0.0, 3600.0])
async def test_a_note_gives_its_row_to_what_is_found_later(tmp_path, monkeypatch, seconds):
    monkeypatch.setattr(workspace, "NOTE_SECONDS", seconds)
    folder = DebugFolder.at(tmp_path / "run")
    Segments(folder).begin([*preamble("old", started=1e9), *steps(0, 9)])
    model = SmallGpt(keep=False, explode_at=300)
    writer = HistoryWriter(folder)
    for entry in (*model.preamble(), *(each for k in range(250) for each in model.step(k))):
        writer.write(entry)
    assert writer.flush(30)
    async with driven(tmp_path / "run", size=(80, 24)) as d:
        await d.opened_run()
        await shows(d, 249)
        await d.wait(lambda: "an older run is in this folder" in d.notice, "the note")
        for entry in (each for k in range(250, 400) for each in model.step(k)):
            writer.write(entry)
        writer.close(30)
        await d.wait(lambda: "bad 1" in d.seen(), "the finding")
        assert ("an older run" in d.notice) == bool(seconds)
