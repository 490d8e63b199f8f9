"""`capture`: hooks put on by hand, like breakpoints, around the user's own forward and backward pass."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from gradtui.errors import UsageError
from gradtui.folder.generation import MAX_LINK_BYTES, MAX_LINKS, AdapterWriter
from gradtui.torch.flows import Effort
from gradtui.torch.forward import output_map
from gradtui.torch.guard import untouched
from gradtui.torch.inputs import Template, as_call
from gradtui.torch.outputs import first_floating, tensors_in
from gradtui.torch.record import flow_info
from gradtui.torch.snapshot import take_snapshot
from gradtui.torch.taps import Selection, Taps
from gradtui.torch.tensors import INPUT_KEY

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy.typing as npt


def _nothing() -> npt.NDArray[Any]:
    return np.zeros((0, 0), dtype=np.float32)


@dataclass(slots=True, eq=False)
class Captured:
    """What a `capture` block has met so far.

    Attributes:
        flow_info: the root of ``flow_info.pkl`` of the last backward pass; empty before it.
        generation: the generation that was written when the block ended; 0 before.
        input: the model's first argument as a map; ``(0, 0)`` where it isn't a tensor.
        output: the model's output as a map.
        error: what went wrong while flows were computed; raised when the block ends.
    """

    flow_info: dict[str, Any] = field(default_factory=dict)
    generation: int = 0
    error: Exception | None = None
    input: npt.NDArray[Any] = field(default_factory=_nothing)
    output: npt.NDArray[Any] = field(default_factory=_nothing)


@contextmanager
def capture(
    model: torch.nn.Module,
    folder: str | os.PathLike[str] = "gradtui-debug",
    *,
    layers: Sequence[str] | None = None,
    pairs: Sequence[tuple[str, str]] | None = None,
    layouts: Mapping[str, str] | None = None,
    sample: int = 0,
    max_links: int = MAX_LINKS,
    max_seconds: float = 20.0,
) -> Iterator[Captured]:
    """Write a debug folder from one forward and backward pass of one's own.

    ``with capture(model, "gradtui-debug"): loss = criterion(model(x), y); loss.backward()``

    Flows are computed when ``backward`` returns, from the graph that it differentiated (which is kept until the
    block's end), so that an optimizer may step inside the block; the last backward pass is the one written.
    The numbers of the training are those of a run without: hooks return nothing, no random number is
    drawn, and ``.grad`` is what the user's own backward pass made it.

    Args:
        model: the module whose submodules are layers.
        folder: the debug folder or prefix.
        layers: as in `DebugAdapter`, as are all that follow.
        pairs: names of source and target of each flow.
        layouts: letters of a layer's dimensions.
        sample: which sample of a batch is shown.
        max_links: a pair with more links is written as row and column sums.
        max_seconds: the same for a pair whose flow takes longer.

    Yields:
        What was captured; complete after the block.

    Raises:
        UsageError: when ``layers`` names no module, or no backward pass of the model ran in the block.
        FileBusy: when another adapter serves the folder.
    """
    model = getattr(model, "_orig_mod", model)
    selection = Selection(tuple(layers or ()))
    effort = Effort(max_links, MAX_LINK_BYTES, max_seconds)
    found = Captured()
    with AdapterWriter(folder, torch=str(torch.__version__)) as writer, ExitStack() as stack:
        taps = Taps(model, selection, layouts or {}, sample)

        def differentiated(
            roots: Sequence[torch.Tensor], seeds: Sequence[torch.Tensor | None]
        ) -> None:
            if not taps.found or not any(root.requires_grad for root in roots):
                return
            try:
                # Checkpointed parts are run again for every product: not one of them may count.
                with untouched(model):
                    snapshot = take_snapshot(taps, roots, seeds, tuple(pairs or ()))
                    # A backward pass of something else reaches none of the layers.
                    if snapshot.taps:
                        found.flow_info = flow_info(snapshot, effort)
            except Exception as error:  # noqa: BLE001 - told at the block's end, never in the user's step
                found.error = error

        def entered(_: object, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
            # A new forward pass of the whole model: what was met before is not what comes next.
            taps.forget()
            if next(tensors_in([list(args), kwargs]), None) is not None:
                found.input = Template(as_call(kwargs or tuple(args)), sample).to_map()
                first = first_floating([list(args), kwargs])
                if first is not None and first.requires_grad:
                    taps.add_input(first)

        def left(_: object, __: object, output: object) -> None:
            found.output = output_map(output, taps, sample)

        stack.enter_context(taps)
        for handle in (
            model.register_forward_pre_hook(entered, with_kwargs=True, prepend=True),
            model.register_forward_hook(left),
        ):
            stack.callback(handle.remove)
        stack.enter_context(_backward_watched(differentiated))
        yield found
        if found.error is not None:
            raise found.error
        if not found.flow_info:
            raise UsageError("no backward pass through the model's layers ran in the capture block")
        root = dict(found.flow_info)
        if found.input.size:
            root[INPUT_KEY] = np.asarray(found.input)
        found.generation = writer.write(root, found.output)


@contextmanager
def _backward_watched(
    then: Callable[[Sequence[torch.Tensor], Sequence[torch.Tensor | None]], None],
) -> Iterator[None]:
    """Keep the graph of every ``backward`` in the block, and call ``then`` with what it differentiated."""
    original = torch.autograd.backward

    def backward(
        tensors: Any,
        grad_tensors: Any = None,
        retain_graph: bool | None = None,  # noqa: ARG001
        *args: Any,
        **kwargs: Any,
    ) -> None:
        original(tensors, grad_tensors, True, *args, **kwargs)
        roots = tensors if isinstance(tensors, (tuple, list)) else (tensors,)
        if all(isinstance(root, torch.Tensor) for root in roots):
            seeds = grad_tensors if isinstance(grad_tensors, (tuple, list)) else (grad_tensors,)
            padded = [*seeds, *[None] * (len(roots) - len(seeds))]
            then(cast("Sequence[torch.Tensor]", roots), padded)

    torch.autograd.backward = backward
    try:
        yield
    finally:
        torch.autograd.backward = original
