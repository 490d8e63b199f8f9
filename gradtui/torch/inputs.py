"""The edited map and the tensors that a model is called with: one way there, and one back.

With ``inputs`` given, the first tensor of real numbers in them (else the first of integers: ids) is
the one that is edited. Its map is the sample's values with nothing summed: channels stand under one
another, ``(C·H) × W``, since an edit must lead back to one value. Everything else stays as given.

Without, the array from the file is the only argument, as floats of the model's own kind, with the
axes that the model's first layer asks for: batch and channel before a convolution's map, a map
flattened for a linear layer that is as wide as all of it; integers stay integers before an
embedding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from gradtui.errors import UsageError
from gradtui.torch.layout import Layout, by_dimensions, spatial_dimensions
from gradtui.torch.outputs import tensors_in
from gradtui.torch.record import to_numpy

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Call:
    """Arguments of one call of the model; ``edited`` is the tensor among them whose map is edited."""

    args: tuple[object, ...] = ()
    kwargs: Mapping[str, object] = field(default_factory=dict)
    edited: torch.Tensor = field(default_factory=lambda: torch.zeros(0))

    def tracked(self) -> Call:
        """The same call with gradients flowing to the edited tensor, where it has real numbers.

        The model is given a copy that is no leaf of the graph, which it may change in place.
        """
        if not (self.edited.is_floating_point() or self.edited.is_complex()):
            return self
        fresh = self.edited.detach().clone().requires_grad_().clone()
        return self.replaced(fresh)

    def replaced(self, tensor: torch.Tensor) -> Call:
        """The same call with another tensor as the edited one."""
        args = _swapped(self.args, self.edited, tensor)
        kwargs = _swapped(dict(self.kwargs), self.edited, tensor)
        return Call(args, kwargs, tensor)

    def on(self, device: torch.device) -> Call:
        """The same call with every tensor on a device."""
        move = {id(t): t.to(device) for t in tensors_in([self.args, dict(self.kwargs)])}
        call = Call(_moved(self.args, move), _moved(dict(self.kwargs), move), self.edited)
        return Call(call.args, call.kwargs, move.get(id(self.edited), self.edited))


def as_call(value: object) -> Call:
    """What a factory or ``prepare`` gave, as a call: a tensor, a tuple or list of arguments, or a dict of them.

    Raises:
        UsageError: when no tensor is in it.
    """
    if isinstance(value, np.ndarray):
        value = torch.from_numpy(torch_like(value))
    if isinstance(value, Mapping):
        call = Call((), dict(value))
    elif isinstance(value, (tuple, list)):
        call = Call(tuple(value))
    else:
        call = Call((value,))
    chosen = editable([call.args, dict(call.kwargs)])
    if chosen is None:
        raise UsageError("the model's inputs hold no tensor of numbers")
    return Call(call.args, call.kwargs, chosen)


def torch_like(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A writable copy in a dtype that torch has: this machine's byte order, float64 at most.

    Values that float64 can't hold become infinite.
    """
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        with np.errstate(over="ignore"):
            return array.astype(np.float64)
    return array.astype(array.dtype.newbyteorder("="))


def editable(value: object) -> torch.Tensor | None:
    """The first tensor of real numbers in a nested value, else the first of integers; None without any."""
    tensors = [tensor for tensor in tensors_in(value) if not tensor.is_complex()]
    return next((t for t in tensors if t.is_floating_point()), tensors[0] if tensors else None)


@dataclass(frozen=True, slots=True)
class Template:
    """Inputs of which one tensor is edited through a map."""

    call: Call
    sample: int = 0

    def to_map(self) -> npt.NDArray[Any]:
        """The edited tensor's values as a map, ``[H, W]``."""
        values = to_numpy(self.call.edited.reshape(-1)[self._positions()])
        return np.array(values)

    def __call__(self, array: npt.NDArray[Any]) -> Call:
        """The call with a map's values in place; an array of the whole tensor's shape replaces all of it.

        Raises:
            UsageError: when the map has another shape.
        """
        positions = self._positions()
        if array.shape == tuple(self.call.edited.shape):
            whole = torch.arange(array.size, device=positions.device)
            positions = whole.view(array.shape)
        if array.shape != tuple(positions.shape):
            shape = "×".join(map(str, array.shape)) or "one value"
            wanted = "×".join(map(str, positions.shape))
            raise UsageError(f"the input is {shape}, and the model's is {wanted}")
        edited = self.call.edited.detach().clone(memory_format=torch.contiguous_format)
        values = torch.from_numpy(torch_like(array)).to(edited.device)
        edited.view(-1)[positions] = values.to(edited.dtype)
        return self.call.replaced(edited)

    def misfit(self, array: npt.NDArray[Any]) -> str:
        """In what an array's shape is not the model's: ``8x8, the model's is 6x8``; empty where it fits."""
        wanted = tuple(self._positions().shape)
        if array.shape in (wanted, tuple(self.call.edited.shape)):
            return ""
        here, there = ("x".join(map(str, shape)) for shape in (array.shape, wanted))
        return f"{here or 'one value'}, the model's is {there}"

    def _positions(self) -> torch.Tensor:
        shape = tuple(self.call.edited.shape)
        layout = Layout(by_dimensions(len(shape)).replace("C", "A"), shape, self.sample)
        return layout.indices().view(layout.map_shape).to(self.call.edited.device)


def default_prepare(model: nn.Module) -> Callable[[npt.NDArray[Any]], Call]:
    """The rule for a model of which only an array is given (see the module's text)."""
    first = next(
        (m for m in model.modules() if next(m.parameters(recurse=False), None) is not None), None
    )
    like = next((p for p in model.parameters() if p.is_floating_point()), torch.zeros(0))

    def prepare(array: npt.NDArray[Any]) -> Call:
        tensor = torch.from_numpy(torch_like(array))
        if isinstance(first, (nn.Embedding, nn.EmbeddingBag)):
            return as_call(tensor.long())
        tensor = tensor.to(like.dtype)
        spatial = spatial_dimensions(first)
        if isinstance(first, nn.modules.conv._ConvNd) and spatial:  # noqa: SLF001
            channels = first.in_channels
            if tensor.ndim == spatial and channels == 1:
                tensor = tensor[None, None]
            elif (tensor.ndim == spatial + 1 and tensor.shape[0] == channels) or (
                tensor.ndim == 2 and spatial == 1 and tensor.shape[0] == 1 == channels
            ):
                tensor = tensor[None]
        elif isinstance(first, nn.Linear) and tensor.ndim == 2:
            width = first.in_features
            if tensor.shape[1] != width and tensor.numel() == width:
                tensor = tensor.reshape(1, width)
        return as_call(tensor)

    return prepare


def _swapped(value: Any, old: torch.Tensor, new: torch.Tensor) -> Any:
    return _moved(value, {id(old): new})


def _moved(value: Any, replacements: Mapping[int, torch.Tensor]) -> Any:
    if isinstance(value, torch.Tensor):
        return replacements.get(id(value), value)
    if isinstance(value, dict):
        return {key: _moved(item, replacements) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_moved(item, replacements) for item in value))
    if isinstance(value, (tuple, list)):
        return type(value)(_moved(item, replacements) for item in value)
    return value
