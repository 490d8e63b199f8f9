"""What a watched run's screens say to a newcomer: columns, findings, keys that act, and why others do not."""

from __future__ import annotations

import pytest
from kit.pilot import driven
from kit.run_folders import SmallGpt, write_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run that explodes at step 300 of 400, without kept tensors."""
    path = tmp_path_factory.mktemp("run") / "run"
    write_run(path, 400, model=SmallGpt(explode_at=300, keep=False))
    return path


async def opened(d):
    """Wait for the run, wholly read and judged."""
    await d.wait(
        lambda: (
            d.app.shell.workspace is not None
            and d.desk.watching
            and d.work.view.reading >= 1
            and d.desk.watch.run.last_step == 399
            and d.desk.watch.findings
        ),
        "the run",
    )
    await d.settle()


def seen(d):
    return "\n".join(d.screen())


async def test_all_columns_can_be_reached_at_eighty_columns_and_sorted_by(folder):
    async with driven(folder, size=(80, 24)) as d:
        await opened(d)
        assert "tab columns" in d.text()
        assert "|W|2" in seen(d)
        assert "|dy|2" not in seen(d)
        await d.keys("", "tab")
        assert "columns 2 of 2" in d.notice
        for title in ("zero", "dead", "|dy|2", "ms"):
            assert title in d.screen()[2]
        await d.keys("s" * 5)
        assert d.desk.selection.run.sort == "dead"
        assert "dead▾" in d.screen()[2]
        assert d.notice == "sorted by dead, greatest first"
        await d.keys("L")
        assert "|W|2" in d.screen()[2]
        await d.run("sort seconds")
        assert "ms▾" in d.screen()[2]
        await d.keys("0")
        assert "|W|2" in d.screen()[2]
        await d.keys("$")
        assert "|dy|2" in d.screen()[2]
        await d.pilot.resize_terminal(120, 40)
        await d.settle()
        assert "|W|2" in d.screen()[2]
        await d.keys("", "tab")
        assert "all columns are shown" in d.notice
