"""How long a start takes, against a minimal Textual app's first frame, as ratios of one run."""

from __future__ import annotations

import compileall
import statistics
import sys
from pathlib import Path

import pytest
from kit.first_frame import MINIMAL, first_shown
from kit.folders import write_foreign
from kit.pty_driver import Terminal

import gradtui
from gradtui.folder.location import DebugFolder

TIMES = 9


@pytest.mark.benchmark
def test_first_frame_and_data(tmp_path, capsys):
    """Bounds: first frame 1.35, data on the screen 2.2.

    Of the code as an installed package has it, compiled: compiling takes longer than anything else.
    """
    compileall.compile_dir(Path(gradtui.__file__).parent, quiet=1)
    folder = DebugFolder.at(str(tmp_path) + "/")
    write_foreign(folder)
    minimal = [sys.executable, "-c", MINIMAL]
    ours = [sys.executable, "-m", "gradtui", str(tmp_path)]
    base, frames, data = [], [], []
    for turn in range(TIMES + 1):
        first = first_shown(minimal, "minimal app")
        with Terminal(ours) as terminal:
            frame = terminal.wait_for("gradtui")
            shown = terminal.wait_for(lambda t: "gradient" in t.text and "live" in t.text)
        if turn:
            base.append(first)
            frames.append(frame)
            data.append(shown)
    middle = statistics.median(base)
    with capsys.disabled():
        print(
            f"\nminimal app {middle:.3f} s; first frame {statistics.median(frames) / middle:.2f}"
            f" (bound 1.35); data on the screen {statistics.median(data) / middle:.2f} (bound 2.2)"
        )
