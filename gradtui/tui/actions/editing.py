"""Editing the input: toggle, set, z, undo, redo, revert, write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradtui.errors import UsageError
from gradtui.viewmodel import choices
from gradtui.viewmodel.text import counted, number

if TYPE_CHECKING:
    from gradtui.tui.actions.desk import Desk


def cell(desk: Desk) -> tuple[int, ...]:
    """Return the index of the input's cell under the cursor: with its channel in explicit mode.

    Raises:
        UsageError: there is nothing that could be edited.
    """
    if not desk.session.input.size:
        raise UsageError("there is no input to edit")
    if desk.generations.comparing:
        raise UsageError("differences cannot be edited: D shows the values")
    if not desk.generations.following:
        raise UsageError("an older generation cannot be edited: } shows the newest")
    if desk.selection.focus != "input":
        raise UsageError("only the input can be edited: tab goes to it")
    row, column = desk.selection.cursor("input")
    if desk.session.input.ndim == 2:
        return (row, column)
    if desk.selection.channel == -2:
        raise UsageError("a sum over channels cannot be edited: C chooses a channel")
    channel = desk.selection.tile if desk.selection.channel < 0 else desk.selection.channel
    return (channel, row, column)


def toggle(desk: Desk, _count: int) -> None:
    """Toggle the cell between 0 and z."""
    desk.edits = desk.edits.toggle(cell(desk), desk.selection.z)


def set_type(desk: Desk, _count: int) -> None:
    """Ask for a value for the cell."""
    cell(desk)
    desk.room.ask("set", "value: ")


def set_value(desk: Desk, text: str) -> None:
    """Set the cell to the value typed.

    Raises:
        UsageError: it is no number.
    """
    desk.edits = desk.edits.set_value(cell(desk), typed_number(text))


def z_type(desk: Desk, _count: int) -> None:
    """Ask for z."""
    desk.room.ask("z", "z: ", number(desk.selection.z))


def set_z(desk: Desk, text: str) -> None:
    """Set what a toggle writes.

    Raises:
        UsageError: it is no number, or one that cannot be toggled.
    """
    desk.selection = choices.with_z(desk.selection, typed_number(text))
    desk.say(f"z is {number(desk.selection.z)}")


def typed_number(text: str) -> float:
    """Read a number as a person types it; ``nan`` and ``inf`` are numbers too.

    Raises:
        UsageError: it is none.
    """
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a number") from None


def set_command(desk: Desk, words: list[str]) -> None:
    """The command ``set VALUE``."""
    set_value(desk, " ".join(words))


def z_command(desk: Desk, words: list[str]) -> None:
    """The command ``z VALUE``."""
    set_z(desk, " ".join(words))


def undo(desk: Desk, count: int) -> None:
    """Undo edits."""
    for _ in range(max(count, 1)):
        if not desk.edits.can_undo:
            desk.say("nothing to undo")
            return
        desk.edits = desk.edits.undo()


def redo(desk: Desk, count: int) -> None:
    """Redo edits."""
    for _ in range(max(count, 1)):
        if not desk.edits.can_redo:
            desk.say("nothing to redo")
            return
        desk.edits = desk.edits.redo()


def revert(desk: Desk, _count: int) -> None:
    """Take all edits back; one undo brings them again."""
    pending = desk.edits.pending_count
    desk.edits = desk.edits.revert()
    desk.say(
        f"{counted(pending, 'edit')} reverted; u brings back" if pending else "nothing to revert"
    )


def write(desk: Desk, _count: int) -> None:
    """Write the edited input."""
    desk.room.write()
