"""How it is shown: scale, zoom, crop, channel, threshold, direction, panes, generations."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from gradtui.core.region import Region
from gradtui.tui.actions.moving import overview_place
from gradtui.viewmodel import choices
from gradtui.viewmodel.overview import group_paths
from gradtui.viewmodel.selection import channel_count, map_shape, shown_direction, shown_pairs

if TYPE_CHECKING:
    from gradtui.tui.actions.desk import Desk
    from gradtui.viewmodel.selection import MapKey


LAYER_MAPS: Final[tuple[MapKey, ...]] = ("source", "connected")


def scale(desk: Desk, _count: int) -> None:
    """The next scale of the colours."""
    desk.selection = choices.next_scale(desk.selection)
    desk.say(f"scale: {desk.selection.scale}")


def invert(desk: Desk, _count: int) -> None:
    """Swap the two ends of the colours."""
    desk.selection = choices.inverted(desk.selection)


def zoom_out(desk: Desk, count: int) -> None:
    """Zoom out: blocks of the focused map; in explicit mode a polyphase level, from the whole map on."""
    place = desk.selection.place_of(desk.selection.focus)
    if (
        desk.session.explicit
        and desk.selection.zooms.get(place, 0) == 0
        and place in desk.selection.zooms
    ):
        desk.selection = choices.zoom_to_fit(desk.selection, desk.selection.focus)
        desk.say("the map whole")
    else:
        _zoom(desk, max(count, 1))


def zoom_in(desk: Desk, count: int) -> None:
    """Zoom in again, up to a cell for a cell."""
    view = desk.focused
    if (
        desk.session.explicit
        and not desk.selection.polyphase
        and view is not None
        and view.block > 1
    ):
        desk.selection = choices.zoom(desk.selection, view, -choices.LARGEST_ZOOM)
        desk.say("a cell for a cell")
    else:
        _zoom(desk, -max(count, 1))


def _zoom(desk: Desk, step: int) -> None:
    if desk.session.explicit:
        desk.selection = choices.polyphase_step(desk.selection, desk.session, step)
        desk.say(f"polyphase level {desk.selection.polyphase}")
    elif view := desk.focused:
        desk.selection = choices.zoom(desk.selection, view, step)


def channel(desk: Desk, count: int) -> None:
    """The next channel; with a count, that channel."""
    if count:
        desk.selection = choices.with_channel(desk.selection, desk.session, count)
    elif not channel_count(desk.session):
        desk.say("channels are unknown: the folder holds sums over them")
        return
    else:
        desk.selection = choices.next_channel(desk.selection, desk.session)
    words = {-1: "all channels", -2: "sum over the channels"}
    desk.say(words.get(desk.selection.channel, f"channel {desk.selection.channel}"))


def direction(desk: Desk, _count: int) -> None:
    """Fan-out, fan-in, both."""
    desk.selection = choices.next_direction(desk.selection, desk.session)


def threshold_up(desk: Desk, count: int) -> None:
    """Raise the threshold by steps."""
    desk.selection = choices.step_threshold(desk.selection, desk.session, max(count, 1))


def threshold_down(desk: Desk, count: int) -> None:
    """Lower the threshold by steps."""
    desk.selection = choices.step_threshold(desk.selection, desk.session, -max(count, 1))


def threshold_mode(desk: Desk, _count: int) -> None:
    """The next threshold mode."""
    desk.selection = choices.next_mode(desk.selection)
    desk.say(f"threshold mode: {desk.selection.threshold_mode}")


def threshold_type(desk: Desk, _count: int) -> None:
    """Ask for the threshold."""
    if not shown_pairs(desk.session, desk.selection):
        desk.say("this layer has no pair", "warn")
        return
    desk.room.ask("threshold", f"threshold ({desk.selection.threshold_mode}): ")


def offsets_type(desk: Desk, _count: int) -> None:
    """Ask for the offsets of the pair on the screen."""
    for pair in shown_pairs(desk.session, desk.selection):
        places = desk.selection.offsets.get((pair.source, pair.target), ((0, 0), (0, 0)))
        text = " ".join(str(number) for place in places for number in place)
        desk.room.ask("offsets", "offsets, input row column, target row column: ", text)
        return
    desk.say("this layer has no pair", "warn")


def box(desk: Desk, _count: int) -> None:
    """Begin a crop from the cursor, or show the cropped map whole again."""
    key = desk.selection.focus
    if desk.selection.view == "flow":
        cropped: list[MapKey] = [k for k in LAYER_MAPS if desk.selection.region(k) is not None]
        for one in cropped:
            desk.selection = choices.without_region(desk.selection, one)
        desk.say("shown whole" if cropped else "a box is drawn in Values: v, then X")
    elif desk.box:
        desk.box = ()
    elif desk.selection.region(key) is not None:
        desk.selection = choices.without_region(desk.selection, key)
        desk.say("shown whole")
    elif desk.focused is not None and desk.focused.values.size:
        desk.box = (desk.selection.place_of(key), desk.selection.cursor(key))
    else:
        desk.say("nothing here to crop", "warn")


def take_box(desk: Desk) -> None:
    """Crop the focused map to the box from its first corner to the cursor."""
    if not desk.box:
        return
    (row0, column0), (row1, column1) = desk.box[1], desk.selection.cursor(desk.selection.focus)
    region = Region(min(row0, row1), max(row0, row1), min(column0, column1), max(column0, column1))
    desk.box = ()
    desk.selection = choices.with_region(desk.selection, desk.selection.focus, region)


def sort(desk: Desk, count: int) -> None:
    """Sort by the next column, or by column ``count``; the same one twice turns it round."""
    desk.selection = choices.next_sort(desk.selection, count)
    desk.say(f"sorted by {desk.selection.sort}")


def fold(desk: Desk, _count: int) -> None:
    """Fold or unfold the group of the row."""
    if desk.rows and (row := desk.rows[overview_place(desk)]).children:
        desk.selection = choices.toggled_fold(desk.selection, row.path)


def fold_all(desk: Desk, _count: int) -> None:
    """Fold or unfold every group."""
    desk.selection = choices.toggled_all_folds(desk.selection, group_paths(desk.summary))


def generation_previous(desk: Desk, count: int) -> None:
    """One generation back."""
    desk.generations = desk.generations.stepped(-max(count, 1))


def generation_next(desk: Desk, count: int) -> None:
    """One generation forward."""
    desk.generations = desk.generations.stepped(max(count, 1))


def generation_first(desk: Desk, _count: int) -> None:
    """The oldest generation that is kept."""
    desk.generations = desk.generations.stepped(-desk.generations.count)


def generation_last(desk: Desk, _count: int) -> None:
    """The newest generation, and follow."""
    desk.generations = replace(desk.generations, position=-1)


def pause(desk: Desk, _count: int) -> None:
    """Hold what is shown, or follow again."""
    desk.generations = desk.generations.paused()
    desk.say("following" if desk.generations.following else "paused: p follows again")


def baseline(desk: Desk, _count: int) -> None:
    """Make this generation the baseline."""
    desk.generations = desk.generations.with_baseline()
    chosen = desk.generations.baseline
    # The kept tensors of a run are of a step.
    what = "step" if "step" in chosen.meta else "generation"
    desk.say(f"baseline: {what} {chosen.generation}; D shows the difference")


def compare(desk: Desk, _count: int) -> None:
    """Show the difference to the baseline, or the values again."""
    if not desk.generations.baseline.layers:
        desk.say("no baseline yet: b makes what is shown the baseline", "warn")
        return
    desk.generations = replace(desk.generations, comparing=not desk.generations.comparing)


def filter_layers(desk: Desk, text: str) -> None:
    """Show only the layers whose name contains ``text``; empty shows all."""
    desk.selection = replace(desk.selection, filter=text)


def request(desk: Desk, axis: str) -> None:
    """Ask the adapter for the whole row or column of the selected node."""
    for pair in shown_pairs(desk.session, desk.selection):
        key: MapKey = "source" if axis == "row" else "connected"
        if shown_direction(desk.session, desk.selection) == "in":
            key = "connected" if axis == "row" else "source"
        _, width = map_shape(desk.session, desk.selection, key)
        row, column = desk.selection.cursor(key)
        desk.room.request(
            f"flow-{axis}", pair=[pair.source, pair.target], node=row * width + column
        )
        return
    desk.say("this layer has no pair", "warn")
