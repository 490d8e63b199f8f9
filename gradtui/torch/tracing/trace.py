"""`trace`: a model's architecture by the cheapest stage that sees all of it."""

from __future__ import annotations

import contextlib
import inspect
from typing import TYPE_CHECKING, Any, Final

from gradtui.core.architecture.graph import ModuleGraph, TraceFault
from gradtui.errors import UsageError
from gradtui.torch.tracing.arguments import (
    Arguments,
    arguments_of,
    names_of,
    needs_none,
    outputs_of,
)
from gradtui.torch.tracing.finish import finished
from gradtui.torch.tracing.lazies import is_unshaped, with_shapes
from gradtui.torch.tracing.ledger import Ledger
from gradtui.torch.tracing.recorder import Recorder
from gradtui.torch.tracing.stages import RUNNING, call_in

if TYPE_CHECKING:
    from torch import nn

    from gradtui.core.architecture.graph import Stage

STAGES = ("auto", "static", *RUNNING)
NO_INPUTS: Final = "no inputs: the tree of modules alone; give some, such as --input 1x3x224x224"


def trace(model: nn.Module, *inputs: Any, stage: str = "auto", **kwargs: Any) -> ModuleGraph:
    """Find a model's calls, operations, shapes, parameters, FLOPs and dataflow.

    The model is called in the mode it is in, and left as it was: parameters, buffers, training mode, random
    state, device and hooks. Stages: ``static`` runs nothing; ``meta`` runs the forward pass on tensors without
    data, in a model of any size; ``fake`` does it with tensors that only pretend a device; ``real`` computes it.
    ``auto`` takes them in this order until one sees a whole pass without a guess. When none does, the longest
    partial pass is the answer, and its ``fault`` says what stopped it; its ``stage`` says which it was.

    Args:
        model: any module, also one whose forward pass fails.
        *inputs: what to call it with: tensors and whatever holds them, or shapes as text ("1x3x224x224",
            "2x20:int64"); a single dict is keyword arguments where the forward pass has them. Without any, and where the forward pass
            needs some, the graph is static.
        stage: "auto", or one of the stages, alone.
        **kwargs: keyword arguments of the forward pass.

    Raises:
        UsageError: for a stage or a shape that is not one.
    """
    if stage not in STAGES:
        raise UsageError(f"stage {stage!r}: expected one of {', '.join(STAGES)}")
    model = getattr(model, "_orig_mod", model)
    arguments = arguments_of(_taken(model, inputs, kwargs), kwargs)
    given = bool(arguments.positional or arguments.keywords)
    if stage == "static" or (not given and not needs_none(model)):
        notes = () if stage == "static" else (NO_INPUTS,)
        return finished(model, Ledger(), stage="static", notes=notes)
    if stage in ("auto", "meta") and is_unshaped(model):
        model, stage = with_shapes(model, arguments), "meta"
    best = ModuleGraph()
    for candidate in RUNNING if stage == "auto" else (stage,):
        if candidate == "real" and stage == "auto" and not _may_run(model):
            continue
        graph = _pass(model, arguments, candidate)  # type: ignore[arg-type]
        if not best.nodes or _worth(graph) > _worth(best):
            best = graph
        if graph.complete and not graph.guessed:
            break
    return best


def seen_once_more(model: nn.Module, *inputs: Any, **kwargs: Any) -> ModuleGraph:
    """Trace a model that others may look at meanwhile: by a pass with data, in which its parameters are its own.

    Hooks of the user's would run once more for it: a model that has some is not run, and its graph static.
    """
    hooked = any(
        module._forward_hooks or module._forward_pre_hooks  # noqa: SLF001 - no public name
        for module in model.modules()
    )
    return trace(model, stage="static") if hooked else trace(model, *inputs, stage="real", **kwargs)


def _taken(model: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
    """The inputs; a single dict that the forward pass takes whole, and not as its keywords, is one argument."""
    if len(inputs) != 1 or named or not isinstance(inputs[0], dict):
        return inputs
    try:
        signature = inspect.signature(model.forward)
        signature.bind(inputs[0])
    except (TypeError, ValueError):
        return inputs
    try:
        signature.bind(**{str(name): value for name, value in inputs[0].items()})
    except TypeError:
        return (inputs,)
    return inputs


def _worth(graph: ModuleGraph) -> tuple[bool, bool, int]:
    """How much a graph says: a whole pass without guesses, a whole pass, else how far it came."""
    reached = sum(node.state == "run" for node in graph.nodes)
    return (graph.complete and not graph.guessed, graph.complete, reached)


def _may_run(model: nn.Module) -> bool:
    return not any(parameter.is_meta for parameter in model.parameters())


def _pass(model: nn.Module, arguments: Arguments, stage: Stage) -> ModuleGraph:
    recorder = Recorder(model, made_up=stage == "real" and arguments.made_up)
    fault = TraceFault()
    state: dict[str, Any] = {}
    try:
        call = call_in(stage, model, arguments)
        state = call.state
        with call as forward, contextlib.ExitStack() as stack:
            ledger = recorder.ledger
            for name, tensor in names_of(model, call.arguments):
                ledger.makes(ledger.open("input", "", name, -1), (tensor,))
            stack.enter_context(recorder)
            result = forward()
            stack.close()
            for name, tensor in outputs_of(result):
                draft = ledger.open("output", "", name, -1)
                ledger.reads(draft, (tensor,))
                ledger.describe(draft, (tensor,))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever the user's model raises is what the graph tells
        fault = recorder.fault_of(error)
    return finished(
        model,
        recorder.ledger,
        stage=stage,
        used=frozenset(recorder.used),
        state=state,
        fault=fault,
        notes=_notes(recorder),
    )


def _notes(recorder: Recorder) -> tuple[str, ...]:
    guesses = dict.fromkeys(recorder.guesses)
    held = [f"{line}: asks for what only data can give; guessed" for line in guesses]
    strange = sorted(
        {draft.path for draft in recorder.ledger.drafts if draft.path.endswith("(new)")}
    )
    held += [
        f"{path}: a module that the model does not hold; its parameters are not the model's"
        for path in strange
    ]
    return tuple(held)
