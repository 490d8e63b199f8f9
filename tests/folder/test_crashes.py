"""Writes that are killed, or fail, at any moment: never half a folder, never a locked one."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from kit.faults import Steps, counted, disk_full, killed_at
from kit.folders import flow_info, write_foreign
from kit.waiting import until

from gradtui.errors import FileBusy, SaveFailed
from gradtui.folder.commit import read_commit
from gradtui.folder.generation import AdapterWriter
from gradtui.folder.load import Loaded, load
from gradtui.folder.location import DebugFolder
from gradtui.folder.requests import answer, ask, pending_requests, read_answer
from gradtui.folder.save import save_input

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> DebugFolder:
    return DebugFolder.at(tmp_path / "debug")


def temporary(folder: DebugFolder) -> list[Path]:
    return [path for path in folder.root.rglob("*") if path.name.endswith("tmp")]


def scale_of(loaded: Loaded) -> float:
    return float(loaded.session.layer("conv1").gradient[0, 1])


def test_an_adapter_killed_at_every_step(folder: DebugFolder) -> None:
    with AdapterWriter(folder) as writer:
        writer.write(flow_info(1.0), np.full((3, 4), 1.0))
    step, scale = 0, 2.0
    while killed_at(
        step,
        lambda scale=scale: AdapterWriter(folder).write(flow_info(scale), np.full((3, 4), scale)),
    ):
        loaded = load(folder, settle=0.0)
        assert scale_of(loaded) in (1.0, scale)
        assert loaded.session.target[0, 0] in (1.0, scale)
        if loaded.writer == "gradtui" and not any("another" in note for note in loaded.notes):
            assert scale_of(loaded) == 1.0 or loaded.generation >= 1
        # The next adapter makes it whole again, and sweeps what the dead one left.
        with AdapterWriter(folder) as writer:
            writer.write(flow_info(1.0), np.full((3, 4), 1.0))
        assert scale_of(load(folder)) == 1.0
        assert not temporary(folder)
        step, scale = step + 1, scale + 1
    assert step > 20


def test_a_viewer_killed_at_every_step(folder: DebugFolder) -> None:
    write_foreign(folder, {**flow_info(), "kept": "yes"})
    step = 0
    while True:
        value = float(step + 2)
        seen = load(folder, settle=0.0)
        before = float(seen.session.input[0, 0])
        killed = killed_at(
            step,
            lambda seen=seen, value=value: save_input(folder, np.full((3, 4), value), seen=seen),
        )
        loaded = load(folder, settle=0.0)
        assert loaded.session.input[0, 0] in (before, value)
        assert loaded.parts["flow_info.pkl"].root["kept"] == "yes"
        if not killed:
            break
        step += 1
    assert step > 20
    save_input(folder, np.zeros((3, 4)), seen=load(folder, settle=0.0))
    assert not temporary(folder)


@pytest.mark.parametrize("side", ["adapter", "viewer"])
def test_a_full_disk_at_every_write(folder: DebugFolder, side: str) -> None:
    AdapterWriter(folder).write(flow_info(1.0), np.ones((3, 4)))
    seen = load(folder)

    def work() -> None:
        if side == "adapter":
            AdapterWriter(folder).write(flow_info(2.0), np.zeros((3, 4)))
        else:
            save_input(folder, np.full((3, 4), 5.0), seen=seen)

    def contents() -> dict[Path, bytes]:
        # The adapter says that it starts before it writes.
        files = [path for path in folder.root.rglob("*") if path != folder.adapter_state]
        return {path: path.read_bytes() for path in files if path.is_file()}

    before = contents()
    for step in range(5 if side == "adapter" else 4):
        with counted(Steps(step, disk_full), only=("write",)), pytest.raises(SaveFailed) as caught:
            work()
        assert "no space left" in str(caught.value)
        # Nothing was replaced, nothing was left, nothing is locked.
        assert contents() == before
        assert load(folder).generation == 1
    work()
    assert contents() != before


def test_short_writes_are_completed(folder: DebugFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    original = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: original(descriptor, bytes(data[:7])))
    with AdapterWriter(folder) as writer:
        writer.write(flow_info(3.0))
    assert scale_of(load(folder)) == 3.0


def test_a_read_only_folder_refuses_and_stays(
    folder: DebugFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_foreign(folder)
    seen = load(folder)

    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("gradtui.folder.writing.os.open", refuse)
    with pytest.raises(SaveFailed, match="permission denied"):
        save_input(folder, np.ones((3, 4)), seen=seen)


_WRITES_FOR_EVER = """
import sys
import numpy as np
sys.path.insert(0, "tests")
from kit.folders import flow_info
from gradtui.folder.generation import AdapterWriter
writer = AdapterWriter(sys.argv[1])
scale = 1.0
print("ready", flush=True)
while True:
    writer.write(flow_info(scale), np.full((3, 4), scale))
    scale += 1
"""


def test_a_reader_beside_a_writer_never_sees_a_mixture(folder: DebugFolder) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _WRITES_FOR_EVER, str(folder.root)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        until(lambda: read_commit(folder, "adapter").generation > 0, "the first generation")
        read, busy, generations = 0, 0, set()
        while read < 100:
            try:
                loaded = load(folder)
            except FileBusy:
                busy += 1
                continue
            read += 1
            assert loaded.writer == "gradtui"
            assert scale_of(loaded) == loaded.session.target[0, 0]
            generations.add(loaded.generation)
        process.kill()
    assert len(generations) > 5


def test_a_writer_killed_at_random_moments(folder: DebugFolder) -> None:
    dice = random.Random(1)
    for _ in range(4):
        with subprocess.Popen(
            [sys.executable, "-c", _WRITES_FOR_EVER, str(folder.root)], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            goal = read_commit(folder, "adapter").generation + dice.randrange(1, 8)
            until(
                lambda goal=goal: read_commit(folder, "adapter").generation >= goal,
                "a few generations",
            )
            process.send_signal(signal.SIGKILL)
        loaded = load(folder, settle=0.0)
        assert scale_of(loaded) >= 1
    AdapterWriter(folder).write(flow_info(7.0), np.full((3, 4), 7.0))
    assert scale_of(load(folder)) == 7.0
    assert not temporary(folder)


def test_requests_and_answers_killed_at_every_step(folder: DebugFolder) -> None:
    folder.sidecar.mkdir(parents=True)
    step = 0
    while killed_at(step, lambda: ask(folder, "flow-row", pair=["a", "b"], node=1)):
        pending_requests(folder)
        step += 1
    n = ask(folder, "flow-row", pair=["a", "b"], node=2)
    assert pending_requests(folder)[0].n == n
    step = 0
    while killed_at(step, lambda: answer(folder, n, "done", arrays={"values": np.arange(3.0)})):
        assert read_answer(folder, n).status in ("waiting", "done")
        step += 1
    found = read_answer(folder, n)
    assert found.status == "done"
    assert list(found.arrays["values"]) == [0.0, 1.0, 2.0]
