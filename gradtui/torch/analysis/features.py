"""Intermediate features of any layer, on demand, from a model that is left as it was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final, overload

import torch
from torch.nn.parallel import DistributedDataParallel

from gradtui.errors import UsageError
from gradtui.torch.guard import untouched
from gradtui.torch.inputs import as_call
from gradtui.torch.outputs import first_floating, tensors_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import nn

    Hook = Callable[[nn.Module, object, object], None]

ROOT: Final = "(model)"
"""The name of the whole model, whose path is empty."""
WRAPPED: Final = "module."
"""What DistributedDataParallel puts before the paths of the model that it holds; paths are taken with it and without."""
_SEED: Final = 0
_NAMED: Final = 12


@overload
def features(
    model: nn.Module,
    inputs: object,
    layer: str,
    *,
    post: Callable[[torch.Tensor], torch.Tensor] | None = None,
    dim: int | None = None,
    training: bool = False,
) -> torch.Tensor: ...


@overload
def features(
    model: nn.Module,
    inputs: object,
    layer: tuple[str, ...] | list[str],
    *,
    post: Callable[[torch.Tensor], torch.Tensor] | None = None,
    dim: int | None = None,
    training: bool = False,
) -> dict[str, torch.Tensor]: ...


def features(
    model: nn.Module,
    inputs: object,
    layer: str | tuple[str, ...] | list[str],
    *,
    post: Callable[[torch.Tensor], torch.Tensor] | None = None,
    dim: int | None = None,
    training: bool = False,
) -> torch.Tensor | dict[str, torch.Tensor]:
    """Return what layers give for an input; the model, its modes, buffers and random state stay as they were.

    The model is called once, without gradients. A layer's features are the first tensor of real numbers
    in what it returned (an LSTM's output, not its state), else its first tensor, copied before
    anything that comes after can overwrite it.

    Shapes: those of the layers' outputs; with ``dim``, without dimension 1.

    Args:
        model: any module; of a compiled one, or one of several ranks (DistributedDataParallel), what it was made
            from is run: no rank waits for another.
        inputs: a tensor, a tuple or list of arguments, a dict of keyword arguments; or a size as a tuple or
            list of integers, for which normal random numbers are drawn from a generator of their own.
            Tensors are moved to the model's device.
        layer: a module path, for the k-th call of a module that is called more than once ``path#k``; or
            several, for a dict by name. ``(model)`` is the whole.
        post: applied to each layer's features.
        dim: which index of dimension 1 alone is wanted, after ``post``; all when None.
        training: in which mode the model runs; evaluation by default.

    Raises:
        UsageError: no module has that path, it did not run (so often) or gave no tensor, ``dim`` is no index
            of dimension 1, or parameters without a shape yet.
        Exception: whatever the model or ``post`` raises.

    Special values: NaN and infinities are handed on as they are; empty batches too.
    """
    model = _bare(model)
    names = (layer,) if isinstance(layer, str) else tuple(layer)
    wanted = {name: _found(model, name) for name in names}
    met: dict[str, torch.Tensor] = {}
    call = as_call(_of_size(inputs)).on(_device(model))
    with ExitStack() as stack:
        stack.enter_context(untouched(model))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.no_grad())
        stack.enter_context(_every_module_runs())
        for hook, module in _hooks(wanted, met):
            handle = module.register_forward_hook(hook)
            stack.callback(handle.remove)
        model.train(training)
        model(*call.args, **call.kwargs)
        for name in names:
            if name not in met:
                raise UsageError(f"{name}: did not run for this input, or returned no tensor")
        made = {name: _part(met[name] if post is None else post(met[name]), dim) for name in names}
    return made[layer] if isinstance(layer, str) else made


def _bare(model: nn.Module) -> nn.Module:
    while True:
        inner = model.module if isinstance(model, DistributedDataParallel) else model
        inner = getattr(inner, "_orig_mod", inner)
        if inner is model:
            return model
        model = inner


def _hooks(
    wanted: dict[str, tuple[nn.Module, int]], met: dict[str, torch.Tensor]
) -> Iterator[tuple[Hook, nn.Module]]:
    by_module: dict[nn.Module, dict[int, list[str]]] = {}
    for name, (module, number) in wanted.items():
        by_module.setdefault(module, {}).setdefault(number, []).append(name)
    calls: Counter[nn.Module] = Counter()

    def hook(module: nn.Module, _: object, output: object) -> None:
        number = calls[module]
        calls[module] += 1
        tensor = first_floating(output)
        if tensor is None:
            tensor = next(tensors_in(output), None)
        if tensor is not None:
            for name in by_module[module].get(number, ()):
                met[name] = tensor.detach().clone()

    for module in by_module:
        yield hook, module


def _found(model: nn.Module, name: str) -> tuple[nn.Module, int]:
    path, separator, number = name.rpartition("#")
    modules = dict(model.named_modules(remove_duplicate=False))
    # A module may be called as another's second call is.
    if name in modules or not separator or not number.isdecimal():
        path, number = name, "0"
    module = model if path == ROOT else modules.get(path, modules.get(path.removeprefix(WRAPPED)))
    if module is None:
        known = ", ".join(list(filter(None, modules))[:_NAMED]) or "none"
        raise UsageError(f"no module is called {path!r}; the model has: {known}")
    return module, int(number)


def _of_size(inputs: object) -> object:
    if (
        isinstance(inputs, Sequence)
        and inputs
        and all(isinstance(size, int) and size >= 0 for size in inputs)
    ):
        return torch.randn(*inputs, generator=torch.Generator().manual_seed(_SEED))
    return inputs


def _device(model: nn.Module) -> torch.device:
    tensor = next((t for ts in (model.parameters(), model.buffers()) for t in ts), None)
    return torch.device("cpu") if tensor is None else tensor.device


def _part(tensor: torch.Tensor, dim: int | None) -> torch.Tensor:
    if dim is None:
        return tensor
    if tensor.ndim < 2 or not -tensor.shape[1] <= dim < tensor.shape[1]:
        raise UsageError(f"dim={dim}: the features have the shape {tuple(tensor.shape)}")
    return tensor.select(1, dim)


@contextmanager
def _every_module_runs() -> Iterator[None]:
    """Encoder layers of torch take a short cut in evaluation, past the modules that they are made of."""
    switch: Any = torch.backends.mha
    was = switch.get_fastpath_enabled()
    switch.set_fastpath_enabled(False)
    try:
        yield
    finally:
        switch.set_fastpath_enabled(was)
