"""Taps: what is remembered of a module's output when a forward pass goes by.

A tap holds the place in the autograd graph, never the tensor: an in-place operation after the
module overwrites the tensor, the place stays right. Nothing is returned from a hook, so that the
forward pass is the user's own.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn
from torch.autograd.graph import GradientEdge, get_gradient_edge

from gradtui.errors import UsageError
from gradtui.torch.hooks import has_hooks
from gradtui.torch.layout import Layout, layout_of, letters_of_kind, stated_layout
from gradtui.torch.outputs import activation, tensors_in

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from typing_extensions import Self

INPUT = "input"


class _Probe(torch.autograd.Function):
    """A tensor of no memory whose gradient is handed to the activation as it was at the hook.

    Differentiating it is differentiating the activation, even where that was overwritten later.
    """

    @staticmethod
    def forward(ctx: Any, tensor: torch.Tensor) -> torch.Tensor:  # noqa: ARG004 - torch's signature
        return tensor.new_zeros(()).expand(tensor.shape)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:  # noqa: ARG004
        return gradients[0]


@dataclass(frozen=True, slots=True, eq=False)
class Tap:
    """One layer as it was met in a forward pass.

    Attributes:
        name: the layer's name in the folder: the module path, with ``#k`` for call k from the second on.
        path: module path; empty for the model itself.
        call: call index, from 0.
        kind: the module's class name.
        edge: the activation's place in the autograd graph.
        probe: differentiate this to differentiate the activation.
        layout: how its tensor becomes a map.
        indices: positions in the flat tensor of each channel of each node, int64 ``[C, N]``.
        hooked: whether the user's hooks are on the graph: nothing is batched then, nor in closed form.
    """

    name: str
    path: str
    call: int
    kind: str
    edge: GradientEdge
    probe: torch.Tensor
    layout: Layout
    indices: torch.Tensor
    hooked: bool = False

    @property
    def key(self) -> tuple[object, int]:
        """What two taps of one place share."""
        return (self.edge.node, self.edge.output_nr)

    def nodes_of(self, tensor: torch.Tensor) -> torch.Tensor:
        """The values of the nodes in a tensor of the activation's shape, ``[C, N]``."""
        return tensor.reshape(-1)[self.indices]


def make_tap(
    name: str, path: str, call: int, kind: str, tensor: torch.Tensor, layout: Layout
) -> Tap:
    """A tap of a tensor that carries a gradient."""
    probe = cast("torch.Tensor", _Probe.apply(tensor))  # type: ignore[no-untyped-call]
    indices = layout.indices().to(tensor.device)
    return Tap(name, path, call, kind, get_gradient_edge(tensor), probe, layout, indices)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which modules are layers: path patterns (``encoder.*``), or all that are asked by default.

    By default: modules with parameters of their own, normalisations left out (they rescale what
    they are given, and stand inside the flow between their neighbours); where that leaves fewer
    than two, every module without children.
    """

    patterns: tuple[str, ...] = ()

    def picks(self, model: nn.Module) -> frozenset[str]:
        """Paths of the modules that are layers.

        Raises:
            UsageError: when a pattern names no module.
        """
        modules = dict(model.named_modules())
        if not self.patterns:
            chosen = {path for path, module in modules.items() if _matters(module)}
            if len(chosen) < 2:
                chosen |= {p for p, m in modules.items() if p and next(m.children(), None) is None}
            return frozenset(chosen)
        chosen = set()
        for pattern in self.patterns:
            path = pattern.partition("#")[0]
            found = {p for p in modules if p == path or (p and fnmatchcase(p, path))}
            if not found and pattern != INPUT:
                known = ", ".join(list(filter(None, modules))[:12]) or "none"
                raise UsageError(f"no module is called {pattern!r}; the model has: {known}")
            chosen |= found
        return frozenset(chosen)

    def wants(self, path: str, call: int) -> bool:
        """Whether this call of a picked module is a layer; ``path#k`` asks for call k alone."""
        if not self.patterns:
            return True
        return any(
            fnmatchcase(path, head) and (not number or number == str(call))
            for head, _, number in (pattern.partition("#") for pattern in self.patterns)
        )

    @property
    def wants_input(self) -> bool:
        """Whether the model's input is a layer."""
        return not self.patterns or INPUT in self.patterns


def _matters(module: nn.Module) -> bool:
    if isinstance(module, (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)):  # noqa: SLF001
        return False
    if type(module).__name__.endswith("Norm"):
        return False
    return next(module.parameters(recurse=False), None) is not None


@dataclass(slots=True)
class Taps:
    """Hooks on a model's modules for one forward pass; leaving the ``with`` block takes them off.

    Attributes:
        found: taps in the order in which modules finished.
        ungraded: layers that ran and carry no gradient that can be shown, and why, in words.
        wrapped: convolutions that pad by themselves: place of their output to place of their input.
        letters: what the modules met state about tensors of a shape.
        errors: what went wrong in a hook; a hook never stops the user's forward pass.
        hooked: whether a tensor that was met carries a hook of the user's.
    """

    model: nn.Module
    selection: Selection = field(default_factory=Selection)
    layouts: Mapping[str, str] = field(default_factory=dict)
    sample: int = 0
    found: list[Tap] = field(default_factory=list)
    ungraded: dict[str, str] = field(default_factory=dict)
    wrapped: dict[tuple[object, int], tuple[GradientEdge, nn.Module]] = field(default_factory=dict)
    errors: list[Exception] = field(default_factory=list)
    letters: dict[tuple[int, ...], str] = field(default_factory=dict)
    hooked: bool = False
    _calls: Counter[str] = field(default_factory=Counter)
    _entries: dict[str, GradientEdge] = field(default_factory=dict)
    _handles: list[Any] = field(default_factory=list)

    def __enter__(self) -> Self:
        picked = self.selection.picks(self.model)
        for path, module in self.model.named_modules():
            if path in picked or letters_of_kind(module, 4) or letters_of_kind(module, 3):
                self._handles.append(
                    module.register_forward_hook(self._after(path, path in picked))
                )
            if _pads_itself(module):
                self._handles.append(module.register_forward_pre_hook(self._before(path)))
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def forget(self) -> None:
        """Drop what was met, before another forward pass."""
        self.found.clear()
        self.ungraded.clear()
        self.hooked = False
        self.wrapped.clear()
        self._calls.clear()
        self._entries.clear()

    def add_input(self, tensor: torch.Tensor) -> None:
        """Tap the model's input, where it is asked for."""
        if self.selection.wants_input:
            taken = any(path == INPUT for path, _ in self.model.named_modules())
            name = f"({INPUT})" if taken else INPUT
            self._add(name, name, 0, None, "input", tensor)

    def _before(self, path: str) -> Callable[[nn.Module, Sequence[object]], None]:
        def hook(_: nn.Module, inputs: Sequence[object]) -> None:
            try:
                tensor = next(tensors_in(list(inputs)), None)
                if not _recomputing() and tensor is not None and tensor.requires_grad:
                    self._entries[path] = get_gradient_edge(tensor)
            except Exception as error:  # noqa: BLE001 - as in `_after`
                self.errors.append(error)

        return hook

    def _after(self, path: str, picked: bool) -> Callable[[nn.Module, object, object], None]:
        def hook(module: nn.Module, _: object, output: object) -> None:
            # The recompute of a checkpointed part runs during the backward pass: those are not calls.
            if _recomputing():
                return
            try:
                self._met(path, picked, module, output)
            except Exception as error:  # noqa: BLE001 - told by the capture, never in a user's step
                self.errors.append(error)

        return hook

    def _met(self, path: str, picked: bool, module: nn.Module, output: object) -> None:
        call = self._calls[path]
        self._calls[path] += 1
        self.hooked |= any(has_hooks(other) for other in tensors_in(output))
        tensor = activation(output)
        if tensor is None:
            if picked and self.selection.wants(path, call):
                if any(other.is_complex() for other in tensors_in(output)):
                    self.ungraded[_name(path, call)] = "holds complex numbers, which no map shows"
                elif self.selection.patterns:
                    self.ungraded[_name(path, call)] = "carries no gradient"
            return
        shape = tuple(tensor.shape)
        letters = letters_of_kind(module, len(shape))
        if letters:
            self.letters[shape] = letters
        entry = self._entries.pop(path, None)
        if entry is not None and _is_convolution(tensor):
            edge = get_gradient_edge(tensor)
            self.wrapped[edge.node, edge.output_nr] = (entry, module)
        if picked and self.selection.wants(path, call):
            self._add(_name(path, call), path, call, module, type(module).__name__, tensor)

    def _add(
        self,
        name: str,
        path: str,
        call: int,
        module: nn.Module | None,
        kind: str,
        tensor: torch.Tensor,
    ) -> None:
        shape = tuple(tensor.shape)
        stated = self.layouts.get(name, self.layouts.get(path, ""))
        layout = (
            stated_layout(stated, shape, self.sample, name)
            if stated
            else layout_of(module, shape, self.sample, self.letters)
        )
        tap = make_tap(name, path, call, kind, tensor, layout)
        # Identity and dropout in evaluation give what they were given: one place, one layer by default.
        if not self.selection.patterns and any(tap.key == other.key for other in self.found):
            return
        self.found.append(tap)


def _name(path: str, call: int) -> str:
    return (path or "(model)") + (f"#{call}" if call else "")


def _recomputing() -> bool:
    return bool(torch._C._current_graph_task_id() != -1)  # noqa: SLF001 - the only way to know


def _pads_itself(module: nn.Module) -> bool:
    return isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Conv3d)) and (
        module.padding_mode != "zeros" or module.padding == "same"
    )


def _is_convolution(tensor: torch.Tensor) -> bool:
    return tensor.grad_fn is not None and tensor.grad_fn.name() == "ConvolutionBackward0"
