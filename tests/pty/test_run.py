"""The pane beside a training, in a real terminal: silent when the run is, sparing when it goes on."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import kit
import pytest
from kit.pty_driver import Terminal
from kit.run_folders import SmallGpt, write_run
from kit.running import all_quiet, argv, shows
from kit.waiting import until

RUN_FOLDERS = Path(kit.__file__).with_name("run_folders.py")
SECONDS = 4.0


def test_beside_a_run_that_rests_nothing_is_sent(tmp_path):
    """In the Overview and in the History."""
    folder = write_run(tmp_path / "run", 60, model=SmallGpt(keep=False))
    with (
        Terminal(argv(folder.root), 80, 24) as overview,
        Terminal(argv(folder.root), 120, 40) as history,
    ):
        for terminal in (overview, history):
            terminal.wait_for(shows("step 59", "ok"))
        history.send("t")
        history.wait_for(shows("History", "steps 0..59"))
        all_quiet((overview, history), 1.0)
        sent = [len(terminal.log) for terminal in (overview, history)]
        end = time.monotonic() + SECONDS
        while (left := end - time.monotonic()) > 0:
            overview.read(min(left, 0.1))
            history.read(min(left, 0.1))
        for terminal, before in zip((overview, history), sent, strict=True):
            assert bytes(terminal.log[before:]) == b"", terminal.text


def test_a_pane_that_was_opened_before_its_training(tmp_path):
    """The view that was asked for while there was nothing stays."""
    place = tmp_path / "later"
    with Terminal(argv(place, "--wait"), 80, 24) as terminal:
        terminal.wait_for(shows("waiting for the folder"))
        terminal.send("t")
        terminal.wait_for(shows("[t]"))
        write_run(place, 60, model=SmallGpt(keep=False))
        terminal.wait_for(shows("step 59", "History", "steps 0..59"))
        terminal.send("q")
        assert terminal.wait_exit() == 0


@pytest.mark.parametrize(("view", "bound"), [("o", 7000), ("t", 6000)])
def test_a_run_of_fifty_steps_a_second_costs_few_bytes(tmp_path, view, bound):
    """All numbers of all rows change with each step; what stays is not sent again."""
    folder = tmp_path / "run"
    training = subprocess.Popen([sys.executable, str(RUN_FOLDERS), str(folder), "1500", "50"])
    try:
        until(lambda: any(folder.rglob("*.gtlog")), "the history")
        with Terminal(argv(folder), 80, 24) as terminal:
            terminal.wait_for(shows("step "))
            terminal.send(view)
            terminal.wait_for(shows("[" + view + "]"))
            warm = time.monotonic() + 1
            while time.monotonic() < warm:
                terminal.read(0.05)
            sent, begun = len(terminal.log), time.monotonic()
            while time.monotonic() - begun < SECONDS:
                terminal.read(0.05)
            rate = (len(terminal.log) - sent) / (time.monotonic() - begun)
            assert 50 < rate < bound, (rate, terminal.text)
    finally:
        training.kill()
        training.wait()
