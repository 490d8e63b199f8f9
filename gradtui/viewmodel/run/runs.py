"""The runs of a folder as a list to choose from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradtui.viewmodel.text import TextLine, clip, line, safe_label

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gradtui.core.run.found import FoundRun

_LEFT = 7
_STEP, _TIME = 10, 18
_LEAST_NAME = 20


def place_of(runs: Sequence[FoundRun], shown: FoundRun) -> int:
    """Return which run is the one that is shown; the newest of its folder where that is followed, -1 for none."""
    for place, run in enumerate(runs):
        if run.name == shown.name and (run.newest if shown.newest else bool(run.ids & shown.ids)):
            return place
    return -1


def runs_lines(
    runs: Sequence[FoundRun], shown: int, clock: Callable[[float], str], width: int
) -> tuple[TextLine, ...]:
    """Return a header and a row for each run: its number from 1, the model, its last step, when it began and ended.

    Args:
        runs: as they were found.
        shown: which is on the screen, and marked; -1 for none.
        clock: a wall time in words.
        width: columns.
    """
    room = max(width - _LEFT - _STEP - 2 * _TIME, _LEAST_NAME)
    heads = (("last step", _STEP), ("began", _TIME), ("ended", _TIME))
    lines = [
        line(("   no. " + "model".ljust(room), "dim"), *((t.rjust(w), "dim") for t, w in heads))
    ]
    for place, run in enumerate(runs):
        name = safe_label(
            f"{run.name}/ {run.model}" if run.name else run.model or "(model)", room - 8
        )
        newest = run.newest and sum(other.name == run.name for other in runs) > 1
        name += ", newest" if newest else ""
        step = f"{run.last_step:,}" if run.last_step >= 0 else "none"
        ended = "goes on" if run.alive else clock(run.last_time)
        lines.append(
            line(
                (" > " if place == shown else "   ", "highlight"),
                (f"{place + 1:>3} ", "dim"),
                (name.ljust(room), "title" if place == shown else ""),
                (step.rjust(_STEP), "value"),
                (clock(run.started).rjust(_TIME), "dim"),
                (ended.rjust(_TIME), "good" if run.alive else ""),
            )
        )
    return tuple(clip(each, width) for each in lines)
