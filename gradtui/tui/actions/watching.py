"""A watched run in the Overview: rows, folds, order, filter, findings, ranks; and what all its views share."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Final

import numpy as np

from gradtui.viewmodel.run import choice as choices
from gradtui.viewmodel.run.choice import APART, NEWEST, TOGETHER, RunChoice, Spot
from gradtui.viewmodel.run.flags import nearest
from gradtui.viewmodel.run.lines import tsv
from gradtui.viewmodel.run.training import folded_nodes
from gradtui.viewmodel.run.window import window_of, with_cursor
from gradtui.viewmodel.text import printable

if TYPE_CHECKING:
    from gradtui.diagnosis.finding import Finding
    from gradtui.tui.actions.desk import Desk
    from gradtui.viewmodel.run.tree import ModuleTree

PAGE: Final = 10
_FAR: Final = 1 << 40


def choose(desk: Desk, choice: RunChoice) -> None:
    """Take a new choice."""
    desk.selection = replace(desk.selection, run=choice)


def row_of(desk: Desk) -> int:
    """Return the row of the cursor: of the module, or of the nearest one above it that has a row; 0 for none."""
    rows = desk.watch.rows(desk.selection.run)
    tree = desk.watch.training(desk.selection.run).tree
    node = nearest(tree, desk.selection.run.path)
    for each in (node, *tree.above(node)):
        found = np.flatnonzero(rows == each)
        if found.size:
            return int(found[0])
    return 0


def node_of(desk: Desk) -> int:
    """Return the node of the cursor's row; 0 for none."""
    rows = desk.watch.rows(desk.selection.run)
    return int(rows[row_of(desk)]) if len(rows) else 0


def go_to_row(desk: Desk, place: int) -> None:
    """Put the cursor on a row."""
    rows = desk.watch.rows(desk.selection.run)
    if len(rows):
        tree = desk.watch.training(desk.selection.run).tree
        node = int(rows[min(max(place, 0), len(rows) - 1)])
        choose(desk, replace(desk.selection.run, path=tree.paths[node]))


def move(desk: Desk, rows: int) -> None:
    """Move the cursor by rows."""
    go_to_row(desk, row_of(desk) + min(max(rows, -_FAR), _FAR))


def down(desk: Desk, count: int) -> None:
    """Down by ``count`` rows."""
    move(desk, max(count, 1))


def up(desk: Desk, count: int) -> None:
    """Up by ``count`` rows."""
    move(desk, -max(count, 1))


def page_down(desk: Desk, count: int) -> None:
    """A page down."""
    move(desk, PAGE * max(count, 1))


def page_up(desk: Desk, count: int) -> None:
    """A page up."""
    move(desk, -PAGE * max(count, 1))


def top(desk: Desk, _count: int) -> None:
    """To the first row."""
    go_to_row(desk, 0)


def bottom(desk: Desk, count: int) -> None:
    """To the last row; with a count, to that one, from 1."""
    go_to_row(desk, count - 1 if count else _FAR)


def close(desk: Desk, _count: int) -> None:
    """Fold the group of the cursor, or go to the one above."""
    tree = desk.watch.training(desk.selection.run).tree
    node = node_of(desk)
    folded = folded_nodes(tree, desk.selection.run)
    if tree.ends[node] > node + 1 and not folded[node] and node:
        fold(desk, 0)
    elif above := tree.above(node):
        choose(desk, replace(desk.selection.run, path=tree.paths[above[0]]))


def unclose(desk: Desk, _count: int) -> None:
    """Unfold the group of the cursor, or go into it."""
    tree = desk.watch.training(desk.selection.run).tree
    node = node_of(desk)
    if tree.ends[node] > node + 1:
        if folded_nodes(tree, desk.selection.run)[node]:
            fold(desk, 0)
        else:
            move(desk, 1)


def fold(desk: Desk, _count: int) -> None:
    """Fold or unfold the group of the cursor."""
    tree = desk.watch.training(desk.selection.run).tree
    node = node_of(desk)
    if node and tree.ends[node] > node + 1:
        moved = replace(desk.selection.run, path=tree.paths[node])
        choose(desk, choices.toggled(moved, tree.paths[node]))


def fold_all(desk: Desk, _count: int) -> None:
    """Unfold everything; fold everything where nothing is folded."""
    tree = desk.watch.training(desk.selection.run).tree
    folded = bool(folded_nodes(tree, desk.selection.run).any())
    choose(desk, choices.next_folds(desk.selection.run, any_folded=folded))


def filter_rows(desk: Desk, text: str) -> None:
    """Show only modules whose path or class has these words; ``!``, ``X``, ``v`` and ``flag`` ask for flags."""
    choose(desk, replace(desk.selection.run, filter=text.strip()))
    choice = desk.selection.run
    rows = desk.watch.rows(choice)
    if (
        text.strip()
        and len(rows)
        and nearest(desk.watch.training(choice).tree, choice.path) not in rows
    ):
        # What is told below the rows is about one of them.
        go_to_row(desk, 0)
    if text.strip() and not len(rows):
        desk.say(f"no module matches {text.strip()!r}; :filter shows all", "warn")


def module_names(desk: Desk, text: str) -> tuple[str, ...]:
    """Return paths of modules that contain ``text``, at most a screenful of them."""
    tree = desk.watch.training(desk.selection.run).tree
    found = (tree.paths[node] for node in tree.searched.having(text.lower()).tolist())
    return tuple(printable(path) for path in islice(filter(None, found), 200))


def find_module(desk: Desk, text: str, step: int = 1) -> None:
    """Go to the next module whose path or class contains ``text``, or the ``step``-th; round and round."""
    desk.found = text or desk.found
    tree = desk.watch.training(desk.selection.run).tree
    if not desk.found:
        desk.say("nothing to find yet: / takes a name", "warn")
        return
    wanted = desk.found.lower()
    places = tree.searched.having(wanted)
    places = places[places > 0]
    if not len(places):
        desk.say(f"no module contains {desk.found!r}", "warn")
        return
    here = nearest(tree, desk.selection.run.path)
    exact = _called(tree, places.tolist(), wanted) if text else 0
    if step > 0:
        place = int(np.searchsorted(places, here, "right")) + step - 1
    else:
        place = int(np.searchsorted(places, here)) + step
    go_to(desk, tree.paths[exact or int(places[place % len(places)])])


def _called(tree: ModuleTree, nodes: list[int], name: str) -> int:
    """The first of some modules that is called so, in any case; 0 for none."""
    # A name that is made printable only becomes longer.
    short = (node for node in nodes if len(tree.paths[node]) <= len(name))
    return next((node for node in short if printable(tree.paths[node]).lower() == name), 0)


def go_to(desk: Desk, path: str) -> None:
    """Select a module, and unfold what hides it."""
    choice = desk.selection.run
    tree = desk.watch.training(choice).tree
    node = nearest(tree, path)
    folded = folded_nodes(tree, choice)
    hidden = {tree.paths[above] for above in tree.above(node) if folded[above]}
    choose(desk, replace(choice, path=tree.paths[node], toggled=choice.toggled ^ hidden))


def next_finding(desk: Desk, count: int) -> None:
    """Go to the next finding, the worst first."""
    _finding(desk, max(count, 1))


def previous_finding(desk: Desk, count: int) -> None:
    """Go to the finding before."""
    _finding(desk, -max(count, 1))


def _finding(desk: Desk, step: int) -> None:
    findings = desk.watch.findings
    worrying = tuple(f for f in findings if f.severity != "note") or findings
    if not worrying and desk.watch.reading < 1:
        desk.say(f"no findings in the {desk.watch.reading:.0%} that was read so far")
        return
    if not worrying:
        desk.say("no findings", "good")
        return
    here = next((n for n, each in enumerate(worrying) if each is desk.finding), -1)
    if desk.finding is not None and here < 0:
        # Judged anew since: the same rule about the same module.
        same = (desk.finding.rule, desk.finding.path, desk.finding.name)
        here = next((n for n, f in enumerate(worrying) if (f.rule, f.path, f.name) == same), -1)
    place = (here + step if here >= 0 or step < 0 else step - 1) % len(worrying)
    show_finding(desk, worrying[place])


def show_finding(desk: Desk, finding: Finding) -> None:
    """Go to a finding: its module, its series, the step since which it holds."""
    desk.finding = finding
    go_to(desk, finding.path)
    choice = desk.selection.run
    key = desk.watch.key_of(finding)
    if key is not None:
        choice = replace(choice, key=key)
    if desk.selection.view == "history":
        if key is not None:
            choice = replace(choice, path=key.path)
        choice = with_cursor(desk.watch.run, choice, finding.since)
    choose(desk, choice)


def ranks(desk: Desk, count: int) -> None:
    """All ranks together, each apart, then one after the other; with a count, that rank."""
    choice = desk.selection.run
    here = [rank.rank for rank in desk.watch.run.ranks]
    if len(here) < 2:
        desk.say("this run has one rank")
        return
    order = [TOGETHER, APART, *here]
    place = order.index(choice.rank) if choice.rank in order else 0
    # No count comes as 0, which is a rank as well.
    wanted = count if count and count in here else order[(place + 1) % len(order)]
    with_ranks(desk, wanted)


def with_ranks(desk: Desk, rank: int) -> None:
    """Show ranks together, apart, or one."""
    choose(desk, replace(desk.selection.run, rank=rank))
    words = {TOGETHER: "all ranks together", APART: "ranks apart, a curve for each in History"}
    desk.say(words.get(rank, f"rank {rank}"))


def pause(desk: Desk, _count: int) -> None:
    """Hold what is shown, or follow again."""
    desk.watch.pause()
    desk.say("paused: p follows again" if desk.watch.held else "following")


def baseline(desk: Desk, _count: int) -> None:
    """Make the step of the cursor the baseline; there again, take it away."""
    choice = desk.selection.run
    step = window_of(desk.watch.run, choice).cursor
    if choice.baseline == step:
        choose(desk, replace(choice, baseline=NEWEST, comparing=False))
        desk.say("no baseline")
        return
    choose(desk, replace(choice, baseline=step))
    desk.say(f"baseline: step {step}; D shows the difference to it in History")


def set_mark(desk: Desk, name: str) -> None:
    """Remember view, module and step under a letter."""
    choice = desk.selection.run
    spot = Spot(desk.selection.view, choice.path, choice.cursor)
    choose(desk, replace(choice, marks={**choice.marks, name: spot}))
    desk.say(f"marked {name}")


def jump_mark(desk: Desk, name: str) -> None:
    """Go to a marked place."""
    spot = desk.selection.run.marks.get(name)
    if spot is None:
        desk.say(f"no mark {name}", "warn")
        return
    go_to(desk, spot.path)
    choose(desk, replace(desk.selection.run, cursor=spot.step))
    if spot.view in ("overview", "history"):
        desk.selection = replace(desk.selection, view=spot.view)


def copy_value(desk: Desk, _count: int) -> None:
    """Copy the gradient's norm of the row, in full precision, and its path."""
    training = desk.watch.training(desk.selection.run)
    node = node_of(desk)
    value = float(training.numbers.gradient[node])
    desk.room.copy(f"{value!r}\t{printable(training.tree.paths[node])}", "|dW|2 and module")


def copy_table(desk: Desk, _count: int) -> None:
    """Copy the rows, tab-separated."""
    choice = desk.selection.run
    desk.room.copy(tsv(desk.watch.training(choice), desk.watch.rows(choice)), "modules")
