"""Merge small nodes into the one before them, so that what matters stays readable.

Source: IDLMAV's rule, as MATH.md, "Architecture", states it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from gradtui.core.architecture.graph import ModuleGraph
    from gradtui.core.arrays import Indices

DEFAULT: Final = 0.01


def merge(graph: ModuleGraph, threshold: float = DEFAULT) -> Indices:
    """Return for each node the number of the node that it is shown with: its own where it is not merged.

    Leaves are looked at by ascending parameters (own, and those counted elsewhere). One merges into its only
    producer when it has consumers, that producer has no other consumer, and the parameters merged so far stay
    within ``threshold`` of the model's. Inputs and outputs of the model never merge, and nothing merges into
    them. Merged nodes chain: a norm and the activation after it both go to the convolution before them.

    Shapes: [nodes].

    Args:
        graph: any graph; without dataflow (static) nothing merges.
        threshold: below 0 nothing merges; 0 merges what has no parameters; NaN merges nothing.
    """
    nodes, columns = graph.nodes, graph.columns
    heads = np.arange(len(nodes))
    if not threshold >= 0 or not nodes:
        return heads
    source, target = columns.edges.T
    producers = np.bincount(target, minlength=len(nodes))
    consumers = np.bincount(source, minlength=len(nodes))
    # Of nodes with one producer, that one.
    only = np.full(len(nodes), -1)
    only[target] = source
    inner = np.array([node.kind in ("module", "operation") for node in nodes], dtype=np.bool_)
    entry = np.array([node.kind == "input" for node in nodes], dtype=np.bool_)
    able = columns.leaf & inner & (producers == 1) & (consumers > 0)
    # A producer comes before what takes from it; of any other edge nothing is made.
    able &= (consumers[only] == 1) & ~entry[only] & (only < heads)
    small = np.flatnonzero(able)
    sizes = columns.parameters[small] + columns.shared[small]
    order = np.argsort(sizes, kind="stable")
    within = threshold * int(columns.parameters.sum())
    if math.isfinite(within):
        order = order[np.cumsum(sizes[order]) <= math.floor(within)]
    merged = small[order]
    heads[merged] = only[merged]
    # Up the chains: each step doubles how far.
    while not np.array_equal(heads, further := heads[heads]):
        heads = further
    return heads
