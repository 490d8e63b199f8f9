"""Whether a folder has a training's history, and who follows it then."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradtui.core.run.keys import SeriesKey
    from gradtui.folder.location import DebugFolder
    from gradtui.store.publishing import Publisher
    from gradtui.store.run.follower import RunFollower


class Following:
    """Begins to follow the history of a folder once there is one."""

    def __init__(
        self, folder: DebugFolder, published: Publisher, runs: frozenset[str] = frozenset()
    ) -> None:
        """Nothing is looked for yet.

        Args:
            folder: Where.
            published: Takes what is read.
            runs: Names of the run to be read; empty for the newest.
        """
        self._folder = folder
        self._runs = runs
        self._published = published
        self._follower: RunFollower | None = None

    def look(self) -> bool:
        """Look for a history; returns whether one is followed from now on."""
        if self._follower is not None or not self._folder.has_history:
            return False
        # Here: most folders have no history, and what reads one takes a while to import.
        from gradtui.store.run.follower import RunFollower

        self._follower = RunFollower(self._folder, self._published, runs=self._runs)
        self._follower.start()
        return True

    @property
    def is_there(self) -> bool:
        """Whether a history is followed, and still there."""
        return self._follower is not None and self._folder.has_history

    def window(self, keys: Sequence[SeriesKey], first: int, last: int, rank: int | None) -> int:
        """Ask for exact numbers; see `gradtui.store.keeper.Keeper.window`."""
        if self._follower is None:
            return 0
        return self._follower.window(keys, first, last, rank)

    def stop(self) -> None:
        """End the threads; a second call does nothing."""
        if self._follower is not None:
            self._follower.stop()
