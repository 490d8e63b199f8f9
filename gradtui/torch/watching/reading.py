"""What a gradient was when it was read, and whether it still is."""

from __future__ import annotations

import math
import weakref
from typing import TYPE_CHECKING, Final

import numpy as np

from gradtui.torch.watching.late import Later, number_of
from gradtui.torch.watching.sampling import sample_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from gradtui.torch.watching.late import LateStats
    from gradtui.torch.watching.sampling import Floats
    from gradtui.torch.watching.values import Meter, Stats

CLOSE: Final = 1e-5
"""How far a recorded norm may be from what it is by hand, relative to it."""


def nobody() -> None:
    """The reference of a used gradient: who swaps tensors in a training demands that none is referred to weakly."""


class Reading:
    """One gradient as it is at one moment; what it is, is filled in."""

    __slots__ = ("inf", "nan", "norm", "part", "reference", "stats", "version")

    def __init__(self, gradient: torch.Tensor) -> None:
        self.reference: Callable[[], torch.Tensor | None] = weakref.ref(gradient)
        self.version = int(gradient._version)  # noqa: SLF001 - the only way to know that it was overwritten
        self.norm: Later = math.nan
        self.nan: Later = 0
        self.inf: Later = 0
        self.stats: Stats | LateStats | None = None
        self.part: Floats | torch.Tensor | None = None

    @property
    def is_current(self) -> bool:
        """Whether there is a gradient still of which this is true."""
        gradient = self.reference()
        return self.is_used or (gradient is not None and self.holds(gradient))

    @property
    def is_used(self) -> bool:
        """Whether an optimizer had it: then nobody asks any more whether it still is what it was."""
        return self.reference is nobody

    def holds(self, gradient: torch.Tensor) -> bool:
        """Whether this is what a gradient still is."""
        return self.reference() is gradient and self.version == gradient._version  # noqa: SLF001

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
