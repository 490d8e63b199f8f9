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
    from collections.abc import Sequence

    from gradtui.core.arrays import Array

Index = tuple[int, ...]
Cells = Mapping[Index, float]
Step = Mapping[Index, tuple[float, float]]
"""What one step changed: of each cell the value before and after, whatever is on disk by now."""


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
        past: What can be undone, oldest first.
        future: What was undone, the next one to redo last.
    """

    base: Array = field(default_factory=lambda: read_only(np.zeros((0, 0))))
    cells: Cells = field(default_factory=lambda: MappingProxyType({}))
    past: tuple[Step, ...] = ()
    future: tuple[Step, ...] = ()

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
        return self._to({cell: representable(self.base.dtype, value)})

    def set_values(self, cells: Cells) -> EditHistory:
        """Give many cells their values as one step of undo: edits found after a crash, say.

        Raises:
            UsageError: a cell does not exist, or the dtype cannot hold its value.
        """
        for cell in cells:
            self._check(cell)
        dtype = self.base.dtype
        return self._to({cell: representable(dtype, value) for cell, value in cells.items()})

    def revert(self) -> EditHistory:
        """Take all pending edits back, as one step of undo."""
        return self._to({cell: self.on_disk(cell) for cell in self.cells})

    def undo(self) -> EditHistory:
        """Take the last step back; the same history where there is none."""
        if not self.past:
            return self
        step = self.past[-1]
        return replace(
            self,
            cells=self._with({cell: before for cell, (before, _) in step.items()}),
            past=self.past[:-1],
            future=(*self.future, step),
        )

    def redo(self) -> EditHistory:
        """Take the last undone step again; the same history where there is none."""
        if not self.future:
            return self
        step = self.future[-1]
        return replace(
            self,
            cells=self._with({cell: after for cell, (_, after) in step.items()}),
            past=(*self.past, step),
            future=self.future[:-1],
        )

    def applied(self) -> Array:
        """Return the array to write: a copy of the base, of its dtype, with the pending cells."""
        array: Array = self.base.copy()
        for cell, value in self.cells.items():
            array[cell] = value
        return array

    def rebased(self, base: Array, written: Sequence[Cells] = ()) -> Rebased:
        """Put the pending edits on data that the other side wrote meanwhile, or on what was saved.

        What can be undone stays: each step keeps the values that it had, but where a cell was changed by the other
        side, its old value is the new one.

        Args:
            base: What is on disk now.
            written: The cells of saves that were begun and not seen on disk yet: a cell that changed to a value of
                theirs was changed by the person, and what was edited after the save stays pending.
        """
        new = replace(self, base=read_only(base), cells=MappingProxyType({}), past=(), future=())
        if base.shape != self.base.shape:
            return Rebased(new, (), (), (), tuple(sorted(self.cells)))
        saved = {cell for cells in written for cell in cells}
        values = new.holding({**{cell: self.value(cell) for cell in saved}, **self.cells})
        kept, settled, conflicts, ours = [], [], [], set()
        for cell, value in sorted(values.items()):
            now = new.on_disk(cell)
            by_us = any(same(now, cells[cell]) for cells in written if cell in cells)
            if by_us or same(now, value):
                ours.add(cell)
            if same(now, value):
                settled.append(cell)
            elif by_us or same(now, self.on_disk(cell)):
                kept.append(cell)
            elif cell in self.cells:
                conflicts.append(cell)

        def moved(step: Step) -> Step:
            # What the other side changed is the new "before" of a cell that held the old base's value.
            pairs = {}
            for cell, pair in step.items():
                old, now = self.on_disk(cell), new.on_disk(cell)
                foreign = cell not in ours and not same(old, now)
                found = [now if foreign and same(value, old) else value for value in pair]
                with contextlib.suppress(UsageError):
                    before, after = (representable(base.dtype, value) for value in found)
                    pairs[cell] = (before, after)
            return MappingProxyType(pairs)

        pending = {cell: values[cell] for cell in (*kept, *conflicts)}
        return Rebased(
            replace(
                new,
                cells=new.differing(pending),
                past=tuple(moved(step) for step in self.past),
                future=tuple(moved(step) for step in self.future),
            ),
            tuple(kept),
            tuple(settled),
            tuple(conflicts),
            tuple(sorted(set(self.cells) - set(values))),
        )

    def _to(self, values: Cells) -> EditHistory:
        """The history after one step to these values; the same one where nothing changes."""
        step = {
            cell: (self.value(cell), value)
            for cell, value in values.items()
            if not same(self.value(cell), value)
        }
        if not step:
            return self
        return replace(
            self,
            cells=self._with({cell: after for cell, (_, after) in step.items()}),
            past=(*self.past, MappingProxyType(step)),
            future=(),
        )

    def _with(self, values: Cells) -> Cells:
        """The pending cells with other values for some of them."""
        changed = self.differing(values)
        left = {cell: value for cell, value in self.cells.items() if cell not in values}
        return MappingProxyType({**left, **changed})

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
