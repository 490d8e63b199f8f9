"""A real tmux, on a socket of its own, at the two sizes that most panes have."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from kit.running import argv, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gradtui.folder.location import DebugFolder

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


class Tmux:
    """One server of ours; nobody else's is touched."""

    def __init__(self, place: Path) -> None:
        self._socket = str(place / "s")
        self._env = {
            # COLUMNS and LINES too: workers of the test run have them, and they win over the pane's size.
            k: v
            for k, v in os.environ.items()
            if k not in ("TMUX", "NO_COLOR", "COLORTERM", "COLUMNS", "LINES")
        }

    def __call__(self, *words: str, check: bool = True) -> str:
        done = subprocess.run(
            ["tmux", "-S", self._socket, "-f", "/dev/null", *words],
            capture_output=True, text=True, env=self._env | {"LC_ALL": "C.UTF-8"}, timeout=20, check=False,
        )  # fmt: skip
        assert not check or not done.returncode, (words, done.stderr)
        return done.stdout

    def pane(self) -> str:
        return self("capture-pane", "-p")

    def wait(self, holds: Callable[[str], bool]) -> str:
        deadline = time.monotonic() + 20
        while not holds(pane := self.pane()):
            assert time.monotonic() < deadline, pane
            # tmux tells nobody when a pane changes: it is asked again, as often as a process starts.
        return pane


@pytest.fixture
def tmux(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tmux]:
    server = Tmux(tmp_path_factory.mktemp("t"))
    yield server
    server("kill-server", check=False)


def start(tmux: Tmux, size: tuple[int, int], *arguments: str) -> None:
    tmux("new-session", "-d", "-x", str(size[0]), "-y", str(size[1]), "sh")
    tmux("set", "-g", "remain-on-exit", "on")
    home = [f"{name}={os.environ[name]}" for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME")]
    quoted = " ".join(f"'{word}'" for word in ("env", *home, *argv(*arguments)))
    tmux("send-keys", f"clear; {quoted}; echo code=$?", "Enter")


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
def test_a_folder_in_a_pane(tmux: Tmux, folder: DebugFolder, size: tuple[int, int]) -> None:
    start(tmux, size, str(folder.root))
    pane = tmux.wait(lambda pane: "TARGET" in pane and "live" in pane)
    lines = pane.splitlines()
    assert lines[0].startswith(" gradtui")
    assert "[v]" in lines[0]
    assert lines[1].startswith(" Values")
    for word in ("INPUT", "conv1", "conv2", "TARGET"):
        assert word in pane
    assert "toggle" in lines[-1]
    assert all(len(line) <= size[0] for line in lines)
    tmux("send-keys", " ")
    tmux.wait(lambda pane: "1 unsaved" in pane)
    tmux("send-keys", "W")
    tmux.wait(lambda pane: "written: input_representation.npy" in pane)
    tmux("send-keys", "f")
    tmux.wait(lambda pane: "[f]" in pane)
    tmux("send-keys", "o")
    tmux.wait(lambda pane: " Overview" in pane)
    tmux("send-keys", ":")
    tmux("send-keys", "z 0.5", "Enter")
    tmux.wait(lambda pane: "z is 0.5" in pane)
    tmux("send-keys", "q")
    assert " gradtui" not in tmux.wait(lambda pane: "code=0" in pane).splitlines()[0]


def test_a_pane_that_is_resized_and_closed(tmux: Tmux, folder: DebugFolder) -> None:
    start(tmux, (120, 40), str(folder.root))
    tmux.wait(lambda pane: "TARGET" in pane)
    for width, height in ((80, 24), (20, 5), (1, 1), (100, 30)):
        tmux("resize-window", "-x", str(width), "-y", str(height))
        if width >= 80:
            pane = tmux.wait(lambda pane: "TARGET" in pane and "toggle" in pane.splitlines()[-1])
            assert pane.startswith(" gradtui")
    pid = int(tmux("display", "-p", "#{pane_pid}"))
    import psutil

    programs = psutil.Process(pid).children(recursive=True)
    assert programs
    tmux("kill-session")
    _, alive = psutil.wait_procs(programs, timeout=60)
    assert not alive


def test_the_loop_in_a_pane(tmux: Tmux, tmp_path: Path) -> None:
    source = serving(tmp_path / "debug")
    start(tmux, (120, 40), "debug", f"{source}:make", "--folder", str(tmp_path / "debug"))
    tmux.wait(lambda pane: "generation 1 " in pane and "INPUT" in pane)
    tmux("send-keys", "l")
    tmux("send-keys", " ")
    tmux.wait(lambda pane: "1 unsaved" in pane)
    tmux("send-keys", "W")
    tmux.wait(lambda pane: "generation 2 " in pane)
    tmux("send-keys", "q")
    tmux.wait(lambda pane: "code=0" in pane)
