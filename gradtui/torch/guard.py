"""Leave a model as it was found: what a look at the gradients may touch, and how it is put back.

Gradients are taken with ``torch.autograd.grad``, which never writes ``.grad``; a forward pass in
training mode still moves running statistics and draws random numbers, and a user's module may do
anything. All of it is put back, bit for bit.
"""

from __future__ import annotations

import random
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

# Above this many elements parameters are not copied: a forward pass that writes its own weights is
# rare, and a copy of them may not fit.
COPIED_PARAMETERS: Final = 1 << 24


@dataclass(slots=True)
class Restored:
    """What was put back: ``buffers`` says whether the forward pass had moved any; known after the block."""

    buffers: bool = False


@contextmanager
def untouched(model: nn.Module) -> Iterator[Restored]:
    """Run a block and put back what it changed of ``model`` and of the random generators.

    Put back: the training mode of each submodule, buffers (values, and the tensors themselves where
    a forward replaced them), parameters' values (of models up to ``COPIED_PARAMETERS``), their
    ``requires_grad`` and ``.grad`` (None stays None), and the generators of torch on the CPU and on
    CUDA devices in use, of numpy and of ``random``.
    """
    modes = [(module, module.training) for module in model.modules()]
    parameters = [(p, p.requires_grad, p.grad, _version(p.grad)) for p in model.parameters()]
    gradients = [None if p.grad is None else p.grad.detach().clone() for p in model.parameters()]
    small = sum(p.numel() for p in model.parameters()) <= COPIED_PARAMETERS
    values = [p.detach().clone() for p in model.parameters()] if small else []
    registered = [
        (module, name, tensor)
        for module in model.modules()
        for name, tensor in module._buffers.items()  # noqa: SLF001 - the table itself is restored
    ]
    copies = [None if t is None else t.detach().clone() for _, _, t in registered]
    restored = Restored()
    with generators_kept():
        try:
            yield restored
        finally:
            for module, mode in modes:
                module.training = mode
            for (parameter, required, gradient, version), copy in zip(
                parameters, gradients, strict=True
            ):
                if parameter.requires_grad != required:
                    parameter.requires_grad_(required)
                if gradient is not None and copy is not None and _version(gradient) != version:
                    gradient.data.copy_(copy)
                if parameter.grad is not gradient:
                    parameter.grad = gradient
            for (parameter, *_), value in zip(parameters, values, strict=False):
                _put_back(parameter, value)
            for (module, name, tensor), buffer in zip(registered, copies, strict=True):
                if module._buffers.get(name) is not tensor:  # noqa: SLF001
                    module._buffers[name] = tensor  # noqa: SLF001
                    restored.buffers = True
                if tensor is not None and buffer is not None:
                    restored.buffers |= _put_back(tensor, buffer)


@contextmanager
def generators_kept() -> Iterator[None]:
    """Run a block and put back every random generator that it may have drawn from."""
    python, legacy, cpu = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)  # noqa: NPY002
        torch.set_rng_state(cpu)
        if cuda:
            torch.cuda.set_rng_state_all(cuda)


def _put_back(tensor: torch.Tensor, value: torch.Tensor) -> bool:
    # Through .data: a saved tensor's version must not move, or a later look at the graph is refused.
    if tensor.shape != value.shape or tensor.dtype != value.dtype:
        tensor.data = value
    elif not _same_bits(tensor.detach(), value):
        tensor.data.copy_(value)
    else:
        return False
    return True


def _same_bits(left: torch.Tensor, right: torch.Tensor) -> bool:
    if torch.equal(left, right):
        return True
    # NaN differs from itself and is still the same value here.
    return left.is_floating_point() and bool(
        torch.equal(left.isnan(), right.isnan())
        and torch.equal(left.nan_to_num(), right.nan_to_num())
    )


def _version(tensor: torch.Tensor | None) -> int:
    return -1 if tensor is None else int(tensor._version)  # noqa: SLF001 - torch has no public name
