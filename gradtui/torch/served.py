"""What the served loop needs of an adapter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from gradtui.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt
    from torch import nn

    from gradtui.folder.generation import AdapterWriter
    from gradtui.folder.inputs import InputRead
    from gradtui.folder.location import DebugFolder
    from gradtui.folder.stamp import Stamp
    from gradtui.torch.forward import Pass, Plan
    from gradtui.torch.inputs import Call


class NoInput(UsageError):
    """Neither the folder nor the adapter has an input yet."""


class Served(Protocol):
    """A model joined to a folder; `DebugAdapter` says what each part does."""

    model: nn.Module
    folder: DebugFolder
    plan: Plan
    left_alone: str

    def call_for(self, array: npt.NDArray[Any]) -> Call:
        """The model's arguments for an input array."""
        ...

    def writer(self) -> AdapterWriter:
        """Claim the folder."""
        ...

    def read_folder(self, last: InputRead | None = ..., own: Stamp = ...) -> InputRead:
        """The input to compute from now."""
        ...

    def draw(self) -> None:
        """Write the model's architecture, once."""
        ...

    def generate(
        self,
        writer: AdapterWriter,
        read: InputRead,
        *,
        progress: Callable[[float], None] | None = ...,
    ) -> tuple[int, Pass]:
        """Compute and write one generation."""
        ...
