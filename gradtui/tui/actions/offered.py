"""Which keys and commands can act on what is shown, and in a few words why another one cannot.

The key line and the help offer what can act; what cannot says why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gradtui.tui.actions.desk import Desk

RAIL_WIDTH: Final = 110
"""Columns from which the rail of layers stands beside the maps."""
NO_RUN: Final = "no training run in this folder: gradtui.torch.watch(model) writes one"
_LISTS: Final = frozenset({"overview", "architecture", "log"})
_OF_FLOW: Final = frozenset({
    "move", "page", "open", "find", "flag", "layer", "channel", "region", "copy", "baseline", "generation",
})  # fmt: skip
"""What acts on the rows of the Flow, or on the links in them."""


def refusal(desk: Desk, action: str) -> str:
    """Return why an action cannot act in the view that is shown, in one short line; "" where it can."""
    if desk.watching and desk.selection.view == "flow" and action.partition(".")[0] in _OF_FLOW:
        return _links(desk)
    said = _RULES.get(action)
    return said(desk) if said is not None else ""


def _editing(desk: Desk) -> str:
    if desk.session.input.size or desk.edits.base.size:
        return ""
    return "a watched training has no input to edit" if desk.watching else "no input to edit"


def _links(desk: Desk) -> str:
    if desk.session.pairs:
        return ""
    if desk.watching:
        return "a watched training has no flow between layers"
    return "no flow between layers in this folder"


def _following(desk: Desk) -> str:
    """Enter: in Values it takes a box, or follows a link."""
    is_map = desk.selection.view in ("values", "flow")
    return _links(desk) if desk.watching and is_map and not desk.box else ""


def _other_maps(desk: Desk) -> str:
    shown = sum(view.values.size > 0 for view in desk.maps)
    return "there is one map" if desk.watching and shown == 1 else ""


def _columns(desk: Desk) -> str:
    """Left and right: lists have no columns, but for the Overview of a run."""
    view = desk.selection.view
    if view not in _LISTS or (view == "overview" and desk.watching):
        return ""
    return "a list has no columns to go to"


def _more_columns(desk: Desk) -> str:
    return "" if desk.watching else "only the Overview of a training run has more columns"


def _run(desk: Desk) -> str:
    return "" if desk.watching else NO_RUN


def _graph(desk: Desk) -> str:
    if desk.planning:
        return ""
    return "no architecture in this folder: gradtui trace FILE.py:FACTORY finds one"


def _ranks(desk: Desk) -> str:
    if not desk.watching:
        return NO_RUN
    return "this run has one rank" if len(desk.watch.run.ranks) < 2 else ""


def _findings(desk: Desk) -> str:
    if not desk.watching:
        return NO_RUN
    return "" if desk.watch.findings else "no findings"


def _history(desk: Desk) -> str:
    return "" if desk.watching or desk.selection.view != "history" else NO_RUN


def _snapshots(desk: Desk) -> str:
    if desk.watching and not desk.watch.run.kept:
        return "the run keeps no tensors: :keep asks for them"
    if desk.watching and desk.selection.view == "architecture":
        return "the architecture is the same at every step"
    return _history(desk)


def _kept(desk: Desk) -> str:
    """What acts on maps: those of a run are tensors that it keeps."""
    if desk.watching and not desk.generations.kept:
        return "the run keeps no tensors: :keep asks for them"
    return ""


def _explicit(desk: Desk) -> str:
    return "a watched training has no explicit mode" if desk.watching else ""


def _back(desk: Desk) -> str:
    if desk.watching and desk.selection.view in _LISTS:
        return "nothing to go back to"
    return ""


def _playing(desk: Desk) -> str:
    if desk.selection.view == "values" and len(desk.generations.kept) < 2:
        return "there is one snapshot: nothing to play"
    return _history(desk)


def _rail(desk: Desk) -> str:
    if desk.selection.view in ("values", "flow") and desk.room.width >= RAIL_WIDTH:
        return ""
    return f"the layer rail stands beside Values and Flow, from {RAIL_WIDTH} columns on"


def _process(desk: Desk) -> str:
    return "" if desk.room.has_process else "no process was started here"


def _rules() -> Mapping[str, Callable[[Desk], str]]:
    rules: dict[str, Callable[[Desk], str]] = {
        "open": _following,
        "back": _back,
        "run": _run,
        "graph": _graph,
        "kept": _kept,
        "explicit": _explicit,
        "ranks.next": _ranks,
        "run.choose": _run,
        "finding.read": _findings,
        "columns.next": _more_columns,
        "play": _playing,
        "adapter": _process,
    }
    for said, names in (
        (_editing, "edit.toggle edit.set edit.z edit.undo edit.redo edit.revert edit.write"),
        (_links, "pair.next direction.next threshold.up threshold.down threshold.type"),
        (_links, "threshold.mode link.previous link.next offsets.type"),
        (_other_maps, "focus.next focus.previous pane.full"),
        (_columns, "move.left move.right move.row-start move.row-end page.left page.right"),
        (_snapshots, "generation.previous generation.next generation.first generation.last"),
        (_rail, "pane.narrower pane.wider pane.rail"),
        (_history, "step.previous step.next series.next series.previous pin.toggle axis.next"),
        (_history, "window.shorter window.longer window.type"),
        (_history, "history.mode history.inputs history.alone"),
    ):
        rules |= dict.fromkeys(names.split(), said)
    return rules


_RULES: Final = _rules()
