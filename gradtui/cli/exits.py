"""How the command line ends: exit codes, and one line for every error."""

from __future__ import annotations

import sys
from typing import Final

FOUND: Final = 1
"""`gradtui check` found something."""
USAGE: Final = 2
UNREADABLE: Final = 3
INTERRUPTED: Final = 130


def fail(text: str, code: int) -> int:
    """Say on standard error what went wrong, in one line, and return the exit code."""
    # A path may hold anything, a terminal's control sequences among it.
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    if sys.stderr is not None:
        print(f"gradtui: {line.encode('utf-8', 'backslashreplace').decode()}", file=sys.stderr)
    return code
