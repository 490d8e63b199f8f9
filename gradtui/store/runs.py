"""The runs that can be chosen: those of a folder, and those of further models within it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradtui.folder.history.runs import all_runs
from gradtui.folder.location import DebugFolder

if TYPE_CHECKING:
    from gradtui.core.run.found import FoundRun


def runs_in(location: str) -> tuple[FoundRun, ...]:
    """Return the runs of a folder, the newest first, then those of each model within it.

    Raises:
        UsageError: The location is empty or holds a null byte.
    """
    return all_runs(DebugFolder.at(location))
