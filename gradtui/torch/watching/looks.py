"""When to look whether a model's parameters are others than those that are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from gradtui.torch.watching.parameters import Parameters

# How many optimizers' steps may pass before the first of ours.
FIRST_LOOKS: Final = 8


class Looks:
    """The model may have been wrapped, sharded or filled since it was looked at, or its optimizer has new parameters."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._left = FIRST_LOOKS
        self._strangers: set[int] = set()

    def is_due(self, optimizer: Optimizer, *, is_first: bool) -> bool:
        """Whether to look before an optimizer steps; ``is_first``: in the first step of all."""
        is_new = bool(self._parameters.strange(optimizer) - self._strangers)
        return self._left > 0 if is_first else is_new

    def looked(self, optimizer: Optimizer) -> None:
        """It was looked: what the optimizer steps and is not the model's is another's."""
        self._left -= 1
        self._strangers |= self._parameters.strange(optimizer)
