"""A watched run in the History view: the step cursor, the window, series, pins, snapshots."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gradtui.tui.actions.watching import choose, go_to
from gradtui.viewmodel.run import choice as choices
from gradtui.viewmodel.run.choice import AXES, NEWEST
from gradtui.viewmodel.run.curves import charted, value_at
from gradtui.viewmodel.run.quantities import find_keys, series_name
from gradtui.viewmodel.run.window import typed_window, window_of, with_cursor, zoomed

if TYPE_CHECKING:
    from gradtui.core.arrays import Array
    from gradtui.core.run.keys import SeriesKey
    from gradtui.tui.actions.desk import Desk


def steps_of(desk: Desk) -> Array:
    """Return the steps at which the series on the screen has numbers; empty for none."""
    choice = desk.selection.run
    if choice.mode != "series" and (key := desk.watch.histogram(choice)) is not None:
        return desk.watch.run.histogram(key, choice.one_rank).steps
    key = desk.watch.key(choice)
    if key is None:
        return np.zeros(0, np.int64)
    return desk.watch.run.series(key, choice.one_rank).steps


def _recorded(desk: Desk, count: int) -> None:
    """Move the cursor by recorded steps."""
    choice = desk.selection.run
    steps = steps_of(desk)
    if not len(steps):
        return
    here = window_of(desk.watch.run, choice).cursor
    if count > 0:
        place = int(np.searchsorted(steps, here, "right")) + count - 1
    else:
        place = int(np.searchsorted(steps, here, "left")) + count
    if place >= len(steps):
        choose(desk, with_cursor(desk.watch.run, choice, desk.watch.run.last_step))
    else:
        choose(desk, with_cursor(desk.watch.run, choice, int(steps[max(place, 0)])))


def next_step(desk: Desk, count: int) -> None:
    """The next step with a number."""
    _recorded(desk, max(count, 1))


def previous_step(desk: Desk, count: int) -> None:
    """The step before with a number."""
    _recorded(desk, -max(count, 1))


def _columns(desk: Desk, count: int) -> None:
    """Move the cursor by columns of the chart: at least by a step."""
    choice = desk.selection.run
    window = window_of(desk.watch.run, choice)
    columns = max(desk.room.chart_columns, 2)
    column = window.column(window.cursor, columns) + count
    step = window.step(column, columns)
    step = max(step, window.cursor + 1) if count > 0 else min(step, window.cursor - 1)
    choose(desk, with_cursor(desk.watch.run, choice, step))


def right(desk: Desk, count: int) -> None:
    """Right by ``count`` columns."""
    _columns(desk, max(count, 1))


def left(desk: Desk, count: int) -> None:
    """Left by ``count`` columns."""
    _columns(desk, -max(count, 1))


def page_right(desk: Desk, count: int) -> None:
    """Half a window to the right."""
    _columns(desk, max(count, 1) * desk.room.chart_columns // 2)


def page_left(desk: Desk, count: int) -> None:
    """Half a window to the left."""
    _columns(desk, -max(count, 1) * desk.room.chart_columns // 2)


def window_start(desk: Desk, _count: int) -> None:
    """To the first step in view."""
    choice = desk.selection.run
    window = window_of(desk.watch.run, choice)
    choose(desk, with_cursor(desk.watch.run, choice, window.first))


def window_end(desk: Desk, _count: int) -> None:
    """To the last step in view."""
    choice = desk.selection.run
    window = window_of(desk.watch.run, choice)
    choose(desk, with_cursor(desk.watch.run, choice, min(window.last, window.newest)))


def first_step(desk: Desk, _count: int) -> None:
    """To the first step of the run."""
    choose(desk, with_cursor(desk.watch.run, desk.selection.run, desk.watch.run.first_step))


def last_step(desk: Desk, count: int) -> None:
    """To the newest step, and follow; with a count, to that step."""
    go_to_step(desk, count or desk.watch.run.last_step)


def go_to_step(desk: Desk, step: int) -> None:
    """Put the cursor on a step, or on the nearest one that the run has, and say which."""
    run = desk.watch.run
    choose(desk, with_cursor(run, desk.selection.run, step))
    if step > run.last_step:
        desk.say(f"there is no step {step}: the newest is {run.last_step}", "warn")
    elif step < run.first_step:
        desk.say(f"there is no step {step}: the first is {run.first_step}", "warn")


def zoom_in(desk: Desk, count: int) -> None:
    """Halve the window."""
    choose(desk, zoomed(desk.watch.run, desk.selection.run, max(count, 1)))


def zoom_out(desk: Desk, count: int) -> None:
    """Double the window."""
    choose(desk, zoomed(desk.watch.run, desk.selection.run, -max(count, 1)))


def window_type(desk: Desk, _count: int) -> None:
    """Ask for the window."""
    window = window_of(desk.watch.run, desk.selection.run)
    text = f"{window.first}..{min(window.last, window.newest)}"
    desk.room.ask("window", "window (all, STEPS, or FIRST..LAST): ", text)


def window_typed(desk: Desk, text: str) -> None:
    """Take the window that was typed."""
    choose(desk, typed_window(desk.watch.run, desk.selection.run, text))


def module_down(desk: Desk, count: int) -> None:
    """The next module that has numbers, and the same number of it."""
    _module(desk, max(count, 1))


def module_up(desk: Desk, count: int) -> None:
    """The module before that has numbers."""
    _module(desk, -max(count, 1))


def _module(desk: Desk, steps: int) -> None:
    choice = desk.selection.run
    watch = desk.watch
    paths = watch.training(choice).tree.paths
    here = watch.training(choice).tree.node(watch.recorded(choice))
    direction = 1 if steps > 0 else -1
    left_to_go, node = abs(steps), max(here, 0)
    found = node
    while left_to_go:
        node += direction
        if not 0 <= node < len(paths):
            break
        if watch.keys(paths[node]):
            found, left_to_go = node, left_to_go - 1
    go_to(desk, paths[found])


def next_series(desk: Desk, count: int) -> None:
    """The next number of the module; of its histograms where those are shown."""
    _series(desk, max(count, 1))


def previous_series(desk: Desk, count: int) -> None:
    """The number before."""
    _series(desk, -max(count, 1))


def _series(desk: Desk, steps: int) -> None:
    choice = desk.selection.run
    path = desk.watch.recorded(choice)
    keys: tuple[SeriesKey, ...] = desk.watch.keys(path)
    shown = desk.watch.key(choice)
    if choice.mode == "histogram":
        keys, shown = tuple(desk.watch.histogram_keys(path)), desk.watch.histogram(choice)
    if not keys:
        desk.say("nothing was recorded for this module")
        return
    place = keys.index(shown) if shown in keys else 0
    place = (place + steps) % len(keys)
    choose(desk, replace(choice, key=keys[place]))
    desk.say(f"{series_name(keys[place])}: {place + 1} of {len(keys)}")


def pin(desk: Desk, _count: int) -> None:
    """Pin the series, or take its pin away."""
    choice = desk.selection.run
    key = desk.watch.key(choice)
    if key is None:
        desk.say("nothing to pin here")
        return
    pinned = choices.pinned(choice, key)
    choose(desk, replace(pinned, key=key))
    desk.say(f"{'pinned' if key in pinned.pins else 'no longer pinned'}: {series_name(key)}")


def unpin_all(desk: Desk, _count: int) -> None:
    """Take all pins away."""
    choose(desk, replace(desk.selection.run, pins=()))
    desk.say("no pins")


def axis(desk: Desk, _count: int) -> None:
    """Logarithmic or linear values."""
    choice = desk.selection.run
    choose(desk, replace(choice, axis=AXES[(AXES.index(choice.axis) + 1) % len(AXES)]))


def mode(desk: Desk, _count: int) -> None:
    """Curves, or the distribution over the steps."""
    choice = desk.selection.run
    wanted = "series" if choice.mode == "histogram" else "histogram"
    if wanted == "histogram" and desk.watch.histogram(choice) is None:
        desk.say("no histograms of this module: watch(log=...) says what is recorded", "warn")
        return
    choose(desk, replace(choice, mode="histogram" if wanted == "histogram" else "series"))


def inputs(desk: Desk, _count: int) -> None:
    """The module's inputs side by side, or what was there before."""
    choice = desk.selection.run
    if choice.mode != "inputs" and not desk.watch.inputs(choice):
        desk.say("no histograms of this module's inputs", "warn")
        return
    choose(desk, replace(choice, mode="series" if choice.mode == "inputs" else "inputs"))


def alone(desk: Desk, _count: int) -> None:
    """The chart without the rows below it, or with them."""
    choose(desk, replace(desk.selection.run, alone=not desk.selection.run.alone))


def compare(desk: Desk, _count: int) -> None:
    """Show curves as differences to the baseline, or as they are."""
    choice = desk.selection.run
    if choice.baseline == NEWEST:
        desk.say("no baseline yet: b makes the cursor's step the baseline", "warn")
        return
    choose(desk, replace(choice, comparing=not choice.comparing))
    if choice.comparing:
        desk.say("History shows the curves as they are")
    else:
        desk.say(f"History shows the difference to step {choice.baseline}; D again: as they are")


def _snapshot(desk: Desk, count: int) -> None:
    steps = sorted({kept.step for kept in desk.watch.run.kept})
    if not steps:
        desk.say("the run keeps no tensors: :keep asks for them", "warn")
        return
    here = window_of(desk.watch.run, desk.selection.run).cursor
    if count > 0:
        place = int(np.searchsorted(steps, here, "right")) + count - 1
    else:
        place = int(np.searchsorted(steps, here, "left")) + count
    step = steps[min(max(place, 0), len(steps) - 1)]
    choose(desk, with_cursor(desk.watch.run, desk.selection.run, step))
    desk.say(f"snapshot at step {step}: v shows its tensors")


def snapshot_next(desk: Desk, count: int) -> None:
    """To the next step with kept tensors."""
    _snapshot(desk, max(count, 1))


def snapshot_previous(desk: Desk, count: int) -> None:
    """To the step before with kept tensors."""
    _snapshot(desk, -max(count, 1))


def snapshot_first(desk: Desk, _count: int) -> None:
    """To the first step with kept tensors."""
    _snapshot(desk, -(1 << 30))


def snapshot_last(desk: Desk, _count: int) -> None:
    """To the last step with kept tensors."""
    _snapshot(desk, 1 << 30)


def series_names(desk: Desk, text: str) -> tuple[str, ...]:
    """Return names of series that have all words of ``text``."""
    return tuple(series_name(key) for key in find_keys(desk.watch.run, text))


def find_series(desk: Desk, text: str, step: int = 1) -> None:
    """Show the series whose name has all words of ``text``; again, the next of them."""
    again = not text or text == desk.found
    desk.found = text or desk.found
    if not desk.found:
        desk.say("nothing to find yet: / takes words of a series' name", "warn")
        return
    found = find_keys(desk.watch.run, desk.found)
    if not found:
        desk.say(f"no series has {desk.found!r} in its name", "warn")
        return
    shown = (desk.watch.histogram if desk.selection.run.mode == "histogram" else desk.watch.key)(
        desk.selection.run
    )
    exact = [key for key in found if series_name(key) == desk.found]
    place = found.index(shown) + step if again and shown in found else 0
    key = exact[0] if exact and not again else found[place % len(found)]
    show_series(desk, key)
    if len(found) > 1:
        desk.say(f"{found.index(key) + 1} of {len(found)} series with {desk.found!r}: n goes on")


def show_series(desk: Desk, key: SeriesKey) -> None:
    """Select a series and its module; a histogram is shown as such."""
    go_to(desk, key.path)
    is_histogram = key in desk.watch.histogram_keys(key.path)
    choice = replace(desk.selection.run, path=key.path, key=key)
    choose(desk, replace(choice, mode="histogram" if is_histogram else "series"))


def copy_value(desk: Desk, _count: int) -> None:
    """Copy the value at the cursor in full precision, its step and its name."""
    choice = desk.selection.run
    key = desk.watch.key(choice)
    if key is None:
        desk.say("nothing to copy")
        return
    at = value_at(
        desk.watch.run.series(key, choice.one_rank), window_of(desk.watch.run, choice).cursor
    )
    desk.room.copy(f"{at.value!r}\t{at.step}\t{series_name(key)}", "value, step and series")


def copy_table(desk: Desk, _count: int) -> None:
    """Copy the curves in view, tab-separated: a row for each step of any of them."""
    choice = desk.selection.run
    key = desk.watch.key(choice)
    if key is None:
        desk.say("nothing to copy")
        return
    window = window_of(desk.watch.run, choice)
    columns = {each: desk.watch.run.series(each, choice.one_rank) for each in charted(choice, key)}
    values = [
        dict(zip(series.steps.tolist(), series.values.tolist(), strict=True))
        for series in columns.values()
    ]
    steps = sorted(
        {step for each in values for step in each if window.first <= step <= window.last}
    )
    lines = ["\t".join(["step", *(series_name(each) for each in columns)])]
    lines += [
        "\t".join([str(step), *(repr(each[step]) if step in each else "" for each in values)])
        for step in steps
    ]
    desk.room.copy("\n".join(lines) + "\n", "series")
