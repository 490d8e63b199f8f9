"""Find calls that are built alike, one after another: eighty equal layers are one row.

Two calls are alike when their classes, costs and shapes are equal, what they made is alike in order, and
the dataflow inside them joins the same places.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

    from gradtui.core.architecture.graph import ModuleGraph


@dataclass(frozen=True, slots=True)
class Repeat:
    """Siblings alike, one after another: ``first`` is the number of the first, ``members`` are all."""

    first: int
    members: tuple[int, ...]


def signatures(graph: ModuleGraph) -> tuple[int, ...]:
    """Return a number for each node, equal for nodes that are built alike.

    Parameters count whether they are counted here or at an earlier call, so that the calls of one
    shared module are alike. Names, source lines and guesses don't count.
    """
    inner = _inner_edges(graph)
    known: dict[Hashable, int] = {}
    found = [0] * len(graph.nodes)
    for node in reversed(graph.nodes):
        children = tuple(found[child] for child in graph.children.get(node.number, ()))
        size = node.parameters + node.shared
        key = (
            node.kind,
            node.name,
            node.state,
            size,
            node.flops,
            node.inputs,
            node.shapes,
            node.dtype,
            node.extra,
            children,
            inner.get(node.number, ()),
        )
        found[node.number] = known.setdefault(key, len(known))
    return tuple(found)


def repeats(graph: ModuleGraph, least: int = 2) -> tuple[Repeat, ...]:
    """Return the runs of at least ``least`` siblings alike, in order; operations between modules are no runs."""
    marks = signatures(graph)
    found: list[Repeat] = []
    for parent in sorted(graph.children):
        run: list[int] = []
        for child in (*graph.children[parent], -1):
            if run and (child < 0 or marks[child] != marks[run[0]]):
                if len(run) >= least and graph.nodes[run[0]].kind == "module":
                    found.append(Repeat(run[0], tuple(run)))
                run = []
            if child >= 0:
                run.append(child)
    return tuple(sorted(found, key=lambda repeat: repeat.first))


def _inner_edges(graph: ModuleGraph) -> dict[int, tuple[tuple[int, int], ...]]:
    """The edges inside each call, at the innermost call that holds both ends, as places counted from it."""
    nodes, depths = graph.nodes, graph.depths
    found: dict[int, list[tuple[int, int]]] = {}
    for source, target in graph.edges:
        a, b = nodes[source].parent, nodes[target].parent
        while a != b:
            if a >= 0 and (b < 0 or depths[a] >= depths[b]):
                a = nodes[a].parent
            else:
                b = nodes[b].parent
        if a >= 0:
            found.setdefault(a, []).append((source - a, target - a))
    return {number: tuple(sorted(edges)) for number, edges in found.items()}
