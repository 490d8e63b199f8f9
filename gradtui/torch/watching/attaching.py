"""`attach`: log any tensor inside a forward pass, as if it were a module's output."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from gradtui.torch.elsewhere import is_elsewhere
from gradtui.torch.watching.handle import live_handles

if TYPE_CHECKING:
    from typing import TypeVar

    from torch import nn

    Value = TypeVar("Value")


def attach(tensor: Value, parent: nn.Module, name: str) -> Value:
    """Log a tensor under ``name`` of the module whose ``forward`` it is in, and return it as it is.

    The model's ``named_modules()`` and ``state_dict()`` stay what they are. Without a watcher nothing happens.

    Args:
        tensor: what to log: its values, and the gradient that comes back to it.
        parent: the module in whose ``forward`` this is; usually ``self``.
        name: what to call it; it is listed as ``parent.name``, and ``watch(keep=...)`` keeps it whole under that name.
    """
    if is_elsewhere() or not isinstance(tensor, torch.Tensor):
        return tensor
    for handle in live_handles():
        handle.attached(tensor, parent, name)
    return tensor
