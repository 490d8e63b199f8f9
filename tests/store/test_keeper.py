"""The keeper: current, patient, never raising."""

from __future__ import annotations

import json
import pickle
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from kit import hostile
from kit.folders import age, flow_info, write_foreign
from kit.seen import Seen
from kit.waiting import until

from gradtui.core.flow_forms import SummedFlow
from gradtui.errors import FileBusy, FolderMissing, SaveConflict, UnreadableFile
from gradtui.folder.generation import AdapterWriter
from gradtui.folder.location import DebugFolder
from gradtui.folder.requests import answer, pending_requests
from gradtui.store.keeper import Keeper

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gradtui.store.view import FolderView


@pytest.fixture
def folder(tmp_path: Path) -> DebugFolder:
    return DebugFolder.at(tmp_path / "debug")


@pytest.fixture
def seen() -> Seen[FolderView]:
    return Seen()


@pytest.fixture(params=["events", "poll"])
def keeper(
    request: pytest.FixtureRequest, folder: DebugFolder, seen: Seen[FolderView]
) -> Iterator[Keeper]:
    found = Keeper(folder.root, on_change=seen, poll=request.param == "poll", wait=True)
    yield found
    found.stop()


def top(view: FolderView) -> float:
    """A number that tells the generations of `flow_info` apart."""
    return float(view.session.layer("conv1").gradient[0, 1]) if view.session.layers else 0.0


def test_waits_for_the_adapter_and_follows_it(
    keeper: Keeper, folder: DebugFolder, seen: Seen[FolderView]
) -> None:
    assert keeper.view.status.kind == "waiting"
    keeper.start()
    with AdapterWriter(folder) as writer:
        writer.set_state("starting", message="building the model")
        seen.wait(lambda view: "building" in view.status.text)
        writer.write(flow_info(1.0), np.zeros((3, 4)))
        writer.set_state("serving")
        view = seen.wait(lambda view: view.status.kind == "live" and top(view) == 1.0)
        assert view.previous.layers == ()
        writer.write(flow_info(2.0))
        view = seen.wait(lambda view: top(view) == 2.0)
        assert view.previous.layer("conv1").gradient[0, 1] == 1.0
        assert "session" in view.changed
    view = seen.wait(lambda view: view.status.kind == "finished")
    assert top(view) == 2.0


def test_a_save_is_answered(keeper: Keeper, folder: DebugFolder, seen: Seen[FolderView]) -> None:
    with AdapterWriter(folder) as writer:
        writer.write({**flow_info(), "input_representation": np.zeros((3, 4), np.float32)})
        writer.set_state("serving")
        keeper.start()
        first = seen.wait(lambda view: view.status.kind == "live")
        saved = keeper.save(np.ones((3, 4)), seen=first)
        view = seen.wait(lambda view: view.session.input.any())
        assert "on their way" in view.status.text
        assert top(view) == 1.0
        writer.write(
            {**flow_info(5.0), "input_representation": np.ones((3, 4), np.float32)},
            answers=saved.generation,
        )
        view = seen.wait(lambda view: top(view) == 5.0)
        assert view.status.text == "live"
        # What it is compared with is the generation before as it first was, with its own input.
        assert not view.previous.input.any()


def test_a_conflict_with_what_is_not_drawn_yet(
    keeper: Keeper, folder: DebugFolder, seen: Seen[FolderView]
) -> None:
    write_foreign(folder)
    keeper.start()
    first = seen.wait(lambda view: view.status.kind == "live")
    folder.input.write_bytes(hostile.npy_bytes(np.full((3, 4), 9.0)))
    age(folder, 10)
    seen.wait(lambda view: view.session.input.max() == 9.0)
    with pytest.raises(SaveConflict):
        keeper.save(np.ones((3, 4)), seen=first)
    keeper.save(np.ones((3, 4)), seen=first, overwrite=True)
    view = seen.wait(lambda view: view.session.input.max() == 1.0 and view.status.kind == "stale")
    assert "waits for an adapter" in view.status.text


@pytest.mark.parametrize("name", ["truncated", "code", "fifo", "directory"])
def test_the_last_good_view_is_kept_and_recovers(
    folder: DebugFolder, seen: Seen[FolderView], name: str
) -> None:
    write_foreign(folder)
    keeper = Keeper(folder.root, on_change=seen, settle=0.0)
    keeper.start()
    try:
        seen.wait(lambda view: view.status.kind == "live")
        folder.flow_info.unlink()
        seen.wait(lambda view: view.status.kind == "missing")
        good = pickle.dumps(flow_info(3.0))
        if name == "fifo":
            dict(hostile.strange_places())["fifo"](folder.flow_info)
        elif name == "directory":
            folder.flow_info.mkdir()
        else:
            folder.flow_info.write_bytes(good[:-30] if name == "truncated" else b"cos\nsystem\n.")
        view = seen.wait(lambda view: view.status.kind == "broken")
        assert "flow_info.pkl" in view.status.text
        assert top(view) == 1.0
        if name == "directory":
            folder.flow_info.rmdir()
        else:
            folder.flow_info.unlink()
        folder.flow_info.write_bytes(good)
        view = seen.wait(lambda view: top(view) == 3.0)
        assert view.status.kind == "live"
    finally:
        keeper.stop()


def test_the_folder_vanishes_and_is_replaced(
    keeper: Keeper, folder: DebugFolder, seen: Seen[FolderView]
) -> None:
    with AdapterWriter(folder) as writer:
        writer.write(flow_info(1.0))
    keeper.start()
    seen.wait(lambda view: top(view) == 1.0)
    shutil.rmtree(folder.root)
    view = seen.wait(lambda view: view.status.kind == "missing")
    assert top(view) == 1.0
    with AdapterWriter(folder) as writer:
        writer.write(flow_info(4.0))
    seen.wait(lambda view: top(view) == 4.0)


def test_a_living_writer_is_told_after_a_while(
    keeper: Keeper, folder: DebugFolder, seen: Seen[FolderView]
) -> None:
    with AdapterWriter(folder) as writer:
        writer.write(flow_info(1.0))
    keeper.start()
    seen.wait(lambda view: top(view) == 1.0)
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
    )
    try:
        record = {"schema": 1, "pid": process.pid, "host": socket.gethostname(), "started": 0}
        folder.pending("adapter").write_text(json.dumps(record))
        folder.flow_info.write_bytes(pickle.dumps(flow_info(2.0)))
        age(folder)
        view = seen.wait(lambda view: view.status.kind == "busy")
        assert str(process.pid) in view.status.text
        assert top(view) == 1.0
    finally:
        process.communicate()
    view = seen.wait(lambda view: top(view) == 2.0)
    assert view.session.writer == "foreign"


def test_an_adapter_that_is_killed_is_noticed(
    keeper: Keeper, folder: DebugFolder, seen: Seen[FolderView]
) -> None:
    code = (
        "import sys\n"
        "sys.path.insert(0, 'tests')\n"
        "from kit.folders import flow_info\n"
        "from gradtui.folder.generation import AdapterWriter\n"
        "writer = AdapterWriter(sys.argv[1])\n"
        "writer.write(flow_info())\n"
        "writer.set_state('serving')\n"
        "print('ready', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        keeper.start()
        seen.wait(lambda view: view.adapter.alive and view.status.kind == "live")
        process.kill()
    view = seen.wait(lambda view: view.status.kind == "finished")
    assert "without a word" in view.status.text


def test_rows_that_were_asked_for_come_into_the_session(
    keeper: Keeper, folder: DebugFolder, seen: Seen[FolderView]
) -> None:
    root = flow_info()
    summed = {
        "source": "conv1",
        "target": "conv2",
        "form": "summed",
        "row_sums": np.ones(12),
        "column_sums": np.full(4, 3.0),
    }
    root["gradient_flows"] = {("conv1", "conv2"): None}
    root["meta"] = {"schema": 1, "pairs": [summed], "layers": {}}
    with AdapterWriter(folder) as writer:
        generation = writer.write(root)
        writer.set_state("serving")
        keeper.start()
        view = seen.wait(lambda view: view.status.kind == "live")
        assert isinstance(view.session.pairs[0].flow, SummedFlow)
        n = keeper.ask("flow-row", pair=["conv1", "conv2"], node=5)
        old = keeper.ask("flow-column", pair=["conv1", "conv2"], node=1)
        (_, request) = pending_requests(folder)
        assert request.n == n
        assert request.fields["generation"] == generation
        answer(folder, n, "done", arrays={"values": np.arange(4.0)}, generation=generation)
        answer(folder, old, "done", arrays={"values": np.arange(12.0)}, generation=generation - 1)
        view = seen.wait(lambda view: {n, old} <= set(view.answers))
        flow = view.session.pairs[0].flow
        assert isinstance(flow, SummedFlow)
        assert flow.has_row(5)
        # An answer from before this generation is not mixed with it.
        assert not flow.has_column(1)
        keeper.save(np.ones((3, 4)))
        view = seen.wait(lambda view: view.session.input.size == 12)
        flow = view.session.pairs[0].flow
        assert isinstance(flow, SummedFlow)
        assert flow.has_row(5)


def test_the_estimate_can_be_changed(
    keeper: Keeper, folder: DebugFolder, seen: Seen[FolderView]
) -> None:
    root = flow_info()
    root["gradient_flows"] = {("conv1", "conv2"): None}
    with AdapterWriter(folder) as writer:
        writer.write(root)
    keeper.start()
    view = seen.wait(lambda view: bool(view.session.pairs))
    assert view.session.pairs[0].estimate == "proportional"
    keeper.set_estimate("equal")
    view = seen.wait(lambda view: view.session.pairs and view.session.pairs[0].estimate == "equal")
    assert view.previous.layers == ()


def test_load_once(folder: DebugFolder, seen: Seen[FolderView]) -> None:
    with pytest.raises(FolderMissing):
        Keeper(folder.root, on_change=seen).load_once()
    write_foreign(folder)
    assert top(Keeper(folder.root, on_change=seen).load_once()) == 1.0

    def told():
        started = time.monotonic()
        with pytest.raises(UnreadableFile):
            Keeper(folder.root, on_change=seen).load_once()
        took.append(time.monotonic() - started)

    took: list[float] = []
    folder.flow_info.write_bytes(b"cos\nsystem\n.")
    told()
    folder.flow_info.write_bytes(pickle.dumps(flow_info())[:-9])
    told()
    for _, data in hostile.odd_roots():
        folder.flow_info.write_bytes(data)
        told()
    folder.flow_info.write_bytes(pickle.dumps(flow_info()))
    folder.input.write_bytes(hostile.npy_bytes(np.zeros((4, 2, 2, 2))))
    told()
    # A broken file is told at once, however young it is.
    assert statistics.median(took) < 0.2


def test_load_once_waits_for_a_foreign_writer(folder: DebugFolder, seen: Seen[FolderView]) -> None:
    write_foreign(folder, aged=False)
    keeper = Keeper(folder.root, on_change=seen, settle=0.2)
    with pytest.raises(FileBusy):
        keeper._load()
    assert top(keeper.load_once()) == 1.0


def test_a_callback_that_raises_stops_nothing(folder: DebugFolder) -> None:
    seen: Seen[FolderView] = Seen()

    def raising(view: FolderView) -> None:
        seen(view)
        raise RuntimeError("the screen is gone")

    with AdapterWriter(folder) as writer:
        writer.write(flow_info(1.0))
        keeper = Keeper(folder.root, on_change=raising)
        keeper.start()
        seen.wait(lambda view: top(view) == 1.0)
        writer.write(flow_info(2.0))
        seen.wait(lambda view: top(view) == 2.0)
        keeper.stop()


def test_a_mistake_of_ours_becomes_a_status(
    folder: DebugFolder, seen: Seen[FolderView], monkeypatch: pytest.MonkeyPatch
) -> None:
    with AdapterWriter(folder) as writer:
        writer.write(flow_info(1.0))
        keeper = Keeper(folder.root, on_change=seen)
        keeper.start()
        seen.wait(lambda view: top(view) == 1.0)

        def wrong(*_: object) -> object:
            raise AssertionError("a mistake")

        monkeypatch.setattr(Keeper, "_accept", wrong)
        writer.write(flow_info(2.0))
        view = seen.wait(lambda view: "a mistake" in view.status.text)
        assert top(view) == 1.0
        keeper.stop()


def test_a_large_folder_keeps_only_the_layers_of_before(
    folder: DebugFolder, seen: Seen[FolderView], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gradtui.store.previous._LARGE", 100)
    with AdapterWriter(folder) as writer:
        writer.write(flow_info(1.0))
        keeper = Keeper(folder.root, on_change=seen)
        keeper.start()
        seen.wait(lambda view: top(view) == 1.0)
        writer.write(flow_info(2.0))
        view = seen.wait(lambda view: top(view) == 2.0)
        keeper.stop()
    assert view.previous.pairs == ()
    gradient = view.previous.layer("conv1").gradient
    assert gradient[0, 1] == 1.0
    assert gradient.base is None or gradient.base.nbytes == gradient.nbytes


def test_from_write_to_view(folder: DebugFolder, seen: Seen[FolderView]) -> None:
    """Typically within 20 ms; the bound is for a machine that does other things too."""
    with AdapterWriter(folder) as writer:
        writer.write(flow_info(1.0))
        writer.set_state("serving")
        keeper = Keeper(folder.root, on_change=seen)
        keeper.start()
        seen.wait(lambda view: top(view) == 1.0)
        until(lambda: keeper._watcher.works, "events")
        taken = []
        for scale in range(2, 22):
            writer.write(flow_info(float(scale)))
            written = time.perf_counter()
            seen.wait(lambda view, scale=scale: top(view) == scale)
            taken.append(time.perf_counter() - written)
        keeper.stop()
    assert statistics.median(taken) < 0.1


def test_threads_end(folder: DebugFolder, seen: Seen[FolderView]) -> None:
    before = threading.active_count()
    keeper = Keeper(folder.root, on_change=seen, wait=True)
    keeper.start()
    keeper.stop()
    keeper.stop()
    until(lambda: threading.active_count() <= before, "the threads to end")


def test_heavy_imports_wait() -> None:
    code = (
        "import sys\n"
        "import gradtui.store.state, gradtui.store.settings, gradtui.store.locate\n"
        "print([name for name in ('numpy', 'watchfiles', 'textual', 'torch') if name in sys.modules])\n"
        "import gradtui.store.keeper\n"
        "print([name for name in ('watchfiles', 'textual', 'torch') if name in sys.modules])\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == ["[]", "[]"]
