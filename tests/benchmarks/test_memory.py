"""How much memory a folder takes, beside a tiny one, on the screen and for ``gradtui show``."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from kit.folders import write_foreign
from kit.pty_driver import Terminal

from gradtui.folder.location import DebugFolder

pytestmark = pytest.mark.benchmark
MEGABYTE = 1 << 20
SHOW = (
    "import sys\n"
    "from gradtui.cli import main\n"
    "main(sys.argv[1:])\n"
    "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0], file=sys.stderr)\n"
)
KEYS = ("v", "o", "f", "v", "s", "s", "s", "\t", "D", "D", "F", "F", "zzz", "ZZZ")


def write(path, layer, input_):
    folder = DebugFolder.at(str(path) + "/")
    root = {"activation_gradients": {"a": layer}, "gradient_flows": {}}
    write_foreign(folder, root, input_=input_, target=np.ones((4, 4)))
    return sum(file.stat().st_size for file in path.iterdir() if file.is_file())


def peak_of(pid):
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def on_screen(path, again):
    """The peak over every view and scale, a second generation, and the difference to the first."""
    with Terminal([sys.executable, "-m", "gradtui", str(path)]) as terminal:
        terminal.wait_for(lambda t: "live" in t.text)
        terminal.settle(0.3)
        terminal.send("b")
        begun = psutil.Process(terminal.process.pid).cpu_times().user
        again()
        time.sleep(3)
        assert psutil.Process(terminal.process.pid).cpu_times().user > begun
        for key in KEYS:
            terminal.send(key)
            terminal.settle(0.3)
        return peak_of(terminal.process.pid)


def headless(path):
    done = subprocess.run(
        [sys.executable, "-c", SHOW, "show", str(path)], capture_output=True, text=True, check=True
    )
    return int(done.stderr.split()[-1]) * 1024


@pytest.fixture(scope="module")
def least(tmp_path_factory):
    path = tmp_path_factory.mktemp("tiny")
    write(path, np.ones((4, 4)), np.ones((4, 4)))
    return on_screen(path, lambda: write(path, np.zeros((4, 4)), np.ones((4, 4)))), headless(path)


@pytest.mark.parametrize("side", [2048, 4096])
@pytest.mark.parametrize("dtype", ["i1", "?", "u1", "f2", "f4"])
@pytest.mark.parametrize("what", ["layer", "input", "explicit input"])
def test_growth(tmp_path, capsys, least, what, dtype, side):
    """Bound: 2.5 times the files and 64 MB."""

    def fill(seed):
        shape = (9, side // 4, side // 4) if what == "explicit input" else (side, side)
        values = np.random.default_rng(seed).integers(0, 90, shape, np.int8).astype(dtype)
        tiny = np.ones((4, 4))
        return write(tmp_path, *((values, tiny) if what == "layer" else (tiny, values)))

    size = fill(1)
    shown = headless(tmp_path) - least[1]
    seen = on_screen(tmp_path, lambda: fill(2)) - least[0]
    bound = 2.5 * size + 64 * MEGABYTE
    with capsys.disabled():
        print(
            f"\n{what} {side} {np.dtype(dtype)}: files {size / MEGABYTE:.0f} MB, bound"
            f" {bound / MEGABYTE:.0f}, show {shown / MEGABYTE:.0f}, screen {seen / MEGABYTE:.0f}",
            end="",
        )
    assert shown < bound
    assert seen < bound
