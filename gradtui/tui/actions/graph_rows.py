"""The rows of the Architecture and the cursor among them, which stays on its node whatever is chosen or arrives."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gradtui.core.architecture.graph import ModuleGraph
    from gradtui.tui.actions.desk import Desk
    from gradtui.viewmodel.architecture.choices import ArchitectureChoices
    from gradtui.viewmodel.architecture.listing import ArchitectureView


def shown(desk: Desk) -> ArchitectureView:
    """The rows as they were last drawn."""
    return desk.plan.view(desk.selection.architecture, desk.live)


def choose(desk: Desk, choices: ArchitectureChoices) -> None:
    """Take new choices, with the cursor on the row of the same node where there still is one."""
    before = shown(desk)
    here = desk.selection.architecture.row
    number = before.row(here).number if 0 <= here < len(before.shown) else -1
    desk.selection = replace(desk.selection, architecture=choices)
    after = shown(desk)
    place = after.place_of(int(after.layout.row_of[number])) if number >= 0 else -1
    if place < 0 and number >= 0:
        # The node has no row now: the first one inside it, else the nearest one before it.
        rows = after.layout.numbers[after.shown]
        inside = np.flatnonzero((rows > number) & (rows < after.graph.ends[number]))
        above = np.flatnonzero(rows <= number)
        if len(inside):
            place = int(inside[rows[inside].argmin()])
        elif len(above):
            place = int(above[-1])
    go(desk, max(place, 0))


def arrived(desk: Desk, graph: ModuleGraph) -> None:
    """Take another graph, with the cursor on the row of that name where there still is one, else as far down."""
    here, key = desk.selection.architecture.row, ""
    if not desk.plan.empty:
        before = shown(desk)
        key = before.row(here).key if 0 <= here < len(before.shown) else ""
    desk.plan.arrived(graph)
    if desk.plan.empty:
        return
    after = shown(desk)
    same = (place for place in range(len(after.shown)) if key and after.row(place).key == key)
    go(desk, next(same, here))


def go(desk: Desk, place: int) -> None:
    """Put the cursor on a row, within the list."""
    last = length(desk) - 1
    choices = replace(desk.selection.architecture, row=min(max(place, 0), max(last, 0)))
    desk.selection = replace(desk.selection, architecture=choices)


def length(desk: Desk) -> int:
    """How many rows are listed: of the graph, or of the difference."""
    return len(desk.plan.difference()) if desk.plan.comparing else len(shown(desk).shown)


def go_to_fault(desk: Desk) -> None:
    """Put the cursor on the row where the forward pass ended."""
    number = desk.plan.graph.fault.node
    if number >= 0:
        view = shown(desk)
        place = view.place_of(int(view.layout.row_of[number]))
        if place >= 0:
            go(desk, place)
