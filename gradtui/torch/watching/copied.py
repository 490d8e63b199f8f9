"""What a copy of a model has in the place of a handle that the model refers to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch.optim import Optimizer
    from typing_extensions import Self


class CopiedHandle:
    """A copy or a pickle of a handle: all can be asked of it that can be asked of a closed one, and nothing is recorded.

    Attributes:
        step: no step was counted.
        active: nothing is recorded.
        optimizer: nothing is looked at, whatever is given.
        folder: there is none.
        problems: there are none.
    """

    def __init__(self) -> None:
        self.step, self.active, self.folder = 0, False, ""
        self.optimizer: Optimizer | Sequence[Optimizer] | None = ()
        self.problems: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """As leaving a closed handle's block."""

    def log(self, **scalars: Any) -> None:
        """Take numbers, and record none."""

    def epoch(self, number: int | None = None) -> None:
        """Take the number of an epoch."""

    def flush(self, timeout: float = 0.0) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """It is closed."""
