"""The hooks of one module: what went in, what came out, and what gradient came back to it.

Forward hooks alone sit on the module; gradients are read by hooks on the autograd nodes of the outputs,
bound to their call when the output is made. ``register_full_backward_hook`` breaks trainings that write in
place, and counting backward calls names the wrong call.

On most steps only a sentinel runs: the sum of each leaf's output and of its gradient, which tells a
non-finite value at the step, the module and the call where it is born.
"""

from __future__ import annotations

import math
import weakref
from contextlib import nullcontext
from time import perf_counter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import nn
from torch.utils.hooks import unserializable_hook

from gradtui.torch.elsewhere import is_elsewhere
from gradtui.torch.watching.backward import in_backward
from gradtui.torch.watching.late import Elapsed
from gradtui.torch.watching.names import OTHERS
from gradtui.torch.watching.nesting import outputs_of
from gradtui.torch.watching.passes import IGNORED, TRAIN
from gradtui.torch.watching.uncompiled import uncompiled
from gradtui.torch.watching.views import Written, is_lost, region_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gradtui.core.run.keys import Phase, Role
    from gradtui.torch.watching.collecting import Collector
    from gradtui.torch.watching.columns import Name
    from gradtui.torch.watching.late import Later, LateStats
    from gradtui.torch.watching.values import Stats

_NO_NAMED: Final[Mapping[str, object]] = MappingProxyType({})

# These give finite values for finite values as long as their weights are finite: what is born around them is
# seen at the next module, of which it is the input.
_HARMLESS: Final = (
    nn.GELU, nn.SiLU, nn.ELU, nn.Softplus, nn.Mish, nn.Hardswish, nn.Hardsigmoid, nn.Embedding,
    nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm, nn.GroupNorm,
    nn.Identity, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.Hardtanh, nn.Sigmoid, nn.Tanh, nn.Dropout,
    nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.Flatten, nn.Unflatten, nn.MaxPool1d, nn.MaxPool2d,
    nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d, nn.AdaptiveAvgPool1d,
    nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d, nn.Upsample, nn.ZeroPad2d, nn.PixelShuffle,
)  # fmt: skip

# These return what the last of theirs returned: of any other module with modules in it the own forward may give birth.
_HANDING_ON: Final = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


class Site:
    """One module as a place where calls happen.

    Attributes:
        path: the module's path.
        ident: ``id`` of the module: hooks that were copied along with it are not ours.
        kind: the module's class.
        guarded: whether the sentinel looks at its output on every step.
        holds: whether it has modules and no parameters of its own: gradients are looked at where those have theirs.
        alone: whether its parameters' gradients tell what its output's gradient was: then the sentinel needs not look
            at that. So it is with parameters of its own and one call a step.
        last: the place of its last call among all.
        calls: how often it was called since the last step, in training and in evaluation.
        slots: the names of its inputs and outputs so far; see `gradtui.torch.watching.names.Names`.
    """

    __slots__ = (
        "alone", "calls", "counted", "guarded", "holds", "ident", "kind", "last", "path", "slots", "units",
    )  # fmt: skip

    def __init__(self, path: str, module: nn.Module) -> None:
        self.path = path
        self.ident = id(module)
        self.kind: type = type(module)
        leaf = next(module.children(), None) is None
        own = next(module.parameters(recurse=False), None) is not None
        self.alone = bool(path) and self.trains(module)
        self.last = 0
        self.holds = bool(path) and not (leaf or own)
        harmless = _HARMLESS if leaf or own else _HANDING_ON
        self.guarded = not path or type(module) not in harmless
        self.calls = [0, 0]
        self.counted = [-1, -1]
        self.units: dict[tuple[int, ...], int] = {}
        self.slots: set[str] = set()

    @staticmethod
    def trains(module: nn.Module) -> bool:
        """Whether a module has a parameter of its own that is trained."""
        return any(p.requires_grad for p in module.parameters(recurse=False))

    def count(self, mode: int, token: int) -> int:
        """The number of a call that begins; from 0 again under a new token."""
        if self.counted[mode] != token:
            self.counted[mode] = token
            self.calls[mode] = 0
        call = self.calls[mode]
        self.calls[mode] = call + 1
        return call


class Silent:
    """A hook that does not go along when its module is copied or pickled: there it is one that does nothing.

    That is Python's own, so that a pickled model is read where we are not installed.
    """

    __slots__ = ()

    def __deepcopy__(self, _: object) -> Callable[..., None]:
        return nullcontext().__exit__

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (nullcontext(), "__exit__")


class Before(Silent):
    """Runs before a module's forward: counts the call, and on logged steps measures what goes in."""

    __slots__ = ("collector", "site")

    def __init__(self, site: Site, collector: Collector) -> None:
        self.site, self.collector = site, collector

    def __call__(
        self, module: nn.Module, args: tuple[object, ...], kwargs: Mapping[str, object] = _NO_NAMED
    ) -> None:
        """See the class; who hangs it on another module may give it no ``kwargs``."""
        if is_elsewhere():
            return
        collector, site = self.collector, self.site
        if not collector.active or id(module) != site.ident or in_backward():
            return
        try:
            if not site.path:
                collector.begin_root(module)
            mode = collector.mode if collector.in_root else collector.on_call_outside(module)
            if mode == IGNORED:
                return
            call = site.count(mode, collector.tokens[mode])
            if collector.collected is not None:
                collector.open_call(site, call, module, mode, args, kwargs)
        except Exception as error:  # noqa: BLE001 - told by the guard, never in a user's step
            collector.guard.failed(f"before {site.path or '(root)'}", error)


class After(Silent):
    """Runs after a module's forward: measures what came out, and waits for its gradient.

    It runs after one that raised an `Exception`, too, as if that had returned None: what is known of a call, the graph
    of what it was given with it, is let go then.
    """

    __slots__ = ("collector", "site")

    def __init__(self, site: Site, collector: Collector) -> None:
        self.site, self.collector = site, collector

    def __call__(self, module: nn.Module, args: tuple[object, ...], output: object) -> None:
        """See the class."""
        if is_elsewhere():
            return
        collector, site = self.collector, self.site
        if not site.guarded and collector.collected is None and collector.in_root:
            return
        if not collector.active or id(module) != site.ident:
            return
        try:
            if in_backward():
                collector.recomputed(site, module, args, output)
                return
            mode = collector.mode if collector.in_root else collector.on_call_outside(module)
            if mode != IGNORED:
                is_measured = collector.close_call(site, args, output)
                if not is_measured and mode == TRAIN and site.guarded and output is not None:
                    _guard(collector, site, args, output)
            if not site.path and collector.in_root:
                collector.end_root(output)
        except Exception as error:  # noqa: BLE001 - as above
            collector.guard.failed(f"after {site.path or '(root)'}", error)


def _guard(collector: Collector, site: Site, args: tuple[object, ...], output: object) -> None:
    """The sentinel: nothing is kept but a hook on each output's node."""
    call = site.calls[TRAIN] - 1
    if call:
        site.alone = False
    collector.order = site.last = collector.order + 1
    only_forward = site.alone or site.holds
    if type(output) is torch.Tensor:
        if output.is_floating_point() or output.is_complex():
            collector.sentinel.forward(site, call, "", output, args, only_forward)
        return
    for slot, tensor in outputs_of(output):
        if tensor.is_floating_point() or tensor.is_complex():
            name = slot if collector.names.slot(site, slot) else OTHERS
            collector.sentinel.forward(site, call, name, tensor, args, only_forward)


class Frame:
    """A call on a logged step.

    It outlives the call, until the gradients have come: so it holds names of tensors, and never a tensor, which the
    model may be done with, nor the module.

    Attributes:
        slots: of the tensors that it was given; ``broken`` are those that are not finite, or may not be.
        places: where these stand in the graph, while the call is under way.
    """

    __slots__ = (
        "_module",
        "broken",
        "call",
        "elapsed",
        "phase",
        "places",
        "since",
        "site",
        "slots",
        "spent",
        "started",
    )

    def __init__(self, site: Site, call: int, module: nn.Module, mode: int) -> None:
        self.site, self.call, self._module = site, call, weakref.ref(module)
        # What the pass is, not the module: normalisation that is frozen in evaluation mode is a part of the training.
        self.phase: Phase = "train" if mode == TRAIN else "eval"
        self.slots: list[str] = []
        self.broken: list[tuple[Name, Stats | LateStats]] = []
        self.places: list[Any] = []
        self.since = 0
        self.started = 0.0
        self.spent = 0.0
        self.elapsed: Elapsed | None = None

    @property
    def module(self) -> nn.Module | None:
        """Whose call it is; None once that is gone."""
        return self._module()

    def name(self, role: Role, slot: str) -> Name:
        """What a tensor of this call is called."""
        return self.site.path, role, slot, self.call, self.phase


class Clock:
    """Time of module calls: on the CPU without our own share in it, on a device as the device tells it."""

    __slots__ = ("own",)

    def __init__(self) -> None:
        self.own = 0.0

    def start(self, frame: Frame, *, is_on_device: bool) -> None:
        """Begin to count."""
        if is_on_device:
            frame.elapsed = Elapsed()
        frame.spent, frame.started = self.own, perf_counter()

    def seconds(self, frame: Frame, now: float) -> Later:
        """What a call took."""
        if frame.elapsed is not None:
            return frame.elapsed.stop()
        return (
            max(now - frame.started - (self.own - frame.spent), 0.0) if frame.started else math.nan
        )

    def charge(self, since: float) -> None:
        """Count what passed since as ours."""
        self.own += perf_counter() - since


def on_gradient(
    tensor: torch.Tensor, hook: Callable[[Any], None], failed: Callable[[Exception], None]
) -> Any:
    """Have a hook called with the gradients of a tensor's autograd node; returns a handle where it must be removed.

    A tensor without a node (a leaf) gives its own gradient as a tuple of one, and so does a view whose memory is
    written to later; one that is lost gives nothing. ``failed`` is called with an error of ours, which must not end the backward pass.
    """
    if is_lost(tensor):
        return None
    node = tensor.grad_fn
    if node is None:

        @unserializable_hook  # type: ignore[untyped-decorator]
        @uncompiled
        def told(gradient: torch.Tensor) -> None:
            hook((gradient,))

        return tensor.register_hook(told)  # type: ignore[no-untyped-call]
    node.register_prehook(hook)
    region = region_of(tensor)
    if region is not None:
        region.node.register_prehook(Written(tensor, region, hook, failed))
    return None


def on_backward(
    output: object, hook: Callable[[Any], None], failed: Callable[[Exception], None]
) -> Any:
    """Have a hook called when a backward pass begins at what a model returned; see `on_gradient`."""
    for _, tensor in outputs_of(output):
        if tensor.requires_grad:
            return on_gradient(tensor, hook, failed)
    return None


def is_batched(gradient: torch.Tensor) -> bool:
    """Whether it is many gradients at once (``is_grads_batched``): of such a one no number can be asked."""
    return bool(torch._C._functorch.is_legacy_batchedtensor(gradient))  # noqa: SLF001 - the only way to know
