"""What one rank of a run has recorded, frozen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gradtui.core.run.records import Edges, Start

if TYPE_CHECKING:
    from gradtui.core.run.histogram_track import HistogramTrack
    from gradtui.core.run.records import Entry
    from gradtui.core.run.track import Track


@dataclass(frozen=True, slots=True, eq=False)
class RankRun:
    """What one rank has recorded.

    Attributes:
        start: who wrote, and of which model.
        tracks: the numbers, one track for each layout.
        histograms: the same of histograms.
        events: entries with an `Event`, by step.
        kept: entries with a `Kept`, by step: the first, the newest few and some between, of each key.
        edges: which output feeds which input.
        last_step: the newest step of any record but the end of an epoch, which is told at the step after; -1 before the first.
        last_time: the newest wall time of any record, seconds since 1970; 0 before the first.
        damage: what could not be used, one line each.
    """

    start: Start = field(default_factory=lambda: Start("", ""))
    tracks: tuple[Track, ...] = ()
    histograms: tuple[HistogramTrack, ...] = ()
    events: tuple[Entry, ...] = ()
    kept: tuple[Entry, ...] = ()
    edges: Edges = field(default_factory=Edges)
    last_step: int = -1
    last_time: float = 0.0
    damage: tuple[str, ...] = ()

    @property
    def rank(self) -> int:
        """The number of the rank."""
        return self.start.rank
