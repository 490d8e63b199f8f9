"""An ordered set of series keys that answers "which columns" quickly.

A layout of 50,000 modules has hundreds of thousands of keys: they are looked through once, and what was asked is
remembered as arrays of positions. A table outlives the values that name it, so that a run that grows looks through
its keys only when a new layout comes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gradtui.core.arrays import read_only

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gradtui.core.arrays import Flags, Indices
    from gradtui.core.run.keys import Phase, Role, SeriesKey


class Whose(NamedTuple):
    """Which tensor (or module, or scalar) a key is about, without the quantity."""

    path: str
    role: Role
    slot: str
    call: int
    phase: Phase


def whose(key: SeriesKey) -> Whose:
    """Return whose number a key is."""
    return Whose(key.path, key.role, key.slot, key.call, key.phase)


@dataclass(frozen=True, slots=True, eq=False)
class Selected:
    """The columns of one role, quantity and phase.

    Attributes:
        keys: in the order of the table.
        positions: [k], the columns that they have in the table.
    """

    keys: tuple[SeriesKey, ...]
    positions: Indices


class KeyTable:
    """The keys of one layout, in its order.

    Attributes:
        keys: one for each column. Where a key stands twice, its last column counts.
        sampled: positions whose numbers come from a sample.
    """

    def __init__(self, keys: Iterable[SeriesKey], sampled: Iterable[int] = ()) -> None:
        self.keys: tuple[SeriesKey, ...] = tuple(keys)
        self.sampled: frozenset[int] = frozenset(sampled)
        self._positions: dict[SeriesKey, int] = {}
        self._groups: dict[tuple[str, str, str], list[int]] = {}
        self._selected: dict[tuple[str, str, str], Selected] = {}

    def __len__(self) -> int:
        return len(self.keys)

    def position(self, key: SeriesKey) -> int:
        """Return the column of a key; -1 where it has none."""
        if not self._positions:
            self._positions = {each: place for place, each in enumerate(self.keys)}
        return self._positions.get(key, -1)

    def select(self, role: str, quantity: str, phase: str = "train") -> Selected:
        """Return the columns of one role, quantity and phase; none gives empty arrays."""
        asked = (role, quantity, phase)
        found = self._selected.get(asked)
        if found is None:
            places = self._grouped().get(asked, [])
            positions = read_only(np.array(places, np.intp))
            found = Selected(tuple([self.keys[place] for place in places]), positions)
            self._selected[asked] = found
        return found

    @property
    def is_logged(self) -> Flags:
        """Which columns are the run's own scalars [n]: there a NaN is a value, elsewhere it says "none"."""
        flags = np.zeros(len(self.keys), np.bool_)
        for (role, _, _), places in self._grouped().items():
            if role == "run":
                flags[places] = True
        return flags

    def _grouped(self) -> dict[tuple[str, str, str], list[int]]:
        if not self._groups:
            for place, key in enumerate(self.keys):
                self._groups.setdefault((key.role, key.quantity, key.phase), []).append(place)
        return self._groups
