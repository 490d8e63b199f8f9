"""A selection as plain JSON values and back, for the state that is kept for each folder.

The file may be old, edited by hand or damaged: whatever does not fit is left at its default.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Final, cast

from gradtui.core.region import Region
from gradtui.viewmodel.architecture import choices as architecture_choices
from gradtui.viewmodel.choices import LARGEST_TOP, SORTS
from gradtui.viewmodel.run import choice as run_choice
from gradtui.viewmodel.selection import (
    DIRECTIONS,
    MAP_KEYS,
    MODES,
    SCALES,
    SUMMED,
    VIEWS,
    Selection,
    Visit,
)

if TYPE_CHECKING:
    from gradtui.viewmodel.selection import Cell

SCHEMA: Final = 1
MOST_ENTRIES: Final = 4096
"""No mapping of a state grows or is read beyond this."""

_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "view": VIEWS,
    "direction": DIRECTIONS,
    "focus": MAP_KEYS,
    "scale": SCALES,
    "threshold_mode": MODES,
    "threshold_scope": ("pair", "global"),
    "sort": SORTS,
}
_INTEGERS: Final[Mapping[str, tuple[int, int]]] = {
    "channel": (SUMMED, 1 << 20),
    "tile": (0, 8),
    "polyphase": (0, 32),
    "top": (1, LARGEST_TOP),
}
_TEXTS: Final = ("layer", "connected", "estimate", "filter")
_FLAGS: Final = ("inverted", "descending")


def to_state(selection: Selection) -> dict[str, object]:
    """Return a selection as values that `json` writes. What it was doing a moment ago is left out."""
    state: dict[str, object] = {"schema": SCHEMA, "z": selection.z}
    for name in (*_WORDS, *_INTEGERS, *_TEXTS, *_FLAGS):
        state[name] = getattr(selection, name)
    state["cursors"] = {place: list(cell) for place, cell in _newest(selection.cursors)}
    state["zooms"] = dict(_newest(selection.zooms))
    state["regions"] = {
        place: [crop.row0, crop.row1, crop.column0, crop.column1]
        for place, crop in _newest(selection.regions)
    }
    state["thresholds"] = [[*key, value] for key, value in _newest(selection.thresholds)]
    state["offsets"] = [
        [*pair, list(of_input), list(of_target)]
        for pair, (of_input, of_target) in _newest(selection.offsets)
    ]
    state["folds"] = sorted(selection.folds)[:MOST_ENTRIES]
    state["marks"] = {
        name: [visit.layer, visit.connected, visit.direction, list(visit.cell)]
        for name, visit in _newest(selection.marks)
    }
    state["run"] = run_choice.to_state(selection.run)
    state["architecture"] = architecture_choices.to_state(selection.architecture)
    return state


def _newest(mapping: Mapping[Any, Any]) -> list[tuple[Any, Any]]:
    return list(mapping.items())[-MOST_ENTRIES:]


def from_state(state: object) -> Selection:
    """Return the selection that `to_state` wrote; any value at all is taken, and never refused."""
    if not isinstance(state, Mapping) or state.get("schema") != SCHEMA:
        return Selection()
    found: dict[str, object] = {}
    for name, words in _WORDS.items():
        if state.get(name) in words and isinstance(state.get(name), str):
            found[name] = state[name]
    for name, (least, most) in _INTEGERS.items():
        if _is_integer(state.get(name)) and least <= cast("int", state[name]) <= most:
            found[name] = state[name]
    found |= {name: state[name] for name in _TEXTS if isinstance(state.get(name), str)}
    found |= {name: state[name] for name in _FLAGS if isinstance(state.get(name), bool)}
    z = _number(state.get("z"))
    if z:
        found["z"] = z
    found["cursors"] = {
        place: cell for place, value in _items(state.get("cursors")) for cell in _cells(value)
    }
    found["zooms"] = {
        place: value
        for place, value in _items(state.get("zooms"))
        if _is_integer(value) and 0 <= value <= 32
    }
    found["regions"] = {
        place: region for place, value in _items(state.get("regions")) for region in _regions(value)
    }
    found["thresholds"] = dict(_thresholds(state.get("thresholds")))
    found["offsets"] = dict(_offsets(state.get("offsets")))
    folds = state.get("folds")
    if isinstance(folds, list):
        found["folds"] = frozenset(x for x in folds[:MOST_ENTRIES] if isinstance(x, str))
    found["marks"] = {
        name: visit for name, value in _items(state.get("marks")) for visit in _visits(value)
    }
    found["run"] = run_choice.from_state(state.get("run"))
    found["architecture"] = architecture_choices.from_state(state.get("architecture"))
    known = {item.name for item in fields(Selection)}
    return replace(Selection(), **cast("Any", {k: v for k, v in found.items() if k in known}))


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: object) -> float:
    """A finite number, 0 for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return 0.0
    try:
        number = float(value)
    except OverflowError:
        return 0.0
    return number if math.isfinite(number) else 0.0


def _items(value: object) -> list[tuple[str, Any]]:
    if not isinstance(value, Mapping):
        return []
    return [(k, v) for k, v in list(value.items())[:MOST_ENTRIES] if isinstance(k, str)]


def _rows(value: object, length: int) -> list[list[Any]]:
    if not isinstance(value, list):
        return []
    return [row for row in value[:MOST_ENTRIES] if isinstance(row, list) and len(row) == length]


def _cells(value: object, *, least: int = 0) -> list[Cell]:
    """The cell that a value stands for, or nothing."""
    if isinstance(value, list) and len(value) == 2 and all(_is_integer(x) for x in value):
        row, column = value
        if all(least <= x <= 1 << 40 for x in (row, column)):
            return [(row, column)]
    return []


def _regions(value: object) -> list[Region]:
    if isinstance(value, list) and len(value) == 4 and all(_is_integer(x) for x in value):
        row0, row1, column0, column1 = value
        if 0 <= row0 <= row1 <= 1 << 40 and 0 <= column0 <= column1 <= 1 << 40:
            return [Region(row0, row1, column0, column1)]
    return []


def _thresholds(value: object) -> list[tuple[tuple[str, str, str], float]]:
    return [
        ((row[0], row[1], row[2]), float(row[3]))
        for row in _rows(value, 4)
        if all(isinstance(x, str) for x in row[:3])
        and row[2] in MODES
        and (_number(row[3]) or row[3] == 0)
    ]


def _offsets(value: object) -> list[tuple[tuple[str, str], tuple[Cell, Cell]]]:
    return [
        ((row[0], row[1]), (of_input, of_target))
        for row in _rows(value, 4)
        if all(isinstance(x, str) for x in row[:2])
        for of_input in _cells(row[2], least=-(1 << 40))
        for of_target in _cells(row[3], least=-(1 << 40))
    ]


def _visits(value: object) -> list[Visit]:
    if not isinstance(value, list) or len(value) != 4:
        return []
    layer, connected, direction, cell = value
    if isinstance(layer, str) and isinstance(connected, str) and direction in DIRECTIONS:
        return [Visit(layer, connected, direction, found) for found in _cells(cell)]
    return []
