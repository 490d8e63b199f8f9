"""The gradients of a model's parameters: read when the backward pass has made them, and again where something changed them.

They are read together when the pass is over. In its midst each could be read while the processor's cache has it still,
but there our code is not in the cache, and to fetch that costs more than to fetch the gradient.
When the optimizer steps, a gradient that was not written to since it was read (its version tells) is known already;
one that was, by clipping or unscaling, is read a second time, and its first reading is the raw gradient.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import torch

from gradtui.core.run.keys import VALUES
from gradtui.torch.watching.accumulated import Accumulated
from gradtui.torch.watching.backward import (
    after_backward,
    graph_task,
    has_hooks_of_others,
    in_compiled_backward,
)
from gradtui.torch.watching.columns import EVERY_STEP, WITH_LOG
from gradtui.torch.watching.late import LateStats
from gradtui.torch.watching.reading import Reading
from gradtui.torch.watching.sentinel import Check
from gradtui.torch.watching.uncompiled import uncompiled
from gradtui.torch.watching.values import measurable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gradtui.torch.watching.collected import Collected
    from gradtui.torch.watching.columns import Name
    from gradtui.torch.watching.guard import Guard
    from gradtui.torch.watching.late import Later
    from gradtui.torch.watching.parameters import Parameters
    from gradtui.torch.watching.sentinel import Sentinel
    from gradtui.torch.watching.structure import Owned
    from gradtui.torch.watching.values import Meter

RAW = ("l2", "nan", "inf")
LOOK_EVERY: Final = 10
"""Steps from one in which the norms of all gradients are read again to the next; it is a logged one."""


class Gradients:
    """Reads the gradients of one model's parameters.

    Attributes:
        readings: of this step, as they were accumulated.
        used: those that the last optimizer stepped with.
        changing: whether anything between backward pass and step ever changed a gradient.
        at_once: whether all gradients are read within the backward pass: where somebody takes or changes them there,
            and in the first step, which tells whether somebody does.
        trusting: whether versions tell of every change; not where they were seen to miss one (writes through
            ``.data``). Those are looked for: in samples of all gradients on logged steps, and in the norms of one gradient, in
            turn, on each step, of all on a logged step in `LOOK_EVERY`. So a change of all gradients is seen in its first
            step; one of a few values of a few gradients may be missed until all have been looked at.
    """

    def __init__(
        self, parameters: Parameters, meter: Meter, sentinel: Sentinel, guard: Guard, sample: int
    ) -> None:
        self.parameters = parameters
        self.readings: dict[int, Reading] = {}
        self.used: dict[int, Reading] = {}
        self.changing = False
        self.trusting = True
        self.at_once = self._is_first = True
        self._is_changed = self._is_compiled = False
        self.active = True
        self.full = False
        self.on_first: Callable[[], None] = lambda: None
        self.on_thawed: Callable[[], None] = lambda: None
        self._meter, self._sentinel, self.guard = meter, sentinel, guard
        sentinel.catch_up = self.gather
        self._sample = sample
        self._hooks: dict[int, Accumulated] = {}
        # Those that are frozen, by number.
        self._frozen: dict[int, torch.Tensor] = {}
        self._accumulated: dict[int, Reading] = {}
        self._waiting: list[tuple[Reading, torch.Tensor, Name]] = []
        # The number of the step, and of the last one in which all gradients were looked at.
        self._turn, self._looked = 0, -LOOK_EVERY
        # Of the pass whose end is awaited; -1 for none.
        self._awaited = -1

    def listen(self) -> None:
        """Set a hook on each parameter that is trained and has none."""
        self._frozen.clear()
        for number, item in enumerate(self.parameters.owned):
            tensor = item.tensor
            # A lazy parameter takes no hook before it has values; it is listened to from the first step on.
            if torch.nn.parameter.is_lazy(tensor):
                continue
            if not tensor.requires_grad:
                self._frozen[number] = tensor
            elif number not in self._hooks and tensor.is_leaf:
                self._hooks[number] = Accumulated(self, number, tensor)

    def renew(self, before: Sequence[Owned]) -> None:
        """The parameters were these and are others now; what was read of those that stay is kept, and their hooks.

        A hook that is set again stands behind those of others, which may leave no gradient.
        """
        places = {id(item.tensor): number for number, item in enumerate(self.parameters.owned)}
        now = [places.get(id(item.tensor), -1) for item in before]
        for readings in (self.readings, self.used, self._accumulated):
            known = [(now[number], reading) for number, reading in readings.items()]
            readings.clear()
            readings.update(each for each in known if each[0] >= 0)
        hooks, self._hooks = self._hooks, {}
        for number, hook in hooks.items():
            if now[number] < 0 or not before[number].tensor.requires_grad:
                hook.remove()
            else:
                hook.number = now[number]
                self._hooks[hook.number] = hook
        self.listen()

    def remove(self) -> None:
        """Take all hooks off."""
        self.active = False
        for hook in self._hooks.values():
            hook.remove()
        self._hooks.clear()

    def after_forward(self, _: object) -> None:
        """The model's forward pass of a training is over, with this output: no backward pass has begun.

        Parameters that were frozen and are not any more are seen here, and those that were frozen since on logged steps.
        """
        if any(tensor.requires_grad for tensor in self._frozen.values()) or (
            self.full
            and any(not self.parameters.owned[k].tensor.requires_grad for k in self._hooks)
        ):
            self.on_thawed()

    def forget(self) -> None:
        """A step is over."""
        if self._is_first and self.readings:
            self._is_first, self.at_once = False, self._is_changed
        self.readings.clear()
        self.used.clear()
        self._accumulated.clear()
        self._waiting.clear()
        self._awaited = -1
        self._turn += 1

    def accumulated(self, number: int, parameter: torch.Tensor, gradient: torch.Tensor) -> None:
        """A backward pass has added to a parameter's gradient, for now the last thing that happened to it."""
        self.begins()
        # Where it comes twice in one backward pass, the second is what counts, and what came after the first came before it.
        self._accumulated.pop(number, None)
        self._accumulated[number] = Reading(gradient, self._is_compiled)
        if self.at_once or self._is_compiled or has_hooks_of_others(parameter):
            self.gather()

    def begins(self) -> None:
        """A backward pass makes gradients; called more than once in one."""
        # A pass that raised is told from the next by its number, which a compiled one may not have.
        run = graph_task()
        if self._awaited == run != -1:
            return
        if self._awaited == -1 and not self.readings:
            self.on_first()
        self._is_compiled = in_compiled_backward()
        if not self._is_compiled:
            self._awaited = run
            after_backward(self._is_over, self._has_failed)

    @uncompiled
    def _is_over(self) -> None:
        """The backward pass is."""
        if not self.active:
            return
        try:
            self.read()
        except Exception as error:  # noqa: BLE001 - an error here would end the user's backward pass
            self.guard.failed("after the backward pass", error)

    def _has_failed(self) -> None:
        """The backward pass has; where it did for want of memory, to read may fail, too, and is no failure of ours."""
        if self.active:
            with suppress(Exception):
                self.read()

    def read(self) -> None:
        """Read what a backward pass left."""
        if self._is_first:
            changed = (
                not (reading.is_used or reading.holds(self._gradient(number)))
                for number, reading in self.readings.items()
            )
            self._is_changed = self._is_changed or any(changed)
        self.at_once = self._read_accumulated() or self.at_once
        self._read_waiting()

    def _read_accumulated(self) -> bool:
        """Read what was accumulated; whether some of it is gone or changed already."""
        is_changed = False
        accumulated, self._accumulated = self._accumulated, {}
        for number, reading in accumulated.items():
            gradient = self._gradient(number)
            values = measurable(gradient) if gradient is not None else None
            if not reading.holds(gradient):
                is_changed = True
                # What is known of it is of an earlier pass.
                self.readings.pop(number, None)
            elif values is not None:
                # A device cannot be asked whether a gradient is still what it was, so it is read again before the
                # step: in full, if at all, then.
                full = self.full and not self._meter.late.is_remote(values)
                self.readings[number] = self._read(number, reading, values, full=full)
        return is_changed

    def were_made(self) -> bool:
        """Whether there are gradients of this step."""
        self.gather()
        return bool(self.readings)

    def gather(self) -> None:
        """Read what was accumulated and not read yet."""
        self._read_accumulated()
        self._read_waiting()

    def before_step(
        self, numbers: Sequence[int], found: dict[int, Later], factor: Later, raw_factor: Later
    ) -> bool:
        """The gradients that the optimizer is about to use.

        Args:
            numbers: of which parameters.
            found: by column, what was measured; parameters without a gradient get no number.
            factor: what the gradients are multiplied with.
            raw_factor: what those before any change are multiplied with.

        Returns:
            Whether there is a raw gradient in ``found`` for each that is used: their total would be a part's otherwise.
        """
        used: dict[int, Reading] = {}
        is_thawed = False
        # A step within the backward pass comes before that is over.
        self.gather()
        if self.full and self._turn >= self._looked + LOOK_EVERY:
            self._looked = self._turn
        elif self.trusting and numbers:
            self._look_at_one(numbers[self._turn % len(numbers)])
        for number in numbers:
            gradient = self._gradient(number)
            values = measurable(gradient) if gradient is not None else None
            if gradient is None or values is None:
                continue
            reading = self.readings.get(number)
            if reading is None or not reading.holds(gradient):
                used[number] = self._read(number, Reading(gradient), values, full=self.full)
                self.changing = self.changing or (reading is not None and not reading.is_used)
                if reading is None and number in self._frozen:
                    is_thawed = is_thawed or self._frozen[number].requires_grad
            elif self._may_be_written(reading, values):
                used[number] = self._read(number, Reading(gradient), values, full=self.full)
            else:
                used[number] = reading
        self._read_waiting()
        raw = 0
        for number, reading in used.items():
            self._put(found, number, "gradient", reading, factor)
            first = self.readings.get(number)
            reading.is_used = True
            if first is None:
                continue
            first.is_used = True
            if self.changing or raw_factor != factor:
                raw += 1
                self._put(found, number, "raw gradient", first, raw_factor)
        self.used = used
        if is_thawed:
            # No pass of the whole model told of it.
            self.on_thawed()
        return bool(raw) and raw == len(used)

    def as_accumulated(self, found: dict[int, Later], factor: Later, role: Any) -> None:
        """What was read in the backward pass, where no optimizer is known or its step was skipped."""
        self.gather()
        if self.full:
            for number, reading in self.readings.items():
                gradient = self._gradient(number)
                values = measurable(gradient) if gradient is not None else None
                if gradient is None or values is None or not reading.holds(gradient):
                    # It was unscaled since, or is gone.
                    continue
                if reading.stats is None:
                    self.readings[number] = self._read(number, Reading(gradient), values, full=True)
        self._read_waiting()
        self.used = dict(self.readings)
        for number, reading in self.readings.items():
            self._put(found, number, role, reading, factor)

    def log(self, collected: Collected, factor: Later) -> None:
        """The statistics and the histograms that a logged step adds, of the gradients that were used."""
        parameters = self.parameters
        for number, reading in self.used.items():
            if reading.stats is None or reading.part is None:
                continue
            name = parameters.name(number, "gradient")
            row = collected.add_row(reading.stats, factor)
            entry = parameters.logged.entry(name, WITH_LOG)
            collected.parameter_entries.append((entry, row))
            sample = collected.keep(reading.part, factor)
            collected.add_histogram(collected.names.entry(name, VALUES), sample)

    def _gradient(self, number: int) -> torch.Tensor | None:
        """A parameter's gradient, as it is now."""
        return self.parameters.owned[number].tensor.grad

    def _look_at_one(self, number: int) -> None:
        """Look whether one gradient was changed behind its version's back; each has its turn."""
        gradient, reading = self._gradient(number), self.readings.get(number)
        if gradient is None or reading is None or not reading.holds(gradient):
            return
        values = measurable(gradient)
        if values is None or self._meter.late.is_remote(values):
            return
        if not reading.has_norm_of(values, self._meter):
            self.changing, self.trusting = True, False

    def _may_be_written(self, reading: Reading, values: torch.Tensor) -> bool:
        """Whether a gradient whose version is the same may be another one: on logged steps it is looked at."""
        if not self.trusting or self._meter.late.is_remote(values):
            return True
        if reading.part is None or (
            reading.has_sample_of(values, self._sample)
            and (self._looked != self._turn or reading.has_norm_of(values, self._meter))
        ):
            return False
        self.changing, self.trusting = True, False
        return True

    def _put(
        self, found: dict[int, Later], number: int, role: Any, reading: Reading, factor: Later
    ) -> None:
        first = self.parameters.first(number, role, EVERY_STEP if role == "gradient" else RAW)
        found[first] = reading.norm * factor
        found[first + 1], found[first + 2] = reading.nan, reading.inf

    def _read(self, number: int, reading: Reading, values: torch.Tensor, *, full: bool) -> Reading:
        name = self.parameters.name(number, "gradient")
        if full:
            stats = self._meter.measure(values, wants_sum=False, wants_zeros=False)
            reading.stats = stats
            reading.norm, reading.nan, reading.inf = stats.l2, stats.nan, stats.inf
            reading.part = self._meter.sample(values, self._sample)
            if isinstance(stats, LateStats):
                self._sentinel.checks.append(Check(name, stats.nan, stats.inf))
                return reading
            nan, inf = stats.nan, stats.inf
        elif self._meter.late.is_remote(values):
            # All of a backward pass are asked for at once: a call for each would cost more than they take.
            self._waiting.append((reading, values, name))
            return reading
        else:
            norm, nan, inf = self._meter.norm(values)
            reading.norm, reading.nan, reading.inf = norm, nan, inf
        if nan or inf:
            self._sentinel.found_named(name, nan, inf)
        elif self._sentinel.bad:
            self._sentinel.fine_named(name)
        return reading

    def _read_waiting(self) -> None:
        """Ask devices for the norms of the gradients that wait."""
        waiting, self._waiting = self._waiting, []
        if not waiting or not self.active:
            return
        norms = self._meter.late.norms([values for _, values, _ in waiting])
        for (reading, _, name), norm in zip(waiting, norms, strict=True):
            reading.norm = norm.of_kind("finite")
            reading.nan, reading.inf = norm.of_kind("nan"), norm.of_kind("inf")
            self._sentinel.checks.append(Check(name, reading.nan, reading.inf, counted=False))
