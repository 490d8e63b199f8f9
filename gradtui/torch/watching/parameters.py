"""A model's parameters: their gradients as the optimizer sees them, and what a step changes."""

from __future__ import annotations

import math
from itertools import groupby
from typing import TYPE_CHECKING, TypeAlias

import torch

from gradtui.core.run.keys import VALUES
from gradtui.torch.watching.columns import PARAMETER
from gradtui.torch.watching.optimizers import stepped
from gradtui.torch.watching.sampling import sampled
from gradtui.torch.watching.values import Meter, measurable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from torch import nn
    from torch.optim import Optimizer

    from gradtui.core.run.keys import Role
    from gradtui.torch.watching.collected import Collected
    from gradtui.torch.watching.columns import Columns, Name
    from gradtui.torch.watching.late import Late, Later, Part
    from gradtui.torch.watching.structure import Owned

UPDATE = ("l2", "base_l2")
Share: TypeAlias = "tuple[int, float]"
"""The column of a norm, and which part of it is this rank's."""


class Parameters:
    """Reads the parameters of one model.

    Attributes:
        owned: what they are and whose.
        columns: of what is read at every step.
    """

    def __init__(
        self, owned: Sequence[Owned], meter: Meter, columns: Columns, logged: Columns
    ) -> None:
        self.columns, self.logged = columns, logged
        self._meter = meter
        self._norm_columns: dict[tuple[int, Role], int] = {}
        self.owned: Sequence[Owned] = ()
        self.renew(owned)

    def renew(self, owned: Sequence[Owned]) -> Sequence[Owned]:
        """Read these from now on; returns those so far."""
        before, self.owned = self.owned, tuple(owned)
        self._number = {id(item.tensor): k for k, item in enumerate(self.owned)}
        self._views: dict[int, tuple[tuple[object, ...], tuple[torch.Tensor, int]]] = {}
        if [_full_name(item) for item in before] != [_full_name(item) for item in self.owned]:
            self._norm_columns.clear()
        return before

    def are_of(self, model: nn.Module) -> bool:
        """Whether they are a model's, each under the name that it has there first."""
        here = [(".".join(filter(None, _full_name(k))), id(k.tensor)) for k in self.owned]
        return here == [(name, id(parameter)) for name, parameter in model.named_parameters()]

    def numbers_of(self, optimizer: Optimizer) -> list[int]:
        """Which of ours an optimizer steps, in our order."""
        return sorted(self._number[p] for p in stepped(optimizer) & self._number.keys())

    def strange(self, optimizer: Optimizer) -> set[int]:
        """Which of the parameters that an optimizer steps are not ours, by ``id``."""
        return stepped(optimizer) - self._number.keys()

    def name(self, number: int, role: Role) -> Name:
        """What a parameter is called in a role."""
        info = self.owned[number].info
        return info.path, role, info.name, 0, "train"

    def norms_in(self, found: Mapping[int, Later], role: Role) -> list[Share]:
        """Which of the columns that were found are norms, of all parameters that have one in that role."""
        shares = []
        for number in range(len(self.owned)):
            column = self._norm_columns.get((number, role))
            share = self.owned[number].share
            if column is not None and column in found and share:
                shares.append((column, share))
        return shares

    def log_values(self, collected: Collected) -> None:
        """The statistics and histograms of the parameters themselves, as they are now."""
        for number, item in enumerate(self.owned):
            values = measurable(item.tensor)
            if values is None:
                continue
            name = self.name(number, "parameter")
            row = collected.add_row(self._meter.measure(values, wants_sum=False))
            collected.parameter_entries.append((self.logged.entry(name, PARAMETER), row))
            collected.add_histogram(
                collected.names.entry(name, VALUES), collected.add_sample(values)
            )

    # ---- updates

    def before_step(self, numbers: Sequence[int], sample: int, every: bool = False) -> Before:
        """Remember what a step is about to change: a sample of each parameter, or all of it (``sample=0``).

        Those without a gradient are left out, unless ``every``.
        """
        there = [k for k in numbers if every or self.owned[k].tensor.grad is not None]
        parts = [self._part(k, self.owned[k].tensor, sample) for k in there]
        return Before(self.owned, there, parts, sample)

    def after_step(self, before: Before, numbers: Collection[int]) -> Update:
        """What a step changed of some of the parameters, for the writer to reckon with."""
        owned, places = before.owned, before.numbers
        # Looked for again: a step may have given a parameter other memory.
        parts = [self._part(k, owned[k].tensor, before.sample) for k in places]
        if owned is not self.owned:
            places = [self._number.get(id(owned[k].tensor), -1) for k in places]
        return Update(
            [
                self._update_column(number, is_sampled=size < whole) if number in numbers else -1
                for number, size, whole in zip(places, before.sizes, before.wholes, strict=True)
            ],
            before.sizes,
            before.wholes,
            before.values,
            _copies([view for view, _ in parts]),
        )

    def first(self, number: int, role: Role, quantities: Sequence[str]) -> int:
        """The column of the first of a parameter's quantities, which is its norm."""
        column = self._norm_columns.get((number, role))
        if column is None:
            entry = self.columns.entry(self.name(number, role), quantities)
            column = self._norm_columns[number, role] = self.columns.first(entry)
        return column

    def _update_column(self, number: int, *, is_sampled: bool) -> int:
        entry = self.columns.entry(
            self.name(number, "update"), UPDATE, sampled=UPDATE if is_sampled else ()
        )
        return self.columns.first(entry)

    def _part(self, number: int, tensor: torch.Tensor, sample: int) -> tuple[torch.Tensor, int]:
        """A strided sample of a parameter's values, and how many values there are."""
        plain = tensor.layout is torch.strided and not hasattr(tensor, "to_local")
        address = tensor.data_ptr() if plain else -1
        known = self._views.get(number)
        # What is cut short in its place (pruning) has the same address.
        place = (address, sample, tensor.shape, tensor.stride() if plain else (), tensor.dtype)
        if known is not None and known[0] == place:
            return known[1]
        values = measurable(tensor)
        if values is None:
            return torch.zeros(0), 0
        part = sampled(values, sample or max(values.numel(), 1))
        # What had to be copied to be one dimension is no view.
        if address > 0 and part.numel() and _same_storage(part, tensor):
            view = _without_hold(part)
            if view is not None:
                self._views[number] = (place, (view, values.numel()))
        return part, values.numel()


class Before:
    """Parameters as they were before a step."""

    __slots__ = ("numbers", "owned", "sample", "sizes", "values", "wholes")

    def __init__(
        self,
        owned: Sequence[Owned],
        numbers: list[int],
        parts: list[tuple[torch.Tensor, int]],
        sample: int,
    ) -> None:
        self.owned, self.numbers, self.sample = owned, numbers, sample
        self.sizes = [view.numel() for view, _ in parts]
        self.wholes = [whole for _, whole in parts]
        self.values = _copies([view for view, _ in parts])


class Update:
    """Parameters before and after a step, of which the writer makes norms.

    Attributes:
        sizes: how many values of each there are; ``wholes``: how many the parameter has.
    """

    __slots__ = ("after", "before", "columns", "sizes", "wholes")

    def __init__(
        self,
        columns: list[int],
        sizes: list[int],
        wholes: list[int],
        before: Sequence[torch.Tensor | Part],
        after: Sequence[torch.Tensor | Part],
    ) -> None:
        self.columns, self.sizes, self.wholes = columns, sizes, wholes
        self.before, self.after = before, after

    def is_change(self) -> bool:
        """Whether the step changed anything; to be asked before `promised`, and a device is waited for."""
        return any(
            isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor)
            and not torch.equal(one, other)
            for one, other in zip(self.before, self.after, strict=True)
        )  # fmt: skip

    def promised(self, late: Late) -> Update:
        """The same with promises of what lies on devices."""
        before, after = (
            [late.part(v) if isinstance(v, torch.Tensor) and late.is_remote(v) else v for v in part]
            for part in (self.before, self.after)
        )
        return Update(self.columns, self.sizes, self.wholes, before, after)


def _full_name(item: Owned) -> tuple[str, str]:
    return item.info.path, item.info.name


def _same_storage(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()


def _without_hold(view: torch.Tensor) -> torch.Tensor | None:
    """The same values ``[k]``, of memory that goes when its owner lets it go; None where that cannot be had.

    A model that is moved (``model.cpu()``) frees what it had. So the view must be read only while its owner has the
    same address, shape and strides: then the memory is there.
    """
    make = getattr(torch._C, "_construct_storage_from_data_pointer", None)  # noqa: SLF001 - the only way
    if make is None or not (view.is_cpu or view.is_cuda):
        return None
    size = ((view.numel() - 1) * view.stride(0) + 1) * view.element_size()
    storage = make(view.data_ptr(), view.device, size)
    empty = torch.empty(0, dtype=view.dtype, device=view.device)
    return empty.set_(storage, 0, view.shape, view.stride())


def _copies(views: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Copies of all views, neighbours of one kind on one device in one."""
    copies = []
    for _, some in groupby(views, key=lambda view: (view.device, view.dtype)):
        group = list(some)
        copies.append(torch.cat(group) if len(group) > 1 else group[0].clone())
    return copies


def total_norm(found: Mapping[int, float], shares: Sequence[Share]) -> float:
    """The norm of all gradients together, from the norms among numbers by column; NaN without any.

    A tensor with NaN makes it NaN, one with infinities Inf: the norm of its finite part would hide them.
    """
    if not shares:
        return math.nan
    norms = []
    # A step that was begun twice, or two optimizers with one parameter, name a norm twice.
    for column, share in dict(shares).items():
        # Behind a norm stand the counts of NaN and of infinities.
        nan, inf = found[column + 1], found[column + 2]
        norm = math.nan if nan else math.inf if inf else found[column]
        norms.append(norm * share)
    # Infinities would hide NaN.
    return math.nan if any(map(math.isnan, norms)) else math.hypot(*norms)
