"""What a model is called with: tensors, anything that holds tensors, or shapes as text."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import torch

from gradtui.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

_SHAPE: Final = re.compile(r"(?P<sizes>\d+(?:[x×,]\d+)*|scalar)(?::(?P<dtype>\w+))?")
_SHORT: Final = {
    "float": "float32",
    "half": "float16",
    "long": "int64",
    "int": "int32",
    "double": "float64",
}


@dataclass(frozen=True, slots=True)
class Arguments:
    """The arguments of one forward pass."""

    positional: tuple[Any, ...] = ()
    named: dict[str, Any] | None = None

    @property
    def keywords(self) -> dict[str, Any]:
        """The keyword arguments."""
        return self.named or {}

    @property
    def made_up(self) -> bool:
        """Whether some tensor is a shape alone."""
        return any(tensor.is_meta for _, tensor in _named("", [self.positional, self.keywords]))

    def mapped(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Arguments:
        """Return the same arguments with each tensor changed, in whatever holds it."""
        from torch.utils._pytree import tree_map

        def one(value: Any) -> Any:
            return change(value) if isinstance(value, torch.Tensor) else value

        return Arguments(tree_map(one, self.positional), tree_map(one, self.keywords))


def arguments_of(inputs: tuple[Any, ...], named: dict[str, Any]) -> Arguments:
    """Read the inputs that a person gave; texts that are shapes become meta tensors of these shapes.

    "1x3x224x224" is float32, "2x20:int64" another dtype, "scalar" has no dimensions. A single dict is the
    keyword arguments, a single list or tuple the positional ones, as it is for a factory's inputs.

    Raises:
        UsageError: when a text is no shape.
    """
    if len(inputs) == 1 and not named and isinstance(inputs[0], dict):
        named, inputs = {str(name): value for name, value in inputs[0].items()}, ()
    elif len(inputs) == 1 and isinstance(inputs[0], tuple):
        inputs = inputs[0]
    return Arguments(
        tuple(_read(value) for value in inputs),
        {name: _read(value) for name, value in named.items()},
    )


def _read(value: Any) -> Any:
    return shape_of(value) if isinstance(value, str) and _SHAPE.fullmatch(value.strip()) else value


def shape_of(text: str) -> torch.Tensor:
    """A meta tensor of the shape and dtype that a text names.

    Raises:
        UsageError: when it names none.
    """
    found = _SHAPE.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"{text!r}: expected a shape such as 1x3x224x224 or 2x20:int64")
    name = found["dtype"] or "float32"
    dtype = getattr(torch, _SHORT.get(name, name), None)
    if not isinstance(dtype, torch.dtype):
        raise UsageError(f"{text!r}: {name} is not a dtype of torch's")
    sizes = () if found["sizes"] == "scalar" else map(int, re.split("[x×,]", found["sizes"]))
    return torch.empty(tuple(sizes), dtype=dtype, device="meta")


def with_data(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor with data: itself, or of a meta tensor zeros of its shape (random numbers would move generators)."""
    return torch.zeros_like(tensor, device="cpu") if tensor.is_meta else tensor


def needs_none(model: nn.Module) -> bool:
    """Whether the model's forward can be called without arguments."""
    try:
        parameters = inspect.signature(model.forward).parameters.values()
    except (TypeError, ValueError):
        return False
    return all(
        parameter.default is not parameter.empty
        or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        for parameter in parameters
    ) and not any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters)


def names_of(model: nn.Module, arguments: Arguments) -> list[tuple[str, torch.Tensor]]:
    """The tensors of the arguments, each with the name of the parameter it is passed for."""
    try:
        bound = (
            inspect.signature(model.forward)
            .bind(*arguments.positional, **arguments.keywords)
            .arguments
        )
    except (TypeError, ValueError):
        bound = {str(k): value for k, value in enumerate(arguments.positional)} | arguments.keywords
    found: list[tuple[str, torch.Tensor]] = []
    for name, value in bound.items():
        found.extend(_named(name, value))
    return found


def _named(name: str, value: Any, depth: int = 0) -> list[tuple[str, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        return [(name, value)]
    if depth > 8:
        return []
    if isinstance(value, (tuple, list)):
        return [
            pair for k, item in enumerate(value) for pair in _named(f"{name}.{k}", item, depth + 1)
        ]
    if isinstance(value, dict):
        return [
            pair for key, item in value.items() for pair in _named(f"{name}.{key}", item, depth + 1)
        ]
    return []


def outputs_of(value: Any) -> list[tuple[str, torch.Tensor]]:
    """The tensors of a model's result, named by where they stand in it."""
    if hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
        value = {name: getattr(value, name, None) for name in value.__dataclass_fields__}
    return _named("output", value)
