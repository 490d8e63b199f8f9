"""When to try again what did not work, with growing pauses."""

from __future__ import annotations

import time

# Seconds. A writer of ours is done within milliseconds; a broken file waits for a person.
BUSY = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.25)
BROKEN = (0.5, 1.0, 2.0, 4.0, 8.0)


class Retry:
    """One thing that may have to be tried again."""

    def __init__(self) -> None:
        self._at = 0.0
        self._tries = 0

    @property
    def is_due(self) -> bool:
        """Whether the time has come."""
        return bool(self._at) and time.monotonic() >= self._at

    def within(self, pause: float) -> float:
        """A pause in seconds, shortened to the next try."""
        return min(pause, max(self._at - time.monotonic(), 0.001)) if self._at else pause

    def later(self, pauses: tuple[float, ...]) -> None:
        """Try again after the next of the pauses; the last one repeats."""
        self._at = time.monotonic() + pauses[min(self._tries, len(pauses) - 1)]
        self._tries += 1

    def once_more(self, pause: float) -> None:
        """Try once more after a pause."""
        self._at = time.monotonic() + pause

    def begin(self) -> None:
        """A try begins: no other is due."""
        self._at = 0.0

    def forget(self) -> None:
        """It worked, or something else is to be tried: pauses are short again."""
        self._tries = 0
