"""The gradients of a watched run, by step and by epoch."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Final

import numpy as np

from gradtui.core.analysis.gradients import GradientTable, table
from gradtui.core.run.keys import SeriesKey

if TYPE_CHECKING:
    from gradtui.core.arrays import Array, Floats
    from gradtui.core.run.run import Run

ROLE: Final = "gradient"


def gradients_by_step(run: Run, *, layers: bool = True) -> GradientTable:
    """Return mean, largest, L1 and L2 of a run's gradients, as its optimizer saw them (unscaled, clipped).

    A run has L2 at every step, and the others at the steps that were logged in full (``log_freq=1``: at all), NaN
    between them. Older steps of a long run stand in spans: the row is the span's last step, the largest
    that of the span.

    Args:
        run: with any number of ranks, taken together.
        layers: a column for each module, its own parameters together; else for each parameter.

    Special values: see `GradientTable`; no rows for a run without gradients.
    """
    keys, steps = _extent(run)
    names = tuple(key.name for key in keys)
    columns = {key: place for place, key in enumerate(keys)}
    empty = (len(steps), len(keys))
    found = {q: _filled(run, q, columns, steps, empty, "last") for q in ("l1", "l2", "nan", "inf")}
    low = _filled(run, "minimum", columns, steps, empty, "low")
    high = _filled(run, "maximum", columns, steps, empty, "high")
    lost = np.nan_to_num(found["nan"]) + np.nan_to_num(found["inf"])
    sizes = np.array([_size(run, key) for key in keys], np.float64)
    summed, there = ~np.isnan(found["l1"]), ~np.isnan(found["l2"])
    whole = table(
        names,
        steps,
        l1=found["l1"],
        l2=found["l2"],
        largest=np.fmax(np.abs(low), np.abs(high)),
        count=np.where(summed, sizes - lost, np.nan),
        nonfinite=np.where(there, lost, np.nan),
    )
    return whole.by_layer() if layers and names else whole


def gradients_by_epoch(run: Run, *, layers: bool = True) -> GradientTable:
    """Return the same with the steps of each epoch taken together; see `GradientTable.by_epoch`.

    Epochs end where the training said so (``handle.epoch()``); a run that never did is epoch 0.
    """
    return gradients_by_step(run, layers=layers).by_epoch(epoch_ends(run))


def epoch_ends(run: Run) -> list[tuple[int, int]]:
    """Return each epoch's number and the first step after it, as the lowest rank told them."""
    ends: dict[int, int] = {}
    lowest = run.ranks[0].rank if run.ranks else 0
    for happening in run.events:
        if happening.event.kind == "epoch" and happening.rank == lowest:
            number = happening.event.fields.get("epoch")
            # It is told at the first step of the next epoch.
            ends[happening.step] = number if isinstance(number, int) else len(ends)
    return [(number, step) for step, number in sorted(ends.items())]


def _extent(run: Run) -> tuple[list[SeriesKey], Array]:
    blocks = run.blocks(ROLE, "l2")
    # Also those that never had a gradient: that is what there is to say of them.
    known = [SeriesKey(info.path, ROLE, "l2", info.name) for info in run.parameters]
    met = sorted({key.of("l2") for block in blocks for key in block.keys})
    keys = list(dict.fromkeys([*known, *met]))
    steps = [np.asarray(block.steps, np.int64) for block in blocks]
    return keys, np.unique(np.concatenate(steps)) if steps else np.zeros(0, np.int64)


def _filled(
    run: Run,
    quantity: str,
    columns: dict[SeriesKey, int],
    steps: Array,
    shape: tuple[int, int],
    part: str,
) -> Floats:
    filled = np.full(shape, np.nan)
    for block in run.blocks(ROLE, quantity):
        rows = np.searchsorted(steps, block.steps)
        inside = (rows < len(steps)) & (steps[np.minimum(rows, len(steps) - 1)] == block.steps)
        values = np.asarray(getattr(block, part), np.float64)
        for place, key in enumerate(block.keys):
            column = columns.get(key.of("l2"))
            if column is not None:
                own = values[inside, place]
                # Several blocks can hold one key, each for its own steps.
                there = ~np.isnan(own)
                filled[rows[inside][there], column] = own[there]
    return filled


def _size(run: Run, key: SeriesKey) -> int:
    info = run.parameter_info(key.path, key.slot)
    return 0 if info is None else prod(info.shape)
