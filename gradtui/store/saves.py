"""Edited inputs on their way to the disk, and which of them are this viewer's own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gradtui.errors import SaveConflict
from gradtui.folder.inputs import same_values

if TYPE_CHECKING:
    from gradtui.core.arrays import Array
    from gradtui.folder.load import Loaded
    from gradtui.folder.location import DebugFolder
    from gradtui.folder.save import Saved

# After a save the adapter's answer is waited for closely, for so many seconds.
_EXPECTED_FOR = 3.0


class Saves:
    """The saves of one viewer."""

    def __init__(self, folder: DebugFolder, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._saved_at = -_EXPECTED_FOR
        # The generations of our own saves: another one may follow before they were loaded.
        self._own = {0}

    @property
    def is_fresh(self) -> bool:
        """Whether the adapter may answer the last save any moment."""
        return time.monotonic() - self._saved_at < _EXPECTED_FOR

    def save(self, array: Array, *, name: str, overwrite: bool, seen: Loaded, now: Loaded) -> Saved:
        """Write an input.

        Args:
            array: The values.
            name: Another file name; empty for the input's own.
            overwrite: Write even over what somebody else wrote.
            seen: The load that was edited.
            now: The last load.

        Raises:
            SaveConflict: The input on the disk is not the one that was seen.
            SaveFailed: The disk refused.
            UsageError: The name is not a plain file name.
        """
        if now.input.digest == seen.input.digest or now.input.generation in self._own - {0}:
            # The same values under a newer stamp, or our own: compare with that, not with the file of before.
            seen = now
        elif not (overwrite or name or same_values(now.input.array, seen.input.array)):
            path = self._folder.path(seen.input_name)
            raise SaveConflict(path, "was changed since it was loaded: overwrite it?")
        # Here: looking at a folder does not need what writes to it.
        from gradtui.folder.save import save_input

        saved = save_input(
            self._folder,
            array,
            seen=seen,
            name=name,
            overwrite=overwrite,
            after=max(self._own),
            max_bytes=self._max_bytes,
        )
        self._own.add(saved.generation)
        self._saved_at = time.monotonic()
        return saved
