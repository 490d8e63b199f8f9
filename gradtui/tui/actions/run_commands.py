"""Commands about a watched run: what each does with its words."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gradtui.errors import UsageError
from gradtui.tui.actions import columns, keeping, scrubbing, watching
from gradtui.viewmodel.run.choice import APART, AXES, TOGETHER
from gradtui.viewmodel.run.quantities import series_name
from gradtui.viewmodel.run.sorts import SORTS

if TYPE_CHECKING:
    from gradtui.tui.actions.desk import Desk


def _needed(desk: Desk) -> None:
    if not desk.watching:
        raise UsageError("no training run in this folder: gradtui.torch.watch(model) writes one")


def _to_history(desk: Desk) -> None:
    desk.selection = replace(desk.selection, view="history")


def series(desk: Desk, words: list[str]) -> None:
    """Show a series by words of its name."""
    _needed(desk)
    _to_history(desk)
    scrubbing.find_series(desk, " ".join(words))


def pin(desk: Desk, words: list[str]) -> None:
    """Pin the series that is shown, or the one with these words in its name."""
    _needed(desk)
    _to_history(desk)
    if words:
        scrubbing.find_series(desk, " ".join(words))
    scrubbing.pin(desk, 0)


def unpin(desk: Desk, _words: list[str]) -> None:
    """Take all pins away."""
    _needed(desk)
    scrubbing.unpin_all(desk, 0)


def module(desk: Desk, words: list[str]) -> None:
    """Go to a module by its path, or by words in it."""
    watching.find_module(desk, " ".join(words))


def window(desk: Desk, words: list[str]) -> None:
    """Choose the steps in view."""
    _needed(desk)
    scrubbing.window_typed(desk, " ".join(words))


def step(desk: Desk, words: list[str]) -> None:
    """Put the cursor on a step, or on the newest one."""
    _needed(desk)
    word = words[0] if len(words) == 1 else ""
    if word == "last":
        number = desk.watch.run.last_step
    elif word.isdecimal():
        number = int(word[:15])
    else:
        raise UsageError("usage: step NUMBER, or step last")
    scrubbing.go_to_step(desk, number)


def axis(desk: Desk, words: list[str]) -> None:
    """Choose the axis of the values."""
    _needed(desk)
    for name in AXES:
        if words == [name]:
            watching.choose(desk, replace(desk.selection.run, axis=name))
            return
    raise UsageError("usage: axis log|linear")


def sort(desk: Desk, words: list[str]) -> None:
    """Sort the Overview of a run by a column."""
    _needed(desk)
    name = " ".join(words)
    if name not in SORTS:
        raise UsageError(f"columns: {', '.join(SORTS)}")
    columns.with_sort(desk, name)


def inputs(desk: Desk, _words: list[str]) -> None:
    """Show the inputs of the module side by side."""
    _needed(desk)
    _to_history(desk)
    scrubbing.inputs(desk, 0)


def ranks(desk: Desk, words: list[str]) -> None:
    """Show ranks together, apart, or one."""
    _needed(desk)
    here = [rank.rank for rank in desk.watch.run.ranks]
    word = words[0] if len(words) == 1 else ""
    named = {"together": TOGETHER, "apart": APART}
    if word in named:
        watching.with_ranks(desk, named[word])
    elif word.isdecimal() and int(word[:6]) in here:
        watching.with_ranks(desk, int(word[:6]))
    else:
        raise UsageError(
            f"usage: ranks together|apart|NUMBER; there are {', '.join(map(str, here))}"
        )


def keep(desk: Desk, words: list[str]) -> None:
    """Ask the run to keep full tensors of a module, or an attached tensor."""
    _needed(desk)
    keeping.keep(desk, words)


def play(desk: Desk, _words: list[str]) -> None:
    """Play the snapshots, or the steps."""
    if desk.selection.view not in ("values", "history"):
        desk.selection = replace(desk.selection, view="history" if desk.watching else "values")
    desk.room.play()


def modules(desk: Desk) -> tuple[str, ...]:
    """Return paths of modules, for completion."""
    return watching.module_names(desk, "") if desk.watching else ()


def names(desk: Desk) -> tuple[str, ...]:
    """Return names of the selected module's series, for completion."""
    if not desk.watching:
        return ()
    path = desk.watch.recorded(desk.selection.run)
    return tuple(series_name(key) for key in desk.watch.keys(path))
