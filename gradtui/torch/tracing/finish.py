"""From what a forward pass did to a graph: the tree with the modules that were not reached, and the sums."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn
from torch.nn.parameter import is_lazy

from gradtui.core.architecture.graph import ModuleGraph, Totals, TraceFault
from gradtui.torch.tracing.ledger import Draft, Ledger, elements

if TYPE_CHECKING:
    import torch

    from gradtui.core.architecture.graph import GraphNode, Stage

_HOLDERS = (nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)


def finished(
    model: nn.Module,
    ledger: Ledger,
    *,
    stage: Stage,
    used: frozenset[int] = frozenset(),
    state: dict[str, torch.Tensor] | None = None,
    fault: TraceFault | None = None,
    notes: tuple[str, ...] = (),
) -> ModuleGraph:
    """Order the nodes, add the modules that were not reached, and sum up.

    Args:
        model: whose graph it is; its parameters are counted whole.
        ledger: what was seen.
        stage: how.
        used: identities of parameters that operations took without a call of their module.
        state: the stand-ins of parameters in that stage, by name.
        fault: why the pass did not end.
        notes: what a person should know.
    """
    drafts = list(ledger.drafts)
    _add_unreached(model, ledger, drafts, used, state or {})
    order = _in_order(drafts)
    places = {draft.number: place for place, draft in enumerate(order)}
    nodes: list[GraphNode] = [
        draft.node(place, places.get(draft.parent, -1)) for place, draft in enumerate(order)
    ]
    edges = sorted(
        ((places[a], places[b]) for a, b in ledger.edges), key=lambda edge: (edge[1], edge[0])
    )
    fault = fault or TraceFault()
    if fault.node >= 0:
        fault = TraceFault(
            fault.kind,
            fault.text,
            fault.path,
            fault.operation,
            fault.inputs,
            fault.source,
            fault.line,
            places[fault.node],
        )
    leaf = [node for node in nodes if node.leaf and node.kind in ("module", "operation")]
    totals = Totals(
        **_sizes(model),
        flops=sum(node.flops for node in nodes),
        activation_bytes=sum(node.bytes for node in leaf),
    )
    return ModuleGraph(
        type(model).__name__, tuple(nodes), tuple(edges), stage, fault, totals, notes
    )


def _sizes(model: nn.Module) -> dict[str, int]:
    parameters = list(model.parameters())
    buffers = [buffer for buffer in model.buffers() if not is_lazy(buffer)]
    return {
        "parameters": sum(elements(parameter) for parameter in parameters),
        "trainable": sum(elements(p) for p in parameters if p.requires_grad),
        "parameter_bytes": sum(elements(p) * p.dtype.itemsize for p in parameters),
        "buffer_bytes": sum(buffer.numel() * buffer.element_size() for buffer in buffers),
    }


def _add_unreached(
    model: nn.Module,
    ledger: Ledger,
    drafts: list[Draft],
    used: frozenset[int],
    state: dict[str, torch.Tensor],
) -> None:
    """Append the modules that no call reached, under the nearest call or unreached module above them."""
    calls: dict[str, Draft] = {}
    for draft in drafts:
        if draft.kind == "module":
            calls.setdefault(draft.path, draft)
    whole = tuple(f"{draft.path}." for draft in calls.values() if draft.leaf and draft.path)
    reached = set(calls)
    above = {
        ".".join(parts[:k])
        for parts in (path.split(".") for path in calls)
        for k in range(len(parts))
    }
    rows = dict(calls)
    # By identity: a parameter of two names stands in by one of them.
    known = {id(one): state[name] for name, one in model.named_parameters() if name in state}
    for path, module in model.named_modules():
        if path in reached or (path in above and not module._parameters):  # noqa: SLF001 - own ones
            continue
        if isinstance(module, _HOLDERS) and not module._parameters:  # noqa: SLF001
            continue
        if whole and path.startswith(whole):
            continue
        parent = path
        while parent:
            parent = parent.rpartition(".")[0]
            if parent in rows:
                break
        draft = Draft(len(drafts), "module", path, type(module).__name__)
        draft.parent = rows[parent].number if path and parent in rows else -1
        draft.leaf = not module._modules  # noqa: SLF001
        draft.extra = module.extra_repr() if draft.leaf else ""
        own = [known.get(id(one), one) for one in module._parameters.values()]  # noqa: SLF001
        taken = any(one is not None and id(one) in used for one in own)
        draft.state = "run" if taken else "not run"
        ledger.count_each(draft, own)
        drafts.append(draft)
        rows[path] = draft


def _in_order(drafts: list[Draft]) -> list[Draft]:
    """The nodes with each call before what it made; those not reached after those that were."""
    children: dict[int, list[Draft]] = {}
    for draft in drafts:
        children.setdefault(draft.parent, []).append(draft)
    order: list[Draft] = []
    waiting = list(reversed(children.get(-1, [])))
    while waiting:
        draft = waiting.pop()
        order.append(draft)
        waiting.extend(reversed(children.get(draft.number, [])))
    return order
