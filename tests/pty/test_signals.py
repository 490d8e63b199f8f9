"""Signals, whenever they come: the exit code says which, the terminal is as it was, and no child is left."""

from __future__ import annotations

import itertools
import os
import signal
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest
from kit.pty_driver import Terminal
from kit.running import answer, argv, opened, serving, shows

if TYPE_CHECKING:
    from pathlib import Path

    from gradtui.folder.location import DebugFolder

CODES = {signal.SIGHUP: 129, signal.SIGINT: 130, signal.SIGTERM: 143}


def ended_well(terminal: Terminal, code: int) -> None:
    assert terminal.wait_exit() == code, terminal.text
    assert terminal.attributes_restored
    if b"\x1b[?1049h" in terminal.log:
        assert terminal.left_alternate_screen
    assert b"Traceback" not in terminal.log
    assert b"Exception" not in terminal.log


@pytest.mark.parametrize("number", CODES)
def test_during_the_start(folder: DebugFolder, number: int) -> None:
    # The interpreter's own first 50 ms are its own; from our first line on, every moment is ours.
    script = "import sys; sys.stderr.write('begin'); from gradtui.signals import leave_by_exit; leave_by_exit(); sys.stderr.write('ours')\n"
    script += "import sys; sys.argv = ['gradtui', sys.argv[1]]\nfrom gradtui.__main__ import main; raise SystemExit(main())"
    moments = (b"ours", b"\x1b[?1049h", b"loading")
    for moment in moments:
        for delay in (0.0, 0.05) if number == signal.SIGTERM else (0.02,):
            with Terminal([sys.executable, "-c", script, str(folder.root)], 80, 24) as terminal:
                terminal.wait_for_bytes(moment)
                until = time.monotonic() + delay
                while (left := until - time.monotonic()) > 0:
                    terminal.read(left)
                terminal.signal(number)
                ended_well(terminal, CODES[signal.Signals(number)])


STATES = ["", ":thr", "?", "=", "X5", "f", " q"]


@pytest.mark.parametrize(
    ("number", "keys"),
    [(signal.SIGTERM, keys) for keys in STATES]
    + [(number, keys) for number in (signal.SIGHUP, signal.SIGINT) for keys in STATES[:2]],
)
def test_in_every_state(folder: DebugFolder, number: int, keys: str) -> None:
    with opened(folder.root) as terminal:
        for key in keys:
            terminal.send(key)
            terminal.settle(0.05)
        terminal.signal(number)
        ended_well(terminal, CODES[signal.Signals(number)])


def test_two_in_a_row(folder: DebugFolder) -> None:
    for first, second in itertools.permutations(CODES, 2):
        if first == signal.SIGTERM:
            with opened(folder.root) as terminal:
                terminal.signal(first)
                terminal.signal(second)
                code = terminal.wait_exit()
                assert code in (CODES[first], CODES[second])
                assert terminal.attributes_restored
                assert terminal.left_alternate_screen


def test_q_leaves_with_0_and_so_does_a_q_while_it_loads(folder: DebugFolder) -> None:
    with opened(folder.root) as terminal:
        terminal.send("q")
        ended_well(terminal, 0)
    with Terminal(argv(folder.root), 80, 24) as terminal:
        terminal.wait_for_bytes(b"\x1b[?1049h")
        terminal.send("q")
        ended_well(terminal, 0)


def test_suspended_and_brought_back(folder: DebugFolder) -> None:
    with opened(folder.root) as terminal:
        before = terminal.text
        for _ in range(2):
            terminal.send("\x1a")
            terminal.wait_for(lambda t: t.stopped)
            assert terminal.attributes_restored
            assert terminal.left_alternate_screen
            terminal.signal(signal.SIGCONT)
            terminal.wait_for(lambda t: not t.attributes_restored and not t.left_alternate_screen)
            terminal.settle()
            assert terminal.text == before
        terminal.send("l")
        terminal.settle()
        assert terminal.text != before
        terminal.send("q")
        ended_well(terminal, 0)


def test_a_signal_while_it_is_suspended(folder: DebugFolder) -> None:
    with opened(folder.root) as terminal:
        terminal.send("\x1a")
        terminal.wait_for(lambda t: t.stopped)
        terminal.signal(signal.SIGTERM)
        terminal.signal(signal.SIGCONT)
        ended_well(terminal, 143)


def children(terminal: Terminal) -> list[psutil.Process]:
    found: list[psutil.Process] = psutil.Process(terminal.process.pid).children(recursive=True)
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_adapter_ends_with_the_pane(tmp_path: Path, number: int) -> None:
    source = serving(tmp_path / "debug")
    command = argv("debug", f"{source}:make", "--folder", tmp_path / "debug")
    with Terminal(command, 100, 30) as terminal:
        if number == signal.SIGINT:
            # While torch is imported: the adapter has no handler yet.
            terminal.wait_for(lambda t: children(t))
        else:
            terminal.wait_for(shows("generation 1"))
        (child,) = children(terminal)
        terminal.signal(number)
        if number == signal.SIGKILL:
            terminal.wait_exit()
        else:
            ended_well(terminal, CODES[signal.Signals(number)])
        child.wait(60)
        assert not child.is_running()


def test_a_demo_that_is_ended_leaves_no_folder(tmp_path: Path) -> None:
    place = tmp_path / "tmp"
    place.mkdir()
    with Terminal(argv("demo"), 100, 30, env={"TMPDIR": str(place)}) as terminal:
        terminal.wait_for("generation")
        assert list(place.glob("gradtui*"))
        terminal.signal(signal.SIGTERM)
        ended_well(terminal, 143)
        # torch leaves a folder of its own, for its compiler.
        assert not list(place.glob("gradtui*"))


def test_an_orphan_does_not_spin(folder: DebugFolder, tmp_path: Path) -> None:
    """The shell and the terminal are gone, and nobody tells the program: HUP is ignored, as under nohup."""
    report = tmp_path / "pid"
    script = (
        "import os, signal, subprocess, sys\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-m', 'gradtui', sys.argv[1]], start_new_session=True)\n"
        "open(sys.argv[2], 'w').write(str(child.pid))\n"
        "child.wait()\n"
    )
    with Terminal([sys.executable, "-c", script, str(folder.root), str(report)], 80, 24) as shell:
        shell.wait_for(shows("INPUT"))
        shell.settle()
        program = psutil.Process(int(report.read_text()))
        shell.process.kill()
        shell.process.wait()
        os.close(shell.master)
        os.close(shell._slave)
        try:
            program.wait(60)
        except psutil.TimeoutExpired:
            program.kill()
            pytest.fail("it lives on without a terminal")
        shell.master, shell._slave = os.pipe()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_unsaved_edits_survive(folder: DebugFolder, number: int) -> None:
    with opened(folder.root) as terminal:
        terminal.send(" l ")
        terminal.wait_for(shows("2 unsaved"))
        terminal.settle()
        terminal.signal(number)
        terminal.wait_exit()
    with opened(folder.root) as terminal:
        answer(terminal, "2 unsaved edits of an earlier session", "y")
        terminal.wait_for(shows("2 unsaved "))
        # Taken up and not written: they are kept again.
        terminal.settle()
        terminal.signal(signal.SIGKILL)
        terminal.wait_exit()
    with opened(folder.root) as terminal:
        answer(terminal, "2 unsaved edits of an earlier session", "n")
        terminal.send("q")
        ended_well(terminal, 0)
    with opened(folder.root) as terminal:
        assert "earlier session" not in terminal.text


def test_a_signal_saves_nothing_by_itself(folder: DebugFolder) -> None:
    before = folder.input.read_bytes()
    with opened(folder.root) as terminal:
        terminal.send(" ")
        terminal.wait_for(shows("1 unsaved"))
        terminal.signal(signal.SIGTERM)
        ended_well(terminal, 143)
    assert folder.input.read_bytes() == before
