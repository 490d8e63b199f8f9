"""Records of small runs, whose every number tells its rank, its step and its series."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradtui.core.run.keys import SeriesKey
from gradtui.core.run.records import (
    Entry,
    Event,
    Kept,
    Layout,
    ModuleInfo,
    ParameterInfo,
    Scalars,
    Start,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

QUANTITIES = ("l2", "l1", "minimum", "maximum")
LOSS = SeriesKey("", "run", "value", "loss")


def keys_of(modules: int, quantities: tuple[str, ...] = QUANTITIES) -> tuple[SeriesKey, ...]:
    """The keys of the gradients of so many modules with one weight each, and of the loss."""
    return (
        LOSS,
        *(
            SeriesKey(f"layer{k}", "gradient", quantity, "weight")
            for k in range(modules)
            for quantity in quantities
        ),
    )


def preamble(
    run: str = "run",
    *,
    modules: int = 2,
    rank: int = 0,
    world: int = 1,
    started: float = 1e9,
    quantities: tuple[str, ...] = QUANTITIES,
) -> Iterator[Entry]:
    """What a segment begins with."""
    start = Start(
        run,
        "Net",
        rank,
        world,
        started=started,
        modules=tuple(ModuleInfo(f"layer{k}", "Linear") for k in range(modules)),
        parameters=tuple(
            ParameterInfo(f"layer{k}", "weight", (4, 4), count=16) for k in range(modules)
        ),
    )
    yield Entry(-1, started, start)
    yield Entry(-1, started, Layout(0, "scalars", keys_of(modules, quantities)))


def value(step: int, column: int = 0, rank: int = 0) -> float:
    """The number of a series at a step: exact in float32."""
    return step + column / 64 + rank / 1024


def scalars(step: int, *, columns: int = 9, rank: int = 0, time: float = 0.0) -> Entry:
    """The numbers of a step."""
    values = (step + np.arange(columns) / 64 + rank / 1024).astype(np.float32)
    return Entry(step, time or 1e9 + step, Scalars(0, values))


def steps(first: int, last: int, *, columns: int = 9, rank: int = 0) -> Iterator[Entry]:
    """The numbers of the steps from the first to the last, both of them."""
    for step in range(first, last + 1):
        yield scalars(step, columns=columns, rank=rank)


def epoch(step: int, number: int) -> Entry:
    """The end of an epoch."""
    return Entry(step, 1e9 + step, Event("epoch", f"epoch {number}", fields={"epoch": number}))


def kept(step: int, path: str = "layer0") -> Entry:
    """A tensor whose every number is the step."""
    key = SeriesKey(path, "output", "values")
    return Entry(step, 1e9 + step, Kept(key, np.full((2, 3), step, np.float32)))
