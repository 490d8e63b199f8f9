"""What a forward pass of the model is: the training's, an evaluation's, or neither."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

if TYPE_CHECKING:
    from torch import nn

TRAIN: Final = 0
EVAL: Final = 1
IGNORED: Final = 2
"""What a forward pass is to the watcher: a training's, an evaluation's, or neither (no gradient in train mode)."""


class Passes:
    """Tells a training's forward passes from those of an evaluation.

    A model in evaluation mode may be trained, too: fine-tuning without dropout, with normalisation that stays as it
    is. No forward pass tells that from an evaluation which forgets ``no_grad``. What tells is a step with no other
    forward pass before it: from then on such passes are the training's, until one in training mode is.
    """

    def __init__(self) -> None:
        self._trains_in_eval = False
        self._met = {TRAIN: False, EVAL: False}

    def kind_of(self, module: nn.Module) -> int:
        """What the pass is that begins, of the whole model."""
        with_gradients = torch.is_grad_enabled()
        if module.training:
            if not with_gradients:
                return IGNORED
            self._trains_in_eval = False
            self._met[TRAIN] = True
            return TRAIN
        if with_gradients and self._trains_in_eval:
            return TRAIN
        self._met[EVAL] = self._met[EVAL] or with_gradients
        return EVAL

    def kind_of_part(self, model: nn.Module, part: nn.Module) -> int:
        """What the pass is, of a part of the model that is called by itself."""
        if not torch.is_grad_enabled():
            return IGNORED
        if model.training or part.training:
            self._met[TRAIN] = True
            return TRAIN
        if self._trains_in_eval:
            return TRAIN
        self._met[EVAL] = True
        return IGNORED

    def stepped(self) -> None:
        """The passes since the last call were followed by a step."""
        if self._met[EVAL] and not self._met[TRAIN]:
            self._trains_in_eval = True
        self._met = {TRAIN: False, EVAL: False}
