"""Where the numbers of a run's keys are: in which rank's which track, in which column; and which are to be merged."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from gradtui.core.arrays import read_only
from gradtui.core.run.keys import NORMS_OF_SHARDS, PARAMETER_ROLES, SeriesKey

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gradtui.core.arrays import Flags, Floats, Indices
    from gradtui.core.run.key_table import KeyTable
    from gradtui.core.run.records import ModuleInfo, ParameterInfo, Start

Asked: TypeAlias = "tuple[str, str, str] | SeriesKey"
"""A role, a quantity and a phase; or one key."""
_REMEMBERED: Final = 100_000


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some columns of one track.

    Attributes:
        rank: which rank, counted in the run.
        table: which of its tables.
        positions: [k] columns of the track.
        columns: [k] the places of these keys in the selection.
    """

    rank: int
    table: int
    positions: Indices
    columns: Indices


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """Where the series that were asked for are.

    Attributes:
        keys: of all of them.
        owned: parts whose numbers are taken as they are.
        shared: parts of several ranks that are merged, column by column.
    """

    keys: tuple[SeriesKey, ...]
    owned: tuple[Part, ...]
    shared: tuple[Part, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Beside:
    """Where another quantity of some series is.

    Attributes:
        positions: [k] columns of the same track; -1: it has none.
        constant: [k] what counts in its place; NaN: unknown.
    """

    positions: Indices
    constant: Floats


class RunIndex:
    """The tables of all ranks; what was asked is remembered."""

    def __init__(
        self,
        starts: Sequence[Start],
        tables: Sequence[Sequence[KeyTable]],
        histograms: Sequence[Sequence[KeyTable]],
    ) -> None:
        self._starts = tuple(starts)
        self._tables = tuple(map(tuple, tables))
        self._histograms = tuple(map(tuple, histograms))
        self._selections: dict[tuple[Asked, int | None, bool], Selection] = {}
        self._renamed: dict[tuple[Asked, int | None, str], tuple[SeriesKey, ...]] = {}
        self._beside: dict[tuple[int, int, Asked, str], Beside] = {}
        self._parameters: dict[tuple[str, str], ParameterInfo] = {}
        self._modules: dict[str, ModuleInfo] = {}
        self._sharded: set[tuple[str, str]] = set()
        self._keys: dict[bool, tuple[SeriesKey, ...]] = {}
        for start in self._starts:
            for module in start.modules:
                self._modules.setdefault(module.path, module)
            for info in start.parameters:
                self._parameters.setdefault((info.path, info.name), info)
                if info.placement == "sharded":
                    self._sharded.add((info.path, info.name))
        # Shards that a lower rank holds too are not counted twice.
        self._copies = [
            {
                (info.path, info.name)
                for info in start.parameters
                if info.placement != "sharded" and (info.path, info.name) in self._sharded
            }
            for start in self._starts
        ]
        self._kinds = {path: module.kind for path, module in self._modules.items()}

    @property
    def modules(self) -> Mapping[str, ModuleInfo]:
        """The modules of all ranks, by path, those of the lowest rank first."""
        return self._modules

    @property
    def parameters(self) -> Mapping[tuple[str, str], ParameterInfo]:
        """The parameters of all ranks, by module path and name, as the lowest rank knows them."""
        return self._parameters

    @property
    def kinds(self) -> Mapping[str, str]:
        """The class names of the modules, by path."""
        return self._kinds

    def keys(self, *, histograms: bool = False) -> tuple[SeriesKey, ...]:
        """Return all keys of all ranks, each once, in the order of their layouts."""
        if histograms not in self._keys:
            tables = self._histograms if histograms else self._tables
            found = dict.fromkeys(key for rank in tables for table in rank for key in table.keys)
            self._keys[histograms] = tuple(found)
        return self._keys[histograms]

    def is_sampled(self, key: SeriesKey) -> bool:
        """Whether a key's numbers come from a sample, on any rank."""
        return any(
            table.position(key) in table.sampled
            for rank in (*self._tables, *self._histograms)
            for table in rank
        )

    def has_sampled(self, role: str, quantity: str) -> bool:
        """Whether any series of a role and a quantity comes from a sample, on any rank."""
        return any(
            (table.keys[place].role, table.keys[place].quantity) == (role, quantity)
            for rank in self._tables
            for table in rank
            for place in table.sampled
        )

    def fits(
        self,
        starts: Sequence[Start],
        tables: Sequence[Sequence[KeyTable]],
        histograms: Sequence[Sequence[KeyTable]],
    ) -> bool:
        """Whether this is the index of these very ranks and tables."""
        return (
            len(self._starts) == len(starts)
            and all(one is other for one, other in zip(self._starts, starts, strict=True))
            and _same(self._tables, tables)
            and _same(self._histograms, histograms)
        )

    def beside(self, part: Part, asked: Asked, quantity: str) -> Beside:
        """Return where another quantity of the same tensors is, for the columns of a part of a selection."""
        name = (part.rank, part.table, asked, quantity)
        found = self._beside.get(name)
        if found is None or len(found.positions) != len(part.positions):
            table = self._tables[part.rank][part.table]
            keys = [table.keys[position] for position in part.positions]
            places = np.array([table.position(key.of(quantity)) for key in keys], np.intp)
            constant = np.full(len(keys), np.nan)
            if quantity == "count":
                held = {(each.path, each.name): each for each in self._starts[part.rank].parameters}
                for place, key in enumerate(keys):
                    info = held.get((key.path, key.slot))
                    if places[place] < 0 and info is not None and key.role in PARAMETER_ROLES:
                        is_part = info.placement == "sharded"
                        constant[place] = info.count or (0 if is_part else math.prod(info.shape))
            found = self._beside[name] = Beside(places, constant)
        return found

    def select(
        self, asked: Asked, rank: int | None = None, *, histograms: bool = False
    ) -> Selection:
        """Return where the series are.

        Args:
            asked: a role, a quantity and a phase; or one key.
            rank: of one rank alone, counted in the run; None: of all, merged as their placement says.
            histograms: among the layouts of histograms.
        """
        name = (asked, rank, histograms)
        found = self._selections.get(name)
        if found is None:
            if len(self._selections) > _REMEMBERED:
                self._selections.clear()
            tables = self._histograms if histograms else self._tables
            found = self._selections[name] = self._select(tables, asked, rank)
        return found

    def renamed(self, asked: Asked, rank: int | None, quantity: str) -> tuple[SeriesKey, ...]:
        """Return the keys of a selection with another quantity."""
        name = (asked, rank, quantity)
        if name not in self._renamed:
            if len(self._renamed) > _REMEMBERED:
                self._renamed.clear()
            self._renamed[name] = tuple([key.of(quantity) for key in self.select(asked, rank).keys])
        return self._renamed[name]

    def _select(
        self, tables: Sequence[Sequence[KeyTable]], asked: Asked, rank: int | None
    ) -> Selection:
        ranks = range(len(tables)) if rank is None else (rank,)
        found = [
            (each, number, keys, positions)
            for each in ranks
            for number, table in enumerate(tables[each])
            for keys, positions in (
                self._in_table(table, asked, None if rank is not None else each),
            )
            if keys
        ]
        if not found:
            return Selection((), (), ())
        if len(found) == 1:
            each, number, keys, positions = found[0]
            columns = read_only(np.arange(len(keys)))
            return Selection(keys, (Part(each, number, positions, columns),), ())
        places: dict[SeriesKey, int] = {}
        owners: list[int] = []
        merges: list[bool] = []
        for each, _, keys, _ in found:
            for key in keys:
                place = places.setdefault(key, len(owners))
                if place == len(owners):
                    owners.append(each)
                    merges.append(False)
                elif owners[place] != each and self._is_merged(key):
                    merges[place] = True
        owned, shared = [], []
        owner, is_merged = np.array(owners), np.array(merges)
        for each, number, keys, positions in found:
            columns = np.array([places[key] for key in keys], np.intp)
            alone = (owner[columns] == each) & ~is_merged[columns]
            both = is_merged[columns]
            if alone.any():
                owned.append(Part(each, number, positions[alone], columns[alone]))
            if both.any():
                shared.append(Part(each, number, positions[both], columns[both]))
        return Selection(tuple(places), tuple(owned), tuple(shared))

    def norms_of_shards(self, keys: Sequence[SeriesKey]) -> Flags:
        """Which scalars of the run are norms of the ranks' shards, [n]."""
        return np.array([bool(self._sharded) and key.slot in NORMS_OF_SHARDS for key in keys])

    def _in_table(
        self, table: KeyTable, asked: Asked, rank: int | None
    ) -> tuple[tuple[SeriesKey, ...], Indices]:
        """What is asked for in a table; of a rank that is to be merged with others, without its copies."""
        keys, positions = _in_table(table, asked)
        copies = self._copies[rank] if rank is not None else None
        if not copies:
            return keys, positions
        own = [
            place
            for place, key in enumerate(keys)
            if key.role not in PARAMETER_ROLES or (key.path, key.slot) not in copies
        ]
        return tuple([keys[place] for place in own]), positions[own]

    def _is_merged(self, key: SeriesKey) -> bool:
        return key.role not in PARAMETER_ROLES or (key.path, key.slot) in self._sharded


def _in_table(table: KeyTable, asked: Asked) -> tuple[tuple[SeriesKey, ...], Indices]:
    if isinstance(asked, SeriesKey):
        place = table.position(asked)
        return ((asked,), np.array([place])) if place >= 0 else ((), np.zeros(0, np.intp))
    selected = table.select(*asked)
    return selected.keys, selected.positions


def _same(mine: Sequence[Sequence[KeyTable]], theirs: Sequence[Sequence[KeyTable]]) -> bool:
    return len(mine) == len(theirs) and all(
        len(one) == len(other) and all(a is b for a, b in zip(one, other, strict=True))
        for one, other in zip(mine, theirs, strict=True)
    )
