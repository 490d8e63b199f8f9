"""Taps: what is remembered of a module's output when a forward pass goes by.

Nothing is returned from a hook, so that the forward pass is the user's own.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.autograd.graph import GradientEdge, get_gradient_edge

from gradtui.torch.hooks import has_hooks
from gradtui.torch.layout import layout_of, letters_of_kind, stated_layout
from gradtui.torch.outputs import activation, tensors_in
from gradtui.torch.rewritten import ViewMet, settled, view_met
from gradtui.torch.selection import INPUT, Selection, layer_name, unused
from gradtui.torch.tap import Tap, make_tap

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from typing_extensions import Self


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
    _paths: frozenset[str] = frozenset()
    _views: list[ViewMet] = field(default_factory=list)
    _calls: Counter[str] = field(default_factory=Counter)
    _entries: dict[str, GradientEdge] = field(default_factory=dict)
    _handles: list[Any] = field(default_factory=list)

    def __enter__(self) -> Self:
        picked = self.selection.picks(self.model)
        self._paths = frozenset(path for path, _ in self.model.named_modules())
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
        self._views.clear()
        self.ungraded.clear()
        self.hooked = False
        self.wrapped.clear()
        self._calls.clear()
        self._entries.clear()

    def add_input(self, tensor: torch.Tensor) -> None:
        """Tap the model's input, where it is asked for."""
        if self.selection.wants_input(self._paths):
            name = unused(INPUT, self._paths)
            self._add(name, name, 0, None, "input", tensor)

    def settled(self, roots: Sequence[torch.Tensor]) -> tuple[list[Tap], dict[str, str]]:
        """Taps from which the gradient of what is differentiated can be had, and why not from the others."""
        try:
            taps, untold = settled(self.found, self._views, roots)
        except Exception as error:  # noqa: BLE001 - as in `_after`
            self.errors.append(error)
            return list(self.found), dict(self.ungraded)
        return taps, {**self.ungraded, **untold}

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
        wanted = picked and self.selection.wants(path, call, self._paths)
        name = layer_name(path, call, self._paths)
        if tensor is None:
            if wanted:
                if any(other.is_complex() for other in tensors_in(output)):
                    self.ungraded[name] = "holds complex numbers, which no map shows"
                elif self.selection.patterns:
                    self.ungraded[name] = "carries no gradient"
            return
        shape = tuple(tensor.shape)
        letters = letters_of_kind(module, len(shape))
        if letters:
            self.letters[shape] = letters
        entry = self._entries.pop(path, None)
        if entry is not None and _is_convolution(tensor):
            edge = get_gradient_edge(tensor)
            self.wrapped[edge.node, edge.output_nr] = (entry, module)
        if wanted:
            self._add(name, path, call, module, type(module).__name__, tensor)

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
        self._views += view_met(tap, tensor)


def _recomputing() -> bool:
    return bool(torch._C._current_graph_task_id() != -1)  # noqa: SLF001 - the only way to know


def _pads_itself(module: nn.Module) -> bool:
    return isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Conv3d)) and (
        module.padding_mode != "zeros" or module.padding == "same"
    )


def _is_convolution(tensor: torch.Tensor) -> bool:
    return tensor.grad_fn is not None and tensor.grad_fn.name() == "ConvolutionBackward0"
