"""Which values of a tensor a sample takes: a fixed stride, so that no random number is drawn.

A watched run must draw the same random numbers as a bare one; and the same places at every step let a
change between two steps be told from the sample alone.
"""

from __future__ import annotations

from functools import lru_cache
from math import gcd
from typing import TYPE_CHECKING, TypeAlias

import torch

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats: TypeAlias = npt.NDArray[np.float32]


@lru_cache(maxsize=4096)
def stride(count: int, sample: int) -> int:
    """The stride that takes at most ``sample`` of ``count`` values; 1 takes all.

    It has no factor in common with the count, hence none with any dimension: a stride of whole rows
    would see a single column.
    """
    step = max(-(-count // sample), 1)
    if step == 1:
        return 1
    while gcd(step, count) != 1:
        step += 1
    return step


def flat(tensor: torch.Tensor) -> torch.Tensor:
    """All values as one dimension, in the order of memory where that saves a copy (channels last)."""
    if tensor.is_contiguous():
        return tensor.view(-1)
    order = sorted(range(tensor.dim()), key=tensor.stride, reverse=True)
    turned = tensor.permute(order)
    return turned.view(-1) if turned.is_contiguous() else tensor.reshape(-1)


def sampled(tensor: torch.Tensor, sample: int) -> torch.Tensor:
    """A strided sample of a tensor's values, at most ``sample`` of them, ``[k]``; a view where it can be."""
    values = flat(tensor)
    step = stride(values.numel(), sample)
    return values if step == 1 else values[::step]


def sample_of(tensor: torch.Tensor, sample: int) -> Floats:
    """A copy of a strided sample of a tensor on the CPU, see `sampled`, float32 ``[k]``."""
    part = sampled(tensor, sample)
    values: Floats = part.float().numpy()
    return values.copy() if part.dtype == torch.float32 else values
