"""Which function each action calls in the views of a watched run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from gradtui.tui.actions import columns, keeping, scrubbing, telling, watching

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gradtui.tui.actions.desk import Desk

    Action = Callable[[Desk, int], None]
    Answer = Callable[[Desk, str], None]


def _ask_module(desk: Desk, _count: int) -> None:
    desk.room.ask("find", "/", complete=lambda text: watching.module_names(desk, text))


def _ask_series(desk: Desk, _count: int) -> None:
    desk.room.ask("find", "series /", complete=lambda text: scrubbing.series_names(desk, text))


def _ask_filter(desk: Desk, _count: int) -> None:
    desk.room.ask("filter", "&", desk.selection.run.filter)


def _to_overview(desk: Desk, _count: int) -> None:
    watching.go_to(desk, desk.watch.recorded(desk.selection.run))
    desk.selection = replace(desk.selection, view="overview")


def _open_tensors(desk: Desk, _count: int) -> None:
    if not keeping.open_tensors(desk):
        keeping.offer_to_keep(desk)


def _choose_run(desk: Desk, _count: int) -> None:
    desk.room.choose_run()


def _play(desk: Desk, _count: int) -> None:
    desk.room.play()


OVERVIEW: Final[Mapping[str, Action]] = {
    "view.values": _open_tensors,
    "move.left": watching.close,
    "move.right": watching.unclose,
    "move.down": watching.down,
    "move.up": watching.up,
    "move.top": watching.top,
    "move.bottom": watching.bottom,
    "page.down": watching.page_down,
    "page.up": watching.page_up,
    "open": keeping.open_row,
    "find": _ask_module,
    "find.next": lambda desk, count: watching.find_module(desk, "", max(count, 1)),
    "find.previous": lambda desk, count: watching.find_module(desk, "", -max(count, 1)),
    "filter": _ask_filter,
    "flag.next": watching.next_finding,
    "flag.previous": watching.previous_finding,
    "finding.read": telling.read,
    "fold.toggle": watching.fold,
    "fold.all": watching.fold_all,
    "sort.next": columns.sort,
    "columns.next": lambda desk, count: columns.turn(desk, max(count, 1)),
    "page.right": lambda desk, count: columns.turn(desk, max(count, 1)),
    "page.left": lambda desk, count: columns.turn(desk, -max(count, 1)),
    "move.row-start": columns.first,
    "move.row-end": columns.last,
    "pause": watching.pause,
    "baseline.set": watching.baseline,
    "baseline.difference": scrubbing.compare,
    "generation.previous": scrubbing.snapshot_previous,
    "generation.next": scrubbing.snapshot_next,
    "generation.first": scrubbing.snapshot_first,
    "generation.last": scrubbing.snapshot_last,
    "copy.value": watching.copy_value,
    "copy.table": watching.copy_table,
    "ranks.next": watching.ranks,
    "run.choose": _choose_run,
}
HISTORY: Final[Mapping[str, Action]] = {
    "view.values": _open_tensors,
    "move.left": scrubbing.left,
    "move.right": scrubbing.right,
    "move.down": scrubbing.module_down,
    "move.up": scrubbing.module_up,
    "move.row-start": scrubbing.window_start,
    "move.row-end": scrubbing.window_end,
    "move.top": scrubbing.first_step,
    "move.bottom": scrubbing.last_step,
    "page.left": scrubbing.page_left,
    "page.right": scrubbing.page_right,
    "page.down": lambda desk, count: scrubbing.module_down(desk, 8 * max(count, 1)),
    "page.up": lambda desk, count: scrubbing.module_up(desk, 8 * max(count, 1)),
    "open": _open_tensors,
    "back": _to_overview,
    "find": _ask_series,
    "find.next": lambda desk, count: scrubbing.find_series(desk, "", max(count, 1)),
    "find.previous": lambda desk, count: scrubbing.find_series(desk, "", -max(count, 1)),
    "flag.next": watching.next_finding,
    "flag.previous": watching.previous_finding,
    "finding.read": telling.read,
    "step.next": scrubbing.next_step,
    "step.previous": scrubbing.previous_step,
    "series.next": scrubbing.next_series,
    "series.previous": scrubbing.previous_series,
    "pin.toggle": scrubbing.pin,
    "window.shorter": scrubbing.zoom_in,
    "window.longer": scrubbing.zoom_out,
    "window.type": scrubbing.window_type,
    "axis.next": scrubbing.axis,
    "history.mode": scrubbing.mode,
    "history.inputs": scrubbing.inputs,
    "history.alone": scrubbing.alone,
    "pause": watching.pause,
    "baseline.set": watching.baseline,
    "baseline.difference": scrubbing.compare,
    "generation.previous": scrubbing.snapshot_previous,
    "generation.next": scrubbing.snapshot_next,
    "generation.first": scrubbing.snapshot_first,
    "generation.last": scrubbing.snapshot_last,
    "copy.value": scrubbing.copy_value,
    "copy.table": scrubbing.copy_table,
    "ranks.next": watching.ranks,
    "run.choose": _choose_run,
    "play": _play,
}
VALUES: Final[Mapping[str, Action]] = {
    "play": _play,
    "view.overview": lambda desk, _count: keeping.leave_tensors(desk, "overview"),
    "view.history": lambda desk, _count: keeping.leave_tensors(desk, "history"),
}
ARCHITECTURE: Final[Mapping[str, Action]] = {"pause": watching.pause}
_BY_VIEW: Final[Mapping[str, Mapping[str, Action]]] = {
    "architecture": ARCHITECTURE,
    "overview": OVERVIEW,
    "history": HISTORY,
    "values": VALUES,
}

RUN_MARKS: Final[Mapping[str, Answer]] = {
    "mark.set": watching.set_mark,
    "mark.jump": watching.jump_mark,
}


def run_actions(view: str) -> Mapping[str, Action]:
    """Return the actions of a view that are other ones for a run."""
    return _BY_VIEW.get(view, {})


def run_answers(view: str) -> Mapping[str, Answer]:
    """Return what answers to prompts do in a view of a run."""
    if view == "history":
        return {"find": scrubbing.find_series, "window": scrubbing.window_typed}
    if view == "overview":
        return {"find": watching.find_module, "filter": watching.filter_rows}
    return {}
