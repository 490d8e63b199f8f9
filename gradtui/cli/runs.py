"""``--run``: which of a folder's runs a command is about, and a list of them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from gradtui.core.run.found import FoundRun
from gradtui.errors import FolderMissing, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_NAMED: Final = 5
"""Runs that are named in an error, the newest first."""
WIDTH: Final = 96
_ID: Final = 8
"""Characters of a run's id in a list: enough to name it."""
_LEAST: Final = 4
"""Characters of an id that name a run."""


def chosen_run(folder: str, wanted: str) -> FoundRun:
    """Return the run that ``--run`` names: by its number in the list, or by the beginning of its id.

    Without a name it is the newest, and nothing is looked for.

    Raises:
        FolderMissing: the folder holds no run.
        UsageError: no run has that name, or several have; it says what runs there are.
    """
    if not wanted:
        return FoundRun(folder)
    runs = _runs_in(folder)
    if wanted in (numbers := [str(n + 1) for n in range(len(runs))]):
        return runs[numbers.index(wanted)]
    # A number that is not in the list must not happen to be how an id begins.
    is_name = len(wanted) >= _LEAST
    named = [run for run in runs if is_name and any(each.startswith(wanted) for each in run.ids)]
    if len(named) == 1:
        return named[0]
    more = f" and {len(runs) - MOST_NAMED} more" if len(runs) > MOST_NAMED else ""
    listed = ", ".join(f"{n} ({_words(run)})" for n, run in enumerate(runs[:MOST_NAMED], 1))
    why = "several ids begin so" if named else "no such run"
    raise UsageError(
        f"--run {wanted}: {why}; {folder} holds {listed}{more}; gradtui show {folder} --runs lists them"
    )


def list_of_runs(folder: str) -> str:
    """Return the runs of a folder as text: those that the pane's list shows, each with the beginning of its id.

    Raises:
        FolderMissing: the folder holds no run.
    """
    from gradtui.viewmodel.run.runs import runs_lines
    from gradtui.viewmodel.text import plain

    runs = _runs_in(folder)
    header, *rows = (plain(each) for each in runs_lines(runs, -1, _clock, WIDTH))
    lines = [f"{header}  id"]
    lines += [f"{row}  {min(run.ids)[:_ID]}" for row, run in zip(rows, runs, strict=True)]
    return "\n".join(lines) + "\n"


def _runs_in(folder: str) -> Sequence[FoundRun]:
    from gradtui.store.runs import runs_in

    runs = runs_in(folder)
    if not runs:
        raise FolderMissing(folder, "no watched run is there")
    return runs


def _words(run: FoundRun) -> str:
    newest = ["newest"] if run.newest else []
    model = f"{run.name}/ {run.model}" if run.name else run.model
    return ", ".join([model, *newest, f"step {run.last_step}", f"began {_clock(run.started)}"])


def _clock(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(moment)) if moment else ""
