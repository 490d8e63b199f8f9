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
    from gradtui.folder.writing import FileSum

# After a save the adapter's answer is waited for closely, for so many seconds.
_EXPECTED_FOR = 3.0


class Saves:
    """The saves of one viewer."""

    def __init__(self, folder: DebugFolder, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._saved_at = -_EXPECTED_FOR
        # The numbers of our own saves and the input that each left: another one may follow before they were loaded.
        # A number alone does not tell: numbers begin anew when the sidecar is removed.
        self._own: set[tuple[int, str]] = set()
        self._last = ""
        # The files as our last saves left them.
        self._files: dict[str, FileSum] = {}

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
        is_ours = (now.input.generation, now.input.digest) in self._own
        if now.input.digest == seen.input.digest or is_ours:
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
            own=self._files,
            max_bytes=self._max_bytes,
        )
        if saved.path == self._folder.path(seen.input_name):
            self._last = saved.digest
        self._own.add((saved.generation, self._last))
        self._files.update(saved.files)
        self._saved_at = time.monotonic()
        return saved
