"""What keys do in the Architecture view: folds, depth, merging, order, dataflow, comparing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from gradtui.tui.actions.graph_rows import choose, go, length, shown
from gradtui.tui.actions.moving import PAGE
from gradtui.viewmodel.architecture.choices import HOTS, merge_of
from gradtui.viewmodel.architecture.columns import sorting
from gradtui.viewmodel.architecture.figures import short
from gradtui.viewmodel.architecture.layout import FOLDED, REPEAT
from gradtui.viewmodel.architecture.table import architecture_tsv, flagged
from gradtui.viewmodel.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gradtui.tui.actions.desk import Desk
    from gradtui.viewmodel.architecture.layout import Layout

MOST_OPENINGS: Final = 256
"""Rows that are opened one in the other to come to a name that is looked for."""


def _moved(rows: int) -> Callable[[Desk, int], None]:
    def move(desk: Desk, count: int) -> None:
        go(desk, desk.selection.architecture.row + rows * max(count, 1))

    return move


def _paged(direction: int) -> Callable[[Desk, int], None]:
    def move(desk: Desk, count: int) -> None:
        go(desk, desk.selection.architecture.row + direction * PAGE * max(count, 1))

    return move


def _bottom(desk: Desk, count: int) -> None:
    go(desk, count - 1 if count else length(desk) - 1)


def _of_graph(act: Callable[[Desk, int], None]) -> Callable[[Desk, int], None]:
    """A key about the graph: while a difference hides it, the key does nothing and says so."""

    def run(desk: Desk, count: int) -> None:
        if desk.plan.comparing:
            desk.say("this is a difference: D shows the graph again")
        else:
            act(desk, count)

    return run


def _of_row(act: Callable[[Desk, int], None]) -> Callable[[Desk, int], None]:
    """A key about the row under the cursor, where there is one."""

    def run(desk: Desk, count: int) -> None:
        if len(shown(desk).shown):
            act(desk, count)
        else:
            desk.say("no row here")

    return _of_graph(run)


def fold(desk: Desk, _count: int) -> None:
    """Open a folded row; fold the call around a row that is none."""
    view, choices = shown(desk), desk.selection.architecture
    row = view.row(choices.row)
    if row.role in ("folded", "repeat"):
        choose(desk, choices.unfolded(row.key))
        return
    key = desk.plan.enclosing(row.number)
    if not key:
        desk.say("nothing to fold: this row is at the top")
        return
    choose(desk, choices.folded(key))


def fold_all(desk: Desk, _count: int) -> None:
    """Fold everything at the top; again, open everything but calls alike."""
    choices, before = desk.selection.architecture, shown(desk).layout
    folded = bool((before.roles == FOLDED).any())
    choose(desk, choices.at_depth(-1 if folded else 0))
    if shown(desk).layout is before:
        desk.say(_all_open(before))


def deeper(desk: Desk, count: int) -> None:
    """Open one depth more than is folded away."""
    choices = desk.selection.architecture
    deepest = desk.plan.deepest
    depth = (choices.depth if choices.depth >= 0 else deepest) + max(count, 1)
    deeper = choices.at_depth(-1 if depth >= deepest else depth)
    # What was opened by itself stays: this only opens more.
    choose(desk, replace(deeper, opened=choices.opened))
    desk.say(_all_open(shown(desk).layout) if depth >= deepest else f"depth {depth}")


def _all_open(layout: Layout) -> str:
    if (layout.roles == REPEAT).any():
        return "all open; calls alike (×N) are one row: space opens one"
    return "everything open"


def shallower(desk: Desk, count: int) -> None:
    """Fold the deepest calls that stand open, whatever the depth was."""
    opened = shown(desk).layout.deepest_open
    if opened <= 0:
        desk.say("nothing more to fold")
        return
    depth = max(opened - max(count, 1), 0)
    choose(desk, desk.selection.architecture.at_depth(depth))
    desk.say(f"depth {depth}")


def sort(desk: Desk, count: int) -> None:
    """Sort by the next column, or by column ``count`` as they stand; after the last in dataflow's order again."""
    choices = desk.selection.architecture
    columns = sorting(desk.room.graph_columns, live=bool(desk.live))
    if count > len(columns):
        desk.say(f"columns 1 to {len(columns)} sort: {', '.join(columns)}", "warn")
        return
    if count:
        column = columns[count - 1]
    else:
        order = ("dataflow", *columns)
        here = order.index(choices.sort) if choices.sort in order else 0
        column = order[(here + 1) % len(order)]
    choose(desk, choices.sorted_by(column))
    desk.say("in the order of dataflow" if column == "dataflow" else f"sorted by {column}")


def hot(desk: Desk, _count: int) -> None:
    """Judge hotspots by the next number; those of a run only where there is one."""
    choices = desk.selection.architecture
    names = HOTS if desk.live else HOTS[:3]
    place = names.index(choices.hot) + 1 if choices.hot in names else 0
    choose(desk, replace(choices, hot=names[place % len(names)]))
    desk.say(f"hot by {desk.selection.architecture.hot}")


def direction(desk: Desk, _count: int) -> None:
    """Put the input at the bottom, or at the top."""
    choices = desk.selection.architecture
    choose(desk, replace(choices, upward=not choices.upward, sort="dataflow"))


def _follow(desk: Desk, rows: tuple[int, ...], count: int, none: str) -> None:
    view = shown(desk)
    places = sorted(place for place in map(view.place_of, rows) if place >= 0)
    if not places:
        desk.say(none)
        return
    go(desk, places[(max(count, 1) - 1) % len(places)])
    if len(places) > 1:
        desk.say(f"{max(count, 1)} of {len(places)}: a count chooses")


def producer(desk: Desk, count: int) -> None:
    """To the row that this one takes from; a count chooses among several."""
    view, row = shown(desk), desk.selection.architecture.row
    _follow(desk, view.layout.inputs(int(view.shown[row])), count, "it takes from no row")


def consumer(desk: Desk, count: int) -> None:
    """To the row that takes from this one; a count chooses among several."""
    view, row = shown(desk), desk.selection.architecture.row
    _follow(desk, view.layout.outputs(int(view.shown[row])), count, "no row takes from it")


def open_row(desk: Desk, count: int) -> None:
    """Open a folded row; of a module that a run watches, its History."""
    view = shown(desk)
    row = view.row(desk.selection.architecture.row)
    node = desk.plan.graph.nodes[row.number]
    if row.role in ("folded", "repeat"):
        fold(desk, count)
    elif desk.watching and node.kind == "module":
        from gradtui.tui.actions.watching import go_to

        go_to(desk, node.path)
        desk.selection = replace(desk.selection, view="history")
    elif node.path in {layer.name for layer in desk.session.layers}:
        from gradtui.viewmodel.moves import with_layer

        desk.selection = replace(with_layer(desk.selection, desk.session, node.path), view="values")
    else:
        desk.say("nothing was measured of this row")


def ask_merge(desk: Desk, _count: int) -> None:
    """Ask for the merge threshold."""
    value = f"{desk.selection.architecture.merge:g}"
    desk.room.ask("merge", "merge below this share of parameters, 0 to 1 (-1: nothing): ", value)


def merge_typed(desk: Desk, text: str) -> None:
    """Take the merge threshold; what is none leaves the one that was.

    Raises:
        UsageError: when it is no finite number.
    """
    choose(desk, replace(desk.selection.architecture, merge=merge_of(text)))


def ask_filter(desk: Desk, _count: int) -> None:
    """Ask which rows to show."""
    desk.room.ask("filter", "&", desk.selection.architecture.filter)


def filter_rows(desk: Desk, text: str) -> None:
    """Show only rows whose path, class or operation holds the text."""
    choose(desk, replace(desk.selection.architecture, filter=text))


def ask_find(desk: Desk, _count: int) -> None:
    """Ask what to look for."""
    desk.room.ask("find", "/", complete=lambda text: names(desk, text))


def names(desk: Desk, text: str) -> tuple[str, ...]:
    """Paths that contain a text, as they are shown."""
    paths = dict.fromkeys(printable(node.path) for node in desk.plan.graph.nodes if node.path)
    return tuple(path for path in paths if text.lower() in path.lower())


def find(desk: Desk, text: str, step: int = 1) -> None:
    """Go to the ``step``-th row on that holds the text, opening what hides it when none is in sight."""
    desk.found = text or desk.found
    if not desk.found:
        desk.say("nothing to find yet: / takes a name", "warn")
        return
    view = shown(desk)
    places = desk.plan.holding(view, desk.found)
    if not places and text:
        places = _opened(desk, desk.found)
    if not places:
        desk.say(f"no row contains {desk.found!r}", "warn")
        return
    here = desk.selection.architecture.row
    if step > 0:
        position = sum(place <= here for place in places) + step - 1
    else:
        position = sum(place < here for place in places) + step
    go(desk, places[position % len(places)])


def _opened(desk: Desk, wanted: str) -> list[int]:
    """Unfold down to the first node whose name holds the text."""
    number, choices = desk.plan.opened_to(wanted, desk.selection.architecture)
    if number < 0:
        return []
    desk.selection = replace(desk.selection, architecture=choices)
    for _ in range(MOST_OPENINGS):
        view = shown(desk)
        row = int(view.layout.row_of[number])
        hides = row >= 0 and view.layout.roles[row] in (FOLDED, REPEAT)
        # Where it has a row of its own, that is what was looked for.
        if not hides or view.layout.numbers[row] == number:
            break
        # Of very many calls alike those behind the first ones are another row.
        choices = desk.selection.architecture.unfolded(view.layout.row(row).key)
        desk.selection = replace(desk.selection, architecture=choices)
    view = shown(desk)
    place = view.place_of(int(view.layout.row_of[number]))
    return [place] if place >= 0 else []


def _flag(desk: Desk, step: int) -> None:
    places = flagged(shown(desk))
    if not places and desk.plan.empty:
        desk.say("no architecture yet: nothing can have failed", "warn")
        return
    if not places and desk.plan.graph.stage == "static" and not desk.watching:
        desk.say("nothing was run: the tree alone cannot tell what fails", "warn")
        return
    if not places:
        desk.say("no row failed or has a finding", "good")
        return
    here = desk.selection.architecture.row
    position = sum(place <= here for place in places) + step - 1
    if step < 0:
        position = sum(place < here for place in places) + step
    go(desk, places[position % len(places)])


def baseline(desk: Desk, _count: int) -> None:
    """Compare later graphs with the one that is shown."""
    desk.plan.choose_baseline()
    desk.say("this graph is the baseline: D shows what later ones changed")


def compare(desk: Desk, _count: int) -> None:
    """Show what differs from the baseline, or the graph again."""
    if not desk.plan.baseline.nodes and not desk.plan.comparing:
        desk.say("nothing to compare with yet: b makes this graph the baseline", "warn")
        return
    desk.plan.comparing = not desk.plan.comparing
    go(desk, 0)


def copy_value(desk: Desk, _count: int) -> None:
    """Copy a row's path, shape and costs."""
    view = shown(desk)
    row = view.row(desk.selection.architecture.row)
    node = view.graph.nodes[row.number]
    desk.room.copy(
        f"{node.path or node.name}\t{short(row.parameters)} parameters\t{row.flops} FLOPs",
        "path and costs",
    )


def copy_table(desk: Desk, _count: int) -> None:
    """Copy the rows, tab-separated."""
    desk.room.copy(architecture_tsv(shown(desk)), "table")


ARCHITECTURE_ACTIONS: Final[Mapping[str, Callable[[Desk, int], None]]] = {
    "move.down": _moved(1),
    "move.up": _moved(-1),
    "move.top": lambda desk, _count: go(desk, 0),
    "move.bottom": _bottom,
    "page.down": _paged(1),
    "page.up": _paged(-1),
    "open": _of_row(open_row),
    "fold.toggle": _of_row(fold),
    "fold.all": _of_graph(fold_all),
    "depth.more": _of_graph(deeper),
    "depth.less": _of_graph(shallower),
    "sort.next": _of_graph(sort),
    "hot.next": _of_graph(hot),
    "merge.type": _of_graph(ask_merge),
    "flow.producer": _of_row(producer),
    "flow.consumer": _of_row(consumer),
    "flow.direction": _of_graph(direction),
    "find": _of_graph(ask_find),
    "find.next": _of_graph(lambda desk, count: find(desk, "", max(count, 1))),
    "find.previous": _of_graph(lambda desk, count: find(desk, "", -max(count, 1))),
    "filter": _of_graph(ask_filter),
    "flag.next": _of_graph(lambda desk, count: _flag(desk, max(count, 1))),
    "flag.previous": _of_graph(lambda desk, count: _flag(desk, -max(count, 1))),
    "baseline.set": baseline,
    "baseline.difference": compare,
    "copy.value": _of_row(copy_value),
    "copy.table": _of_graph(copy_table),
}
ARCHITECTURE_ANSWERS: Final[Mapping[str, Callable[[Desk, str], None]]] = {
    "find": find,
    "filter": filter_rows,
    "merge": merge_typed,
}
