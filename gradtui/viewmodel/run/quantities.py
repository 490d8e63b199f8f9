"""Names of series as a person reads them, and the order in which tab goes through them."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final

from gradtui.core.run.keys import DERIVED, VALUES, SeriesKey
from gradtui.viewmodel.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from gradtui.core.run.run import Run

SYMBOLS: Final[Mapping[str, str]] = {
    "parameter": "W",
    "gradient": "dW",
    "raw gradient": "dW unclipped",
    "update": "step",
    "input": "x",
    "output": "y",
    "input gradient": "dx",
    "output gradient": "dy",
}
_FORMS: Final[Mapping[str, str]] = {
    "l2": "|{}|2",
    "l1": "|{}|1",
    "mean": "mean {}",
    "mean_abs": "mean |{}|",
    "minimum": "min {}",
    "maximum": "max {}",
    "sum": "sum {}",
    "nan": "NaN in {}",
    "inf": "Inf in {}",
    "zero_share": "zeros of {}",
    "zeros": "zeros of {}, count",
    "dead_share": "dead units of {}",
    "dead": "dead units of {}, count",
    "saturated_share": "saturated {}",
    "saturated": "saturated {}, count",
    "count": "values of {}",
    "units": "units of {}",
    "base_l2": "|W|2 before the step",
    "row norms": "row norms of {}",
    VALUES: "values of {}",
}
_LEADING: Final = (
    ("run", "value"),
    ("gradient", "l2"),
    ("parameter", "l2"),
    ("update", "ratio"),
    ("raw gradient", "l2"),
    ("gradient", "mean_abs"),
    ("gradient", "maximum"),
    ("gradient", "minimum"),
    ("gradient", "l1"),
    ("output gradient", "l2"),
    ("input gradient", "l2"),
    ("output", "zero_share"),
    ("output", "dead_share"),
    ("output", "saturated_share"),
    ("output", "l2"),
    ("output", "mean"),
    ("input", "l2"),
    ("module", "seconds"),
)
"""What is asked for most, in the order in which it is shown; all else comes after."""

_HIDDEN: Final = frozenset({"count", "units", "sum", "zeros", "dead", "saturated", "base_l2"})
"""Numbers that others are divided by or from: the shares are shown in their place."""

_PLACES: Final = {pair: place for place, pair in enumerate(_LEADING)}
SHARES: Final = frozenset({"zero_share", "dead_share", "saturated_share"})


def quantity_name(key: SeriesKey) -> str:
    """Return which number of a tensor a key is, as ``|dW|2``, or the name of a scalar of the run."""
    if key.role == "run":
        return printable(key.slot) or "value"
    if key.role == "module":
        return "seconds" if key.quantity == "seconds" else printable(key.quantity)
    if key.role == "update" and key.quantity == "ratio":
        return "upd/W"
    symbol = SYMBOLS.get(key.role, printable(key.role))
    return _FORMS.get(key.quantity, printable(key.quantity) + " {}").format(symbol)


def place_name(key: SeriesKey) -> str:
    """Return whose number it is: the module with the parameter, input or output, and the call; printable."""
    if key.role == "run":
        return ""
    name = printable(key.name)
    return f"{name} eval" if key.phase == "eval" else name


def series_name(key: SeriesKey) -> str:
    """Return the whole name of a series, as it is found by: ``|dW|2 mlp.fc1.weight``."""
    return " ".join(part for part in (quantity_name(key), place_name(key)) if part)


def short_name(key: SeriesKey) -> str:
    """Return the name of a series without its module."""
    call = f"#{key.call}" if key.call else ""
    place = f"{printable(key.slot)}{call}" if key.role != "run" else ""
    phase = "eval" if key.phase == "eval" else ""
    return " ".join(part for part in (quantity_name(key), place, phase) if part)


def with_derived(keys: Iterable[SeriesKey]) -> tuple[SeriesKey, ...]:
    """Return keys with the shares, means and ratios that can be made of them, and without what they are made of."""
    recorded = tuple(keys)
    there = set(recorded)
    found = [key for key in recorded if key.quantity not in _HIDDEN]
    for key in recorded:
        for name, (above, below) in DERIVED.items():
            if key.quantity == above and key.of(below) in there:
                found.append(key.of(name))
    return tuple(sorted(dict.fromkeys(found), key=_order))


def _order(key: SeriesKey) -> tuple[int, bool, str, str, int, str]:
    place = _PLACES.get((key.role, key.quantity), len(_PLACES))
    # A weight before its bias, as everybody thinks of them; the loss before all else.
    slot = "" if key.slot in ("weight", "loss") else key.slot
    return (place, key.phase == "eval", key.role, slot, key.call, key.quantity)


def keys_by_path(keys: Sequence[SeriesKey]) -> dict[str, list[SeriesKey]]:
    """Return the keys of each module path; those of the run stand at ""."""
    found: dict[str, list[SeriesKey]] = {}
    for key in keys:
        found.setdefault(key.path, []).append(key)
    return found


def same_number(keys: Sequence[SeriesKey], wanted: SeriesKey) -> SeriesKey | None:
    """Return the key of another module that is the same number as ``wanted`` is of its own; None for none."""
    exact = [key for key in keys if (key.role, key.quantity) == (wanted.role, wanted.quantity)]
    for key in exact:
        if (key.slot, key.call, key.phase) == (wanted.slot, wanted.call, wanted.phase):
            return key
    return exact[0] if exact else None


def find_keys(run: Run, text: str, most: int = 200) -> list[SeriesKey]:
    """Return series whose name has all words of ``text``, in any case: what was logged, then those with short names.

    At most ``most`` are looked for, so that an answer comes at once from a million of them.
    """
    words = text.lower().split()
    found: dict[SeriesKey, None] = {}
    # What a script logged is found however many there are before it.
    for key in chain(run.column("run", "value").keys, _named(run)):
        name = series_name(key).lower()
        if all(word in name for word in words):
            found[key] = None
            if len(found) >= most:
                break
    return sorted(found, key=lambda key: (key.role != "run", len(series_name(key))))


def _named(run: Run) -> Iterator[SeriesKey]:
    """All series of a run that have a name, those that are made by division too."""
    made = {above: name for name, (above, _) in DERIVED.items() if above not in ("l2", "l1", "sum")}
    for key in run.keys:
        if key.quantity in made:
            yield key.of(made[key.quantity])
        elif key.quantity not in _HIDDEN:
            yield key
            if key.role == "update" and key.quantity == "l2":
                yield key.of("ratio")
    yield from run.histogram_keys
