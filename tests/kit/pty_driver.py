"""A real terminal for a real program: a pty, a screen emulator, and waits for what the screen shows."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil
import pyte

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import TracebackType

    from typing_extensions import Self

PATIENCE = 60.0
_ONLY_MOVES = re.compile(rb"(\x1b\[\d+;\d+H)+")


class TimedOut(AssertionError):
    """What was waited for did not come; the text holds the screen as it was."""


class _Screen(pyte.Screen):
    """pyte, with the queries that Textual sends and pyte does not know left out."""

    def report_device_status(self, *args: object, **kwargs: object) -> None:
        """Answer nothing: no terminal listens."""

    def report_device_attributes(self, *args: object, **kwargs: object) -> None:
        """Answer nothing: no terminal listens."""


def screen_of(data: bytes, columns: int, rows: int) -> pyte.Screen:
    """The screen that a byte stream leaves behind."""
    screen = _Screen(columns, rows)
    pyte.ByteStream(screen).feed(cleaned(data))
    return screen


def cleaned(data: bytes) -> bytes:
    """The stream without the sequences that pyte prints as text: kitty's keys and mode requests."""
    out = bytearray()
    position = 0
    while position < len(data):
        if (
            data[position : position + 2] == b"\x1b["
            and data[position + 2 : position + 3] in b"<>=" + b"?"
        ):
            end = position + 3
            while end < len(data) and not 0x40 <= data[end] <= 0x7E:
                end += 1
            final = data[end : end + 1]
            if final in (b"u", b"p") or data[position + 2 : position + 3] in b"<>=":
                position = end + 1
                continue
        out.append(data[position])
        position += 1
    return bytes(out)


@dataclass(frozen=True)
class Cost:
    """What one key cost: bytes on the pty, and seconds until the screen was quiet."""

    bytes: int
    seconds: float


class Terminal:
    """Runs a program in a pty of its own.

    Args:
        argv: The program; ``sys.executable`` is what most tests start.
        columns: Width.
        rows: Height.
        term: ``TERM``; "xterm-256color" without ``COLORTERM`` gives 256 colours.
        colorterm: ``COLORTERM``; "truecolor" gives 24-bit colours; empty leaves it out.
        env: More variables, over those of this process; None as a value takes one away.
        cwd: Where the program starts.
    """

    def __init__(
        self,
        argv: Sequence[str],
        columns: int = 120,
        rows: int = 40,
        *,
        term: str = "xterm-256color",
        colorterm: str = "",
        env: Mapping[str, str | None] | None = None,
        cwd: str | os.PathLike[str] | None = None,
    ) -> None:
        self.columns, self.rows = columns, rows
        environment = {k: v for k, v in os.environ.items() if k not in UNWANTED}
        environment.update({"TERM": term, "LC_ALL": "C.UTF-8"})
        if colorterm:
            environment["COLORTERM"] = colorterm
        for name, value in (env or {}).items():
            if value is None:
                environment.pop(name, None)
            else:
                environment[name] = value
        self.master, slave = os.openpty()
        self._slave = slave
        self._set_size(columns, rows)
        self.attributes_before = termios.tcgetattr(slave)
        self.log = bytearray()
        self.screen = _Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self._pending = b""
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            list(argv), stdin=slave, stdout=slave, stderr=slave, env=environment, cwd=cwd,
            start_new_session=True, preexec_fn=_begin,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the program, if it still runs, and the pty."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for descriptor in (self.master, self._slave):
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def _set_size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    @property
    def lines(self) -> list[str]:
        """The screen's text, row by row."""
        return list(self.screen.display)

    @property
    def text(self) -> str:
        """The screen's text as one string."""
        return "\n".join(self.lines)

    @property
    def attributes_restored(self) -> bool:
        """Whether the terminal's modes are what they were before the program started."""
        return termios.tcgetattr(self._slave) == self.attributes_before

    @property
    def left_alternate_screen(self) -> bool:
        """Whether the program, having entered the alternate screen, has left it, cursor shown."""
        return self.log.rfind(b"\x1b[?1049l") > self.log.rfind(b"\x1b[?1049h") and self.log.rfind(
            b"\x1b[?25h"
        ) > self.log.rfind(b"\x1b[?25l")

    def read(self, timeout: float) -> bytes:
        """Take in what arrives within ``timeout`` seconds; returns at the first bytes."""
        data = self._receive(timeout)
        self._show(data)
        return data

    def _receive(self, timeout: float) -> bytes:
        """Only read: a pty holds 4 KB, and who writes more waits for its reader."""
        ready, _, _ = select.select([self.master], [], [], max(timeout, 0.0))
        if not ready:
            return b""
        try:
            return os.read(self.master, 1 << 16)
        except OSError:
            return b""

    def _show(self, data: bytes) -> None:
        """Let the emulator act on what was read."""
        self.log += data
        # A sequence that a read cut in two waits for its rest, or `cleaned` would miss it.
        data = self._pending + data
        cut = data.rfind(b"\x1b")
        self._pending = (
            data[cut:] if cut >= 0 and len(data) - cut < 24 and not _complete(data[cut:]) else b""
        )
        self._stream.feed(cleaned(data[: len(data) - len(self._pending)]))

    def arrivals(self, seconds: float) -> Iterator[float]:
        """Read for so long, then show what came piece by piece; gives the wall time at which each piece arrived.

        The emulator begins when all was read: what it takes is neither in the times nor beside the program.
        """
        came, end = [], time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if data := self._receive(min(left, 0.1)):
                came.append((time.time(), data))
        for when, data in came:
            self._show(data)
            yield when

    def wait_for(
        self, condition: str | Callable[[Terminal], bool], timeout: float = PATIENCE
    ) -> float:
        """Read until a text shows or a condition holds; the seconds since the start of the program.

        Raises:
            TimedOut: it did not come in time, or the program ended without it.
        """
        holds = (lambda t: condition in t.text) if isinstance(condition, str) else condition
        deadline = time.monotonic() + timeout
        while not holds(self):
            if time.monotonic() > deadline or (
                not self.read(0.05) and self.process.poll() is not None
            ):
                while self.read(0.0):
                    pass
                if holds(self):
                    break
                raise TimedOut(f"waited for {condition!r}; exit {self.process.poll()}\n{self.text}")
        return time.monotonic() - self.started

    def wait_for_bytes(self, needle: bytes, timeout: float = PATIENCE) -> float:
        """Read until the raw stream holds ``needle``; the seconds since the start of the program."""
        return self.wait_for(lambda t: needle in t.log, timeout)

    def settle(self, quiet: float = 0.15, timeout: float = PATIENCE) -> int:
        """Read until nothing arrives for ``quiet`` seconds; the number of bytes that came."""
        before = len(self.log)
        deadline = time.monotonic() + timeout
        while self.read(quiet):
            if time.monotonic() > deadline:
                raise TimedOut(f"the screen is never quiet\n{self.text}")
        return len(self.log) - before

    def send(self, keys: str | bytes) -> None:
        """Type."""
        os.write(self.master, keys.encode() if isinstance(keys, str) else keys)

    def cost(self, keys: str, quiet: float = 0.15) -> Cost:
        """Type, wait until the screen is quiet, and tell what came.

        The seconds end with the last byte that shows anything: what the emulator makes of the bytes comes after that, and
        a move of the cursor alone, which is hidden, is not seen.
        """
        start = time.monotonic()
        self.send(keys)
        last, came = start, bytearray()
        while True:
            if data := self._receive(quiet):
                if not _ONLY_MOVES.fullmatch(data):
                    last = time.monotonic()
                came += data
            elif came or time.monotonic() - start > 2.0:
                self._show(bytes(came))
                return Cost(len(came), last - start)

    def resize(self, columns: int, rows: int) -> None:
        """Change the window; the program gets SIGWINCH."""
        self.columns, self.rows = columns, rows
        self._set_size(columns, rows)
        self.screen.resize(rows, columns)
        self.signal(signal.SIGWINCH)

    @property
    def stopped(self) -> bool:
        """Whether the program is suspended."""
        return bool(psutil.Process(self.process.pid).status() == psutil.STATUS_STOPPED)

    def signal(self, number: int) -> None:
        """Send a signal to the program."""
        self.process.send_signal(number)

    def wait_exit(self, timeout: float = PATIENCE) -> int:
        """Read until the program ends; its exit status (negative: the signal that ended it)."""
        deadline = time.monotonic() + timeout
        while self.process.poll() is None:
            if time.monotonic() > deadline:
                raise TimedOut(f"still running\n{self.text}")
            self.read(0.02)
        while self.read(0.0):
            pass
        return int(self.process.returncode)


UNWANTED = (
    "COLORTERM", "NO_COLOR", "FORCE_COLOR", "TEXTUAL", "TEXTUAL_COLOR_SYSTEM", "TEXTUAL_ANIMATIONS", "TMUX",
    "TERM_PROGRAM", "COLUMNS", "LINES", "PYTHONWARNINGS", "TTY_COMPATIBLE", "TTY_INTERACTIVE",
)  # fmt: skip


def _begin() -> None:
    """Take the terminal, and hear every signal: whoever runs the tests may ignore some, as nohup does."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def _complete(sequence: bytes) -> bool:
    if len(sequence) < 2:
        return False
    if sequence[1:2] != b"[":
        return True
    return any(0x40 <= byte <= 0x7E for byte in sequence[2:])


def python(script: str | os.PathLike[str], *arguments: str) -> list[str]:
    """An argv that runs a script with this interpreter."""
    return [sys.executable, os.fspath(script), *arguments]
