"""Hooks that the user set on a graph: they run in every backward pass through it, in one for a flow too.

A hook may keep state, and a batched backward pass hands it tensors that live only as long as the batch.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import torch
from torch.nn.modules import module as _global

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import nn

RAN_AGAIN: Final = "the model has backward hooks: they ran again for each flow"
NOT_MEASURED: Final = "the model has backward hooks, which must run once: flows were not measured"
_NAMES: Final = ("register_hook", "retain_grad")


@dataclass(slots=True)
class HooksSeen:
    """Whether a tensor of a graph was given a hook."""

    seen: bool = False


@contextmanager
def hooks_watched() -> Iterator[HooksSeen]:
    """Notice ``Tensor.register_hook`` and ``retain_grad`` in a block, whoever calls them.

    Parameters' own hooks don't count: no flow is asked of a parameter. A hook that is put on a node of the
    graph itself (``grad_fn.register_hook``) leaves no trace that could be seen.
    """
    found = HooksSeen()
    own = {name: vars(torch.Tensor).get(name) for name in _NAMES}
    for name in _NAMES:
        setattr(torch.Tensor, name, _noticed(getattr(torch.Tensor, name), found))
    try:
        yield found
    finally:
        for name, function in own.items():
            if function is None:
                delattr(torch.Tensor, name)
            else:
                setattr(torch.Tensor, name, function)


def _noticed(original: Callable[..., Any], found: HooksSeen) -> Callable[..., Any]:
    def method(tensor: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        found.seen |= not isinstance(tensor, torch.nn.Parameter)
        return original(tensor, *args, **kwargs)

    return method


def has_module_hooks(model: nn.Module) -> bool:
    """Whether a module of the model, or every module, has a backward hook."""
    if _global._global_backward_hooks or _global._global_backward_pre_hooks:  # noqa: SLF001
        return True
    return any(
        module._backward_hooks or module._backward_pre_hooks  # noqa: SLF001
        for module in model.modules()
    )


def has_hooks(tensor: torch.Tensor) -> bool:
    """Whether a tensor carries a hook, or keeps its gradient, which a hook of torch's does."""
    return bool(tensor._backward_hooks) or tensor.retains_grad  # noqa: SLF001 - no public name
