"""Finding: a layer by its name, the next one with a flag, the rows that a filter leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradtui.tui.actions.moving import go_to_row, overview_place
from gradtui.viewmodel import moves
from gradtui.viewmodel.text import printable

if TYPE_CHECKING:
    from gradtui.tui.actions.desk import Desk


def ask(desk: Desk, _count: int) -> None:
    """Ask what to look for."""
    desk.room.ask("find", "/", complete=lambda text: layer_names(desk, text))


def ask_filter(desk: Desk, _count: int) -> None:
    """Ask which layers to show."""
    desk.room.ask("filter", "&", desk.selection.filter)


def layer_names(desk: Desk, text: str) -> tuple[str, ...]:
    """Return the names, as they are shown, that contain ``text``, without regard to case."""
    names = (printable(layer.name) for layer in desk.session.layers)
    return tuple(name for name in names if text.lower() in name.lower())


def find(desk: Desk, text: str, step: int = 1) -> None:
    """Go to the next layer whose name contains ``text``, or the ``step``-th; from the last to the first."""
    desk.found = text or desk.found
    if not desk.found:
        desk.say("nothing to find yet: / takes a name", "warn")
        return
    names = [layer.name for layer in desk.session.layers]
    wanted = desk.found.lower()
    places = [n for n, name in enumerate(names) if wanted in printable(name).lower()]
    if not places:
        desk.say(f"no layer contains {desk.found!r}", "warn")
        return
    here = names.index(desk.selection.layer) if desk.selection.layer in names else 0
    if step > 0:
        position = sum(place <= here for place in places) + step - 1
    else:
        position = sum(place < here for place in places) + step
    desk.path = names[places[position % len(places)]]
    desk.selection = moves.with_layer(desk.selection, desk.session, desk.path)


def next_found(desk: Desk, count: int) -> None:
    """Go to the next found layer."""
    find(desk, "", max(count, 1))


def previous_found(desk: Desk, count: int) -> None:
    """Go to the previous found layer."""
    find(desk, "", -max(count, 1))


def next_flag(desk: Desk, count: int) -> None:
    """Go to the next layer with a flag."""
    _flag(desk, max(count, 1))


def previous_flag(desk: Desk, count: int) -> None:
    """Go to the previous layer with a flag."""
    _flag(desk, -max(count, 1))


def _flag(desk: Desk, step: int) -> None:
    """Go to the ``step``-th flag on: along the rows of the Overview, elsewhere along the layers."""
    names = [layer.name for layer in desk.session.layers]
    if desk.selection.view == "overview":
        here = overview_place(desk)
        flagged = [place for place, row in enumerate(desk.rows) if row.finding.flag != "."]
    else:
        here = names.index(desk.selection.layer) if desk.selection.layer in names else 0
        flagged = [n for n, name in enumerate(names) if desk.summary.worst(name).flag != "."]
    if not names:
        desk.say("no layers yet", "warn")
        return
    if not flagged:
        desk.say("no layer has a flag", "good")
        return
    if step > 0:
        position = sum(place <= here for place in flagged) + step - 1
    else:
        position = sum(place < here for place in flagged) + step
    chosen = flagged[position % len(flagged)]
    if desk.selection.view == "overview":
        go_to_row(desk, chosen)
    else:
        desk.path = names[chosen]
        desk.selection = moves.with_layer(desk.selection, desk.session, desk.path)
    text = desk.summary.worst(desk.selection.layer).text
    if text:
        desk.say(text, "warn")
