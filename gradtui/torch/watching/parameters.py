"""A model's parameters: their gradients as the optimizer sees them, and what a step changes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from gradtui.core.run.keys import VALUES, SeriesKey
from gradtui.torch.watching.columns import EVERY_STEP, WITH_LOG
from gradtui.torch.watching.sampling import sampled
from gradtui.torch.watching.values import Meter, measurable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gradtui.core.run.keys import Role
    from gradtui.torch.watching.collected import Collected
    from gradtui.torch.watching.columns import Columns
    from gradtui.torch.watching.sentinel import Sentinel
    from gradtui.torch.watching.structure import Owned

UPDATE = ("l2", "base_l2")


class Parameters:
    """Reads the parameters of one model.

    Attributes:
        owned: what they are and whose.
        columns: of what is read at every step.
    """

    def __init__(
        self, owned: Sequence[Owned], meter: Meter, columns: Columns, logged: Columns
    ) -> None:
        self.owned = tuple(owned)
        self.columns, self.logged = columns, logged
        self._meter = meter
        self._number = {id(item.tensor): k for k, item in enumerate(self.owned)}
        self._views: dict[int, tuple[int, torch.Tensor]] = {}
        self._norm_columns: dict[tuple[int, Role], int] = {}

    def numbers_of(self, tensors: Sequence[torch.Tensor]) -> list[int]:
        """Which of ours are among these, in our order."""
        found = {self._number.get(id(tensor), -1) for tensor in tensors}
        found.discard(-1)
        return sorted(found)

    def key(self, number: int, role: Role, quantity: str = "") -> SeriesKey:
        """The key of a parameter's number."""
        item = self.owned[number]
        return SeriesKey(item.info.path, role, quantity, item.info.name)

    def gradients(
        self,
        numbers: Sequence[int],
        found: dict[int, float],
        sentinel: Sentinel,
        factor: float = 1.0,
    ) -> None:
        """Measure gradients: what every step pays.

        Args:
            numbers: of which parameters; those without a gradient get no number.
            found: by column of ``columns``, what was measured.
            sentinel: told which are not finite.
            factor: what the gradients are to be multiplied with (a scaler's inverse scale).
        """
        there, tensors = self._with_gradients(numbers)
        for number, row in zip(there, self._meter.norms_and_extremes(tensors), strict=True):
            first = self._first(number, "gradient", EVERY_STEP)
            found[first] = row[0] * factor
            found[first + 1] = row[1] * factor
            found[first + 2] = row[2] * factor
            found[first + 3], found[first + 4] = row[3], row[4]
            info = self.owned[number].info
            name = (info.path, "gradient", info.name, 0, "train")
            if row[3] or row[4]:
                sentinel.found_named(name, int(row[3]), int(row[4]))
            else:
                sentinel.fine_named(name)

    def raw_gradients(self, numbers: Sequence[int], factor: float = 1.0) -> dict[int, float]:
        """The norms of gradients before anything was done to them, by column."""
        there, tensors = self._with_gradients(numbers)
        found: dict[int, float] = {}
        for number, (norm, nan, inf) in zip(there, self._meter.norms(tensors), strict=True):
            first = self._first(number, "raw gradient", ("l2", "nan", "inf"))
            found[first] = norm * factor
            found[first + 1], found[first + 2] = nan, inf
        return found

    def norms_in(self, found: Mapping[int, float], role: Role) -> list[float]:
        """The norms among numbers by column, of all parameters that have one in that role."""
        norms = []
        for number in range(len(self.owned)):
            column = self._norm_columns.get((number, role))
            if column is not None and column in found:
                norms.append(found[column])
        return norms

    def log_gradients(self, numbers: Sequence[int], collected: Collected, factor: float) -> None:
        """The statistics and the histograms that a logged step adds."""
        there, tensors = self._with_gradients(numbers)
        for number, tensor in zip(there, tensors, strict=True):
            row = collected.add_row(self._meter.measure(tensor), factor)
            self._log(collected, number, "gradient", WITH_LOG, row, tensor, factor)

    def log_values(self, collected: Collected) -> None:
        """The statistics and histograms of the parameters themselves, as they are now."""
        for number, item in enumerate(self.owned):
            values = measurable(item.tensor)
            if values is not None:
                row = collected.add_row(self._meter.measure(values))
                quantities = (
                    "l2",
                    "l1",
                    "sum",
                    "minimum",
                    "maximum",
                    "count",
                    "zeros",
                    "nan",
                    "inf",
                )
                self._log(collected, number, "parameter", quantities, row, values, 1.0)

    def _log(
        self,
        collected: Collected,
        number: int,
        role: Role,
        quantities: Sequence[str],
        row: int,
        values: torch.Tensor,
        factor: float,
    ) -> None:
        collected.parameter_entries.append(
            (self.logged.entry(self.key(number, role), quantities), row)
        )
        info = self.owned[number].info
        name = collected.names.entry(info.path, role, VALUES, info.name, 0, "train")
        collected.add_histogram(name, collected.add_sample(values, factor))

    # ---- updates

    def before_step(self, numbers: Sequence[int], sample: int) -> Before:
        """Remember what a step is about to change: a sample of each parameter, or all of it (``sample=0``)."""
        there, tensors = [], []
        for number in numbers:
            tensor = self.owned[number].tensor
            if self.owned[number].tensor.grad is not None:
                there.append(number)
                tensors.append(self._part(number, tensor, sample))
        return Before(there, tensors, sample)

    def after_step(self, before: Before) -> Update:
        """What a step changed, for the writer to reckon with."""
        return Update(
            [self._update_column(number, bool(before.sample)) for number in before.numbers],
            before.sizes,
            before.values,
            _joined(before.views),
        )

    def _first(self, number: int, role: Role, quantities: Sequence[str]) -> int:
        """The column of the first of a parameter's quantities, which is its norm."""
        column = self._norm_columns.get((number, role))
        if column is None:
            entry = self.columns.entry(self.key(number, role), quantities)
            column = self._norm_columns[number, role] = self.columns.first(entry)
        return column

    def _update_column(self, number: int, is_sampled: bool) -> int:
        entry = self.columns.entry(
            self.key(number, "update"), UPDATE, sampled=UPDATE if is_sampled else ()
        )
        return self.columns.first(entry)

    def _part(self, number: int, tensor: torch.Tensor, sample: int) -> torch.Tensor:
        address = tensor.data_ptr() if not hasattr(tensor, "to_local") else -1
        known = self._views.get(number)
        if known is not None and known[0] == address and address > 0:
            return known[1]
        values = measurable(tensor)
        if values is None:
            return torch.zeros(0)
        part = sampled(values, sample or max(values.numel(), 1))
        self._views[number] = (address, part)
        return part

    def _with_gradients(self, numbers: Sequence[int]) -> tuple[list[int], list[torch.Tensor]]:
        there, tensors = [], []
        for number in numbers:
            gradient = self.owned[number].tensor.grad
            if gradient is not None:
                values = measurable(gradient)
                if values is not None:
                    there.append(number)
                    tensors.append(values)
        return there, tensors


class Before:
    """Parameters as they were before a step."""

    __slots__ = ("numbers", "sample", "sizes", "values", "views")

    def __init__(self, numbers: list[int], views: list[torch.Tensor], sample: int) -> None:
        self.numbers, self.views, self.sample = numbers, views, sample
        self.sizes = [view.numel() for view in views]
        self.values = _joined(views)


class Update:
    """Parameters before and after a step, of which the writer makes norms."""

    __slots__ = ("after", "before", "columns", "sizes")

    def __init__(
        self, columns: list[int], sizes: list[int], before: torch.Tensor, after: torch.Tensor
    ) -> None:
        self.columns, self.sizes, self.before, self.after = columns, sizes, before, after


def _joined(views: Sequence[torch.Tensor]) -> torch.Tensor:
    """A copy of all views in one."""
    if not views:
        return torch.zeros(0)
    kinds = {view.dtype for view in views}
    if len(kinds) == 1:
        return torch.cat(list(views)).clone() if len(views) == 1 else torch.cat(list(views))
    return torch.cat([view.double() for view in views])


def total_norm(norms: Sequence[float]) -> float:
    """The norm of all gradients together, from the norm of each; NaN without any."""
    return math.sqrt(math.fsum(norm * norm for norm in norms)) if norms else math.nan
