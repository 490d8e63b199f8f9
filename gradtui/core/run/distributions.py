"""One tensor's histograms over the steps, of all tracks and ranks, on one grid."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

import numpy as np

from gradtui.core.run.histogram import Binned, common_grid, joined
from gradtui.core.run.histogram_track import Moment
from gradtui.core.run.series import HistogramSeries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradtui.core.run.index import Part, RunIndex
    from gradtui.core.run.keys import SeriesKey
    from gradtui.core.run.rank_run import RankRun


def histogram_of(
    ranks: Sequence[RankRun],
    index: RunIndex,
    key: SeriesKey,
    rank: int | None,
    steps: tuple[int, int] | None = None,
) -> HistogramSeries:
    """Return the histograms of a key; those of several ranks are added at the steps that all have reached.

    Args:
        ranks: of the run.
        index: of the run.
        key: whose.
        rank: the place of one rank in ``ranks``; None: all together.
        steps: the first and the last step that are wanted; None: all. The grid is as fine as these allow.
    """
    if rank is not None and not 0 <= rank < len(ranks):
        return HistogramSeries(key)
    selection = index.select(key, rank, histograms=True)
    of_ranks: dict[int, list[Moment]] = {}
    for part in (*selection.owned, *selection.shared):
        of_ranks.setdefault(part.rank, []).extend(_moments(ranks, part))
    if not of_ranks:
        return HistogramSeries(key)
    for moments in of_ranks.values():
        moments.sort(key=lambda moment: moment.final)
    each = list(of_ranks.values())
    moments = each[0] if len(each) == 1 else _together(each)
    if steps is not None:
        moments = [moment for moment in moments if steps[0] <= moment.final <= steps[1]]
    if not moments:
        return HistogramSeries(key)
    counts, low, width = common_grid([moment.binned for moment in moments], 0)
    finals = np.array([moment.final for moment in moments], np.int64)
    tails = np.concatenate([moment.binned.tails for moment in moments]).astype(np.int64)
    return HistogramSeries(key, finals, counts, low, width, tails)


def _moments(ranks: Sequence[RankRun], part: Part) -> list[Moment]:
    row = slice(int(part.positions[0]), int(part.positions[0]) + 1)
    return [
        Moment(moment.first, moment.final, row_of(moment.binned, row))
        for moment in ranks[part.rank].histograms[part.table].moments
    ]


def row_of(binned: Binned, rows: slice) -> Binned:
    """Return some rows of histograms, as views."""
    return Binned(
        binned.counts[rows], binned.exponents[rows], binned.offsets[rows], binned.tails[rows]
    )


def _together(ranks: Sequence[list[Moment]]) -> list[Moment]:
    """Add the histograms of ranks: each span ends at a step that all of them have."""
    finals = sorted(set.intersection(*[{moment.final for moment in rank} for rank in ranks]))
    groups: list[list[Moment]] = [[] for _ in finals]
    for rank in ranks:
        for moment in rank:
            place = bisect_left(finals, moment.final)
            if place < len(finals):
                groups[place].append(moment)
    return [
        Moment(min(m.first for m in group), final, joined([m.binned for m in group]))
        for group, final in zip(groups, finals, strict=True)
    ]
