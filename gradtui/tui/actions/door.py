"""The door to the folder, as the screen sees it; what lies behind runs in other threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gradtui.core.arrays import Array
    from gradtui.core.edit import Cells, Edit
    from gradtui.core.run.found import FoundRun
    from gradtui.core.run.keys import SeriesKey
    from gradtui.store.view import FolderView


class Door(Protocol):
    """What the screen asks of the folder and of the adapter's process.

    Nothing here blocks or raises: what comes of it arrives as a message.
    """

    @property
    def reloads(self) -> bool:
        """Whether the adapter's process begins again at each save of its source."""

    def save(self, array: Array, name: str, *, seen: FolderView, overwrite: bool) -> None:
        """Write an edited input; ``seen`` is the picture of the folder that was edited."""

    def journal(self, edits: tuple[Edit, ...], base: Array, *, answered: bool = False) -> None:
        """Keep edits of an input for the case of a crash; none clears what was kept.

        What a crash left stays until it is ``answered``.
        """

    def recovered(self) -> Cells:
        """Return the edits that a crash left behind."""

    def recovered_fit(self, base: Array) -> bool:
        """Whether those edits were made on this input."""

    def request(self, kind: str, fields: Mapping[str, object]) -> None:
        """Ask the adapter for something."""

    def window(self, keys: tuple[SeriesKey, ...], first: int, last: int) -> None:
        """Read the recorded numbers of some series between two steps of a run."""

    def reload(self) -> None:
        """Read the folder again."""

    def estimate(self, name: str) -> None:
        """Choose how flows that were not measured are estimated."""

    def keep_state(self, state: Mapping[str, object]) -> None:
        """Remember what the person chose, for the next start."""

    def beside(self, job: Callable[[], None]) -> None:
        """Do some work in the door's thread; it must not touch the screen."""

    def analyse(self) -> None:
        """Look at the run with all analyses, as it is now."""

    def picture(self, layer: str, out: str) -> None:
        """Write the features of a layer over the run as a GIF."""

    def find_runs(self) -> None:
        """Look for the runs that can be chosen."""

    def open_run(self, run: FoundRun) -> None:
        """Show another run from now on: the newest of its folder is followed, and so are those that come after it."""

    def restart(self) -> None:
        """Start the adapter's process again."""

    def stop_child(self) -> None:
        """End the adapter's process."""
