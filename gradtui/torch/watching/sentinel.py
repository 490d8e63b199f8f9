"""Watches for the first value that is not finite, on every step, for the price of one sum a tensor."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import torch

from gradtui.core.run.records import Event
from gradtui.torch.watching.calls import is_batched, on_gradient
from gradtui.torch.watching.late import number_of
from gradtui.torch.watching.nesting import inputs_of
from gradtui.torch.watching.sampling import flat
from gradtui.torch.watching.uncompiled import uncompiled
from gradtui.torch.watching.values import exact, measurable, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gradtui.core.run.keys import Role
    from gradtui.torch.watching.calls import Site
    from gradtui.torch.watching.columns import Name
    from gradtui.torch.watching.guard import Guard
    from gradtui.torch.watching.late import Late, Later, LateStats
    from gradtui.torch.watching.values import Stats

# A step that is broken is broken everywhere: so many are named, in the order in which they turned.
MOST_NAMED: Final = 32


@dataclass(frozen=True, slots=True)
class Check:
    """A tensor on a device that was looked at: what was seen is known later.

    Attributes:
        nan: how many values are; ``inf`` likewise.
        path: of the module whose output it is.
        inputs: see `Sentinel.found_named`; ``given`` are these inputs.
        counted: whether ``nan`` and ``inf`` are counts, and not only 1 for some.
    """

    name: Name
    nan: Later
    inf: Later
    path: str | None = None
    inputs: str = ""
    given: Sequence[tuple[Name, Stats | LateStats | Check]] = ()
    counted: bool = True


class Sentinel:
    """Names tensors when they turn non-finite, once each until they are finite again.

    Attributes:
        events: of this step, in order.
        checks: of this step, of tensors on devices, for `look_back` to look at.
        bad: what is not finite now.
        usual: inputs that were not finite where the output was: masks, which are no news.
        turned: whether anything turned non-finite in this step.
        after: the module whose output was looked at last in this forward pass, and was finite; "" before the first.
        catch_up: looks at what waits to be looked at: it came before, and is told before.
    """

    def __init__(self, guard: Guard, late: Late) -> None:
        self.events: list[Event] = []
        self.checks: list[Check] = []
        self.late = late
        self.turned = False
        self.after = ""
        self.on_turn: Callable[[], None] = lambda: None
        self.catch_up: Callable[[], None] = lambda: None
        self.active = True
        self.guard = guard
        self.bad: set[Name] = set()
        self.usual: set[Name] = set()
        self._handles: list[Any] = []

    def forward(
        self,
        site: Site,
        call: int,
        slot: str,
        tensor: torch.Tensor,
        args: tuple[object, ...] = (),
        forward_only: bool = False,
    ) -> None:
        """Look at an output, and wait for its gradient; where it is bad, look at what the call was given first."""
        data = plain(tensor)
        if data is None:
            return
        if self.late.is_remote(data):
            given = [] if site.path else self._given(call, args)
            self.check(site, call, "output", slot, data, site.path, given)
        elif _is_broken(data):
            self.catch_up()
            inputs = self._inputs(site, call, args, tensor)
            self.suspect(site, call, "output", slot, data, inputs)
        else:
            self.after = site.path
            if self.bad:
                self.fine(site, call, "output", slot)
                for place, _ in inputs_of(args, {}):
                    self.fine(site, call, "input", place)
        if tensor.requires_grad and not forward_only:
            hook = _Gradient(self, site, call, slot, tensor.output_nr)
            handle = on_gradient(tensor, hook, hook.failed)
            if handle is not None:
                self._handles.append(handle)

    def _inputs(
        self,
        site: Site,
        call: int,
        args: tuple[object, ...],
        output: torch.Tensor,
    ) -> str:
        """Look at what a call was given; which inputs were found finite, see `found_named`."""
        looked = ""
        for place, given in inputs_of(args, {}):
            if not (given.is_floating_point() or given.is_complex()):
                continue
            if self.late.is_remote(given) or _same_memory(given, output):
                # It was written over, or handed on as it is: what came in is not known any more.
                return ""
            looked = "positional"
            self.suspect(site, call, "input", place, given)
        return looked

    def suspect(
        self,
        site: Site,
        call: int,
        role: Role,
        slot: str,
        data: torch.Tensor,
        inputs: str = "",
    ) -> None:
        """Count what is not finite in a tensor whose sum is not: finite values may have a sum that is too large.

        What is known to be bad is not counted again: a training that goes on with NaN everywhere is not held up.
        """
        name: Name = (site.path, role, slot, call, "train")
        if name in self.bad:
            return
        values = measurable(data)
        if values is None:
            return
        stats = exact(flat(values))
        if not stats.is_finite:
            self.found_named(name, stats.nan, stats.inf, inputs)

    def check(
        self,
        site: Site,
        call: int,
        role: Role,
        slot: str,
        data: torch.Tensor,
        path: str | None = None,
        given: Sequence[tuple[Name, Check]] = (),
    ) -> None:
        """Have a device look at a tensor."""
        values = measurable(data)
        if values is not None:
            name: Name = (site.path, role, slot, call, "train")
            self.checks.append(replace(self._checked(name, values), path=path, given=given))

    def _checked(self, name: Name, values: torch.Tensor) -> Check:
        norm = self.late.norm(values)
        return Check(name, norm.of_kind("nan"), norm.of_kind("inf"), counted=False)

    def _given(self, call: int, args: tuple[object, ...]) -> list[tuple[Name, Check]]:
        """Have a device look at what the whole model was given: a batch that is not finite is to be named."""
        found = []
        for slot, tensor in inputs_of(args, {}):
            values = measurable(tensor) if tensor.is_floating_point() else None
            if values is not None and self.late.is_remote(values):
                name: Name = ("", "input", slot, call, "train")
                found.append((name, self._checked(name, values)))
        return found

    def look_back(self, checks: Sequence[Check]) -> list[Event]:
        """What devices saw in a step, in the order in which they looked; waits for them.

        For another thread than the training's, and then only for that.
        """
        for check in checks:
            nan, inf = int(number_of(check.nan)), int(number_of(check.inf))
            if nan or inf:
                for given, found in check.given:
                    amounts = int(number_of(found.nan)), int(number_of(found.inf))
                    if any(amounts):
                        counted = not isinstance(found, Check)
                        self.found_named(given, *amounts, counted=counted)
                self.found_named(check.name, nan, inf, check.inputs, check.counted)
                continue
            if check.path is not None:
                self.after = check.path
            if self.bad:
                self.fine_named(check.name)
            for given, found in check.given:
                self.fine_named(given)
                if number_of(found.nan) or number_of(found.inf):
                    self.usual.add(given)
        return self.take()

    def found_named(
        self, name: Name, nan: int, inf: int, inputs: str = "", counted: bool = True
    ) -> None:
        """A tensor has values that are not finite; told when they are new.

        Args:
            name: of the tensor.
            nan: how many are NaN.
            inf: how many are infinite.
            inputs: of an output, which inputs of its call were looked at: "all", "positional", or "" for none.
            counted: whether the amounts are counts, and not only 1 for some.
        """
        known = name in self.bad or name in self.usual
        self.bad.add(name)
        if known:
            return
        if not self.turned:
            self.turned = True
            self.on_turn()
        # What the whole model is given was there before all else, though it is looked at last.
        is_batch = not name[0] and name[1] == "input"
        if len(self.events) < MOST_NAMED or is_batch:
            order = -1 if is_batch else len(self.events)
            self.events.append(_event(name, nan, inf, order, self.after, inputs, counted))

    def fine(self, site: Site, call: int, role: Role, slot: str) -> None:
        """A tensor is finite: the next time that it is not is news."""
        if self.bad:
            self.fine_named((site.path, role, slot, call, "train"))

    def fine_named(self, name: Name) -> None:
        """See `fine`."""
        self.bad.discard(name)

    def take(self) -> list[Event]:
        """The events of the step that ends; the next begins without."""
        events, self.events, self.turned = self.events, [], False
        self.after = ""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        return events


class _Gradient:
    """The sentinel's hook on the autograd node of an output."""

    __slots__ = ("call", "number", "sentinel", "site", "slot")

    def __init__(
        self,
        sentinel: Sentinel,
        site: Site,
        call: int,
        slot: str,
        number: int,
    ) -> None:
        self.sentinel, self.site, self.call, self.slot = sentinel, site, call, slot
        self.number = number

    @uncompiled
    def __call__(self, gradients: tuple[torch.Tensor | None, ...]) -> None:
        sentinel = self.sentinel
        if not sentinel.active:
            return
        try:
            gradient = gradients[self.number if len(gradients) > self.number else 0]
            data = None if gradient is None or is_batched(gradient) else plain(gradient)
            if data is None:
                return
            if sentinel.late.is_remote(data):
                sentinel.check(self.site, self.call, "output gradient", self.slot, data)
            elif _is_broken(data):
                sentinel.catch_up()
                sentinel.suspect(self.site, self.call, "output gradient", self.slot, data)
            elif sentinel.bad:
                sentinel.fine(self.site, self.call, "output gradient", self.slot)
        except Exception as error:  # noqa: BLE001 - an error here would end the user's backward pass
            self.failed(error)

    def failed(self, error: Exception) -> None:
        """An error of ours."""
        self.sentinel.guard.failed(f"gradient of {self.site.path or '(root)'}", error)


def _is_broken(data: torch.Tensor) -> bool:
    """Whether a value may not be finite: the sum of all would not be either."""
    # Sums of narrow types are made in float32: their own would overflow first.
    wide = data.dtype == torch.float32 or data.is_complex()
    total = (data.sum() if wide else data.sum(dtype=torch.float32)).item()
    return total - total != 0.0


def _same_memory(one: torch.Tensor, other: torch.Tensor) -> bool:
    try:
        return _memory_of(one) == _memory_of(other)
    except RuntimeError:
        # Subclasses without memory of their own.
        return True


def _memory_of(tensor: torch.Tensor) -> int:
    values: torch.Tensor = tensor.detach().values() if tensor.is_nested else tensor
    return values.data_ptr()


def _event(
    name: Name, nan: int, inf: int, order: int, after: str, inputs: str, counted: bool
) -> Event:
    path, role, slot, call, phase = name
    amounts = [(n, word) for n, word in ((nan, "NaN"), (inf, "Inf")) if n]
    what = " and ".join(f"{n} {word}" if counted else word for n, word in amounts)
    place = path or "(root)"
    if slot:
        place += f".{slot}"
    if call:
        place += f"#{call}"
    fields = {
        "role": role, "slot": slot, "call": call, "phase": phase,
        "nan": nan, "inf": inf, "order": order,
    }  # fmt: skip
    if not counted:
        fields["counted"] = False
    text = f"{role} of {place}: {what or 'not finite'}"
    if role in ("input", "output"):
        fields["after"] = after
        if role == "output":
            fields["inputs"] = inputs
        if order == 0 and not inputs:
            known = f"after {after} (the last module whose output was finite)" if after else ""
            way = f"in {path or '(root)'} or before it" if role == "output" else "came in with it"
            text += f", {way}" + (f", {known}" if known else "")
    return Event("non-finite", text, path, fields)
