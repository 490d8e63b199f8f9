"""Graphs made by hand, for what needs no torch."""

from __future__ import annotations

from itertools import pairwise

from gradtui.core.architecture.graph import GraphNode, ModuleGraph, Totals


def chain_of(*sizes, edges=None):
    """A model of leaves with the given parameters, in a row unless edges say otherwise; input and output around."""
    nodes = [GraphNode(0, "input", "", "x")]
    nodes.append(GraphNode(1, "module", "", "Model", leaf=False))
    for k, size in enumerate(sizes):
        nodes.append(
            GraphNode(
                k + 2, "module", f"m{k}", f"Class{k}", parent=1, parameters=size, flops=10 * size
            )
        )
    last = len(nodes)
    nodes.append(GraphNode(last, "output", "", "output"))
    if edges is None:
        path = [0, *range(2, last), last]
        edges = pairwise(path)
    totals = Totals(parameters=sum(sizes), flops=10 * sum(sizes))
    return ModuleGraph(
        "Model",
        tuple(nodes),
        tuple(sorted(edges, key=lambda edge: (edge[1], edge[0]))),
        "meta",
        totals=totals,
    )


def blocks(count, *, odd=-1, skip=True):
    """A model of equal blocks of three leaves, with a skip connection in each; block ``odd`` differs."""
    nodes = [GraphNode(0, "input", "", "x"), GraphNode(1, "module", "", "Model", leaf=False)]
    edges = []
    before = 0
    for k in range(count):
        block = len(nodes)
        size = 9 if k == odd else 8
        nodes.append(
            GraphNode(block, "module", f"blocks.{k}", "Block", parent=1, leaf=False, shapes=((4,),))
        )
        for j, name in enumerate(("Norm", "Linear")):
            nodes.append(
                GraphNode(
                    block + 1 + j,
                    "module",
                    f"blocks.{k}.{j}",
                    name,
                    parent=block,
                    parameters=size,
                    flops=2 * size,
                    shapes=((4,),),
                )
            )
        nodes.append(
            GraphNode(block + 3, "operation", f"blocks.{k}", "add", parent=block, shapes=((4,),))
        )
        edges += [(before, block + 1), (block + 1, block + 2), (block + 2, block + 3)]
        if skip:
            edges.append((before, block + 3))
        before = block + 3
    edges.sort(key=lambda edge: (edge[1], edge[0]))
    return ModuleGraph("Model", tuple(nodes), tuple(edges), "meta")
