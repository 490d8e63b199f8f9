"""The transitions that change how things are shown: scale, zoom, crop, channel, threshold, offsets, sort.

Each takes a selection, and what it needs of the session or the map on the screen, and returns the
next selection; what cannot change is returned as it was.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

from gradtui.core.arrays import finite_parts
from gradtui.core.estimate import ESTIMATES
from gradtui.core.threshold import step
from gradtui.errors import UsageError
from gradtui.viewmodel.links import pair_threshold, threshold_limits
from gradtui.viewmodel.selection import (
    ALL_CHANNELS,
    DIRECTIONS,
    MODES,
    SCALES,
    SUMMED,
    channel_count,
    largest_polyphase,
    reconcile,
    shown_pairs,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradtui.core.region import Region
    from gradtui.core.session import Session
    from gradtui.core.threshold import Mode
    from gradtui.viewmodel.maps import MapView
    from gradtui.viewmodel.selection import Cell, MapKey, Selection

SORTS: Final = ("order", "name", "norm", "change", "min", "max", "nonfinite", "zero", "flag")
LARGEST_ZOOM: Final = 16
LARGEST_TOP: Final = 1000

_T = TypeVar("_T")


def _after(values: Sequence[_T], value: _T, count: int = 1) -> _T:
    position = values.index(value) if value in values else -count
    return values[(position + count) % len(values)]


def next_direction(selection: Selection, session: Session) -> Selection:
    """Fan-out, fan-in, both; the connected layer follows."""
    return reconcile(replace(selection, direction=_after(DIRECTIONS, selection.direction)), session)


def next_scale(selection: Selection) -> Selection:
    """Linear, symmetric log, percentile."""
    return replace(selection, scale=_after(SCALES, selection.scale))


def inverted(selection: Selection) -> Selection:
    """Swap the two ends of the colours."""
    return replace(selection, inverted=not selection.inverted)


def next_channel(selection: Selection, session: Session, count: int = 1) -> Selection:
    """All channels, then each alone; in explicit mode the sum over the nine comes last."""
    choices = [ALL_CHANNELS, *range(channel_count(session))]
    if session.explicit:
        choices.append(SUMMED)
    channel = _after(choices, selection.channel, count)
    tile = channel if session.explicit and channel >= 0 else selection.tile
    return replace(selection, channel=channel, tile=tile)


def with_channel(selection: Selection, session: Session, channel: int) -> Selection:
    """Show one channel, or `ALL_CHANNELS`, or in explicit mode `SUMMED`.

    Raises:
        UsageError: there is no such channel.
    """
    least = SUMMED if session.explicit else ALL_CHANNELS
    if not least <= channel < channel_count(session):
        raise UsageError(
            f"no channel {channel}: there are 0 to {channel_count(session) - 1}"
            if channel_count(session)
            else "channels are unknown: the folder holds sums over them"
        )
    tile = channel if session.explicit and channel >= 0 else selection.tile
    return replace(selection, channel=channel, tile=tile)


def polyphase_step(selection: Selection, session: Session, levels: int) -> Selection:
    """Go ``levels`` polyphase levels out (in when negative), within what the shape allows."""
    level = min(max(selection.polyphase + levels, 0), largest_polyphase(session))
    return replace(selection, polyphase=level)


def zoom(selection: Selection, view: MapView, levels: int) -> Selection:
    """Zoom a map out (``levels`` > 0) or in, from what it shows now; a cell for a cell is the end.

    Each level doubles the block; from a block that is no power of two it goes to the next that is.
    """
    block = max(view.block, 1)
    shown = block.bit_length() - 1 if levels > 0 else (block - 1).bit_length()
    level = min(max(shown + levels, 0), LARGEST_ZOOM)
    return replace(selection, zooms={**selection.zooms, selection.place_of(view.key): level})


def zoom_to_fit(selection: Selection, key: MapKey) -> Selection:
    """Give a map back to the smallest block that fits."""
    place = selection.place_of(key)
    return replace(selection, zooms={k: v for k, v in selection.zooms.items() if k != place})


def with_region(selection: Selection, key: MapKey, region: Region) -> Selection:
    """Crop a map, and with it the flow table and the highlights of its layer; its cursor goes inside."""
    place = selection.place_of(key)
    row, column = selection.cursor(key)
    inside = (
        min(max(row, region.row0), region.row1),
        min(max(column, region.column0), region.column1),
    )
    return replace(
        selection.with_cursor(place, inside), regions={**selection.regions, place: region}
    )


def without_region(selection: Selection, key: MapKey) -> Selection:
    """Show a map whole again."""
    place = selection.place_of(key)
    return replace(selection, regions={k: v for k, v in selection.regions.items() if k != place})


def with_offsets(
    selection: Selection, session: Session, of_input: Cell, of_target: Cell
) -> Selection:
    """Set the offsets of the pair on the screen: node (r, c) points at (r - row, c - column)."""
    changed = dict(selection.offsets)
    for pair in shown_pairs(session, selection):
        changed[(pair.source, pair.target)] = (of_input, of_target)
    return replace(selection, offsets=changed)


def with_top(selection: Selection, count: int) -> Selection:
    """Choose how many links the flow table shows.

    Raises:
        UsageError: fewer than one, or more than a table can hold.
    """
    if not 1 <= count <= LARGEST_TOP:
        raise UsageError(f"the table shows 1 to {LARGEST_TOP} links")
    return replace(selection, top=count)


def with_mode(selection: Selection, mode: Mode) -> Selection:
    """Choose what a threshold is compared with; each pair keeps a threshold for each mode."""
    return replace(selection, threshold_mode=mode)


def next_mode(selection: Selection) -> Selection:
    """The next threshold mode."""
    return with_mode(selection, _after(MODES, selection.threshold_mode))


def next_scope(selection: Selection) -> Selection:
    """One threshold range for each pair, or one over all pairs as vnittest has it."""
    if selection.threshold_scope == "global":
        return replace(selection, threshold_scope="pair")
    return replace(selection, threshold_scope="global")


def step_threshold(selection: Selection, session: Session, steps: int) -> Selection:
    """Raise (or lower) the threshold of the pair on the screen, within the range of its mode."""
    changed = dict(selection.thresholds)
    for pair in shown_pairs(session, selection):
        now = pair_threshold(session, selection, pair)
        stepped = step(now, steps, threshold_limits(session, selection, pair))
        changed[(pair.source, pair.target, now.mode)] = stepped.value
    return replace(selection, thresholds=changed)


def with_threshold(selection: Selection, session: Session, value: float) -> Selection:
    """Set the threshold of the pair on the screen, in the mode in force."""
    changed = dict(selection.thresholds)
    for pair in shown_pairs(session, selection):
        changed[(pair.source, pair.target, selection.threshold_mode)] = value
    return replace(selection, thresholds=changed)


def with_default_threshold(selection: Selection, session: Session) -> Selection:
    """Give the pair on the screen back to the default threshold of its mode."""
    keys = {(p.source, p.target, selection.threshold_mode) for p in shown_pairs(session, selection)}
    return replace(
        selection, thresholds={k: v for k, v in selection.thresholds.items() if k not in keys}
    )


def with_z(selection: Selection, z: float) -> Selection:
    """Set the value that a toggle writes.

    Raises:
        UsageError: z is zero or NaN, which could not be toggled.
    """
    if z == 0 or z != z:
        raise UsageError("z must be a number other than 0")
    return replace(selection, z=z)


def first_selection(selection: Selection, session: Session) -> Selection:
    """Return what a folder that was never opened shows first: its maps, with the input ready to be edited."""
    chosen = replace(selection, z=default_z(session))
    return replace(chosen, view="values", focus="input") if session.input.size else chosen


def default_z(session: Session) -> float:
    """Return what a toggle writes before a person chose: the largest finite |value| of the input, or 1.

    So a toggled cell stands out in the input's own scale: 1 in a mask, 16 in digits of 0 to 16.
    """
    parts = finite_parts(session.input)
    return max((float(np.abs(part).max(initial=0.0)) for part in parts), default=0.0) or 1.0


def with_estimate(selection: Selection, name: str) -> Selection:
    """Choose how flows that were not measured are estimated.

    Raises:
        UsageError: there is no such estimate.
    """
    if name not in ESTIMATES:
        raise UsageError(f"no estimate is called {name}: {', '.join(ESTIMATES)}")
    return replace(selection, estimate=name)


def next_sort(selection: Selection, column: int = 0) -> Selection:
    """Sort the Overview by the next column, or by column n, counted from 1; twice turns it round."""
    if column:
        chosen = SORTS[min(column, len(SORTS)) - 1]
        if chosen == selection.sort:
            return replace(selection, descending=not selection.descending)
        return replace(selection, sort=chosen)
    return replace(selection, sort=_after(SORTS, selection.sort))


def toggled_fold(selection: Selection, path: str) -> Selection:
    """Fold a group of the layer tree, or unfold it."""
    return replace(selection, folds=selection.folds ^ {path})


def toggled_all_folds(selection: Selection, paths: frozenset[str]) -> Selection:
    """Unfold everything where anything is folded, else fold all ``paths``."""
    return replace(selection, folds=frozenset() if selection.folds else paths)
