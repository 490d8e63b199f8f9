"""Forward passes of an evaluation, in the midst of a training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradtui.torch.watching.passes import EVAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradtui.torch.watching.collected import Collected
    from gradtui.torch.watching.collecting import Collector


class Evaluation:
    """Has one pass recorded whenever ``log_freq`` steps went by since the last that was.

    What is collected of the training meanwhile is put aside.
    """

    def __init__(self, collector: Collector, new: Callable[[], Collected]) -> None:
        self._collector, self._new = collector, new
        self._recorded: int | None = None
        self._aside: Collected | None = None

    def begin(self, step: int) -> None:
        """A pass begins, in this step."""
        collector, settings = self._collector, self._collector.settings
        self._aside, collector.collected = collector.collected, None
        collector.tokens[EVAL] += 1
        is_due = self._recorded is None or step - self._recorded >= settings.log_freq
        if is_due and "io" in settings.log:
            self._recorded = step
            collector.collected = self._new()

    def end(self) -> Collected | None:
        """The pass is over; what it gave, if it was recorded."""
        found, self._collector.collected = self._collector.collected, self._aside
        self._aside = None
        return found
