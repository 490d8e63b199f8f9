"""Unsaved edits between the screen, which knows all of them, and the journal, which takes changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradtui.core.edit import Edit
from gradtui.folder.inputs import digest, no_array

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gradtui.core.arrays import Array
    from gradtui.core.edit import Index
    from gradtui.store.keeper import Keeper


class UnsavedEdits:
    """The edits of one folder that are not written yet."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._kept: dict[Index, Edit] = {}
        self._base: Array = no_array()
        self._digest = ""

    def recovered(self) -> Mapping[Index, float]:
        """The cells that viewers which did not end well left, and their values; nothing once it was answered for."""
        return {change.cell: change.after for change in self._keeper.journal.recovered.changes}

    def recovered_fit(self, base: Array) -> bool:
        """Whether the recovered edits were made on this input; False too where they were made on several."""
        return self._keeper.journal.recovered.base == digest(base)

    def keep(self, edits: Sequence[Edit], base: Array, *, answered: bool = False) -> str:
        """Take all pending edits as they are now; none forgets what was kept.

        Args:
            edits: All of them.
            base: The input that they were made on.
            answered: Whether what was recovered is among them, or was given up; until then it is kept apart.

        Returns:
            Why they are not kept for a crash, in one line; empty while they are.
        """
        journal = self._keeper.journal
        now = {edit.cell: edit for edit in edits}
        if now:
            self._append(now, base)
        else:
            journal.clear()
        self._kept = now
        if answered and not journal.problem:
            journal.forget_recovered()
        return journal.problem

    def _append(self, now: Mapping[Index, Edit], base: Array) -> None:
        if base is not self._base or not self._digest:
            self._base, self._digest = base, digest(base)
        journal = self._keeper.journal
        if journal.base != self._digest:
            # Saved meanwhile, or moved to a newer input: the journal starts anew and needs all of them.
            journal.append(self._digest, now.values())
            return
        changes = [edit for cell, edit in now.items() if self._kept.get(cell) != edit]
        changes += [
            Edit(cell, edit.before, edit.before)
            for cell, edit in self._kept.items()
            if cell not in now
        ]
        if changes:
            journal.append(self._digest, changes)
