"""Gradients in a training of several processes: read when a backward pass and its reductions are over.

When a data-parallel training accumulates a gradient it is still the process's own; the reducer replaces it
by the mean over all, and a sharded parameter's gradient is not there at all until its parts were summed and
scattered. What the process itself does to its gradients begins after that, so that is where they are read first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gradtui.torch.watching.calls import on_backward
from gradtui.torch.watching.gradients import Gradients
from gradtui.torch.watching.reading import Reading
from gradtui.torch.watching.values import measurable

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from gradtui.torch.watching.structure import Owned


def is_reduced(owned: Sequence[Owned], world: int) -> bool:
    """Whether something else than the backward pass has the last word on gradients: a reducer, or sharding."""
    return world > 1 or any(hasattr(item.tensor, "to_local") for item in owned)


class ReducedGradients(Gradients):
    """Reads all gradients at the end of each backward pass."""

    _output: Any = None

    def after_forward(self, output: object) -> None:
        """The model returned: the gradient of what it returned tells that a backward pass begins.

        Sharded parameters have no other sign of it, since no hook of theirs ever runs.
        """
        super().after_forward(output)
        self._let_go()
        self._output = on_backward(output, self._begins, self._failed)

    def accumulated(self, number: int, parameter: torch.Tensor, gradient: torch.Tensor) -> None:  # noqa: ARG002 - as inherited
        """See `Gradients`; it is read with all others."""
        self.begins()

    def forget(self) -> None:
        """See `Gradients`."""
        super().forget()
        self._let_go()

    def read(self) -> None:
        """See `Gradients`; all are read, as reducers leave them."""
        for number, item in enumerate(self.parameters.owned):
            gradient = item.tensor.grad
            values = measurable(gradient) if gradient is not None else None
            if gradient is not None and values is not None:
                reading = Reading(gradient)
                self.readings[number] = self._read(number, reading, values, full=self.full)
        self.gather()

    def _let_go(self) -> None:
        if self._output is not None:
            self._output.remove()
            self._output = None

    def _begins(self, _: object) -> None:
        if not self.active:
            return
        try:
            self.begins()
        except Exception as error:  # noqa: BLE001 - an error here would end the user's backward pass
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        self.guard.failed("backward", error)
