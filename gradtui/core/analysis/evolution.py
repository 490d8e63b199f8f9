"""How one tensor of a run changed over training: the tensors that were kept of it, as maps on one scale."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod, sqrt
from typing import TYPE_CHECKING, Final

import numpy as np

from gradtui.core.arrays import as_floats, read_only
from gradtui.core.run.records import Kept
from gradtui.core.scale import scaling
from gradtui.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gradtui.core.arrays import Array, Floats
    from gradtui.core.run.keys import SeriesKey
    from gradtui.core.run.records import Entry
    from gradtui.core.scale import Levels

MOST_TILES: Final = 64
GAP: Final = 1
"""Cells between two tiles; they hold NaN in numbers, `GAP_LEVEL` in levels."""
GAP_LEVEL: Final = 252


@dataclass(frozen=True, slots=True, eq=False)
class Evolution:
    """One tensor at several steps.

    Attributes:
        key: whose.
        steps: int64 [t], ascending.
        values: [t, ...]: the tensors, all of one shape.
        left_out: how many had another shape than the newest.
    """

    key: SeriesKey
    steps: Array
    values: Array
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one tensor."""
        return tuple(self.values.shape[1:])

    @property
    def channels(self) -> int:
        """How many maps one tensor has: all of its dimensions but the last two."""
        return prod(self.shape[:-2])

    def maps(self, channel: int = -1) -> Array:
        """Return each tensor as a map, ``[t, H, W]``, in the values' own numbers.

        The last two dimensions are a map's rows and columns; a vector is one row, a single number one cell.
        Channels (all other dimensions) lie side by side, a cell of NaN between them, the first
        `MOST_TILES` of them.

        Args:
            channel: one alone; all where it is negative.

        Raises:
            UsageError: there is no such channel.

        Special values: NaN and infinities stay; an empty tensor gives maps without cells.
        """
        if channel >= self.channels:
            raise UsageError(f"channel {channel}: {self.key.name} has {self.channels}")
        shape = self.shape
        sized = (1,) * (2 - len(shape)) + shape
        maps = self.values.reshape(len(self), self.channels, *sized[-2:])
        if channel >= 0:
            return maps[:, channel]
        return maps[:, 0] if self.channels == 1 else _side_by_side(maps)

    def levels(self, scale: str = "linear", channel: int = -1) -> Levels:
        """Return `maps` as levels of one scale for all steps, so that frames compare; ``[t, H, W]`` uint8.

        Raises:
            UsageError: there is no such scale or channel.

        Special values: as `gradtui.core.scale.Scaling.levels`; what lies between tiles is `GAP_LEVEL`.
        """
        maps = self.maps(channel)
        levels = scaling(scale, self.values).levels(maps)
        if channel < 0 and self.channels > 1:
            gaps = np.isnan(_side_by_side(np.zeros((1, self.channels, *self.shape[-2:]))))[0]
            levels[:, gaps] = GAP_LEVEL
        return levels


def evolutions(entries: Iterable[Entry]) -> tuple[Evolution, ...]:
    """Gather the tensors that a run kept: one evolution for each key, in the order of their names.

    Args:
        entries: of one rank, in any order; records of other kinds are passed over, and of several with the
            same key and step the last counts.
    """
    found: dict[SeriesKey, dict[int, Array]] = {}
    for entry in entries:
        if isinstance(entry.record, Kept):
            found.setdefault(entry.record.key, {})[entry.step] = entry.record.values
    return tuple(_evolution(key, found[key]) for key in sorted(found))


def find_evolution(evolutions: Sequence[Evolution], name: str, role: str = "") -> Evolution:
    """Return the evolution of a layer's output or of a parameter, by its name.

    Args:
        evolutions: what a run kept.
        name: a module path, with ``#k`` for a later call; or a parameter's full name; ``(root)`` is the model.
        role: whose number where several were kept (see `gradtui.core.run.keys`); the output by preference, and those of
            the training before those of evaluations.

    Raises:
        UsageError: nothing of that name was kept; it says what was.
    """
    fitting = [
        e
        for e in evolutions
        if name in (e.key.name, e.key.path or "(root)") and role in ("", e.key.role)
    ]
    if not fitting:
        known = ", ".join(dict.fromkeys(e.key.name for e in evolutions)) or "nothing"
        raise UsageError(f"no tensors of {name!r} were kept; of this run were: {known}")
    return min(
        fitting,
        key=lambda e: (e.key.name != name, _PREFERRED.get(e.key.role, 2), e.key.phase != "train"),
    )


_PREFERRED: Final = {"output": 0, "parameter": 1}


def _evolution(key: SeriesKey, by_step: dict[int, Array]) -> Evolution:
    steps = sorted(by_step)
    shape = by_step[steps[-1]].shape
    kept = [step for step in steps if by_step[step].shape == shape]
    return Evolution(
        key,
        read_only(np.asarray(kept, np.int64)),
        read_only(np.stack([by_step[step] for step in kept])),
        len(steps) - len(kept),
    )


def _side_by_side(maps: Array) -> Floats:
    """Maps ``[t, C, H, W]`` in a grid, about as wide as high, ``[t, rows, columns]``."""
    times, channels, height, width = maps.shape
    shown = min(channels, MOST_TILES)
    across = max(1, min(shown, ceil(sqrt(shown * height / max(width, 1)))))
    down = ceil(shown / across)
    grid = np.full((times, down * (height + GAP) - GAP, across * (width + GAP) - GAP), np.nan)
    for tile in range(shown):
        top, left = (tile // across) * (height + GAP), (tile % across) * (width + GAP)
        grid[:, top : top + height, left : left + width] = maps[:, tile]
    return as_floats(grid)
