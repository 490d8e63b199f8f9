"""Steps that no optimizer makes: ``p -= rate * p.grad`` by hand, or with what ``torch.autograd.grad`` returned."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any, Final

from torch.optim import Optimizer

from gradtui.core.run.records import Event
from gradtui.torch.watching.calls import on_backward

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from gradtui.torch.watching.gradients import Gradients
    from gradtui.torch.watching.parameters import Before, Parameters, Update

# So many changes of weights by others are waited for until an optimizer of them is taken to be unused.
PATIENCE: Final = 3
UNSEEN: Final = "steps are made by hand and leave nothing in .grad (torch.autograd.grad?): of parameters, no gradient is seen"


class StepsByHand:
    """Tells a step by the weights: they are others after a backward pass than they were before it.

    Where an optimizer holds the parameters, what else changes them before it steps is no step: weights are clipped,
    averaged, loaded, or moved to look at the loss around them. Unless it goes on so: then the optimizer is not used.
    """

    def __init__(
        self,
        parameters: Parameters,
        gradients: Gradients,
        sample: int,
        failed: Callable[[Exception], None],
    ) -> None:
        self._parameters, self._gradients, self._sample = parameters, gradients, sample
        self._failed = failed
        self._before: Before | None = None
        self._is_backward = False
        self._handle: Any = None
        self._is_held: bool | None = None
        self._changes = 0
        self._is_said = False

    def remember(self) -> None:
        """Remember the weights as they are, once a step."""
        if self._before is None:
            everything = range(len(self._parameters.owned))
            self._before = self._parameters.before_step(everything, self._sample, True)

    def after_forward(self, output: object) -> None:
        """The model returned: the weights are remembered, and whether a backward pass follows."""
        self.remember()
        if self._handle is None:
            self._handle = on_backward(output, self._begins, self._failed)

    def update(self) -> Update | None:
        """What changed since, with the parameters of which it is known; None where it was no step."""
        before = self._before
        made = self._gradients.were_made()
        if before is None or not (made or self._is_backward):
            return None
        known: Collection[int] = self._gradients.readings
        if not made:
            owned = enumerate(self._parameters.owned)
            known = [k for k, item in owned if item.tensor.requires_grad]
        update = self._parameters.after_step(before, known)
        if not update.is_change():
            return None
        if self._is_held is None:
            self._is_held = self._is_in_an_optimizer()
        self._changes += 1
        return None if self._is_held and self._changes < PATIENCE else update

    def notes(self) -> list[Event]:
        """What is to be said of a step that was found, once."""
        if self._is_said or self._gradients.readings:
            return []
        self._is_said = True
        return [Event("note", UNSEEN)]

    def forget(self) -> None:
        """A step is over, or made by an optimizer."""
        self._before, self._is_backward = None, False
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def _begins(self, _: object) -> None:
        self._is_backward = True

    def _is_in_an_optimizer(self) -> bool:
        """Whether there is an optimizer of these parameters, though it has not stepped yet; looked for once."""
        # By its type: a proxy that is asked for its class may raise.
        found = [thing for thing in gc.get_objects() if issubclass(type(thing), Optimizer)]
        return any(self._parameters.numbers_of(optimizer) for optimizer in found)
