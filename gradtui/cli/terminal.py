"""What a command needs before it opens the screen, and opening it."""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING, Final

from gradtui.errors import UsageError

if TYPE_CHECKING:
    from gradtui.launch import Launch

DUMB: Final = ("", "dumb", "unknown")


def need_terminal(location: str) -> None:
    """Refuse to draw where nobody sees it, before anything is imported that would."""
    instead = f"gradtui show {location} prints the folder as text"
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if stream is None or not stream.isatty():
            raise UsageError(f"a terminal is needed for the screen; {instead}")
    if os.environ.get("TERM", "") in DUMB:
        raise UsageError(
            f"this terminal (TERM={os.environ.get('TERM', '')}) cannot draw; {instead}"
        )


def need_torch(command: str, advice: str) -> None:
    """Refuse a command that needs torch where it is not installed, and say what to install."""
    from importlib.util import find_spec

    found = find_spec("torch")
    # A folder that happens to be called torch is a package without an origin.
    if found is None or found.origin is None:
        raise UsageError(f"{command} needs torch, which is not installed here: {advice}")


def open_screen(launch: Launch) -> int:
    """Run the screen and return its exit code."""
    # Collecting while modules load finds nothing, and takes a tenth of the start; the screen begins it.
    gc.disable()
    from gradtui.launch import choose_colors

    choose_colors(launch.color)
    from gradtui.tui.app import run

    return run(launch)
