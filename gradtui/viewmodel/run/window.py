"""Which steps of a run are in view, and where the step cursor is."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from gradtui.errors import UsageError
from gradtui.viewmodel.run.choice import NEWEST
from gradtui.viewmodel.run.ticks import nice_step

if TYPE_CHECKING:
    from gradtui.core.run.run import Run
    from gradtui.viewmodel.run.choice import RunChoice

LEAST_SPAN: Final = 4
_JUMPS: Final = 12
"""A window that follows moves by a part of itself: between two jumps only what is new is drawn."""


@dataclass(frozen=True, slots=True)
class Window:
    """Steps in view.

    Attributes:
        first: at the left edge of the axis.
        last: at its right edge; a little beyond the newest step while the run is followed.
        cursor: the step of the cursor, one of the run's.
        newest: the newest step of the run.
    """

    first: int = 0
    last: int = 1
    cursor: int = 0
    newest: int = 0

    @property
    def span(self) -> int:
        """Steps from edge to edge; at least 1."""
        return max(self.last - self.first, 1)

    def column(self, step: float, columns: int) -> int:
        """Return the column of a step on an axis of so many; outside of it below 0 or beyond the last."""
        return math.floor((step - self.first) / self.span * max(columns - 1, 1) + 0.5)

    def step(self, column: int, columns: int) -> int:
        """Return the step at a column."""
        return self.first + round(column / max(columns - 1, 1) * self.span)


def window_of(run: Run, choice: RunChoice) -> Window:
    """Return the steps in view; a run without steps has the window 0..1."""
    begin, newest = max(run.first_step, 0), max(run.last_step, 0)
    cursor = newest if choice.cursor == NEWEST else min(max(choice.cursor, begin), newest)
    if choice.end == NEWEST:
        extent = choice.span or max(newest - begin, 1)
        jump = max(int(nice_step(extent, _JUMPS)), 1)
        last = -(-newest // jump) * jump
        first = last - choice.span if choice.span else begin
    else:
        last = min(max(choice.end, begin + 1), max(newest, begin + 1))
        first = last - choice.span if choice.span else begin
    first = max(first, begin) if newest > begin else begin
    return Window(first, max(last, first + 1), cursor, newest)


def following(choice: RunChoice) -> bool:
    """Whether the window moves with the run."""
    return choice.end == NEWEST


def with_cursor(run: Run, choice: RunChoice, step: int) -> RunChoice:
    """Put the cursor on a step; the window comes along. At the newest step it follows the run again."""
    if step >= run.last_step:
        return replace(choice, cursor=NEWEST, end=NEWEST)
    step = max(step, run.first_step)
    moved = replace(choice, cursor=step)
    window = window_of(run, moved)
    if window.first <= step <= window.last:
        return moved
    span = choice.span or window.span
    end = step + span // 2
    return replace(moved, span=span, end=NEWEST if end >= run.last_step else max(end, step))


def zoomed(run: Run, choice: RunChoice, steps: int) -> RunChoice:
    """Halve the window ``steps`` times around the cursor, or double it where negative."""
    window = window_of(run, choice)
    extent = max(run.last_step - max(run.first_step, 0), 1)
    span = window.span if choice.span or steps < 0 else min(window.span, extent)
    span = max(round(span / 2.0**steps), LEAST_SPAN)
    if span >= extent:
        return replace(choice, span=0, end=NEWEST)
    return centred(run, replace(choice, span=span), window.cursor)


def centred(run: Run, choice: RunChoice, step: int) -> RunChoice:
    """Move the window so that a step is in its middle, or at its newest end; it follows there."""
    end = step + choice.span // 2
    if choice.cursor == NEWEST or end >= run.last_step:
        return replace(choice, end=NEWEST)
    return replace(choice, end=max(end, run.first_step + choice.span))


def typed_window(run: Run, choice: RunChoice, text: str) -> RunChoice:
    """Return the window that was typed: ``all``, a number of steps, or ``first..last``.

    Raises:
        UsageError: it is none of these, or the run has none of its steps.
    """
    words = text.strip().replace("..", " ").split()
    if words in ([], ["all"]):
        return replace(choice, span=0, end=NEWEST)
    try:
        numbers = [int(word) for word in words]
    except ValueError:
        numbers = []
    if len(numbers) == 1 and numbers[0] > 0:
        sized = replace(choice, span=max(numbers[0], LEAST_SPAN))
        return centred(run, sized, window_of(run, sized).cursor)
    if len(numbers) == 2 and 0 <= numbers[0] < numbers[1]:
        first, last = numbers
        if last < run.first_step or first > run.last_step:
            raise UsageError(f"the run has no such steps: {run.first_step} to {run.last_step}")
        shown = replace(choice, span=last - first, end=NEWEST if last > run.last_step else last)
        cursor = window_of(run, shown).cursor
        inside = first <= cursor <= last
        return shown if inside else replace(shown, cursor=min(max(cursor, first), last))
    raise UsageError("a window is all, a number of steps, or FIRST..LAST")
