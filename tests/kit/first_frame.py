"""How long a program takes to its first frame, against a minimal Textual app, in one run."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Final

from kit.pty_driver import Terminal

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

MINIMAL: Final = (
    "from textual.app import App\n"
    "from textual.widgets import Static\n"
    "class Minimal(App):\n"
    "    def compose(self):\n"
    "        yield Static('minimal app')\n"
    "Minimal().run()\n"
)


def first_shown(
    argv: Sequence[str],
    shown: str | Callable[[Terminal], bool],
    *,
    columns: int = 120,
    rows: int = 40,
    cwd: str | os.PathLike[str] | None = None,
) -> float:
    """Seconds from the start of a program until its screen shows a text or meets a condition."""
    with Terminal(argv, columns, rows, cwd=cwd) as terminal:
        return float(terminal.wait_for(shown))


def ratios(
    minimal: Sequence[str],
    argv: Sequence[str],
    shown: Sequence[str | Callable[[Terminal], bool]],
    *,
    times: int = 7,
    cwd: str | os.PathLike[str] | None = None,
) -> list[float]:
    """Median times of ``argv`` until each of ``shown``, over the median of the minimal app's first frame.

    The programs take turns, so that what else the machine does falls on all of them; the first turn
    warms the caches and is not counted.
    """
    base: list[float] = []
    taken: list[list[float]] = [[] for _ in shown]
    for turn in range(times + 1):
        first = first_shown(minimal, "minimal app")
        each = []
        with Terminal(argv, cwd=cwd) as terminal:
            each = [terminal.wait_for(condition) for condition in shown]
        if turn:
            base.append(first)
            for times_taken, seconds in zip(taken, each, strict=True):
                times_taken.append(seconds)
    return [statistics.median(each) / statistics.median(base) for each in taken]
