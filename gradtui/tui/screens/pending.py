"""Unsaved edits of a workspace: put on another input when one arrives, and found again after a crash."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradtui.errors import GradtuiError
from gradtui.viewmodel.text import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gradtui.core.edit import EditHistory
    from gradtui.store.view import FolderView
    from gradtui.tui.screens.workspace import Workspace


class PendingEdits:
    """What a workspace does for the edits that are not written yet."""

    def __init__(self, workspace: Workspace) -> None:
        self._work = workspace
        self.journalled: object = None
        """The cells that the journal was last given, or need not be given."""
        self._offered = False

    def rebase(self, before: FolderView, view: FolderView) -> None:
        """Put unsaved edits on what the folder holds now, and say what became of them."""
        desk = self._work.desk
        pending = desk.edits.pending_count
        old, seen = desk.edits, before
        room = self._work.room
        moved = desk.edits.rebased(view.session.input, room.in_flight)
        desk.edits = moved.history
        room.in_flight = _still_to_come(room.in_flight, desk.edits)
        if moved.conflicts:
            desk.say(
                f"the input changed on disk under {_of(len(moved.conflicts), pending)}:"
                " W writes yours over it, R takes the disk's",
                "warn",
            )
        elif moved.lost:
            # The journal keeps them until the next edit.
            self.journalled = desk.edits.cells
            self._work.room.interrupt(
                f"the input has another shape now, and {counted(len(moved.lost), 'edit')} no place in it",
                {
                    "w": (
                        "write the edited input of before as edited_input.npy",
                        lambda: self._work.door.save(
                            old.applied(), "edited_input", seen=seen, overwrite=False
                        ),
                    )
                },
                "drops them",
            )
        elif moved.kept:
            desk.say(f"reloaded; {counted(len(moved.kept), 'unsaved edit')} kept")

    def offer_recovered(self) -> None:
        """Ask, once, what becomes of the edits that a crash left."""
        if self._offered:
            return
        self._offered = True
        cells = self._work.door.recovered()
        if cells:
            fits = self._work.door.recovered_fit(self._work.desk.edits.base)
            self._work.room.interrupt(
                f"{counted(len(cells), 'unsaved edit')} of an earlier session found"
                + ("" if fits else ", made on another input"),
                {
                    "y": ("take them up", lambda: self._take_up(cells)),
                    "n": ("drop them", self._answer_recovered),
                },
                "asks again next time",
            )

    def _take_up(self, cells: Mapping[tuple[int, ...], float]) -> None:
        try:
            self._work.desk.edits = self._work.desk.edits.set_values(cells)
        except GradtuiError as error:
            self._work.desk.say(f"they do not fit this input: {error}", "warn")
        else:
            self._answer_recovered()

    def _answer_recovered(self) -> None:
        edits = self._work.desk.edits
        self.journalled = edits.cells
        self._work.door.journal(edits.pending, edits.base, answered=True)


def _still_to_come(
    saves: tuple[Mapping[tuple[int, ...], float], ...], edits: EditHistory
) -> tuple[Mapping[tuple[int, ...], float], ...]:
    """The saves after the last one that the disk holds."""
    for place in range(len(saves) - 1, -1, -1):
        if saves[place] and not edits.differing(saves[place]):
            return saves[place + 1 :]
    return saves


def _of(some: int, pending: int) -> str:
    if pending == 1:
        return "your edit"
    return f"all {pending} of your edits" if some == pending else f"{some} of your {pending} edits"
