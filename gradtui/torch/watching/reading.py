"""What a gradient was when it was read, and whether it still is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch.multiprocessing.reductions import StorageWeakRef

from gradtui.torch.watching.late import Later, number_of
from gradtui.torch.watching.sampling import sample_of

if TYPE_CHECKING:
    from gradtui.torch.watching.late import LateStats
    from gradtui.torch.watching.sampling import Floats
    from gradtui.torch.watching.values import Meter, Stats

CLOSE: Final = 1e-5
"""How far a recorded norm may be from what it is by hand, relative to it."""


class Reading:
    """One gradient as it is at one moment; what it is, is filled in.

    Nothing refers to the gradient: strongly would keep its memory, and torch refuses to swap a tensor (as ``model.double()``
    may) that is referred to weakly. Its ``id`` tells it for as long as it lives, since torch keeps the Python object of a
    tensor. One that is made after it was freed may have its ``id``, its version, and its address in memory, too: that is
    seen by its storage, to which a weak reference does no harm. Of what has none of its own (sparse gradients, subclasses, in
    a compiled backward pass) such a one is seen if its sample or its norm is another, where those are looked at.

    Attributes:
        is_used: whether an optimizer had it: then it matters no more whether it still is what it was.
    """

    __slots__ = (
        "address", "ident", "inf", "is_used", "nan", "norm", "part", "stats", "storage", "version",
    )  # fmt: skip

    def __init__(self, gradient: torch.Tensor, is_compiled: bool = False) -> None:
        self.ident = id(gradient)
        self.version = int(gradient._version)  # noqa: SLF001 - the only way to know that it was overwritten
        # What torch compiles, this code with it, must not meet a storage.
        self.address = None if is_compiled else _address(gradient)
        self.storage: StorageWeakRef | None = None
        if self.address is not None:
            self.storage = StorageWeakRef(gradient.untyped_storage())  # type: ignore[no-untyped-call]
        self.is_used = False
        self.norm: Later = math.nan
        self.nan: Later = 0
        self.inf: Later = 0
        self.stats: Stats | LateStats | None = None
        self.part: Floats | torch.Tensor | None = None

    def holds(self, gradient: torch.Tensor | None) -> bool:
        """Whether this is what a parameter's gradient still is; None where it has none."""
        return (
            self.ident == id(gradient)
            and gradient is not None
            and self.version == gradient._version  # noqa: SLF001 - as above
            and (
                self.storage is None
                or (self.address == _address(gradient) and not self.storage.expired())  # type: ignore[no-untyped-call]
            )
        )

    # Writes through ``.data`` change no version: of those the values tell, dense, real and on the CPU.

    def has_sample_of(self, values: torch.Tensor, sample: int) -> bool:
        """Whether a sample of a gradient's values is, bit for bit, what was kept of it, if anything was."""
        part = self.part
        if not isinstance(part, np.ndarray):
            return True
        # By their bits: NaN is like NaN here.
        return np.array_equal(part.view(np.int32), sample_of(values, sample).view(np.int32))

    def has_norm_of(self, values: torch.Tensor, meter: Meter) -> bool:
        """Whether |‖g‖ − ‖g read‖| ≤ `CLOSE` · ‖g read‖, over the finite values, and as many are not finite.

        Of any change of any value that is seen which moves the norm by more; not one that leaves it (``neg_()``).
        """
        norm, nan, inf = meter.norm(values)
        was = (number_of(self.norm), number_of(self.nan), number_of(self.inf))
        return was[1:] == (nan, inf) and abs(norm - was[0]) <= CLOSE * was[0]


def _address(gradient: torch.Tensor) -> int | None:
    """Where a gradient's values lie; None where they are not in a storage of its own."""
    if type(gradient) is not torch.Tensor or gradient.layout is not torch.strided:
        return None
    return gradient.data_ptr()
