"""Leave a model as it was found: what a look at the gradients may touch, and how it is put back.

Gradients are taken with ``torch.autograd.grad``, which never writes ``.grad``; a forward pass in
training mode still moves running statistics and draws random numbers, and a user's module may write
its own tensors. These are put back, bit for bit; plain attributes of a module are not.
"""

from __future__ import annotations

import random
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch.nn.parameter import is_lazy

from gradtui.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

# Above this many elements parameters are not copied: a forward pass that writes its own weights is
# rare, and a copy of them may not fit.
COPIED_PARAMETERS: Final = 1 << 24


@dataclass(slots=True)
class Restored:
    """What was put back: ``buffers`` says whether the block had moved any, or changed a table; known after it."""

    buffers: bool = False


@contextmanager
def untouched(model: nn.Module) -> Iterator[Restored]:
    """Run a block and put back what it changed of ``model`` and of the random generators.

    Put back: the training mode of each submodule, its tables of parameters and buffers (what a forward
    added, replaced or took away), buffers' values, parameters' values (of models up to
    ``COPIED_PARAMETERS``), their ``requires_grad`` and ``.grad`` (None stays None), and the generators of
    torch on the CPU and on CUDA devices in use, of numpy and of ``random``.

    Raises:
        UsageError: when the shapes of the model's parameters aren't known yet (lazy modules).
    """
    if any(is_lazy(t) for t in (*model.parameters(), *model.buffers())):
        raise UsageError(
            "the model's parameters have no shape yet (lazy modules): call it once before"
        )
    tables: list[tuple[dict[str, Any], dict[str, Any]]] = [
        (table, dict(table))
        for module in model.modules()
        for table in (module._parameters, module._buffers)  # noqa: SLF001 - the tables are restored
    ]
    modes = [(module, module.training) for module in model.modules()]
    parameters = [(p, p.requires_grad, p.grad, _version(p.grad)) for p in model.parameters()]
    gradients = [None if p.grad is None else p.grad.detach().clone() for p in model.parameters()]
    small = sum(p.numel() for p in model.parameters()) <= COPIED_PARAMETERS
    values = [p.detach().clone() for p in model.parameters()] if small else []
    buffers = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
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
            for table, kept in tables:
                if list(table) != list(kept) or any(table[name] is not kept[name] for name in kept):
                    table.clear()
                    table.update(kept)
                    restored.buffers = True
            for buffer, value in buffers:
                restored.buffers |= _put_back(buffer, value)


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
    if (tensor.shape, tensor.dtype, tensor.layout) != (value.shape, value.dtype, value.layout):
        tensor.data = value
        return True
    here, kept = _parts(tensor), _parts(value)
    if any(one.shape != other.shape for one, other in zip(here, kept, strict=True)):
        tensor.data = value
        return True
    changed = False
    for one, other in zip(here, kept, strict=True):
        if not _same_bits(one, other):
            one.data.copy_(other)
            changed = True
    return changed


def _parts(tensor: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The plain tensors that hold a tensor's values: itself, or a sparse one's places and values."""
    tensor = tensor.detach()
    if tensor.layout == torch.sparse_coo:
        return (tensor._indices(), tensor._values())  # noqa: SLF001 - as they are, coalesced or not
    if tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        return (tensor.crow_indices(), tensor.col_indices(), tensor.values())
    if tensor.layout in (torch.sparse_csc, torch.sparse_bsc):
        return (tensor.ccol_indices(), tensor.row_indices(), tensor.values())
    return (tensor,)


def _same_bits(left: torch.Tensor, right: torch.Tensor) -> bool:
    # As bytes: NaN differs from itself and -0.0 does not from 0.0, where numbers are compared.
    if left.is_quantized or left.layout != torch.strided:
        return False
    return torch.equal(_bytes(left), _bytes(right))


def _bytes(tensor: torch.Tensor) -> torch.Tensor:
    plain = tensor.resolve_conj().resolve_neg().contiguous()
    return plain.reshape(-1).view(torch.uint8)


def _version(tensor: torch.Tensor | None) -> int:
    return -1 if tensor is None else int(tensor._version)  # noqa: SLF001 - torch has no public name
