"""The signals that end gradtui, and the exit code of each."""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

EXIT_CODES: Final = {signal.SIGHUP: 129, signal.SIGINT: 130, signal.SIGTERM: 143}


def leave_by_exit() -> None:
    """Let the signals end the process as an exit does: what is open is closed, and the code is the same everywhere.

    What whoever started us chose to ignore (``nohup``) stays ignored.
    """
    for number in EXIT_CODES:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _leave)


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Hold the signals back until `let_through`, at the latest until the end.

    Between the change of the terminal and the moment from which somebody changes it back, a signal would leave it
    as it is.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, EXIT_CODES)
    try:
        yield
    finally:
        let_through()


def let_through() -> None:
    """Let the signals come, and those that came meanwhile."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, EXIT_CODES)


def _leave(number: int, _frame: FrameType | None) -> NoReturn:
    # A second one must not cut short what the first one lets end well.
    for other in EXIT_CODES:
        signal.signal(other, signal.SIG_IGN)
    raise SystemExit(EXIT_CODES[signal.Signals(number)])
