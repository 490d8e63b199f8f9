"""The tensors that a run keeps: opening them in Values, stepping from one snapshot to the next, asking for more."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gradtui.tui.actions.watching import choose, fold, go_to, node_of
from gradtui.viewmodel.run.snapshots import layers_of, tensor_to_open
from gradtui.viewmodel.run.training import folded_nodes
from gradtui.viewmodel.run.window import with_cursor
from gradtui.viewmodel.text import printable

if TYPE_CHECKING:
    from gradtui.tui.actions.desk import Desk


def open_row(desk: Desk, count: int) -> None:
    """Unfold a group; of a module or an attached tensor, show what is kept, or offer to keep it.

    A second name of a module leads to it.
    """
    tree = desk.watch.training(desk.selection.run).tree
    node = node_of(desk)
    if node and folded_nodes(tree, desk.selection.run)[node]:
        fold(desk, count)
    elif tree.paths[node] in tree.aliases:
        go_to(desk, tree.aliases[tree.paths[node]])
    elif not open_tensors(desk):
        offer_to_keep(desk)


def open_tensors(desk: Desk) -> bool:
    """Show the kept tensor of the selected module in Values, as it was at the cursor's step; whether there is one.

    Where none was kept by then, it is the first one. A module that has none shows those of a module in it.
    """
    from gradtui.viewmodel.moves import with_layer

    choice, kept = desk.selection.run, desk.generations.kept
    place, name = tensor_to_open(kept, choice.path, choice.cursor)
    if place < 0:
        return False
    generations = replace(desk.generations, position=place, tensor=name)
    desk.generations = generations if generations.behind else replace(generations, position=-1)
    chosen = with_layer(desk.selection, desk.session, name)
    desk.selection = replace(chosen, view="values")
    if name not in layers_of(kept[place], choice.path):
        whose = printable(choice.path) or "the model itself"
        desk.say(f"no tensor of {whose} is kept here: this is {printable(name)}")
    return True


def leave_tensors(desk: Desk, view: str) -> None:
    """Go from Values to another view of the run: with the module and the step that were looked at."""
    shown = desk.generations.shown
    places = shown.meta.get("paths")
    if isinstance(places, dict) and desk.selection.layer in places:
        go_to(desk, str(places[desk.selection.layer]))
        if not desk.generations.following:
            choose(desk, with_cursor(desk.watch.run, desk.selection.run, shown.generation))
    desk.selection = replace(desk.selection, view=view)


def offer_to_keep(desk: Desk) -> None:
    """No tensor of the module is kept: ask the run for one, or show its numbers.

    Where no training lives that could keep one, it says so: a question would take a key for nothing.
    """
    name = printable(desk.selection.run.path) or "the model"
    if not desk.room.is_answered:
        desk.say(f"no tensor of {name} is kept, and no training runs that could keep one", "warn")
        return
    path = desk.selection.run.path
    if not desk.watch.keys(path) and not desk.watch.histogram_keys(path):
        desk.say(f"{name} is not called itself and has no tensors: choose a module in it", "warn")
        return
    desk.room.choose(
        f"no tensor of {name} is kept",
        {
            "k": ("ask the run to keep it", lambda: keep(desk, [])),
            "t": ("show its history", lambda: _to_history(desk)),
        },
        "stays here",
    )


def _to_history(desk: Desk) -> None:
    desk.selection = replace(desk.selection, view="history")


def keep(desk: Desk, words: list[str]) -> None:
    """Ask the run to keep full tensors of a module, or an attached tensor, from now on."""
    path = " ".join(words) or desk.watch.recorded(desk.selection.run)
    tree = desk.watch.training(desk.selection.run).tree
    known = next((each for each in tree.paths if path in (each, printable(each))), "")
    desk.room.request("keep", module=known or path)
    if desk.notice[1] != "warn":
        desk.say(
            f"asked the run to keep {printable(known or path)}: v shows it once a step was recorded"
        )
