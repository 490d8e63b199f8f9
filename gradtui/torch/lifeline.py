"""A child process that ends when it is told to, and never outlives who started it."""

from __future__ import annotations

import os
import select
import signal
import stat
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

LOOK_SECONDS: Final = 0.25
# After the first signal Python code gets this long to end; a long computation in C is then cut off.
GRACE_SECONDS: Final = 1.5


class Ended(BaseException):
    """Raised in the main thread by the first signal; not an Exception, so that no handler of errors takes it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.code = 128 + number


@contextmanager
def lifeline() -> Iterator[None]:
    """Raise `Ended` in the block on SIGTERM, SIGINT or SIGHUP, and when the parent is gone.

    The parent is gone when the pipe on standard input closes, or the process has another parent than at the start.
    """
    previous = {
        number: signal.signal(number, _end)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    }
    parent = os.getppid()
    threading.Thread(target=_watch, args=(parent,), name="lifeline", daemon=True).start()
    try:
        yield
    finally:
        # A process that ends keeps its deaf ears to the last: a second signal would change its exit code.
        if not _hold.ending:
            for number, handler in previous.items():
                signal.signal(number, handler)


class _Hold:
    """Whether the main thread may be interrupted now, and the signal that waits until it may."""

    def __init__(self) -> None:
        self.held = False
        self.waiting = 0
        self.ending = False


_hold: Final = _Hold()


@contextmanager
def undisturbed() -> Iterator[None]:
    """A block that a signal of `lifeline` does not cut in two: it is raised after it."""
    _hold.held = True
    try:
        yield
    finally:
        _hold.held = False
        if _hold.waiting:
            raise Ended(_hold.waiting)


def _end(number: int, _: FrameType | None) -> None:
    # A second signal, or the same again while ending, must not break what is being put in order.
    if _hold.ending:
        return
    _hold.ending = True
    threading.Thread(target=_cut_off, args=(128 + number,), daemon=True).start()
    if _hold.held:
        _hold.waiting = number
        return
    raise Ended(number)


def _cut_off(code: int) -> None:
    time.sleep(GRACE_SECONDS)
    os._exit(code)


def _watch(parent: int) -> None:
    piped = _is_pipe()
    while os.getppid() == parent:
        if not piped:
            time.sleep(LOOK_SECONDS)
            continue
        try:
            ready, _, _ = select.select([0], [], [], LOOK_SECONDS)
            if ready and not os.read(0, 4096):
                break
        except (OSError, ValueError):
            break
    if not _hold.ending:
        os.kill(os.getpid(), signal.SIGTERM)
    # Where the main thread sits in a long computation, no handler runs.
    _cut_off(128 + signal.SIGTERM)


def _is_pipe() -> bool:
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def say(line: str) -> None:
    """A line on standard error; nothing where nobody listens any more."""
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:
        return
