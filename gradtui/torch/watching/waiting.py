"""What waits in the graph for the gradient of a logged call's output."""

from __future__ import annotations

import weakref
from time import perf_counter
from typing import TYPE_CHECKING

from gradtui.torch.watching.calls import is_batched
from gradtui.torch.watching.uncompiled import uncompiled

if TYPE_CHECKING:
    import torch

    from gradtui.torch.watching.calls import Frame
    from gradtui.torch.watching.collected import Collected
    from gradtui.torch.watching.collecting import Collector


class Waiting:
    """The hook on an output's autograd node.

    It lives as long as the graph, which some keep with their losses: what a step found must not.
    """

    __slots__ = ("collected", "collector", "names", "number")

    def __init__(
        self, collector: Collector, collected: Collected, number: int, name: tuple[Frame, str]
    ) -> None:
        self.collector, self.collected = collector, weakref.ref(collected)
        self.number, self.names = number, [name]

    @uncompiled
    def __call__(self, gradients: tuple[torch.Tensor | None, ...]) -> None:
        """Measure; never an error, never a value."""
        collector = self.collector
        gradient = gradients[self.number if len(gradients) > self.number else 0]
        collected = self.collected()
        if gradient is None or not collector.active or collected is None or is_batched(gradient):
            return
        if collector.collected is not collected:
            return
        began = perf_counter()
        try:
            collector.output_gradient(collected, self.names, gradient)
        except Exception as error:  # noqa: BLE001 - an error here would end the user's backward pass
            self.failed(error)
        collector.clock.charge(began)

    def failed(self, error: Exception) -> None:
        """An error of ours."""
        path = self.names[0][0].site.path
        self.collector.guard.failed(f"gradient of {path or '(root)'}", error)
