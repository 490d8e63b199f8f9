"""One adapter a folder: who has it, on which host, and until when."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from gradtui.errors import FileBusy
from gradtui.folder import generation
from gradtui.folder.adapter_state import read_adapter
from gradtui.folder.generation import AdapterWriter
from gradtui.folder.location import DebugFolder

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> DebugFolder:
    return DebugFolder.at(tmp_path / "debug")


def of_another_host(folder: DebugFolder, ago: float) -> None:
    record = json.loads(folder.adapter_state.read_text())
    moment = time.time() - ago
    folder.adapter_state.write_text(json.dumps({**record, "host": "far-away", "time": moment}))
    os.utime(folder.adapter_state, (moment, moment))


def test_a_folder_is_claimed_at_once(folder: DebugFolder) -> None:
    with AdapterWriter(folder):
        state = read_adapter(folder)
        assert (state.state, state.alive, state.pid) == ("starting", True, os.getpid())


def test_of_many_that_start_together_one_gets_it(folder: DebugFolder) -> None:
    code = (
        "import sys\nfrom gradtui.errors import FileBusy\n"
        "from gradtui.folder.generation import AdapterWriter\n"
        "print('ready', flush=True)\nsys.stdin.readline()\n"
        "try:\n    AdapterWriter(sys.argv[1])\n    print('mine', flush=True)\n"
        "except FileBusy:\n    print('busy', flush=True)\nsys.stdin.readline()\n"
    )
    with AdapterWriter(folder):
        # What an adapter that ended left does not help anybody to get in.
        pass
    command = [sys.executable, "-c", code, str(folder.root)]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for process in started:
        assert process.stdout is not None
        process.stdout.readline()
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = []
    for process in started:
        assert process.stdout is not None
        said.append(process.stdout.readline().strip())
    for process in started:
        process.communicate("end\n")
    assert sorted(said) == ["busy", "busy", "busy", "mine"]


def test_an_adapter_of_another_host_is_named_and_forgotten(folder: DebugFolder) -> None:
    AdapterWriter(folder).set_state("serving")
    of_another_host(folder, ago=30)
    assert read_adapter(folder).alive
    with pytest.raises(FileBusy, match=r"far-away .*30 s ago.*adapter\.json"):
        AdapterWriter(folder)
    of_another_host(folder, ago=90)
    assert not read_adapter(folder).alive
    AdapterWriter(folder).close()


def test_who_serves_says_so_again(folder: DebugFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    with AdapterWriter(folder) as writer:
        writer.set_state("serving", message="generation 3")
        before = read_adapter(folder)
        writer.beat()
        assert read_adapter(folder).updated == before.updated
        monkeypatch.setattr(generation, "BEAT_SECONDS", -1.0)
        writer.beat()
        after = read_adapter(folder)
        assert after.updated > before.updated
        assert (after.state, after.message) == ("serving", "generation 3")
