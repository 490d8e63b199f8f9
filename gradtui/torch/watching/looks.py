"""When to look whether a model's parameters are others than those that are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch.optim import Optimizer

    from gradtui.torch.watching.parameters import Parameters
    from gradtui.torch.watching.structure import Owned

# How many optimizers' steps may pass before the first of ours.
FIRST_LOOKS: Final = 8
# Looks for others' parameters that found nothing, until it is looked on logged steps alone: a training that makes an
# optimizer anew at each step, for its inputs, would have the model gone through at each.
PATIENCE: Final = 8


class Looks:
    """The model may have been wrapped, sharded or filled since it was looked at, or its optimizer has new parameters."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._left, self._patience = FIRST_LOOKS, PATIENCE
        self._strangers: set[int] = set()

    def is_due(self, optimizer: Optimizer, *, is_first: bool, is_logged: bool) -> bool:
        """Whether to look before an optimizer steps, in the first step of all, or in one that is logged."""
        if is_first:
            return self._left > 0
        if not (self._patience > 0 or is_logged):
            return False
        return bool(self._parameters.strange(optimizer) - self._strangers)

    def looked(self, optimizer: Optimizer, before: Sequence[Owned]) -> None:
        """It was looked: what the optimizer steps and is not the model's is another's; ``before`` were the model's."""
        self._left -= 1
        self._patience = PATIENCE if self._parameters.owned is not before else self._patience - 1
        if self._patience > 0:
            self._strangers |= self._parameters.strange(optimizer)
