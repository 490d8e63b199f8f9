"""`capture`: hooks put on by hand, like breakpoints, around the user's own forward and backward pass."""

from __future__ import annotations

import weakref
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import torch

from gradtui.errors import UsageError
from gradtui.folder.generation import MAX_LINK_BYTES, MAX_LINKS, AdapterWriter
from gradtui.torch.flows import Effort
from gradtui.torch.forward import output_map
from gradtui.torch.guard import untouched
from gradtui.torch.hooks import has_hooks, has_module_hooks, hooks_watched
from gradtui.torch.inputs import Call, Template, editable
from gradtui.torch.layout import check_sample
from gradtui.torch.outputs import first_floating, tensors_in
from gradtui.torch.record import flow_info
from gradtui.torch.selection import Selection
from gradtui.torch.snapshot import take_snapshot
from gradtui.torch.taps import Taps
from gradtui.torch.tensors import INPUT_KEY, foreign_keys

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    _Roots = Sequence[torch.Tensor]
    _Seeds = Sequence[torch.Tensor | None]
    _Known = dict[tuple[object, int], torch.Tensor]

# torch's own words: the graph that is kept here is one that the user did not ask to keep.
SECOND_TIME: Final = (
    "Trying to backward through the graph a second time (or directly access saved tensors after they "
    "have already been freed). Saved intermediate values of the graph are freed when you call "
    ".backward() or autograd.grad(). Specify retain_graph=True if you need to backward through the "
    "graph a second time or if you need to access saved tensors after calling backward."
)


def _nothing() -> npt.NDArray[Any]:
    return np.zeros((0, 0), dtype=np.float32)


@dataclass(slots=True, eq=False)
class Captured:
    """What a `capture` block has met so far.

    Attributes:
        flow_info: the root of ``flow_info.pkl`` of the last backward pass; empty before it.
        generation: the generation that was written when the block ended; 0 before.
        input: the first tensor of real numbers among the model's arguments as a map; ``(0, 0)`` without any.
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
    model's next forward pass, and as long as its loss), so that an optimizer may step inside the block; the last
    backward pass is the one written.
    The numbers of the training are those of a run without: hooks return nothing, no random number is
    drawn, ``.grad`` is what the user's own backward pass made it, and a second backward pass through a graph that
    was not to be kept is refused in torch's own words, as far as it starts from the same tensor.

    Where the user's own backward hooks are on the graph (of modules or of tensors, ``retain_grad`` too), flows are
    not measured, since each would run these hooks again: gradients alone are written, as they went by in
    the user's backward pass, and a note says so. Only hooks on a ``grad_fn`` itself can't be seen; they run again.

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
        UsageError: when ``layers`` names no module, ``sample`` is negative, or no backward pass of the model ran
            in the block.
        FileBusy: when another adapter serves the folder.
    """
    model = getattr(model, "_orig_mod", model)
    check_sample(sample)
    selection = Selection(tuple(layers or ()))
    effort = Effort(max_links, MAX_LINK_BYTES, max_seconds)
    found = Captured()
    with AdapterWriter(folder, torch=str(torch.__version__)) as writer, ExitStack() as stack:
        kept = foreign_keys(writer.folder.flow_info)
        taps = Taps(model, selection, layouts or {}, sample)
        watch = stack.enter_context(hooks_watched())

        def is_hooked() -> bool:
            return watch.seen or taps.hooked or has_module_hooks(model)

        def differentiated(roots: _Roots, seeds: _Seeds, known: _Known | None) -> None:
            with _told(found):
                taps.hooked = known is not None
                # Checkpointed parts are run again for every product: not one of them may count.
                with untouched(model):
                    snapshot = take_snapshot(taps, roots, seeds, tuple(pairs or ()), known=known)
                    # A backward pass of something else reaches none of the layers.
                    if snapshot.taps:
                        found.flow_info = flow_info(snapshot, effort)

        def entered(_: object, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
            with _told(found):
                # A new forward pass of the whole model: what was met before is not what comes next.
                taps.forget()
                given = [list(args), kwargs]
                taps.hooked = any(has_hooks(tensor) for tensor in tensors_in(given))
                found.input = _nothing()
                edited = editable(given)
                if edited is not None:
                    found.input = Template(Call(tuple(args), kwargs, edited), sample).to_map()
                first = first_floating(given)
                if first is not None and first.requires_grad:
                    taps.add_input(first)

        def left(_: object, __: object, output: object) -> None:
            with _told(found):
                found.output = output_map(output, taps, sample)

        stack.enter_context(taps)
        for handle in (
            model.register_forward_pre_hook(entered, with_kwargs=True, prepend=True),
            model.register_forward_hook(left),
        ):
            stack.callback(handle.remove)
        stack.enter_context(_backward_watched(taps, is_hooked, differentiated))
        yield found
        if found.error is not None:
            raise found.error
        if not found.flow_info:
            raise UsageError("no backward pass through the model's layers ran in the capture block")
        root = {**kept, **found.flow_info}
        if found.input.size:
            root[INPUT_KEY] = np.asarray(found.input)
        found.generation = writer.write(root, found.output)


@contextmanager
def _told(found: Captured) -> Iterator[None]:
    """Keep an error for the block's end: the user's step is never stopped by a look at it."""
    try:
        yield
    except Exception as error:  # noqa: BLE001
        found.error = error


@contextmanager
def _backward_watched(
    taps: Taps,
    is_hooked: Callable[[], bool],
    then: Callable[[_Roots, _Seeds, _Known | None], None],
) -> Iterator[None]:
    """Call ``then`` after every ``backward`` in the block with what it differentiated.

    Its graph is kept for flows, unless hooks of the user's are on it: then this one backward pass is
    watched, and ``then`` is given the gradients that went by.
    """
    original = torch.autograd.backward
    # Weakly: a graph goes with the last of its tensors. The version tells a tensor that stands for another graph now.
    spent: list[tuple[weakref.ref[torch.Tensor], int]] = []

    def backward(
        tensors: Any,
        grad_tensors: Any = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        roots = tensors if isinstance(tensors, (tuple, list)) else (tensors,)
        ours = all(isinstance(root, torch.Tensor) for root in roots)
        # A backward pass within another is a checkpoint's own.
        if not ours or not taps.found or torch._C._current_graph_task_id() != -1:  # noqa: SLF001
            original(tensors, grad_tensors, retain_graph, create_graph, *args, **kwargs)
            return
        spent[:] = [(old, version) for old, version in spent if old() is not None]
        made = [root for root in roots if root.grad_fn is not None]
        # The version has no public name.
        now = [(id(root), root._version) for root in made]  # noqa: SLF001
        if any((id(old()), version) in now for old, version in spent):
            raise RuntimeError(SECOND_TIME)
        seeds = grad_tensors if isinstance(grad_tensors, (tuple, list)) else (grad_tensors,)
        padded = [*seeds, *[None] * (len(roots) - len(seeds))]
        if is_hooked():
            with _gradients_watched(taps, roots) as known:
                original(tensors, grad_tensors, retain_graph, create_graph, *args, **kwargs)
            then(roots, padded, known)
            return
        original(tensors, grad_tensors, True, create_graph, *args, **kwargs)
        if not (create_graph if retain_graph is None else retain_graph):
            spent.extend((weakref.ref(root), root._version) for root in made)  # noqa: SLF001
        then(roots, padded, None)

    torch.autograd.backward = backward
    try:
        yield
    finally:
        torch.autograd.backward = original


@contextmanager
def _gradients_watched(taps: Taps, roots: _Roots) -> Iterator[_Known]:
    """Gradients that arrive at the taps in a backward pass that runs in the block, by `Tap.key`."""
    found: _Known = {}

    def keep(key: tuple[object, int]) -> Callable[[Sequence[torch.Tensor | None]], None]:
        def hook(arriving: Sequence[torch.Tensor | None]) -> None:
            gradient = arriving[key[1]]
            if gradient is not None:
                found[key] = gradient.detach().clone()

        return hook

    with ExitStack() as stack:
        for tap in taps.settled(roots)[0]:
            stack.callback(cast("Any", tap.edge.node).register_prehook(keep(tap.key)).remove)
        yield found
