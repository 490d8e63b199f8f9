"""Merge small nodes into the one before them, so that what matters stays readable.

Source: IDLMAV's rule, as MATH.md, "Architecture", states it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gradtui.core.architecture.graph import ModuleGraph

DEFAULT: Final = 0.01


def merge(graph: ModuleGraph, threshold: float = DEFAULT) -> tuple[int, ...]:
    """Return for each node the number of the node that it is shown with: its own where it is not merged.

    Leaves are looked at by ascending parameters (own, and those counted elsewhere). One merges into its only
    producer when it has consumers, that producer has no other consumer, and the parameters merged so far stay
    within ``threshold`` of the model's. Inputs and outputs of the model never merge, and nothing merges into
    them. Merged nodes chain: a norm and the activation after it both go to the convolution before them.

    Args:
        graph: any graph; without dataflow (static) nothing merges.
        threshold: below 0 nothing merges; 0 merges what has no parameters; NaN merges nothing.
    """
    heads = list(range(len(graph.nodes)))
    if not threshold >= 0:
        return tuple(heads)
    total = sum(node.parameters for node in graph.nodes)
    leaves = [node for node in graph.nodes if node.leaf and node.kind in ("module", "operation")]
    producers, consumers = graph.producers, graph.consumers
    within = threshold * total
    merged = 0
    into: dict[int, int] = {}
    for node in sorted(leaves, key=lambda node: (node.parameters + node.shared, node.number)):
        sources = producers.get(node.number, ())
        if len(sources) != 1 or not consumers.get(node.number):
            continue
        source = sources[0]
        if len(consumers[source]) != 1 or graph.nodes[source].kind == "input":
            continue
        size = node.parameters + node.shared
        if merged + size > within:
            break
        merged += size
        into[node.number] = source
    for number in sorted(into):
        # A producer has a smaller number: its own head is known already.
        heads[number] = heads[into[number]]
    return tuple(heads)
