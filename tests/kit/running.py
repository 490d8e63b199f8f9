"""gradtui itself in a pty of its own, opened on a folder."""

from __future__ import annotations

import sys
import textwrap
import time
from typing import TYPE_CHECKING

from gradtui.tui.screens.room import GRACE_SECONDS
from kit.pty_driver import PATIENCE, Terminal

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import Any

SERVE = """\
import numpy as np, torch
from gradtui.torch import DebugAdapter

def make():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 3, padding=1), torch.nn.Tanh(), torch.nn.Conv2d(1, 1, 2))
    return DebugAdapter(model, inputs=torch.eye(4)[None, None])
"""
"""A file for `gradtui debug`: a network of two convolutions."""


def argv(*arguments: str | os.PathLike[str]) -> list[str]:
    """The command line of ``gradtui`` with these arguments."""
    return [sys.executable, "-m", "gradtui", *(str(argument) for argument in arguments)]


def opened(
    *arguments: str | os.PathLike[str], size: tuple[int, int] = (80, 24), **options: Any
) -> Terminal:
    """Start gradtui and wait until the folder's data are on the screen, and the screen is quiet."""
    terminal = Terminal(argv(*arguments), *size, **options)
    try:
        terminal.wait_for(shows("INPUT"))
        terminal.settle(0.1)
    except BaseException:
        terminal.close()
        raise
    return terminal


def all_quiet(terminals: Sequence[Terminal], seconds: float) -> None:
    """Read from all until none of them has sent anything for so long."""
    deadline = time.monotonic() + PATIENCE
    last = time.monotonic()
    while time.monotonic() - last < seconds:
        if any(terminal.read(0.02) for terminal in terminals):
            last = time.monotonic()
        assert last < deadline, "one of them is never quiet"


def shows(*words: str) -> Callable[[Terminal], bool]:
    """A condition: every word is on the screen."""

    def condition(terminal: Terminal) -> bool:
        return all(word in terminal.text for word in words)

    condition.__qualname__ = f"shows{words}"
    return condition


def lacks(word: str) -> Callable[[Terminal], bool]:
    """A condition: a word is no longer on the screen."""
    return lambda terminal: word not in terminal.text


def answer(terminal: Terminal, question: str, key: str) -> None:
    """Answer a question that came by itself; for a moment it takes no key, which may have been meant for something else."""
    terminal.wait_for(question)
    terminal.settle(GRACE_SECONDS + 0.05)
    terminal.send(key)
    terminal.wait_for(lacks(question))


def serving(folder: Path) -> Path:
    """Write the file of `SERVE` beside a folder; its path."""
    path = folder.parent / "net.py"
    path.write_text(textwrap.dedent(SERVE))
    return path
