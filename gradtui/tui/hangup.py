"""The end of the terminal itself: its window closed, its connection cut, and nobody left to send SIGHUP."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def when_hung_up(run: Callable[[], object]) -> None:
    """Call ``run``, from a thread, once the terminal of standard input is gone; never where that is no terminal.

    Textual's own reader takes the end for an empty line and asks again at once, for ever: a process that ignores SIGHUP, or
    has another session than its terminal, would keep a core busy.
    """
    stream = sys.__stdin__
    if stream is None or not stream.isatty():
        return
    # A descriptor of its own: whoever closes standard input must not make us look at another file.
    descriptor = os.dup(stream.fileno())
    threading.Thread(
        target=_wait, args=(descriptor, run), name="gradtui-hangup", daemon=True
    ).start()


def _wait(descriptor: int, run: Callable[[], object]) -> None:
    poll = select.poll()
    # No events asked for: what is told is the end alone, and the thread sleeps until then.
    poll.register(descriptor, 0)
    ended = poll.poll()
    os.close(descriptor)
    if any(event & (select.POLLHUP | select.POLLERR) for _, event in ended):
        # Whoever was to be told may have ended by itself meanwhile.
        with contextlib.suppress(RuntimeError):
            run()
