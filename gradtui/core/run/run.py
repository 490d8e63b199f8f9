"""A watched training as one value: what findings and views read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from gradtui.core.run.block import fold_spans, spans_of
from gradtui.core.run.distributions import histogram_of
from gradtui.core.run.gathering import Gathering, one_block
from gradtui.core.run.growing import GrowingRank
from gradtui.core.run.happenings import Happening, KeptTensor
from gradtui.core.run.index import RunIndex
from gradtui.core.run.keys import DERIVED, SeriesKey
from gradtui.core.run.records import Edges, Event, Kept
from gradtui.core.run.series import Column, Columns, Series, Trends

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gradtui.core.arrays import Floats
    from gradtui.core.run.index import Asked
    from gradtui.core.run.key_table import KeyTable
    from gradtui.core.run.rank_run import RankRun
    from gradtui.core.run.records import Entry, ModuleInfo, ParameterInfo, Start
    from gradtui.core.run.series import HistogramSeries
    from gradtui.core.run.track import Rows


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """All ranks of one training. Where a method takes ``rank``, None means all of them together.

    Together, parameters that are equal on all ranks are the lowest rank's; shards, and the activations of a split batch, are
    merged by `MERGED_BY` at the steps that all ranks have reached; `DERIVED` quantities are divided after that.
    An unknown rank, key or name gives the empty value.
    """

    ranks: tuple[RankRun, ...] = ()
    index: RunIndex = field(default_factory=lambda: RunIndex((), (), ()), repr=False)

    def __post_init__(self) -> None:
        starts, tables, histograms = _parts(self.ranks)
        if not self.index.fits(starts, tables, histograms):
            object.__setattr__(self, "index", RunIndex(starts, tables, histograms))

    @classmethod
    def empty(cls) -> Run:
        """Return the run of a folder that has none."""
        return cls()

    @classmethod
    def of(cls, entries_by_rank: Mapping[int, Iterable[Entry | Rows]]) -> Run:
        """Return the run of some records, by rank and in their order: for tests and small runs."""
        growing = {rank: GrowingRank() for rank in sorted(entries_by_rank)}
        for rank, each in growing.items():
            each.add(entries_by_rank[rank])
        return cls(tuple([each.value() for each in growing.values()]))

    @classmethod
    def following(cls, before: Run, ranks: tuple[RankRun, ...]) -> Run:
        """Return a run that takes over what an earlier one found out about the keys that both have."""
        return cls(ranks, before.index)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was recorded."""
        return not self.ranks

    @property
    def start(self) -> Start | None:
        """The lowest rank's start; None for the empty run."""
        return self.ranks[0].start if self.ranks else None

    @property
    def modules(self) -> tuple[ModuleInfo, ...]:
        """The modules, those of the lowest rank first."""
        return tuple(self.index.modules.values())

    @property
    def parameters(self) -> tuple[ParameterInfo, ...]:
        """The parameters, those of the lowest rank first."""
        return tuple(self.index.parameters.values())

    @property
    def kinds(self) -> Mapping[str, str]:
        """The class names of the modules by path."""
        return self.index.kinds

    def parameter_info(self, path: str, name: str) -> ParameterInfo | None:
        """Return a parameter by its module's path and its name there; None where there is none."""
        return self.index.parameters.get((path, name))

    @property
    def edges(self) -> Edges:
        """Which output feeds which input, as the lowest rank saw it."""
        return next((rank.edges for rank in self.ranks if rank.edges.every), Edges())

    @property
    def world(self) -> int:
        """How many ranks the training has; 0 for the empty run."""
        return max((rank.start.world for rank in self.ranks), default=0)

    @property
    def first_step(self) -> int:
        """The first step of any number; -1 when there is none."""
        return min(
            (
                int(track.blocks[0].first[0])
                for rank in self.ranks
                for track in rank.tracks
                if track.blocks
            ),
            default=-1,
        )

    @property
    def last_step(self) -> int:
        """The newest step of any record but the end of an epoch; -1 before the first."""
        return max((rank.last_step for rank in self.ranks), default=-1)

    @property
    def last_time(self) -> float:
        """The newest wall time of any record, seconds since 1970; 0 before the first."""
        return max((rank.last_time for rank in self.ranks), default=0.0)

    @property
    def events(self) -> tuple[Happening, ...]:
        """What happened on any rank, by step."""
        found = [
            Happening(rank.rank, entry.step, entry.time, entry.record)
            for rank in self.ranks
            for entry in rank.events
            if isinstance(entry.record, Event)
        ]
        return tuple(sorted(found, key=lambda each: (each.step, each.time)))

    @property
    def kept(self) -> tuple[KeptTensor, ...]:
        """The kept tensors of all ranks, by step."""
        found = [
            KeptTensor(rank.rank, entry.step, entry.time, entry.record)
            for rank in self.ranks
            for entry in rank.kept
            if isinstance(entry.record, Kept)
        ]
        return tuple(sorted(found, key=lambda each: (each.step, each.rank)))

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know: damage, ranks that have written nothing, and what the watcher itself says of the run."""
        several = self.world > 1
        notes = [
            f"rank {rank.rank}: {text}" if several else text
            for rank in self.ranks
            for text in rank.damage
        ]
        missing = sorted(set(range(self.world)) - {rank.rank for rank in self.ranks})
        if missing:
            shown = ", ".join(map(str, missing[:8])) + (", ..." if len(missing) > 8 else "")
            notes.append(f"nothing from {'rank' if len(missing) == 1 else 'ranks'} {shown}")
        said = [
            entry.record.text
            for rank in self.ranks
            for entry in rank.events
            if isinstance(entry.record, Event) and entry.record.kind in ("note", "aside")
        ]
        # What several ranks say is said once.
        return tuple(dict.fromkeys([*notes, *said]))

    @property
    def keys(self) -> tuple[SeriesKey, ...]:
        """All series of recorded numbers, of all ranks."""
        return self.index.keys()

    @property
    def histogram_keys(self) -> tuple[SeriesKey, ...]:
        """All series of histograms, of all ranks."""
        return self.index.keys(histograms=True)

    def sampled(self, key: SeriesKey) -> bool:
        """Whether a number comes from a sample of its tensor; of a quotient: whether its dividend does."""
        return self.index.is_sampled(key.of(DERIVED.get(key.quantity, (key.quantity,))[0]))

    def series(self, key: SeriesKey, rank: int | None = None) -> Series:
        """Return one number over the steps; empty where it was never measured."""
        gathering = self._gathering(key, rank)
        if gathering is None or not gathering.keys:
            return Series(key)
        blocks = [block for _, block in gathering.blocks()]
        block = one_block(blocks, 1)
        order = np.argsort(block.final, kind="stable")
        there = np.ones(len(order), np.bool_)
        if key.role != "run":
            there = ~np.isnan(block.last[order, 0])
        order = order[there]
        low, high, last = (
            np.asarray(part[order, 0], np.float64) for part in (block.low, block.high, block.last)
        )
        steps = block.final[order]
        # A number that stands in two layouts is the same number.
        firsts = np.flatnonzero(np.append(True, steps[1:] != steps[:-1])[: len(steps)])
        if len(firsts) < len(steps):
            low, high = np.fmin.reduceat(low, firsts), np.fmax.reduceat(high, firsts)
            lasts = np.append(firsts[1:], len(steps)) - 1
            steps, last = steps[lasts], last[lasts]
        return Series(key, steps, last, low, high)

    def latest(self, key: SeriesKey, rank: int | None = None) -> float:
        """Return a number of the newest record that holds it; NaN: it was not measured then, or never."""
        gathering = self._gathering(key, rank)
        if gathering is None or not gathering.keys:
            return float("nan")
        return float(gathering.latest()[0][0])

    def column(
        self, role: str, quantity: str, phase: str = "train", rank: int | None = None
    ) -> Column:
        """Return the newest values of all series of a role and a quantity (recorded or derived)."""
        gathering = self._gathering((role, quantity, phase), rank)
        if gathering is None:
            return Column()
        values, steps = gathering.latest()
        return Column(gathering.keys, values, steps)

    def blocks(
        self, role: str, quantity: str, phase: str = "train", rank: int | None = None
    ) -> tuple[Columns, ...]:
        """Return all numbers of a role and a quantity, in matrices of series that were recorded together."""
        gathering = self._gathering((role, quantity, phase), rank)
        if gathering is None:
            return ()
        keys = gathering.keys
        all_columns = np.arange(len(keys))
        return tuple(
            Columns(
                # A layout can have all of them in another order.
                keys
                if np.array_equal(columns, all_columns)
                else tuple([keys[place] for place in columns]),
                block.first,
                block.final,
                block.last,
                block.low,
                block.high,
            )
            for columns, block in gathering.blocks()
        )

    def trends(
        self,
        role: str,
        quantity: str,
        points: int,
        phase: str = "train",
        rank: int | None = None,
    ) -> Trends:
        """Return the course of all series of a role and a quantity in ``points`` equal spans of the run's steps.

        Args:
            role: whose numbers.
            quantity: which, recorded or derived.
            points: how many spans, at least 1.
            phase: the modules' mode.
            rank: None: all together.
        """
        first, last = float(max(self.first_step, 0)), float(self.last_step + 1)
        edges: Floats = np.linspace(first, max(last, first), points + 1)
        gathering = self._gathering((role, quantity, phase), rank)
        if gathering is None:
            return Trends((), np.zeros((0, points)), edges)
        values = np.full((points, len(gathering.keys)), np.nan, np.float32)
        for columns, steps, numbers in gathering.greatest():
            fold_spans(values, numbers, spans_of(steps, first, last, points), columns)
        return Trends(gathering.keys, values.T.astype(np.float64), edges)

    def histogram(
        self, key: SeriesKey, rank: int | None = None, steps: tuple[int, int] | None = None
    ) -> HistogramSeries:
        """Return a distribution over the steps; empty where there is none.

        ``steps`` are the first and the last one that are wanted; the grid is then as fine as these allow.
        """
        place = self._place(rank)
        if place == -1:
            place = len(self.ranks)
        return histogram_of(self.ranks, self.index, key, None if rank is None else place, steps)

    def _gathering(self, asked: Asked, rank: int | None) -> Gathering | None:
        place = self._place(rank)
        if place == -1:
            return None
        return Gathering(self.ranks, self.index, asked, None if rank is None else place)

    def _place(self, rank: int | None) -> int:
        if rank is None:
            return 0
        return next((i for i, each in enumerate(self.ranks) if each.rank == rank), -1)


def _parts(
    ranks: Sequence[RankRun],
) -> tuple[list[Start], list[list[KeyTable]], list[list[KeyTable]]]:
    starts = [rank.start for rank in ranks]
    tables = [[track.table for track in rank.tracks] for rank in ranks]
    histograms = [[track.table for track in rank.histograms] for rank in ranks]
    return starts, tables, histograms
