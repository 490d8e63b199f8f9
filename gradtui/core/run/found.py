"""What runs there are to be looked at, before any of them is read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FoundRun:
    """A run that a folder's history holds.

    Attributes:
        location: the folder, as it can be opened.
        name: of a folder within the one that was opened, as a second model has it; empty for that one itself.
        ids: the names under which its ranks know it.
        model: the class of the watched model.
        started: wall time, seconds since 1970.
        last_step: the newest step; -1 where there is none.
        last_time: wall time of the newest record, seconds since 1970.
        newest: whether no later run is in its folder.
        alive: whether it goes on.
    """

    location: str = ""
    name: str = ""
    ids: frozenset[str] = frozenset()
    model: str = ""
    started: float = 0.0
    last_step: int = -1
    last_time: float = 0.0
    newest: bool = True
    alive: bool = False

    @property
    def wanted(self) -> frozenset[str]:
        """The names that a reader is to look for; none for the newest run, which is what it reads by itself."""
        return frozenset() if self.newest else self.ids
