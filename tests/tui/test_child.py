"""The adapter's process: its lines, its end, its restart, and that nothing outlives the pane."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import psutil
import pytest

from gradtui.tui.child import AdapterProcess

WAIT_FOR_EOF = "import sys; print('ready', flush=True); sys.stdin.read(); print('eof', flush=True)"


class Seen:
    """Collects states and lets a test wait for one that satisfies it."""

    def __init__(self):
        self.states = []
        self.changed = threading.Condition()

    def __call__(self, state):
        with self.changed:
            self.states.append(state)
            self.changed.notify_all()

    def wait(self, condition):
        with self.changed:
            assert self.changed.wait_for(lambda: any(map(condition, self.states)), 20), self.states
            return next(s for s in reversed(self.states) if condition(s))


@pytest.fixture
def start():
    running = []

    def begin(code, **options):
        seen = Seen()
        child = AdapterProcess((sys.executable, "-c", code), on_change=seen, **options)
        running.append(child)
        child.start()
        return child, seen

    yield begin
    for child in running:
        child.stop()


def test_lines_and_a_clean_end(start):
    _, seen = start("print('one'); print('10%\\r20%\\r30%')")
    state = seen.wait(lambda s: s.starts and not s.running)
    assert state.code == 0
    assert state.lines == ("one", "30%")
    assert state.ended == "process ended"


def test_a_failure_tells_its_code_and_keeps_the_traceback(start):
    _, seen = start("raise ValueError('why')")
    state = seen.wait(lambda s: s.starts and not s.running)
    assert state.ended == "process failed (1)"
    assert state.lines[-1] == "ValueError: why"


def test_a_killed_process_names_the_signal(start):
    _, seen = start("import os; os.kill(os.getpid(), 9)")
    assert "SIGKILL" in seen.wait(lambda s: s.starts and not s.running).ended


def test_a_command_that_does_not_exist_is_told():
    seen = Seen()
    AdapterProcess(("/no/such/python",), on_change=seen).start()
    assert seen.states[-1].code == 127
    assert "No such file" in seen.states[-1].lines[0]


def test_stop_ends_a_process_that_ignores_sigterm_and_its_workers(start):
    child, seen = start(
        "import signal, subprocess, sys\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "worker = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])\n"
        "print(worker.pid, flush=True)\n"
        "signal.pause()"
    )
    worker = psutil.Process(int(seen.wait(lambda s: s.lines).lines[0]))
    child.stop()
    assert not child.state.running
    psutil.wait_procs([worker], timeout=60)
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE


def test_a_save_of_the_source_starts_it_again(start, tmp_path):
    source = tmp_path / "net.py"
    source.write_text("1")
    _, seen = start(WAIT_FOR_EOF, source=str(source))
    seen.wait(lambda s: s.lines == ("ready",))
    source.write_text("22")
    seen.wait(lambda s: s.starts == 2 and s.lines == ("ready",))


def test_so_does_a_save_of_what_it_may_import(start, tmp_path):
    source = tmp_path / "net.py"
    source.write_text("1")
    (tmp_path / "blocks").mkdir()
    for name in ("blocks/__init__.py", "blocks/conv.py", "layers.py"):
        (tmp_path / name).write_text("1")
    _, seen = start(WAIT_FOR_EOF, source=str(source))
    for turn, name in enumerate(("layers.py", "blocks/conv.py"), 1):
        seen.wait(lambda s, turn=turn: s.starts == turn and s.lines == ("ready",))
        (tmp_path / name).write_text("22")
    seen.wait(lambda s: s.starts == 3 and s.lines == ("ready",))


def test_a_save_before_anybody_looks_is_seen(start, tmp_path, monkeypatch):
    """The thread that looks may begin late: the process may have read the source by then."""
    source, saved = tmp_path / "net.py", threading.Event()
    source.write_text("1")
    look = AdapterProcess._watch

    def late(self):
        saved.wait(20)
        look(self)

    monkeypatch.setattr(AdapterProcess, "_watch", late)
    _, seen = start(WAIT_FOR_EOF, source=str(source))
    seen.wait(lambda s: s.lines == ("ready",))
    source.write_text("22")
    saved.set()
    seen.wait(lambda s: s.starts == 2 and s.lines == ("ready",))


def test_a_pane_that_is_killed_takes_the_process_with_it(tmp_path):
    program = (
        "import sys, threading\n"
        "from gradtui.tui.child import AdapterProcess\n"
        f"child = AdapterProcess((sys.executable, '-c', {WAIT_FOR_EOF!r}),"
        " on_change=lambda s: s.lines and print(child._process.pid, flush=True))\n"
        "child.start()\n"
        "threading.Event().wait()"
    )
    pane = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert pane.stdout is not None
    adapter = psutil.Process(int(pane.stdout.readline()))
    os.kill(pane.pid, signal.SIGKILL)
    pane.wait()
    pane.stdout.close()
    psutil.wait_procs([adapter], timeout=60)
    assert not adapter.is_running() or adapter.status() == psutil.STATUS_ZOMBIE
