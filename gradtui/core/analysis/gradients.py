"""Mean, largest, L1 and L2 of gradients, layer by layer, by step and by epoch.

A gradient that isn't there (frozen, unused) is none: NaN here, never 0. Statistics are over the finite
values; what is not finite is counted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from gradtui.core.arrays import read_only

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gradtui.core.arrays import Array, Floats

    Join: TypeAlias = Callable[[Floats], Floats]

Every: TypeAlias = Literal["step", "epoch"]


def _no_table() -> Array:
    return read_only(np.zeros((0, 0)))


@dataclass(frozen=True, slots=True, eq=False)
class GradientTable:
    """Statistics of gradients: a row for each step or epoch, a column for each parameter or layer.

    Shapes: all float64 [rows, names], read-only; NaN where there was no gradient.

    Attributes:
        names: of the columns.
        rows: int64 [rows]: the steps, or the epochs.
        every: which of the two.
        mean: Σ|g| / n over the n finite values; by epoch over those of all its steps that have it.
        largest: max |g|; by epoch over all its steps.
        l1: Σ|g|, ``l2``: √Σg²; by epoch the means of its steps' norms.
        count: finite values that L1 was taken of; by epoch of all its steps together.
        nonfinite: NaN and infinite values; by epoch of all its steps.
    """

    names: tuple[str, ...] = ()
    rows: Array = field(default_factory=lambda: read_only(np.zeros(0, np.int64)))
    every: Every = "step"
    mean: Array = field(default_factory=_no_table)
    largest: Array = field(default_factory=_no_table)
    l1: Array = field(default_factory=_no_table)
    l2: Array = field(default_factory=_no_table)
    count: Array = field(default_factory=_no_table)
    nonfinite: Array = field(default_factory=_no_table)

    def by_layer(self) -> GradientTable:
        """Return the same with a module's own parameters taken together, by the module's path.

        The name of a parameter is its module's path, a dot and its own name; the root's parameters are
        together under ``(model)``. L1 adds, L2 adds in squares.

        Raises:
            ValueError: of a table by epoch, whose norms are means already.
        """
        if self.every != "step":
            raise ValueError("layers are taken together before epochs")
        paths = [name.rpartition(".")[0] or "(model)" for name in self.names]
        columns: dict[str, list[int]] = {}
        for place, path in enumerate(paths):
            columns.setdefault(path, []).append(place)
        groups = list(columns.values())
        return table(
            tuple(columns),
            self.rows,
            l1=_joined(self.l1, groups, _added),
            l2=np.sqrt(_joined(self.l2**2, groups, _added)),
            largest=_joined(self.largest, groups, _greatest),
            count=_joined(self.count, groups, _added),
            nonfinite=_joined(self.nonfinite, groups, _added),
        )

    def by_epoch(self, ends: Sequence[tuple[int, int]]) -> GradientTable:
        """Return the same with the steps of each epoch taken together.

        Args:
            ends: each epoch's number and the step after its last, in the order of steps. Steps after the last
                end are an epoch of their own, one number on; without ends all is epoch 0.

        Raises:
            ValueError: of a table by epoch.

        Special values: an epoch without any step is left out; a layer without a gradient in all of an epoch is
            NaN in it, and steps without one don't count in the others.
        """
        if self.every != "step":
            raise ValueError("epochs are made of steps")
        groups: list[list[int]] = []
        numbers: list[int] = []
        bounds = [end for _, end in ends]
        names = [number for number, _ in ends]
        names.append(names[-1] + 1 if names else 0)
        place = np.searchsorted(np.asarray(bounds, np.int64), self.rows, side="right")
        for epoch, number in enumerate(names):
            members = [int(k) for k in np.flatnonzero(place == epoch)]
            if members:
                groups.append(members)
                numbers.append(number)
        l1 = _joined(self.l1.T, groups, _added).T
        count = _joined(self.count.T, groups, _added).T
        return GradientTable(
            self.names,
            read_only(np.asarray(numbers, np.int64)),
            "epoch",
            _share(l1, count),
            read_only(_joined(self.largest.T, groups, _greatest).T),
            read_only(_joined(self.l1.T, groups, _mean).T),
            read_only(_joined(self.l2.T, groups, _mean).T),
            read_only(count),
            read_only(_joined(self.nonfinite.T, groups, _added).T),
        )


def table(
    names: tuple[str, ...],
    rows: Array,
    *,
    l1: Floats,
    l2: Floats,
    largest: Floats,
    count: Floats,
    nonfinite: Floats,
) -> GradientTable:
    """Return a table by step from its sums, float64 [rows, names]; see `GradientTable`."""
    return GradientTable(
        names,
        read_only(np.asarray(rows, np.int64)),
        "step",
        _share(l1, count),
        read_only(largest),
        read_only(l1),
        read_only(l2),
        read_only(count),
        read_only(nonfinite),
    )


def _share(total: Floats, count: Floats) -> Array:
    with np.errstate(invalid="ignore"):
        return read_only(np.where(count > 0, total / np.where(count > 0, count, 1.0), np.nan))


def _joined(values: Array, groups: Sequence[Sequence[int]], join: Join) -> Floats:
    """Columns of a table, group by group."""
    joined = np.full((values.shape[0], len(groups)), np.nan)
    for place, members in enumerate(groups):
        joined[:, place] = join(np.asarray(values[:, members], np.float64))
    return joined


def _added(columns: Floats) -> Floats:
    return _where_any(columns, np.nansum(columns, axis=1))


def _greatest(columns: Floats) -> Floats:
    return _where_any(columns, np.where(np.isnan(columns), -np.inf, columns).max(axis=1))


def _mean(columns: Floats) -> Floats:
    there = np.maximum((~np.isnan(columns)).sum(axis=1), 1)
    return _where_any(columns, np.nansum(columns, axis=1) / there)


def _where_any(columns: Floats, values: Floats) -> Floats:
    """The values, and NaN in rows where no column has a number."""
    found: Floats = np.where(np.isnan(columns).all(axis=1), np.nan, values)
    return found
