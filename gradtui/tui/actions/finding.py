"""Finding: a layer by its name, the next one with a flag, the rows that a filter leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradtui.tui.actions.moving import go_to_row, overview_place
from gradtui.viewmodel import moves

if TYPE_CHECKING:
    from gradtui.tui.actions.desk import Desk


def ask(desk: Desk, _count: int) -> None:
    """Ask what to look for."""
    desk.room.ask("find", "/", complete=lambda text: layer_names(desk, text))


def ask_filter(desk: Desk, _count: int) -> None:
    """Ask which layers to show."""
    desk.room.ask("filter", "&", desk.selection.filter)


def layer_names(desk: Desk, text: str) -> tuple[str, ...]:
    """Return the layers whose name contains ``text``, without regard to case."""
    wanted = text.lower()
    return tuple(layer.name for layer in desk.session.layers if wanted in layer.name.lower())


def find(desk: Desk, text: str, step: int = 1, *, stay: bool = False) -> None:
    """Go to the next layer whose name contains ``text``; ``stay`` accepts the present one."""
    desk.found = text or desk.found
    names = [layer.name for layer in desk.session.layers]
    wanted = set(layer_names(desk, desk.found))
    here = names.index(desk.selection.layer) if desk.selection.layer in names else 0
    for distance in range(0 if stay else 1, len(names) + 1):
        name = names[(here + step * distance) % len(names)]
        if name in wanted:
            desk.path = name
            desk.selection = moves.with_layer(desk.selection, desk.session, name)
            return
    desk.say(f"no layer contains {desk.found!r}", "warn")


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
    flagged = [place for place, row in enumerate(desk.rows) if row.finding.flag != "."]
    if not flagged:
        desk.say("no layer has a flag", "good")
        return
    here = overview_place(desk)
    after = [place for place in flagged if (place - here) * step > 0]
    chosen = after if step > 0 else after[::-1]
    go_to_row(desk, chosen[0] if chosen else flagged[0 if step > 0 else -1])
