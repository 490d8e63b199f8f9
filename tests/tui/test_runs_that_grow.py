"""Runs that grow, have several ranks, no step yet, or very many: what the screen makes of them."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from kit.pilot import driven
from kit.run_folders import SmallGpt, write_run

from gradtui.core.run.keys import SeriesKey
from gradtui.core.run.records import Entry, Layout, ModuleInfo, Scalars, Start
from gradtui.folder.history.writer import HistoryWriter
from gradtui.folder.location import DebugFolder
from gradtui.viewmodel.run.choice import APART, NEWEST, TOGETHER


async def test_a_run_that_grows_is_followed_and_held(tmp_path):
    model = SmallGpt(keep=False)

    folder = DebugFolder.at(f"{tmp_path}/run/")
    writer = HistoryWriter(folder)

    def write(steps):
        for step in steps:
            for entry in model.step(step):
                writer.write(entry)
        assert writer.flush(10)

    for entry in model.preamble():
        writer.write(entry)
    write(range(30))
    async with driven(folder.root, size=(80, 24)) as d:
        await d.wait(lambda: d.app.shell.workspace is not None and d.desk.watching)
        await d.wait(lambda: "step 29" in d.seen(), "step 29")
        write(range(30, 60))
        await d.wait(lambda: "step 59" in d.seen(), "step 59")
        await d.keys("tp")
        write(range(60, 80))
        await d.wait(lambda: "paused, 20 newer" in d.seen(), "held")
        assert d.work.views.history.window.newest == 59
        await d.keys("p")
        await d.wait(lambda: d.work.views.history.window.newest == 79, "following")
    writer.close(10)


async def test_ranks_apart_and_together(tmp_path):
    write_run(tmp_path / "run", 40, ranks=2, model=SmallGpt(keep=False))
    async with driven(tmp_path / "run", size=(120, 40)) as d:
        await d.wait(
            lambda: (
                d.app.shell.workspace is not None
                and d.desk.watching
                and len(d.desk.watch.run.ranks) == 2
            )
        )
        await d.wait(lambda: d.work.view.reading >= 1)
        await d.settle()
        assert "2 ranks together" in d.seen()
        await d.keys("t")
        await d.run("ranks apart")
        assert d.desk.selection.run.rank == APART
        assert "rank 1" in d.seen()
        await d.run("ranks 1")
        assert d.desk.selection.run.one_rank == 1
        await d.run("ranks 7")
        assert d.desk.notice[1] == "warn"
        await d.run("ranks together")
        for _ in range(2):
            seen = []
            for _ in range(4):
                await d.keys("R")
                seen.append(d.desk.selection.run.rank)
            assert seen == [APART, 0, 1, TOGETHER]
        assert d.notice == "all ranks together"
        await d.keys("1R")
        assert d.desk.selection.run.one_rank == 1


async def test_a_run_without_steps_says_so(tmp_path):
    model = SmallGpt(keep=False)

    folder = DebugFolder.at(f"{tmp_path}/run/")
    writer = HistoryWriter(folder)
    for entry in model.preamble():
        writer.write(entry)
    assert writer.flush(10)
    async with driven(folder.root, size=(80, 24)) as d:
        await d.wait(lambda: d.app.shell.workspace is not None and d.desk.watching)
        await d.settle()
        assert "no step yet" in d.seen()
        await d.keys("t")
        await d.wait(lambda: "no step was recorded yet" in d.seen(), "words")
    writer.close(10)


async def test_a_folder_that_is_gone_is_said_until_it_is_back(tmp_path):
    folder = write_run(tmp_path / "run", 40, model=SmallGpt(keep=False))
    async with driven(folder.root, size=(80, 24)) as d:
        await d.opened_run()
        away = tmp_path / "away"
        shutil.move(folder.root, away)
        await d.wait(lambda: "the folder is gone" in d.screen()[0], "the title")
        await d.wait(lambda: "its files are gone" in d.notice, "the note of its reader")
        await d.keys("jr")
        assert d.notice == "the folder is gone: it is read once it is there"
        await d.keys("k")
        assert "the folder is gone" in d.screen()[0]
        shutil.move(away, folder.root)
        await d.wait(lambda: "the folder is gone" not in d.seen(), "the folder")
        assert "step 39" in d.screen()[0]


async def test_steps_that_the_run_lacks_are_told(tmp_path):
    write_run(tmp_path / "run", 40, model=SmallGpt(keep=False))
    async with driven(tmp_path / "run", size=(80, 24)) as d:
        await d.opened_run()
        await d.keys("t20G")
        assert d.notice == ""
        for typed in ("step 9999", "step last"):
            await d.run(typed)
            assert d.desk.selection.run.cursor == NEWEST
            assert (d.notice == "there is no step 9999: the newest is 39") == (typed != "step last")
        await d.keys("77G")
        assert d.notice == "there is no step 77: the newest is 39"
        await d.run("window 50..60")
        assert d.notice == "the run has no such steps: 0 to 39"
        await d.run("window 10..20")
        assert "steps 10..20 fixed" in d.screen()[1]


async def test_a_window_of_a_long_run_has_its_recorded_steps(tmp_path):
    """In memory its steps are joined; a zoomed chart reads them again."""
    keys = tuple(SeriesKey(f"m{n}", "gradient", "l2", "weight") for n in range(4))
    start = Start("run", "Net", modules=tuple(ModuleInfo(key.path, "Linear") for key in keys))
    writer = HistoryWriter(DebugFolder.at(f"{tmp_path}/run/"))
    for record in (start, Layout(0, "scalars", keys)):
        writer.write(Entry(-1, 0.0, record))
    for step in range(12_000):
        values = np.full(4, 1.0 + step % 7, np.float32)
        writer.write(Entry(step, float(step), Scalars(0, values)))
        if step % 1000 == 999:
            assert writer.flush(20)
    writer.close(20)
    async with driven(tmp_path / "run", size=(120, 40)) as d:
        await d.wait(
            lambda: (
                d.app.shell.workspace is not None and d.desk.watching and d.work.view.reading >= 1
            )
        )
        await d.run("find m2")
        await d.keys("t")
        await d.run("window 3000..3040")
        await d.wait(lambda: len(d.work.views.history.chart.curves[0].x) == 41, "all 41 steps")
        assert d.work.views.history.chart.curves[0].y[3] == pytest.approx(np.log10(1 + 3003 % 7))


async def test_damage_is_told_and_the_rest_is_shown(tmp_path):
    folder = write_run(tmp_path / "run", 200, model=SmallGpt(keep=False))
    (segment,) = folder.history.rglob("*.gtlog")
    data = bytearray(segment.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 64] = bytes(64)
    segment.write_bytes(data)
    async with driven(folder.root, size=(120, 40)) as d:
        await d.wait(lambda: d.app.shell.workspace is not None and d.desk.watching)
        await d.wait(lambda: d.work.view.reading >= 1 and d.work.view.notes, "what is damaged")
        await d.settle()
        assert "gtlog" in "".join(d.work.view.notes)
        assert d.desk.watch.run.last_step > 20
        await d.run("log")
        assert "gtlog" in d.seen()
