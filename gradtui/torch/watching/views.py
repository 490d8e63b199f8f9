"""Outputs that are views: what is written to their memory later takes their node out of the graph.

An output of `nn.Linear` of three dimensions is a view, and so is one of `nn.Flatten`. An operation in place on it
hangs the graph on to the tensor that owns the memory, as that was before: what would have been the view's gradient is a
region of that tensor's.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from gradtui.torch.watching.uncompiled import uncompiled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """Where a view lies in the tensor that owns its memory.

    Attributes:
        node: of the owner, as it was when the region was looked for; ``number`` is which of its outputs it is.
    """

    node: Any
    number: int
    owner_shape: tuple[int, ...]
    owner_stride: tuple[int, ...]
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int

    def of(self, gradient: torch.Tensor) -> torch.Tensor | None:
        """The view's part of the owner's gradient; None of one that is not dense."""
        gradient = gradient.detach()
        if gradient.layout is not torch.strided or tuple(gradient.shape) != self.owner_shape:
            return None
        if gradient.stride() != self.owner_stride:
            laid_out = torch.empty_strided(
                self.owner_shape, self.owner_stride, dtype=gradient.dtype, device=gradient.device
            )
            gradient = laid_out.copy_(gradient)
        return gradient.as_strided(self.shape, self.stride, gradient.storage_offset() + self.offset)


def is_lost(tensor: torch.Tensor) -> bool:
    """Whether torch refuses to tell of a view's place in the graph: its memory was written to in a way that it cannot follow."""
    try:
        _ = tensor.grad_fn
    except RuntimeError:
        return True
    return False


def node_of(tensor: torch.Tensor) -> Any:
    """The node of the graph that made a tensor; None without one, and of a view that is lost."""
    return None if is_lost(tensor) else tensor.grad_fn


def version_of(tensor: torch.Tensor) -> int:
    """How often a tensor was written to; -1 where torch does not count (inference mode)."""
    return -1 if tensor.is_inference() else int(tensor._version)  # noqa: SLF001 - the only way to know


def reference_to(tensor: torch.Tensor) -> Callable[[], torch.Tensor | None]:
    """A weak reference to a tensor; to a parameter, which lives anyway, a strong one: torch swaps none that has a weak one."""
    if isinstance(tensor, torch.nn.Parameter):
        return lambda: tensor
    return weakref.ref(tensor)


def region_of(tensor: torch.Tensor) -> Region | None:
    """The region of a view; None of a tensor that owns its memory, or is of a kind of its own."""
    owner = tensor._base  # noqa: SLF001 - the only way to know
    node = node_of(owner) if owner is not None else None
    if owner is None or node is None or type(tensor) is not torch.Tensor:
        return None
    return Region(
        node,
        owner.output_nr,
        tuple(owner.shape),
        owner.stride(),
        tuple(tensor.shape),
        tensor.stride(),
        int(tensor.storage_offset() - owner.storage_offset()),
    )


class Written:
    """A hook on the owner's node: tells a view's gradient where its memory was written to since."""

    __slots__ = ("failed", "hook", "region", "trace", "version")

    def __init__(
        self,
        tensor: torch.Tensor,
        region: Region,
        hook: Callable[[tuple[torch.Tensor]], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self.region, self.hook, self.failed = region, hook, failed
        # It counts with the tensor how often that is written to, and has nothing of its memory.
        self.trace = tensor.detach()
        self.trace.data = tensor.new_empty(0)
        self.version = self.trace._version  # noqa: SLF001 - as above

    @uncompiled
    def __call__(self, gradients: Sequence[torch.Tensor | None]) -> None:
        """Tell it; never an error, never a value."""
        if self.trace._version == self.version:  # noqa: SLF001 - as above
            return
        try:
            gradient = gradients[self.region.number]
            part = self.region.of(gradient) if gradient is not None else None
            if part is not None:
                self.hook((part,))
        except Exception as error:  # noqa: BLE001 - an error here would end the user's backward pass
            self.failed(error)
