"""Unsaved edits between the screen, which knows all of them, and the journal, which takes changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradtui.core.edit import Edit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gradtui.core.edit import Index
    from gradtui.store.keeper import Keeper


class UnsavedEdits:
    """The edits of one folder that are not written yet."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._kept: dict[Index, Edit] = {}

    def recovered(self) -> Mapping[Index, float]:
        """The cells that a viewer which did not end well left, and the values that they had."""
        return {change.cell: change.after for change in self._keeper.journal.recovered.changes}

    @property
    def recovered_fit(self) -> bool:
        """Whether the input is still the one that those edits were made on."""
        return self._keeper.journal.recovered.base == self._keeper.view.loaded.input.digest

    def keep(self, edits: Sequence[Edit]) -> str:
        """Take all pending edits as they are now; none forgets what was kept.

        Returns:
            Why they are not kept for a crash, in one line; empty while they are.
        """
        now = {edit.cell: edit for edit in edits}
        if not now:
            self._kept = {}
            self._keeper.journal.clear()
            return ""
        changes = [edit for cell, edit in now.items() if self._kept.get(cell) != edit]
        changes += [
            Edit(cell, edit.before, edit.before)
            for cell, edit in self._kept.items()
            if cell not in now
        ]
        self._kept = now
        if changes:
            self._keeper.journal.append(self._keeper.view.loaded.input.digest, changes)
        return self._keeper.journal.problem
