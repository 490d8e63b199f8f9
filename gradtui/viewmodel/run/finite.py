"""Where a tensor was not all finite: its statistics are of the rest then, which may be none of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gradtui.core.arrays import Flags
    from gradtui.core.run.keys import SeriesKey
    from gradtui.core.run.run import Run
    from gradtui.core.run.series import Series

COUNTS = ("nan", "inf")


def is_of_a_tensor(key: SeriesKey) -> bool:
    """Whether a number is a statistic of a tensor, over its finite values."""
    return key.role not in ("run", "module") and key.quantity not in COUNTS


def is_bad_at(run: Run, key: SeriesKey, step: int, rank: int | None) -> bool:
    """Whether the tensor of a number was not all finite at a step: the number is of its finite part alone."""
    if not is_of_a_tensor(key):
        return False
    for quantity in COUNTS:
        series = run.series(key.of(quantity), rank)
        place = int(np.searchsorted(series.steps, step, "right")) - 1
        if place >= 0 and float(series.values[place]) > 0:
            return True
    return False


def bad_spans(run: Run, series: Series, rank: int | None) -> tuple[Flags, Flags]:
    """Return of each span of a series whether its newest step is not finite, and whether any of its steps is.

    A statistic is not finite where its tensor is not all so, and a scalar of the run where itself is not. Of a step
    within a span of counts that were joined it is not known: where any step of the span is not finite, it counts as one.

    Args:
        run: the counts are taken from.
        series: of this run, or the recorded numbers of some of its steps.
        rank: whose; None for all together.

    Returns:
        bool [k] each.
    """
    newest = ~np.isfinite(series.values)
    some = newest | ~np.isfinite(series.low) | ~np.isfinite(series.high)
    for quantity in COUNTS if is_of_a_tensor(series.key) else ():
        counts = run.series(series.key.of(quantity), rank)
        if counts.empty or not (counts.high > 0).any():
            continue
        # A span has the step of its last one: the first that is not before a step holds it.
        place = np.minimum(np.searchsorted(counts.steps, series.steps), len(counts) - 1)
        within = counts.high[place] > 0
        exact = counts.steps[place] == series.steps
        newest |= np.where(exact, counts.values[place] > 0, within)
        some |= within
    return newest, some | newest
