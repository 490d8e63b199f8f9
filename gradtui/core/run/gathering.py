"""The numbers of a selection, track by track, ranks merged and quantities divided."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradtui.core.run.block import Block, merged, stacked
from gradtui.core.run.keys import DERIVED, SeriesKey
from gradtui.core.run.merging import chosen, divided, less, quotient, together

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gradtui.core.arrays import Array, Floats, Indices
    from gradtui.core.run.index import Asked, Part, RunIndex, Selection
    from gradtui.core.run.rank_run import RankRun
    from gradtui.core.run.track import Track

# Rows of the newest steps among which ranks find one that they share.
_TAIL = 16


class Gathering:
    """What was asked of a run: a role's quantity, or one key; of one rank, or of all."""

    def __init__(
        self, ranks: Sequence[RankRun], index: RunIndex, asked: Asked, rank: int | None
    ) -> None:
        self._ranks = ranks
        self._index = index
        role, quantity, phase = (
            (asked.role, asked.quantity, asked.phase) if isinstance(asked, SeriesKey) else asked
        )
        self._quantity = quantity
        self._logged = role == "run"
        self._above, self._below = DERIVED.get(quantity, (quantity, ""))
        if self._below:
            asked = (
                asked.of(self._above)
                if isinstance(asked, SeriesKey)
                else (role, self._above, phase)
            )
        self._asked = asked
        self._selection: Selection = index.select(asked, rank)
        self.keys = index.renamed(asked, rank, quantity) if self._below else self._selection.keys

    def blocks(self, *, only: str = "") -> Iterator[tuple[Indices, Block]]:
        """Yield the numbers, with the places of their columns in ``keys``; of one key there can be several blocks.

        ``only``: "high" or "last", which then stands for all three of a block.
        """
        for part in self._selection.owned:
            yield part.columns, self._quotient([part], None, tail=False, only=only)
        if self._selection.shared:
            columns = np.unique(np.concatenate([part.columns for part in self._selection.shared]))
            yield columns, self._quotient(self._selection.shared, columns, tail=False, only=only)

    def latest(self) -> tuple[Floats, Array]:
        """Return the newest value of each key and its step: float64 [n], int64 [n]; NaN and -1 where there is none."""
        values = np.full(len(self.keys), np.nan)
        steps = np.full(len(self.keys), -1, np.int64)
        for part in self._selection.owned:
            track = self._track(part)
            newest = self._newest(part, track)
            newer = track.latest_step > steps[part.columns]
            newer |= (track.latest_step == steps[part.columns]) & np.isnan(values[part.columns])
            values[part.columns[newer]] = newest[newer]
            steps[part.columns[newer]] = track.latest_step
        if self._selection.shared:
            columns = np.unique(np.concatenate([part.columns for part in self._selection.shared]))
            for tail in (True, False):
                block = self._quotient(self._selection.shared, columns, tail=tail, only="last")
                if len(block):
                    values[columns], steps[columns] = block.last[-1], block.final[-1]
                    break
        return values, steps

    def greatest(self) -> Iterator[tuple[Indices, Array, Array]]:
        """Yield columns, the last step of each bucket and the greatest values [k, n]; of quotients those at that step."""
        if self._below or self._selection.shared:
            for columns, block in self.blocks(only="last" if self._below else "high"):
                yield columns, block.final, block.last if self._below else block.high
            return
        for part in self._selection.owned:
            for block in self._track(part).blocks:
                yield part.columns, block.final, _take(block.high, part.positions)

    def _newest(self, part: Part, track: Track) -> Floats:
        newest: Floats = track.latest[part.positions].astype(np.float64)
        if not self._below:
            return newest
        return quotient(newest, self._divisor_of(part, track.latest[None, :])[0])

    def _divisor_of(self, part: Part, values: Array) -> Array:
        """The divisors [k, n] of a part from the values of its track."""
        result = self._others(part, self._below, values)
        if self._quantity in ("mean", "mean_abs"):
            for kind in ("nan", "inf"):
                result = result - np.nan_to_num(self._others(part, kind, values))
        return result

    def _others(self, part: Part, quantity: str, values: Array) -> Array:
        beside = self._index.beside(part, self._asked, quantity)
        taken = np.asarray(_take(values, beside.positions), np.float64)
        return np.where(beside.positions >= 0, taken, beside.constant)

    def _quotient(
        self, parts: Sequence[Part], columns: Indices | None, *, tail: bool, only: str
    ) -> Block:
        above = self._merged(parts, columns, "", tail=tail, only=only)
        if not self._below:
            return above
        below = self._merged(parts, columns, self._below, tail=tail, only=only)
        if self._quantity in ("mean", "mean_abs"):
            others = [
                self._merged(parts, columns, kind, tail=tail, only=only) for kind in ("nan", "inf")
            ]
            below = less(below, others)
        return divided(above, below)

    def _merged(
        self,
        parts: Sequence[Part],
        columns: Indices | None,
        quantity: str,
        *,
        tail: bool,
        only: str,
    ) -> Block:
        if columns is None:
            return self._block(parts[0], quantity, tail=tail, only=only)
        ranks: dict[int, list[Block]] = {}
        for part in parts:
            block = self._block(part, quantity, tail=tail, only=only)
            ranks.setdefault(part.rank, []).append(
                _spread(block, np.searchsorted(columns, part.columns), len(columns))
            )
        logged = np.full(len(columns), self._logged)
        each = [
            merged(blocks, 1, logged) if len(blocks) > 1 else blocks[0] for blocks in ranks.values()
        ]
        whole = together(each, quantity or self._above, self._logged)
        if not self._logged:
            return whole
        norms = self._index.norms_of_shards([self._selection.keys[place] for place in columns])
        return chosen(norms, together(each, "l2", self._logged), whole) if norms.any() else whole

    def _block(self, part: Part, quantity: str, *, tail: bool, only: str) -> Block:
        track = self._track(part)

        def taken(values: Array) -> Array:
            if quantity:
                return self._others(part, quantity, values)
            return _take(values, part.positions)

        blocks = _tail(track.blocks) if tail else track.blocks
        return one_block([_parts(each, only, taken) for each in blocks], len(part.positions))

    def _track(self, part: Part) -> Track:
        return self._ranks[part.rank].tracks[part.table]


def one_block(blocks: Sequence[Block], columns: int) -> Block:
    """Join blocks of the same columns, one behind the other; without any, a block without rows."""
    if blocks:
        return stacked(blocks)
    none, empty = np.zeros(0, np.int64), np.zeros((0, columns), np.float32)
    return Block(none, none, empty, empty, empty)


def _parts(block: Block, only: str, taken: Callable[[Array], Array]) -> Block:
    """A block with something done to its arrays; with ``only`` to one of them, which then stands for all."""
    if only or block.is_single:
        array = taken(getattr(block, only or "last"))
        return Block(block.first, block.final, array, array, array)
    low, high, last = (taken(array) for array in (block.low, block.high, block.last))
    return Block(block.first, block.final, low, high, last)


def _take(values: Array, positions: Indices) -> Array:
    """Some columns of a matrix; where they lie at equal distances this is a view."""
    count = len(positions)
    if count > 1:
        step = int(positions[1] - positions[0])
        stop = int(positions[-1])
        if step > 0 and stop - int(positions[0]) == step * (count - 1) and count > 8:
            regular = positions[0] + step * np.arange(count)
            if np.array_equal(regular, positions):
                return values[:, int(positions[0]) : stop + 1 : step]
    return values[:, positions]


def _spread(block: Block, columns: Indices, count: int) -> Block:
    if len(columns) == count and np.array_equal(columns, np.arange(count)):
        return block

    def spread(array: Array) -> Array:
        whole = np.full((len(block), count), np.nan)
        whole[:, columns] = array
        return whole

    return _parts(block, "", spread)


def _tail(blocks: Sequence[Block]) -> list[Block]:
    kept: list[Block] = []
    rows = 0
    for block in reversed(blocks):
        if rows >= _TAIL:
            break
        kept.append(block[-_TAIL:])
        rows += len(kept[-1])
    return kept[::-1]
