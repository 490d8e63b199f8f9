"""The hook by which a parameter tells that a backward pass has added to its gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradtui.torch.watching.backward import put_first
from gradtui.torch.watching.uncompiled import uncompiled

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from gradtui.torch.watching.gradients import Gradients


class Accumulated:
    """The hook of one parameter; a copy or a pickle of the parameter goes without."""

    __slots__ = ("gradients", "number", "remove")

    def __init__(self, gradients: Gradients, number: int, tensor: torch.Tensor) -> None:
        self.gradients, self.number = gradients, number
        handle = tensor.register_post_accumulate_grad_hook(self)  # type: ignore[no-untyped-call]
        self.remove: Callable[[], None] = handle.remove
        put_first(tensor, handle)

    @uncompiled
    def __call__(self, parameter: torch.Tensor) -> None:
        """Tell of it; never an error."""
        gradients = self.gradients
        if not gradients.active or parameter.grad is None:
            return
        try:
            gradients.accumulated(self.number, parameter, parameter.grad)
        except Exception as error:  # noqa: BLE001 - an error here would end the user's backward pass
            gradients.guard.failed("gradient of a parameter", error)
