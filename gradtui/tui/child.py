"""The adapter's process, when the pane started it: its lines, its end, its restart, and never an orphan."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, TypeAlias, cast

if TYPE_CHECKING:
    from collections.abc import Callable

KEPT_LINES: Final = 2000
LONGEST_LINE: Final = 2000
GRACE_SECONDS: Final = 2.0
SOURCE_POLL_SECONDS: Final = 0.25
MOST_WATCHED: Final = 300
POLLS_PER_LISTING: Final = 8


@dataclass(frozen=True, slots=True)
class ChildState:
    """One moment of the adapter's process.

    ``running`` says whether it lives, ``code`` how it ended (negative: by that signal; 0 while it
    lives), ``starts`` how often it was started, ``lines`` the last lines that it printed.
    """

    running: bool = False
    code: int = 0
    starts: int = 0
    lines: tuple[str, ...] = ()

    @property
    def ended(self) -> str:
        """How it ended, in words; empty while it runs and before it was started."""
        if self.running or not self.starts:
            return ""
        if self.code < 0:
            return f"process killed by {_signal_name(-self.code)}"
        return "process ended" if self.code == 0 else f"process failed ({self.code})"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _beside(folder: Path) -> list[str]:
    """The modules of a folder, and those of packages in it: what a file there imports of its own project."""
    found: list[str] = []
    for place in (folder, *(each.parent for each in folder.glob("[!.]*/__init__.py"))):
        with contextlib.suppress(OSError), os.scandir(place) as entries:
            found += [e.path for e in entries if e.name.endswith(".py") and e.name[0] != "."]
    return sorted(found)[:MOST_WATCHED]


_Stamps: TypeAlias = "frozenset[tuple[str, int, int, int]]"
"""What tells the contents of files: place, time, size and number of each."""


class AdapterProcess:
    """Runs ``argv`` beside the pane.

    Its standard input is a pipe that is never written: when the pane dies, even by SIGKILL, the
    pipe closes and the child ends itself. It has a process group of its own, so that an interrupt
    in the terminal is the pane's alone, and workers that it started end with it.

    Args:
        argv: the command.
        source: a file whose every save, or that of a module beside it, starts the process again; empty for none.
        on_change: called from threads of this object with each new state.
    """

    def __init__(
        self, argv: tuple[str, ...], *, source: str = "", on_change: Callable[[ChildState], None]
    ) -> None:
        self._argv = argv
        self._source, self._folder = source, Path()
        self._beside: list[str] = []
        self._seen: _Stamps | None = None
        self._on_change = on_change
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        """Held while the process is ended or started: two restarts at once would leave one running."""
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = 0
        self._stopped = threading.Event()
        self._watcher: threading.Thread | None = None

    @property
    def state(self) -> ChildState:
        """The state now."""
        with self._lock:
            process, lines, starts = self._process, tuple(self._lines), self._starts
        code = process.poll() if process is not None else 0
        return ChildState(
            running=process is not None and code is None,
            code=code or 0,
            starts=starts,
            lines=lines,
        )

    def start(self) -> None:
        """Start the process; a command that cannot be started is told as its lines and code 127."""
        with self._turn:
            if self._source:
                # Before the process reads them: whatever is saved from here on is news.
                self._folder = Path(self._source).resolve().parent
                self._beside = _beside(self._folder)
                self._seen = self._stamp(self._beside)
            self._start()

    def _start(self) -> None:
        if self._stopped.is_set():
            return
        with self._lock:
            self._lines.clear()
            self._starts += 1
        try:
            process = subprocess.Popen(
                self._argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
            )
        except OSError as error:
            with self._lock:
                self._process = None
                self._lines.append(f"{self._argv[0]}: {error.strerror or error}")
            self._on_change(ChildState(False, 127, self._starts, tuple(self._lines)))
            return
        with self._lock:
            self._process = process
        threading.Thread(
            target=self._read,
            args=(process, cast("IO[bytes]", process.stdout)),
            name="adapter-lines",
            daemon=True,
        ).start()
        if self._source and self._watcher is None:
            self._watcher = threading.Thread(target=self._watch, name="adapter-source", daemon=True)
            self._watcher.start()
        self._on_change(self.state)

    def restart(self) -> None:
        """End the process and start it again; that it ended is no news."""
        with self._turn:
            self._end()
            self._start()

    def end(self) -> None:
        """End the process; `restart` starts it again."""
        with self._turn:
            self._end()
        self._on_change(self.state)

    def stop(self) -> None:
        """End the process for good: SIGTERM, and SIGKILL after a grace of two seconds."""
        self._stopped.set()
        with self._turn:
            self._end()

    def _read(self, process: subprocess.Popen[bytes], pipe: IO[bytes]) -> None:
        with pipe:
            while raw := pipe.readline(LONGEST_LINE):
                with self._lock:
                    if process is not self._process:
                        break
                    # A progress bar rewrites its line: what counts is what stands there last.
                    self._lines.append(
                        raw.decode(errors="replace").rstrip("\r\n").rpartition("\r")[2]
                    )
                self._on_change(self.state)
        process.wait()
        cast("IO[bytes]", process.stdin).close()
        if process is self._process and not self._stopped.is_set():
            self._on_change(self.state)

    def _watch(self) -> None:
        polls, beside, seen = 0, self._beside, self._seen
        while not self._stopped.wait(SOURCE_POLL_SECONDS):
            polls += 1
            if polls % POLLS_PER_LISTING == 0:
                # To list a large folder costs more than to look at the files.
                beside = _beside(self._folder)
            stamp = self._stamp(beside)
            if stamp != seen and stamp is not None:
                seen = stamp
                self.restart()

    def _stamp(self, beside: list[str]) -> _Stamps | None:
        """What tells a save of the source or of what it may import; None while the source is not there."""
        stamps = set()
        for place in (self._source, *beside):
            try:
                stat = os.stat(place)  # noqa: PTH116 - of a few hundred, four times a second
            except OSError:
                if place == self._source:
                    return None
                continue
            stamps.add((place, stat.st_mtime_ns, stat.st_size, stat.st_ino))
        return frozenset(stamps)

    def _end(self) -> None:
        with self._lock:
            # From here on its last words and its exit code are nobody's concern.
            process, self._process = self._process, None
        if process is None:
            return
        cast("IO[bytes]", process.stdin).close()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
        # Whatever is left of its group: itself when it did not listen, or workers that it started.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
