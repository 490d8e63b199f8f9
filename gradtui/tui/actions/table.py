"""Which function each action of the keymap calls."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from gradtui.tui.actions import editing, finding, looks, moving, taking
from gradtui.tui.actions.offered import NO_RUN, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gradtui.tui.actions.desk import Desk


def _view(name: str) -> Callable[[Desk, int], None]:
    def show(desk: Desk, _count: int) -> None:
        desk.box = ()
        desk.selection = replace(desk.selection, view=name)

    return show


def _cancel(desk: Desk, count: int) -> None:
    """Leave what was begun, or the log; a question and a count are gone with the key itself."""
    if desk.box:
        desk.box = ()
    elif desk.selection.view == "log":
        _leave_log(desk, count)
    elif desk.room.has_process:
        desk.say("nothing to cancel; ! stops the process that runs here, q quits")
    else:
        desk.say("nothing to cancel; q quits")


def _leave_log(desk: Desk, _count: int) -> None:
    """Go back to the view that the log was opened from."""
    desk.selection = replace(desk.selection, view=desk.before_log, row=0)


def _arrange(change: str) -> Callable[[Desk, int], None]:
    return lambda desk, _count: desk.room.arrange(change)


def _enter(desk: Desk, count: int) -> None:
    """Take the box, open the layer of a row, or follow the link under the cursor."""
    if desk.box:
        looks.take_box(desk)
    elif desk.selection.view == "overview":
        row = desk.rows[moving.overview_place(desk)] if desk.rows else None
        if row is not None and not row.layer:
            looks.fold(desk, count)
        elif row is not None:
            desk.selection = replace(desk.selection, view="values")
    elif desk.selection.view == "flow":
        taking.follow_row(desk)
    elif desk.selection.view == "values":
        taking.follow(desk)


def _command(desk: Desk, _count: int) -> None:
    from gradtui.tui.actions import commands

    desk.room.ask("command", ":", complete=lambda text: commands.complete(desk, text))


def _no_run(desk: Desk, _count: int) -> None:
    desk.say(NO_RUN, "warn")


def action_of(desk: Desk, name: str) -> Callable[[Desk, int], None]:
    """Return what an action does in the view that is shown; where it can't act it says why."""
    if why := refusal(desk, name):
        return lambda desk, _count: desk.say(why, "warn")
    if desk.selection.view == "architecture":
        from gradtui.tui.actions.drafting import ARCHITECTURE_ACTIONS

        if name in ARCHITECTURE_ACTIONS:
            return ARCHITECTURE_ACTIONS[name]
    if desk.watching:
        from gradtui.tui.actions.of_runs import run_actions

        found = run_actions(desk.selection.view).get(name)
        if found is not None:
            return found
    elif desk.selection.view == "history":
        from gradtui.tui.actions.of_runs import HISTORY

        if name in HISTORY:
            return _no_run
    return ACTIONS.get(name, _no_run)


def mark_of(desk: Desk, name: str) -> Callable[[Desk, str], None]:
    """Return what setting or jumping to a mark does in the view that is shown."""
    if desk.watching and desk.selection.view in ("overview", "history"):
        from gradtui.tui.actions.of_runs import RUN_MARKS

        return RUN_MARKS[name]
    return MARKS[name]


def answer_of(desk: Desk, kind: str) -> Callable[[Desk, str], None]:
    """Return what an answer to a prompt does."""
    if desk.selection.view == "architecture":
        from gradtui.tui.actions.drafting import ARCHITECTURE_ANSWERS

        if kind in ARCHITECTURE_ANSWERS:
            return ARCHITECTURE_ANSWERS[kind]
    if desk.watching:
        from gradtui.tui.actions.of_runs import run_answers

        found = run_answers(desk.selection.view).get(kind)
        if found is not None:
            return found
    return ANSWERS[kind]


ACTIONS: Final[Mapping[str, Callable[[Desk, int], None]]] = {
    "view.overview": _view("overview"),
    "view.values": _view("values"),
    "view.flow": _view("flow"),
    "view.history": _view("history"),
    "view.architecture": _view("architecture"),
    "move.left": moving.left,
    "move.down": moving.down,
    "move.up": moving.up,
    "move.right": moving.right,
    "move.row-start": moving.row_start,
    "move.row-end": moving.row_end,
    "move.top": moving.top,
    "move.bottom": moving.bottom,
    "page.left": moving.page_left,
    "page.down": moving.page_down,
    "page.up": moving.page_up,
    "page.right": moving.page_right,
    "focus.next": moving.next_map,
    "focus.previous": moving.previous_map,
    "open": _enter,
    "back": moving.back,
    "find": finding.ask,
    "find.next": finding.next_found,
    "find.previous": finding.previous_found,
    "filter": finding.ask_filter,
    "flag.next": finding.next_flag,
    "flag.previous": finding.previous_flag,
    "generation.previous": looks.generation_previous,
    "generation.next": looks.generation_next,
    "generation.first": looks.generation_first,
    "generation.last": looks.generation_last,
    "pause": looks.pause,
    "baseline.set": looks.baseline,
    "baseline.difference": looks.compare,
    "scale.next": looks.scale,
    "colours.next": lambda desk, _count: desk.room.recolour(),
    "colours.invert": looks.invert,
    "zoom.out": looks.zoom_out,
    "zoom.in": looks.zoom_in,
    "pane.narrower": _arrange("narrower"),
    "pane.wider": _arrange("wider"),
    "pane.rail": _arrange("rail"),
    "pane.full": _arrange("full"),
    "fold.toggle": looks.fold,
    "fold.all": looks.fold_all,
    "sort.next": looks.sort,
    "copy.value": taking.copy_value,
    "copy.table": taking.copy_table,
    "save.svg": lambda desk, _count: desk.room.save_svg(),
    "layer.previous": moving.previous_layer,
    "layer.next": moving.next_layer,
    "pair.next": moving.next_pair,
    "direction.next": looks.direction,
    "threshold.up": looks.threshold_up,
    "threshold.down": looks.threshold_down,
    "threshold.type": looks.threshold_type,
    "threshold.mode": looks.threshold_mode,
    "link.previous": moving.previous_link,
    "link.next": moving.next_link,
    "channel.next": looks.channel,
    "offsets.type": looks.offsets_type,
    "region.box": looks.box,
    "edit.toggle": editing.toggle,
    "edit.set": editing.set_type,
    "edit.z": editing.z_type,
    "edit.undo": editing.undo,
    "edit.redo": editing.redo,
    "edit.revert": editing.revert,
    "edit.write": editing.write,
    "command": _command,
    "help": lambda desk, _count: desk.room.show_help(),
    "reload": lambda desk, _count: desk.room.reload(),
    "adapter": lambda desk, _count: desk.room.adapter(),
    "cancel": _cancel,
    "quit": lambda desk, _count: desk.room.leave(),
    "log.leave": _leave_log,
    "suspend": lambda desk, _count: desk.room.suspend(),
}
MARKS: Final[Mapping[str, Callable[[Desk, str], None]]] = {
    "mark.set": moving.set_mark,
    "mark.jump": moving.jump_mark,
}


def _run_command(desk: Desk, text: str) -> None:
    # The table of commands is made when the first one is typed, not before the first screen.
    from gradtui.tui.actions import commands

    commands.run(desk, text)


def _offsets(desk: Desk, text: str) -> None:
    from gradtui.tui.actions import commands

    commands.offsets(desk, text.split())


ANSWERS: Final[Mapping[str, Callable[[Desk, str], None]]] = {
    "command": _run_command,
    "find": finding.find,
    "filter": looks.filter_layers,
    "threshold": lambda desk, text: _run_command(desk, f"threshold {text}"),
    "offsets": _offsets,
    "set": editing.set_value,
    "z": editing.set_z,
}
"""What the answer of each kind of prompt does."""
