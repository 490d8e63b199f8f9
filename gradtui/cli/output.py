"""Writing to standard output, which may be closed, full, or of another encoding."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from gradtui.cli.exits import UNREADABLE, fail
from gradtui.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable


def need_output(command: str) -> None:
    """Refuse a command whose output nobody could read; make any other take every character."""
    if sys.stdout is None:
        raise UsageError(f"{command} writes to standard output, which is closed")
    # A name may hold what the terminal's encoding lacks.
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")


def write_out(parts: Iterable[str], code: int = 0) -> int:
    """Write text piece by piece and return ``code``, or the exit code of what went wrong."""
    try:
        for part in parts:
            sys.stdout.write(part)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has seen enough.
        return _abandon(code)
    except OSError as error:
        fail(f"standard output: {error.strerror or error}", UNREADABLE)
        return _abandon(UNREADABLE)
    return code


def _abandon(code: int) -> int:
    """Leave what is still buffered unwritten: the interpreter flushes once more at exit, and would complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code
