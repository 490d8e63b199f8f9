"""Edits of the input: toggle, set, undo, redo, revert; what is pending, and on which data.

A history is frozen: each edit gives a new one. It holds its base, so that what would be written is
always the base with the pending cells on it.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from gradtui.core.arrays import read_only
from gradtui.errors import UsageError

if TYPE_CHECKING:
    from gradtui.core.arrays import Array

Index = tuple[int, ...]
Cells = Mapping[Index, float]


@dataclass(frozen=True, slots=True)
class Edit:
    """One changed cell: its index in the input, and its value before and after."""

    cell: Index
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Rebased:
    """A history put on newer data.

    ``kept`` cells stay pending, ``settled`` ones hold the same value in the new data, and
    ``conflicts`` are those that the other side changed too: the person's value stays pending there.
    ``lost`` cells do not exist in the new data, or its dtype cannot hold their value.
    """

    history: EditHistory
    kept: tuple[Index, ...]
    settled: tuple[Index, ...]
    conflicts: tuple[Index, ...]
    lost: tuple[Index, ...]


def same(first: float, second: float) -> bool:
    """Whether two cells hold the same: NaN is the same as NaN, 0 as -0."""
    return first == second or (math.isnan(first) and math.isnan(second))


def representable(dtype: np.dtype[Any], value: float) -> float:
    """Return the value that an array of ``dtype`` would hold for ``value``, as a Python number.

    Floating dtypes round, and overflow to an infinity is refused; integers and booleans take only
    what they hold exactly.

    Raises:
        UsageError: the dtype cannot hold the value.
    """
    refusal = UsageError(f"an input of {dtype} cannot hold {value:g}")
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            held = float(dtype.type(value))
        if math.isinf(held) and not math.isinf(value):
            raise refusal
        return held
    if not math.isfinite(value) or value != int(value):
        raise refusal
    if dtype.kind == "b":
        if value not in (0, 1):
            raise refusal
    elif not np.iinfo(dtype).min <= int(value) <= np.iinfo(dtype).max:
        raise refusal
    return int(value)


@dataclass(frozen=True, slots=True)
class EditHistory:
    """Pending edits of a base array, with everything that can be undone and redone.

    Shapes: ``base`` is [H, W] or [9, H, W]; a cell is a full index into it.

    Attributes:
        base: What is on disk, as far as it is known.
        cells: The pending cells and the values they will have.
        past: Earlier states of ``cells``, oldest first; each is one step of undo.
        future: Undone states, the next one to redo last.
    """

    base: Array = field(default_factory=lambda: read_only(np.zeros((0, 0))))
    cells: Cells = field(default_factory=lambda: MappingProxyType({}))
    past: tuple[Cells, ...] = ()
    future: tuple[Cells, ...] = ()

    @classmethod
    def of(cls, base: Array) -> EditHistory:
        """Begin with nothing pending."""
        return cls(read_only(base))

    @property
    def pending_count(self) -> int:
        """How many cells differ from the base."""
        return len(self.cells)

    @property
    def pending(self) -> tuple[Edit, ...]:
        """The pending cells, in order of their index."""
        return tuple(
            Edit(cell, self.on_disk(cell), after) for cell, after in sorted(self.cells.items())
        )

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to undo."""
        return bool(self.past)

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to redo."""
        return bool(self.future)

    def value(self, cell: Index) -> float:
        """Return a cell as it would be written.

        Raises:
            UsageError: there is no such cell.
        """
        self._check(cell)
        return self.cells.get(cell, self.on_disk(cell))

    def toggle(self, cell: Index, z: float) -> EditHistory:
        """Make a cell z if it is 0, else 0; NaN is not 0 and becomes 0.

        Raises:
            UsageError: there is no such cell, or the dtype cannot hold z.
        """
        return self.set_value(cell, z if self.value(cell) == 0 else 0.0)

    def set_value(self, cell: Index, value: float) -> EditHistory:
        """Give a cell a value; the same value again changes nothing.

        Raises:
            UsageError: there is no such cell, or the dtype cannot hold the value.
        """
        self._check(cell)
        held = representable(self.base.dtype, value)
        if same(self.value(cell), held):
            return self
        return self._step(self.differing({**self.cells, cell: held}))

    def set_values(self, cells: Cells) -> EditHistory:
        """Give many cells their values as one step of undo: edits found after a crash, say.

        Raises:
            UsageError: a cell does not exist, or the dtype cannot hold its value.
        """
        for cell in cells:
            self._check(cell)
        held = {cell: representable(self.base.dtype, value) for cell, value in cells.items()}
        after = self.differing({**self.cells, **held})
        return self if after == self.cells else self._step(after)

    def revert(self) -> EditHistory:
        """Take all pending edits back, as one step of undo."""
        return self._step(MappingProxyType({})) if self.cells else self

    def undo(self) -> EditHistory:
        """Take the last step back; the same history where there is none."""
        if not self.past:
            return self
        return replace(
            self, cells=self.past[-1], past=self.past[:-1], future=(*self.future, self.cells)
        )

    def redo(self) -> EditHistory:
        """Take the last undone step again; the same history where there is none."""
        if not self.future:
            return self
        return replace(
            self, cells=self.future[-1], past=(*self.past, self.cells), future=self.future[:-1]
        )

    def applied(self) -> Array:
        """Return the array to write: a copy of the base, of its dtype, with the pending cells."""
        array: Array = self.base.copy()
        for cell, value in self.cells.items():
            array[cell] = value
        return array

    def rebased(self, base: Array) -> Rebased:
        """Put the pending edits on data that the other side wrote meanwhile, or on what was saved.

        What can be undone stays: each earlier state keeps the values that it would have written.
        """
        new = replace(self, base=read_only(base), cells=MappingProxyType({}), past=(), future=())
        if base.shape != self.base.shape:
            return Rebased(new, (), (), (), tuple(sorted(self.cells)))
        held = new.holding(self.cells)
        kept, settled, conflicts = [], [], []
        for cell, value in sorted(held.items()):
            if same(new.on_disk(cell), value):
                settled.append(cell)
            elif same(new.on_disk(cell), self.on_disk(cell)):
                kept.append(cell)
            else:
                conflicts.append(cell)

        def moved(state: Cells) -> Cells:
            # A cell that a state left alone had the old base's value, where that step was taken.
            touched = {
                cell: self.on_disk(cell)
                for steps in (self.past, self.future, (self.cells,))
                for step in steps
                for cell in step
                if cell in ours
            }
            return new.differing(new.holding({**touched, **state}))

        ours = frozenset(settled)
        return Rebased(
            replace(
                new,
                cells=new.differing(held),
                past=tuple(moved(state) for state in self.past),
                future=tuple(moved(state) for state in self.future),
            ),
            tuple(kept),
            tuple(settled),
            tuple(conflicts),
            tuple(sorted(set(self.cells) - set(held))),
        )

    def _step(self, cells: Cells) -> EditHistory:
        return replace(self, cells=cells, past=(*self.past, self.cells), future=())

    def differing(self, cells: Cells) -> Cells:
        """Return those of some cells that differ from the base."""
        return MappingProxyType(
            {cell: value for cell, value in cells.items() if not same(self.on_disk(cell), value)}
        )

    def holding(self, cells: Cells) -> Cells:
        """Return some cells as the base's dtype holds them, without those that it cannot."""
        found: dict[Index, float] = {}
        for cell, value in cells.items():
            with contextlib.suppress(UsageError):
                found[cell] = representable(self.base.dtype, value)
        return found

    def on_disk(self, cell: Index) -> float:
        """Return a cell as the base has it."""
        value = self.base[cell].item()
        return float(value) if isinstance(value, float) else int(value)

    def _check(self, cell: Index) -> None:
        shape = self.base.shape
        if len(cell) != len(shape) or not all(0 <= i < n for i, n in zip(cell, shape)):  # noqa: B905
            raise UsageError(f"the input has no cell {cell}")
