"""How often a run is looked at and told: often enough to be live, seldom enough that the training keeps its cores."""

from __future__ import annotations

import time

# Seconds between two views, at least: a record waits for half of them, and each view costs the screen some milliseconds.
_SHORTEST = 0.24
_LONGEST = 1.0
# The share of a core that following may take while the run goes on; a large model is told less often.
_SHARE = 0.03
# A wait may end a moment early; another whole one would follow.
_EARLY = 0.001
# While older steps are read, the processor is busy with them anyway.
_READING = 0.25
# Looking at a quiet folder costs a few stats: the longer it was quiet, the less often.
_QUIET_AFTER = 2.0
_QUIET_LONGEST = 0.25


class Pace:
    """The clock of one follower.

    Attributes:
        period: Seconds between two views now.
    """

    def __init__(self) -> None:
        self.period = _SHORTEST
        self._told_at = float("-inf")
        self._came_at = float("-inf")
        self._began = 0.0
        self._spent = 0.0

    def begin(self) -> None:
        """A look begins."""
        self._began = time.thread_time()

    def came(self) -> None:
        """The look found something."""
        self._came_at = time.monotonic()

    def may_tell(self, behind: bool) -> bool:
        """Whether another view may follow the last; ``behind``: while older steps are read."""
        pause = max(self.period, _READING) if behind else self.period
        return time.monotonic() - self._told_at >= pause - _EARLY

    def told(self) -> None:
        """A view was handed on."""
        self._told_at = time.monotonic()

    def end(self, behind: bool) -> float:
        """A look ends; returns the seconds until the next."""
        if behind:
            # What was read at once says nothing of the cost of a step; the screen gets its turn.
            return 0.001
        self._spent = 0.8 * self._spent + 0.2 * (time.thread_time() - self._began)
        self.period = min(max(_SHORTEST, self._spent / _SHARE), _LONGEST)
        now = time.monotonic()
        quiet = now - self._came_at
        if quiet > _QUIET_AFTER:
            return max(self.period, min(quiet / 20, _QUIET_LONGEST))
        rest = self._told_at + self.period - now
        return rest if rest > 0 else self.period
