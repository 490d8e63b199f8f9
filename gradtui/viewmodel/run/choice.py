"""What a person chose to look at in a run: module, series, pins, window, cursor, folds; one value.

It knows names and steps, never data, so that it survives a restart of the program and of the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from gradtui.core.run.keys import PARAMETER_ROLES, TENSOR_ROLES, SeriesKey

if TYPE_CHECKING:
    from collections.abc import Iterable

Folds = Literal["repeats", "all", "none"]
Mode = Literal["series", "histogram", "inputs"]
Axis = Literal["log", "linear"]

FOLDS: Final[tuple[Folds, ...]] = ("repeats", "all", "none")
MODES: Final[tuple[Mode, ...]] = ("series", "histogram", "inputs")
AXES: Final[tuple[Axis, ...]] = ("log", "linear")

NEWEST: Final = -1
"""The step that is followed: the newest."""
TOGETHER: Final = -1
"""The ranks as one."""
APART: Final = -2
"""A curve for each rank."""

NO_KEY: Final = SeriesKey("", "run", "")
"""No series was chosen yet."""

MOST_KEPT: Final = 4096

_ROLES: Final = PARAMETER_ROLES | TENSOR_ROLES | {"module", "run"}


@dataclass(frozen=True, slots=True)
class Spot:
    """A place to come back to: a view, a module and a step."""

    view: str
    path: str
    step: int


@dataclass(frozen=True, slots=True)
class RunChoice:
    """Everything that a person chose about a run.

    Attributes:
        path: the module of the cursor's row; "" is the whole model.
        folds: what is folded at first: rows of alike modules, everything, or nothing.
        toggled: the groups that are folded although ``folds`` would not, or the other way round.
        sort: the column that sorts; "order" is the tree.
        columns: which page of the Overview's columns is shown, from 0; after the last comes the first.
        filter: what a module's path, class or flag must have.
        key: the series that the keys act on; `NO_KEY` takes the module's first.
        pins: the series that stay in the chart.
        mode: what the History view shows.
        span: how many steps are in the window; 0 is all.
        end: the last step of the window; `NEWEST` follows the run.
        cursor: the step of the cursor; `NEWEST` follows the run.
        baseline: the step that is compared with; `NEWEST` is none.
        comparing: whether curves are shown as the difference to the baseline.
        axis: of the values.
        rank: a rank, `TOGETHER` or `APART`.
        alone: the chart without the rows below it.
    """

    path: str = ""
    folds: Folds = "repeats"
    toggled: frozenset[str] = frozenset()
    sort: str = "order"
    descending: bool = True
    columns: int = 0
    filter: str = ""
    key: SeriesKey = NO_KEY
    pins: tuple[SeriesKey, ...] = ()
    mode: Mode = "series"
    span: int = 0
    end: int = NEWEST
    cursor: int = NEWEST
    baseline: int = NEWEST
    comparing: bool = False
    axis: Axis = "log"
    rank: int = TOGETHER
    alone: bool = False
    marks: Mapping[str, Spot] = field(default_factory=dict)

    @property
    def one_rank(self) -> int | None:
        """The rank whose numbers are shown in tables; None for all together."""
        return self.rank if self.rank >= 0 else None


def pinned(choice: RunChoice, key: SeriesKey) -> RunChoice:
    """Pin a series, or take its pin away."""
    if key in choice.pins:
        return replace(choice, pins=tuple(pin for pin in choice.pins if pin != key))
    return replace(choice, pins=(*choice.pins, key))


def at_newest(choice: RunChoice) -> RunChoice:
    """Return a choice as it is for another run: steps of one say nothing of the other's."""
    return replace(
        choice, span=0, end=NEWEST, cursor=NEWEST, baseline=NEWEST, comparing=False, rank=TOGETHER
    )


def toggled(choice: RunChoice, path: str) -> RunChoice:
    """Fold or unfold a group."""
    return replace(choice, toggled=choice.toggled ^ {path})


def next_folds(choice: RunChoice, *, any_folded: bool) -> RunChoice:
    """Unfold everything; fold everything where nothing is folded."""
    return replace(choice, folds="none" if any_folded else "all", toggled=frozenset())


_WORDS: Final[Mapping[str, tuple[str, ...]]] = {"folds": FOLDS, "mode": MODES, "axis": AXES}
_STEPS: Final = ("span", "end", "cursor", "baseline")
_COUNTS: Final = ("span", "columns")
_TEXTS: Final = ("path", "sort", "filter")
_FLAGS: Final = ("descending", "comparing", "alone")
_MOST_STEPS: Final = 1 << 53


def to_state(choice: RunChoice) -> dict[str, object]:
    """Return a choice as values that `json` writes."""
    state: dict[str, object] = {
        name: getattr(choice, name)
        for name in (*_WORDS, *_STEPS, *_TEXTS, *_FLAGS, "columns", "rank")
    }
    state["toggled"] = sorted(choice.toggled)[:MOST_KEPT]
    state["key"] = _key_state(choice.key)
    state["pins"] = [_key_state(key) for key in choice.pins[:MOST_KEPT]]
    state["marks"] = {
        name: [spot.view, spot.path, spot.step]
        for name, spot in list(choice.marks.items())[-MOST_KEPT:]
    }
    return state


def _key_state(key: SeriesKey) -> list[object]:
    return [key.path, key.role, key.quantity, key.slot, key.call, key.phase]


def from_state(state: object) -> RunChoice:
    """Return the choice that `to_state` wrote; any value at all is taken, and never refused."""
    if not isinstance(state, Mapping):
        return RunChoice()
    found: dict[str, object] = {}
    for name, words in _WORDS.items():
        if isinstance(state.get(name), str) and state[name] in words:
            found[name] = state[name]
    for name in (*_STEPS, "columns", "rank"):
        least = APART if name == "rank" else 0 if name in _COUNTS else NEWEST
        value = state.get(name)
        if _is_integer(value) and least <= cast("int", value) <= _MOST_STEPS:
            found[name] = value
    found |= {name: state[name] for name in _TEXTS if isinstance(state.get(name), str)}
    found |= {name: state[name] for name in _FLAGS if isinstance(state.get(name), bool)}
    toggled_paths = state.get("toggled")
    if isinstance(toggled_paths, list):
        found["toggled"] = frozenset(x for x in toggled_paths[:MOST_KEPT] if isinstance(x, str))
    for key in _keys([state.get("key")]):
        found["key"] = key
    pins = state.get("pins")
    found["pins"] = tuple(_keys(pins[:MOST_KEPT])) if isinstance(pins, list) else ()
    found["marks"] = dict(_spots(state.get("marks")))
    return RunChoice(**cast("Any", found))


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _keys(values: Iterable[object]) -> list[SeriesKey]:
    found = []
    for value in values:
        if not isinstance(value, list) or len(value) != 6:
            continue
        path, role, quantity, slot, call, phase = value
        texts = all(isinstance(text, str) for text in (path, role, quantity, slot, phase))
        if texts and role in _ROLES and phase in ("train", "eval") and _is_integer(call):
            found.append(SeriesKey(path, role, quantity, slot, call, phase))
    return found


def _spots(value: object) -> list[tuple[str, Spot]]:
    if not isinstance(value, Mapping):
        return []
    found = []
    for name, spot in list(value.items())[:MOST_KEPT]:
        if isinstance(name, str) and isinstance(spot, list) and len(spot) == 3:
            view, path, step = spot
            if isinstance(view, str) and isinstance(path, str) and _is_integer(step):
                found.append((name, Spot(view, path, step)))
    return found
