"""Run a model once under the guard and take a snapshot of it."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from gradtui.torch.guard import untouched
from gradtui.torch.hooks import has_module_hooks, hooks_watched
from gradtui.torch.layout import layout_of
from gradtui.torch.outputs import first_floating, sum_of_outputs
from gradtui.torch.record import to_numpy
from gradtui.torch.selection import Selection
from gradtui.torch.snapshot import Snapshot, take_snapshot
from gradtui.torch.taps import Taps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy.typing as npt
    from torch import nn

    from gradtui.torch.inputs import Call


@dataclass(frozen=True, slots=True)
class Plan:
    """What to capture of a forward pass; see `DebugAdapter` for each."""

    selection: Selection = field(default_factory=Selection)
    pairs: tuple[tuple[str, str], ...] = ()
    layouts: Mapping[str, str] | None = None
    sample: int = 0
    loss: Callable[[Any], torch.Tensor] | None = None
    target: Callable[[Any], npt.NDArray[Any]] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Pass:
    """A forward pass that was differentiated.

    Attributes:
        snapshot: its layers, with the graph alive.
        target: the model's output as a map, ``[H, W]``.
        lasting: whether the graph may be asked later too, when the model was put back as it was.
    """

    snapshot: Snapshot
    target: npt.NDArray[Any]
    lasting: bool = True


def run_once(
    model: nn.Module,
    call: Call,
    plan: Plan,
    *,
    use: Callable[[Pass], None],
    twice: bool = False,
) -> Pass:
    """Call a model, differentiate its loss, and leave everything as it was.

    Args:
        model: any module; a compiled one is run as what it was made from, since its hooks never fire.
        call: its arguments.
        plan: what to capture.
        use: given the pass before the model is put back.
        twice: use kernels that can be differentiated twice (plain attention, torch's own LSTM).

    Returns:
        The same pass.

    Raises:
        Exception: whatever the model, the loss or ``use`` raises.
    """
    model = getattr(model, "_orig_mod", model)
    with ExitStack() as stack:
        restored = stack.enter_context(untouched(model))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(_checkpoints_kept_open())
        if twice:
            stack.enter_context(twice_differentiable())
        call = call.tracked()
        if not call.edited.requires_grad:
            # Ids carry no gradient: it starts at the parameters, frozen or not.
            for parameter in model.parameters():
                if parameter.is_floating_point():
                    parameter.requires_grad_()
        watch = stack.enter_context(hooks_watched())
        with Taps(model, plan.selection, plan.layouts or {}, plan.sample) as taps:
            if call.edited.requires_grad:
                taps.add_input(call.edited)
            output = model(*call.args, **call.kwargs)
        loss = sum_of_outputs(output) if plan.loss is None else plan.loss(output)
        if loss.numel() != 1:
            loss = loss.sum()
        taps.hooked |= watch.seen or has_module_hooks(model)
        snapshot = take_snapshot(taps, [loss], [None], plan.pairs)
        target = plan.target(output) if plan.target else output_map(output, taps, plan.sample)
        use(Pass(snapshot, target))
    return Pass(snapshot, target, lasting=not restored.buffers)


def output_map(output: object, taps: Taps, sample: int) -> npt.NDArray[Any]:
    """The model's output as a map, by the rule for layers; ``[0, 0]`` where it holds no real number."""
    tensor = first_floating(output)
    if tensor is None:
        return np.zeros((0, 0), dtype=np.float32)
    layout = layout_of(None, tuple(tensor.shape), sample, taps.letters)
    values = tensor.detach().reshape(-1)[layout.indices().to(tensor.device)]
    return to_numpy(values.sum(0).reshape(layout.map_shape))


@contextmanager
def twice_differentiable() -> Iterator[None]:
    """Kernels with a second derivative: attention by its definition, recurrent layers without a vendor's library."""
    # The public switch of oneDNN also sets flags of GPUs that are not there, and warns of them.
    switch = torch._C._set_mkldnn_enabled  # noqa: SLF001
    was = torch._C._get_mkldnn_enabled()  # noqa: SLF001
    switch(False)
    try:
        with sdpa_kernel(SDPBackend.MATH), torch.backends.cudnn.flags(enabled=False):
            yield
    finally:
        switch(was)


@contextmanager
def _checkpoints_kept_open() -> Iterator[None]:
    """Run reentrant checkpoints plainly: their graph can't be asked for gradients of activations."""
    from torch.utils import checkpoint

    kept = checkpoint.CheckpointFunction
    checkpoint.CheckpointFunction = _Plain  # type: ignore[misc, assignment]
    try:
        yield
    finally:
        checkpoint.CheckpointFunction = kept  # type: ignore[misc]


class _Plain:
    """Stands in for torch's reentrant checkpoint: calls the function and records its graph."""

    @staticmethod
    def apply(function: Callable[..., object], _: bool, *arguments: object) -> object:
        return function(*arguments)
