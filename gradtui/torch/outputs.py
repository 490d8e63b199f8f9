"""Find the tensor in what a module returned, whatever it returned: a tensor, a tuple, a dict, a record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass

import torch


def tensors_in(value: object) -> Iterator[torch.Tensor]:
    """Every tensor in a nested output, in order; None and other leaves are passed over."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors_in(item)
    elif isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        for item in value:
            yield from tensors_in(item)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from tensors_in(getattr(value, field.name))
    elif hasattr(value, "data") and isinstance(value.data, torch.Tensor):
        # A packed sequence: its one tensor of values.
        yield value.data


def activation(value: object) -> torch.Tensor | None:
    """The tensor that stands for a module's output: the first one of real numbers that carries a gradient.

    An LSTM's ``(output, (h, c))`` gives its output, a dict its first differentiable value.
    """
    found = (tensor for tensor in tensors_in(value) if tensor.requires_grad)
    return next((tensor for tensor in found if tensor.is_floating_point()), None)


def first_floating(value: object) -> torch.Tensor | None:
    """The first real floating-point tensor in a nested value."""
    return next((tensor for tensor in tensors_in(value) if tensor.is_floating_point()), None)


def sum_of_outputs(value: object) -> torch.Tensor:
    """The default loss: the sum of all outputs that carry a gradient, as ``backward(ones)`` has it.

    Raises:
        ValueError: when no output does.
    """
    parts = [tensor.sum() for tensor in tensors_in(value) if tensor.requires_grad]
    if not parts:
        raise ValueError("no output of the model carries a gradient")
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total.real if total.is_complex() else total
