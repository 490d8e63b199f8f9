"""Models with lazy modules, whose parameters have no shape before the first forward pass."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from gradtui.torch.guard import generators_kept
from gradtui.torch.tracing.stages import on_meta

if TYPE_CHECKING:
    from gradtui.torch.tracing.arguments import Arguments


def is_unshaped(model: nn.Module) -> bool:
    """Whether some parameter or buffer has no shape yet."""
    return any(is_lazy(tensor) for tensor in (*model.parameters(), *model.buffers()))


def with_shapes(model: nn.Module, arguments: Arguments) -> nn.Module:
    """A copy on the meta device whose lazy modules a forward pass gave their shapes; the model itself stays lazy.

    Lazy modules that the pass does not come to have no shapes in the copy either.
    """
    tensors = {id(t): t for t in (*model.parameters(), *model.buffers())}
    # Tensors with data are not copied but stood in for: a model with one lazy head may be large.
    shaped = copy.deepcopy(model, {key: _pretended(tensor) for key, tensor in tensors.items()})
    given = arguments.mapped(on_meta)
    try:
        with generators_kept(), torch.no_grad(), torch.device("meta"):
            shaped(*given.positional, **given.keywords)
    except Exception:  # noqa: BLE001, S110 - the trace that follows tells of it
        pass
    return shaped


def _pretended(tensor: torch.Tensor) -> torch.Tensor:
    if is_lazy(tensor):
        parameter = isinstance(tensor, nn.Parameter)
        make: Any = nn.UninitializedParameter if parameter else nn.UninitializedBuffer
        made: torch.Tensor = make(
            requires_grad=tensor.requires_grad, device="meta", dtype=tensor.dtype
        )
        return made
    made = on_meta(tensor)
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(made, requires_grad=tensor.requires_grad)
    return made
