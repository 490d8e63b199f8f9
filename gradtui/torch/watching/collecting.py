"""What the hooks of a model's modules gather, step by step."""

from __future__ import annotations

import weakref
from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch

from gradtui.core.run.keys import ROW_NORMS, VALUES
from gradtui.torch.watching.backward import in_backward
from gradtui.torch.watching.calls import (
    Clock,
    Frame,
    Site,
    on_gradient,
)
from gradtui.torch.watching.columns import GRADIENT, OUTPUT, SATURATING, TENSOR
from gradtui.torch.watching.consumers import Share, now, places_of, watch_shares
from gradtui.torch.watching.late import LateStats
from gradtui.torch.watching.names import OTHERS, Names
from gradtui.torch.watching.nesting import inputs_of, outputs_of
from gradtui.torch.watching.passes import IGNORED, TRAIN
from gradtui.torch.watching.recursion import runs_within_itself
from gradtui.torch.watching.replays import Replays
from gradtui.torch.watching.sentinel import Check
from gradtui.torch.watching.units import dead, saturated, saturates, unit_dimension
from gradtui.torch.watching.values import measurable
from gradtui.torch.watching.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import nn

    from gradtui.core.run.keys import Role
    from gradtui.torch.watching.collected import Collected, Seen
    from gradtui.torch.watching.edges import EdgeFinder
    from gradtui.torch.watching.guard import Guard
    from gradtui.torch.watching.keeping import Keeping
    from gradtui.torch.watching.late import Later
    from gradtui.torch.watching.nesting import Named
    from gradtui.torch.watching.sentinel import Sentinel
    from gradtui.torch.watching.settings import Settings


class Collector:
    """The state that all hooks of one watched model share.

    Attributes:
        active: off, and every hook returns at once.
        collected: where measurements of this forward and backward pass go; None on steps that are not logged.
        mode: what the root's forward pass is, while ``in_root``.
        order: counts calls up, to tell which came first.
        tokens: change when calls are numbered from 0 again, in training and in evaluation.
        on_call_outside: gives the mode of a call that is not inside the root's forward pass: of a part of the model alone.
        factor: what gradients are multiplied with: 1 over what a scaler multiplied the loss with.
        names: those of inputs, outputs and attached tensors that the run takes.
        before_pass: called when the model's next forward pass begins, where something is to be looked at again.
    """

    def __init__(
        self, settings: Settings, guard: Guard, sentinel: Sentinel, edges: EdgeFinder
    ) -> None:
        self.settings, self.guard, self.sentinel, self.edges = settings, guard, sentinel, edges
        self.active = True
        self.collected: Collected | None = None
        self.mode = TRAIN
        self.in_root = False
        self._nested = 0
        self.tokens = [0, 0]
        self.order = 0
        self.sites: dict[str, Site] = {}
        self.names = Names()
        self.replays = Replays()
        self.clock = Clock()
        self.factor: Callable[[], Later] = lambda: 1.0
        self.before_pass: Callable[[], None] | None = None
        self.on_root: Callable[[nn.Module], int] = lambda _: TRAIN
        self.on_root_done: Callable[[object], None] = lambda _: None
        self.on_call_outside: Callable[[nn.Module], int] = lambda _: TRAIN
        self.keeping: Keeping | None = None
        self._io = "io" in settings.log
        self._io_grad = "io_grad" in settings.log
        self._frames: list[Frame] = []
        self._letters: dict[tuple[int, ...], str] = {}
        self._shares: list[Share] = []
        self._attached: dict[str, Site] = {}
        self._handles: list[Any] = []

    # ---- the root's forward pass

    def begin_root(self, module: nn.Module) -> None:
        """The model's forward pass begins: what kind it is decides what is collected."""
        if self.in_root:
            if runs_within_itself(module):
                self._nested += 1
                return
            # Something that is no `Exception`, such as an interrupt that a notebook goes on after, left it.
            self._nested = 0
            self.end_root(None)
        self._frames.clear()
        self.sentinel.after = ""
        self.mode, self.in_root = self.on_root(module), True
        if self.before_pass is not None:
            self.before_pass()

    def end_root(self, output: object) -> None:
        """The model's forward pass is over, or one of those within it, of a model that calls itself."""
        if self._nested:
            self._nested -= 1
            return
        self.in_root = False
        self._frames.clear()
        self.on_root_done(output)

    # ---- calls on logged steps

    def open_call(
        self,
        site: Site,
        call: int,
        module: nn.Module,
        mode: int,
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
    ) -> None:
        """Measure what goes into a call."""
        began = perf_counter()
        frame = Frame(site, call, module, mode)
        self._frames.append(frame)
        self.order = site.last = self.order + 1
        site.alone = site.alone and not call and site.trains(module)
        collected = self.collected
        named: Named = []
        if collected is not None and call < self.settings.max_calls:
            named = self.names.slots(site, inputs_of(args, kwargs))
            frame.slots = [slot for slot, _ in named]
            for slot, tensor in named:
                if self._io:
                    seen = self._values(collected, frame, "input", slot, tensor)
                    if seen is not None and seen.stats.may_be_broken:
                        frame.broken.append((frame.name("input", slot), seen.stats))
                self.edges.consumed(frame.name("input", slot), tensor)
            if self._io_grad and self.mode == TRAIN:
                frame.places = [places_of(tensor) for _, tensor in named]
                frame.since = now()
        self.clock.charge(began)
        is_on_device = self.settings.time_log and any(tensor.is_cuda for _, tensor in named)
        self.clock.start(frame, is_on_device=is_on_device)

    def close_call(self, site: Site, args: tuple[object, ...], output: object) -> bool:
        """Measure what came out of a call; False for one that began before the step was logged, if it is at all."""
        collected = self.collected
        if collected is None:
            return False
        began = perf_counter()
        frame = self._frame_of(site)
        if frame is None:
            return False
        if frame.call >= self.settings.max_calls:
            return True
        if self.settings.time_log and frame.started:
            entry = collected.columns.entry(frame.name("module", ""), ("seconds",))
            collected.add_value(entry, self.clock.seconds(frame, began))
        if self.mode == TRAIN and not torch.is_grad_enabled():
            self.replays.ran(site, frame.call, args)
        returned = outputs_of(output)
        named = self.names.slots(site, returned)
        if len(named) < len(returned):
            self._others(frame, returned, args)
        for slot, tensor in named:
            seen = self._values(collected, frame, "output", slot, tensor) if self._io else None
            self.edges.produced(frame.name("output", slot), tensor)
            if seen is not None:
                self._look(frame, slot, seen)
            if self.mode == TRAIN and tensor.requires_grad:
                self._await(collected, frame, slot, tensor, seen)
        places, frame.places = frame.places, []
        if places:
            reference = weakref.ref(collected)
            self._shares += watch_shares(
                places,
                named,
                frame.since,
                lambda number, share: self.share(reference, frame, number, share),
                lambda error: self.guard.failed(f"gradient of {site.path or '(root)'}", error),
            )
        self.clock.charge(began)
        return True

    def _others(self, frame: Frame, returned: Named, args: tuple[object, ...]) -> None:
        """Of outputs whose names are not recorded only what is not finite is told."""
        if self.mode != TRAIN:
            return
        for slot, tensor in returned:
            is_other = slot not in frame.site.slots
            if is_other and (tensor.is_floating_point() or tensor.is_complex()):
                self.sentinel.forward(frame.site, frame.call, OTHERS, tensor, args)

    def _look(self, frame: Frame, slot: str, seen: Seen, inputs: str = "all") -> None:
        """Tell of an output that is not finite, and first of the inputs that were not: a mask alone is no news.

        ``inputs``: which of them were looked at.
        """
        sentinel, stats = self.sentinel, seen.stats
        name, path = frame.name("output", slot), frame.site.path
        if isinstance(stats, LateStats):
            sentinel.checks.append(Check(name, stats.nan, stats.inf, path, inputs, frame.broken))
            return
        if not stats.is_finite:
            for given, found in frame.broken:
                if isinstance(found, LateStats):
                    sentinel.checks.append(Check(given, found.nan, found.inf))
                else:
                    sentinel.found_named(given, found.nan, found.inf)
            sentinel.found_named(name, stats.nan, stats.inf, inputs)
            return
        sentinel.after = path
        sentinel.usual.update(given for given, _ in frame.broken)
        if sentinel.bad:
            sentinel.fine_named(name)
            for place in frame.slots:
                sentinel.fine_named(frame.name("input", place))

    def share(
        self,
        reference: weakref.ref[Collected],
        frame: Frame,
        number: int,
        gradient: torch.Tensor,
    ) -> None:
        """The gradient that reached an input through a call is known."""
        collected = reference()
        if self.active and collected is not None and self.collected is collected:
            self._gradient(collected, frame, "input gradient", frame.slots[number], gradient)

    def _frame_of(self, site: Site) -> Frame | None:
        for place in range(len(self._frames) - 1, -1, -1):
            if self._frames[place].site is site:
                frame = self._frames[place]
                # What lies above was left by an exception.
                del self._frames[place:]
                return frame
        return None

    def _values(
        self, collected: Collected, frame: Frame, role: Role, slot: str, tensor: torch.Tensor
    ) -> Seen | None:
        seen = collected.measure(tensor)
        if seen is None:
            return None
        row, quantities = seen.row, TENSOR
        if role == "output":
            quantities, row = self._unit_row(collected, frame, tensor, seen)
            self._keep(frame, role, slot, tensor, 1.0)
        name = frame.name(role, slot)
        collected.add(collected.columns.entry(name, quantities), row)
        if seen.sample < 0 and (values := measurable(tensor)) is not None:
            seen.sample = collected.add_sample(values)
        collected.add_histogram(collected.names.entry(name, VALUES), seen.sample)
        return seen

    def _unit_row(
        self, collected: Collected, frame: Frame, tensor: torch.Tensor, seen: Seen
    ) -> tuple[tuple[str, ...], int]:
        """What an output has besides: its units, and what is saturated."""
        site, row, module = frame.site, seen.row, frame.module
        numbers = collected.statistics[row]
        if module is None:
            return OUTPUT, row
        if not seen.counted and (values := measurable(tensor)) is not None:
            seen.counted = True
            is_plain = tensor.layout is torch.strided and not tensor.is_nested
            shape = tuple((tensor if is_plain else values).shape)
            dimension = unit_dimension(site, module, shape, self._letters)
            numbers[9], amount = dead(values, dimension, seen.stats)
            collected.count(row, 10, amount)
        if not saturates(site.kind) or (values := measurable(tensor)) is None:
            return OUTPUT, row
        row = collected.copy_row(row)
        collected.count(row, 11, saturated(module, values))
        return SATURATING, row

    # ---- gradients

    def _await(
        self, collected: Collected, frame: Frame, slot: str, tensor: torch.Tensor, seen: Seen | None
    ) -> None:
        """Measure the gradient of an output when it comes; of a tensor that several modules return, once."""
        if not self._io_grad:
            return
        if seen is not None and seen.watched is not None and collected.seen(tensor) is seen:
            seen.watched.names.append((frame, slot))
            return
        waiting = Waiting(self, collected, tensor.output_nr, (frame, slot))
        if seen is not None:
            seen.watched = waiting
        handle = on_gradient(tensor, waiting, waiting.failed)
        if handle is not None:
            self._handles.append(handle)

    def output_gradient(
        self, collected: Collected, names: list[tuple[Frame, str]], gradient: torch.Tensor
    ) -> None:
        """The gradient of an output is known: the sum over all that used it."""
        for frame, slot in names:
            self._gradient(collected, frame, "output gradient", slot, gradient)

    def _gradient(
        self, collected: Collected, frame: Frame, role: Role, slot: str, gradient: torch.Tensor
    ) -> None:
        factor = self.factor()
        seen = collected.measure_gradient(gradient, factor)
        if seen is None:
            return
        name = frame.name(role, slot)
        collected.add(collected.columns.entry(name, GRADIENT), seen.row)
        collected.add_histogram(collected.names.entry(name, ROW_NORMS), seen.sample)
        if role == "output gradient":
            self._keep(frame, role, slot, gradient, factor)
        stats = seen.stats
        if isinstance(stats, LateStats):
            self.sentinel.checks.append(Check(name, stats.nan, stats.inf))
        elif not stats.is_finite:
            self.sentinel.catch_up()
            self.sentinel.found_named(name, stats.nan, stats.inf)
        elif self.sentinel.bad:
            self.sentinel.fine_named(name)

    def _keep(
        self, frame: Frame, role: Role, slot: str, tensor: torch.Tensor, factor: Later
    ) -> None:
        keeping, module = self.keeping, frame.module
        if keeping is not None and module is not None and keeping.wants(frame.site.path):
            times = self.sentinel.late.now(factor)
            keeping.met(frame.name(role, slot), module, tensor, times)

    def attached(self, tensor: torch.Tensor, parent: nn.Module, path: str) -> None:
        """A tensor that the user's forward pass hands to us."""
        collected = self.collected
        if in_backward():
            return
        try:
            mode = self.mode if self.in_root else self.on_call_outside(parent)
            if mode == IGNORED or not self.names.attached(path):
                return
            site = self._attached.get(path)
            if site is None:
                site = self._attached[path] = Site(path, parent)
                site.kind = torch.Tensor
                if self.keeping is not None:
                    self.keeping.attached(path)
            call = site.count(mode, self.tokens[mode])
            if collected is None:
                if mode == TRAIN and tensor.is_floating_point():
                    self.sentinel.forward(site, call, "", tensor)
                return
            if call >= self.settings.max_calls:
                return
            frame = Frame(site, call, parent, mode)
            seen = self._values(collected, frame, "output", "", tensor) if self._io else None
            if seen is not None:
                self._look(frame, "", seen, "")
            if mode == TRAIN and tensor.requires_grad:
                self._await(collected, frame, "", tensor, seen)
        except Exception as error:  # noqa: BLE001 - told by the guard, never in a user's step
            self.guard.failed(f"attached {path}", error)

    def finish_step(self) -> None:
        """The backward pass is over: sums of which a part never came are told as they are, hooks on leaves removed."""
        for share in self._shares:
            share.finish()
        self._shares.clear()
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._frames.clear()
        self.replays.forget()

    def let_go(self) -> None:
        """What was found stays; nothing of the model does."""
        self.finish_step()
        self.edges.forget()
        if self.collected is not None:
            self.collected.let_go()

    def recomputed(
        self, site: Site, module: nn.Module, args: tuple[object, ...], output: object
    ) -> None:
        """A checkpoint runs a part of the model again during the backward pass."""
        collected = self.collected
        call = self.replays.again(site, args)
        if collected is None or call < 0:
            return
        frame = Frame(site, call, module, TRAIN)
        for slot, tensor in outputs_of(output):
            if tensor.requires_grad:
                self._await(collected, frame, slot, tensor, None)
