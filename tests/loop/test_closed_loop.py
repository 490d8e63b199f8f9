"""The main job: edit an input in the terminal, save, and see the new gradients by themselves.

A real adapter process with real torch, a real folder, the real screen under a Pilot.
"""

from __future__ import annotations

import sys

import numpy as np
import psutil
import pytest
from kit.pilot import driven

from gradtui.launch import child_command


@pytest.fixture
def demo(tmp_path):
    folder = tmp_path / "debug"
    return folder, child_command("demo:digits", str(folder))


async def test_an_edit_comes_back_as_new_gradients(demo):
    folder, child = demo
    async with driven(folder, wait=True, child=child) as d:
        await d.open(generation=1)
        before = d.desk.session
        await d.press("v")
        await d.command("layer conv1")
        await d.wait(lambda: d.desk.maps)
        assert d.desk.selection.focus == "input"
        await d.command("z 16")
        await d.press("g", "0", "space")
        assert d.desk.edits.pending_count == 1
        assert d.desk.edits.value((0, 0)) == 16
        assert "1 unsaved" in d.text()
        await d.press("W")
        await d.wait(lambda: d.desk.session.generation > before.generation, "the new generation")
        after = d.desk.session
        assert after.input[0, 0] == 16
        assert d.desk.edits.pending_count == 0
        # Scores, gradients and flows are those of the edited digit.
        assert not np.array_equal(after.target, before.target)
        assert not np.array_equal(after.layer("conv1").map(), before.layer("conv1").map())
        assert d.desk.previous.generation == before.generation
        assert "was 0" in d.text()
        # An undo goes back over the save, and is an unsaved edit again.
        await d.press("u")
        assert d.desk.edits.pending_count == 1
        assert d.desk.edits.value((0, 0)) == 0
        await d.press("W")
        await d.wait(lambda: d.desk.session.generation > after.generation, "the third generation")
        np.testing.assert_array_equal(d.desk.session.target, before.target)
        pid = d.work.view.adapter.pid
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


async def test_the_chain_rule_holds_on_the_screen(demo):
    folder, child = demo
    async with driven(folder, wait=True, child=child) as d:
        await d.open(generation=1)
        assert d.desk.session.pairs
        for pair in d.desk.session.pairs:
            assert pair.kind == "measured"
            assert pair.residual < 1e-4


async def test_a_failing_factory_shows_its_traceback(tmp_path):
    source = tmp_path / "net.py"
    source.write_text("def make():\n    raise RuntimeError('no such net')\n")
    folder = tmp_path / "debug"
    child = child_command(f"{source}:make", str(folder))
    async with driven(folder, wait=True, child=child, source=str(source)) as d:
        await d.wait(lambda: d.app.shell.workspace and d.work.child and d.work.child.ended)
        await d.wait(lambda: d.desk.selection.view == "log", "the log")
        assert "process failed (1); :log" in d.notice
        assert any("no such net" in line for line in d.work.child.lines)
        # A save of the source starts it again, and the loop goes on.
        source.write_text(
            "import torch\n"
            "def make():\n"
            "    return torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Linear(3, 2)), torch.ones(1, 4)\n"
        )
        await d.open(generation=1)
        assert len(d.desk.session.layers) >= 2
        # What is well again is not said to have failed.
        assert "failed" not in d.notice


async def test_another_interpreter_runs_the_adapter(tmp_path):
    source = tmp_path / "net.py"
    source.write_text(
        "import torch\ndef make():\n    return torch.nn.Linear(4, 3), torch.ones(1, 4)\n"
    )
    folder = tmp_path / "debug"
    child = child_command(f"{source}:make", str(folder), python=sys.executable)
    async with driven(folder, wait=True, child=child) as d:
        await d.open(generation=1)
        assert d.desk.session.writer == "gradtui"
