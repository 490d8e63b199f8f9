"""The gradients that a step used and the parameters that it changed, as numbers of its job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradtui.torch.watching.late import inverse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch.optim import Optimizer

    from gradtui.torch.watching.collecting import Collector
    from gradtui.torch.watching.gradients import Gradients
    from gradtui.torch.watching.job import Job
    from gradtui.torch.watching.keeping import Keeping
    from gradtui.torch.watching.late import Late, Later
    from gradtui.torch.watching.parameters import Parameters


class Used:
    """Reads what a step uses, when it does.

    Attributes:
        values_read: whether the parameters themselves were read in this step.
    """

    def __init__(
        self,
        parameters: Parameters,
        gradients: Gradients,
        collector: Collector,
        keeping: Keeping,
        late: Late,
    ) -> None:
        self._parameters, self._gradients = parameters, gradients
        self._collector, self._keeping, self._late = collector, keeping, late
        self.values_read = False

    def by_optimizer(self, job: Job, optimizer: Optimizer, numbers: Sequence[int]) -> None:
        """What an optimizer uses of these parameters."""
        scale = getattr(optimizer, "grad_scale", None)
        raw_factor = self._collector.factor()
        # An optimizer that is given the scale divides by it itself.
        factor = inverse(self._late.scalar(scale)) if scale is not None else 1.0
        found: dict[int, Later] = {}
        raw = self._gradients.before_step(numbers, found, factor, raw_factor)
        job.gradients.update(found)
        job.norms += self._parameters.norms_in(found, "gradient")
        if raw:
            job.raw_norms += self._parameters.norms_in(found, "raw gradient")
        self._log(factor)

    def by_hand(self, job: Job) -> None:
        """The gradients as the backward pass left them, where no optimizer is there to use them."""
        found: dict[int, Later] = {}
        factor = self._collector.factor()
        self._gradients.as_accumulated(found, factor, "gradient")
        job.gradients.update(found)
        job.norms = self._parameters.norms_in(found, "gradient")
        self._log(factor)

    def by_nobody(self, job: Job, factor: Later) -> None:
        """The gradients of a step that a scaler skipped: ``factor`` makes them those of the loss."""
        found: dict[int, Later] = {}
        self._gradients.as_accumulated(found, factor, "raw gradient")
        job.gradients.update(found)
        job.raw_norms = self._parameters.norms_in(found, "raw gradient")

    def _log(self, factor: Later) -> None:
        collected = self._collector.collected
        if collected is None:
            return
        logged = self._collector.settings.log
        if "params_grad" in logged:
            self._gradients.log(collected, factor)
        if "params" in logged and not self.values_read:
            self.values_read = True
            self._parameters.log_values(collected)
            self._keeping.take_parameters()
