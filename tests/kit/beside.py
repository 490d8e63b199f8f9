"""The viewer beside a training that goes on: what it costs, and how soon a record is on its screen."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil

import kit
from gradtui.core.run.track import Rows
from gradtui.folder.history.reader import HistoryReader
from gradtui.folder.location import DebugFolder
from kit.pty_driver import Terminal
from kit.running import argv, shows
from kit.waiting import until

if TYPE_CHECKING:
    from collections.abc import Mapping

_RUN_FOLDERS = Path(kit.__file__).with_name("run_folders.py")
_STEP = re.compile(r"step (\d[\d,]*)")
_WARM = 3.0


@dataclass(frozen=True)
class Beside:
    """Figures of one viewer.

    Attributes:
        share: of a core, user and system time of the whole process.
        rate: bytes a second on the pty.
        late: for each record that was written, seconds from the time it tells (made just before it was handed to the
            writer) until the bytes arrived that show its step or a later one.
        pictures: how many different newest steps were shown, a second.
    """

    share: float
    rate: float
    late: tuple[float, ...]
    pictures: float

    def __str__(self) -> str:
        late = 1e3 * np.quantile(self.late, (0.5, 0.95, 1.0))
        return (
            f"{100 * self.share:.1f} % of a core (bound 5), record -> bytes on the pty {late[0]:.0f} ms median "
            f"(bound 150), {late[1]:.0f} ms 95 %, {late[2]:.0f} ms worst, {self.pictures:.1f} pictures/s, "
            f"{self.rate:.0f} B/s"
        )


def beside(
    folder: Path, view: str, size: tuple[int, int], *, seconds: float = 20.0, rate: int = 50
) -> Beside:
    """Watch a small language model that writes ``rate`` steps a second, in a process of its own, in one view."""
    steps = int(rate * (seconds + 30))
    writer = [sys.executable, str(_RUN_FOLDERS), str(folder), str(steps), str(rate)]
    training = subprocess.Popen(writer)
    try:
        until(lambda: any(folder.rglob("*.gtlog")), "the history")
        with Terminal(argv(folder), *size) as terminal:
            terminal.wait_for(shows("step "))
            terminal.send(view)
            terminal.wait_for(shows(f"[{view}]"))
            for _ in terminal.arrivals(_WARM):
                pass
            process, sent = psutil.Process(terminal.process.pid), len(terminal.log)
            before, begun = process.cpu_times(), time.time()
            shown: list[tuple[float, int]] = []
            arrivals = terminal.arrivals(seconds)
            for when in arrivals:
                if not shown:
                    after, ended = process.cpu_times(), time.time()
                if (step := _newest(terminal)) > (shown[-1][1] if shown else -1):
                    shown.append((when, step))
            sent = len(terminal.log) - sent
    finally:
        training.kill()
        training.wait()
    used = after.user + after.system - before.user - before.system
    late = _late(_written(folder), shown)
    taken = ended - begun
    return Beside(used / taken, sent / taken, late, len(shown) / taken)


def _newest(terminal: Terminal) -> int:
    """The step that the header tells."""
    found = _STEP.search(terminal.lines[0])
    return int(found[1].replace(",", "")) if found else -1


def _written(folder: Path) -> Mapping[int, float]:
    """When each step was written, by the records themselves."""
    reader = HistoryReader(DebugFolder.at(f"{folder}/"))
    times: dict[int, float] = {}
    while pieces := reader.poll():
        for piece in pieces:
            for entry in piece.entries:
                if isinstance(entry, Rows):
                    times.update(zip(entry.steps.tolist(), entry.times.tolist(), strict=True))
    reader.close()
    return times


def _late(written: Mapping[int, float], shown: list[tuple[float, int]]) -> tuple[float, ...]:
    late, place = [], 0
    first, last = shown[0][1], shown[-1][1]
    for step in range(first + 1, last + 1):
        while shown[place][1] < step:
            place += 1
        late.append(shown[place][0] - written[step])
    return tuple(late)
