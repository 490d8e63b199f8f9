"""Views of what a folder does not hold, and a process that has not written yet: the words are about that."""

from __future__ import annotations

import sys

from kit import places
from kit.pilot import driven

from gradtui.tui.actions.offered import NO_RUN
from gradtui.tui.child import ChildState


async def test_history_without_a_run_says_so(tmp_path):
    folder = places.branched_folder(tmp_path)
    async with driven(folder.shown, size=(80, 24)) as d:
        await d.open()
        await d.keys("t")
        assert d.screen()[1].startswith(" History   no training run")
        assert NO_RUN in d.seen()
        assert "layers" not in d.seen()
        await d.keys("o")
        assert NO_RUN not in d.seen()


async def test_a_process_that_runs_is_no_training_to_begin(tmp_path):
    sleeps = (sys.executable, "-c", "import time; time.sleep(600)")
    async with driven(tmp_path / "later", size=(80, 24), wait=True, child=sleeps) as d:
        await d.wait(lambda: d.app.shell.workspace is not None)
        # However early it was started.
        await d.wait(lambda: d.desk.room.has_process, "the process")
        assert "nothing to show yet" in d.seen()
        assert "watch(model" not in d.seen()
        await d.keys("a")
        assert "no architecture yet; :log shows what was printed" in d.seen()
    async with driven(tmp_path / "later", size=(80, 24), wait=True) as d:
        await d.wait(lambda: d.app.shell.workspace is not None)
        await d.wait(lambda: "a training begins it by watch(model" in d.seen())


async def test_what_was_said_of_a_process_ends_with_the_next_one(tmp_path):
    async with driven(tmp_path / "later", size=(80, 24), wait=True) as d:
        await d.wait(lambda: d.app.shell.workspace is not None)
        d.work.child_changed(ChildState(running=True, starts=1))
        d.work.child_changed(ChildState(code=3, starts=1, lines=("no",)))
        assert "process failed (3)" in d.notice
        d.work.child_changed(ChildState(running=True, starts=2))
        assert not d.notice


async def test_a_process_that_failed_before_there_was_a_screen_is_told(tmp_path):
    fails = (sys.executable, "-c", "raise SystemExit(3)")
    async with driven(tmp_path / "later", size=(80, 24), wait=True, child=fails) as d:
        await d.wait(lambda: "process failed (3)" in d.text(), "what became of it")
        await d.wait(lambda: d.desk.selection.view == "log", "the log")
