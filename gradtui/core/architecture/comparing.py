"""What changed between two graphs of a model: rows added, removed, and rows that cost or give something else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from gradtui.core.architecture.graph import GraphNode, ModuleGraph

Change: TypeAlias = Literal["same", "added", "removed", "changed"]

_COMPARED: Final = ("name", "parameters", "shared", "flops", "shapes", "dtype", "extra", "state")


@dataclass(frozen=True, slots=True)
class Difference:
    """One row of a comparison.

    Attributes:
        change: what became of the node.
        before: its number in the first graph; -1 where it was added.
        after: its number in the second graph; -1 where it was removed.
        fields: names of the fields that differ, in the order of `GraphNode`; "inputs from" when the dataflow does.
    """

    change: Change
    before: int = -1
    after: int = -1
    fields: tuple[str, ...] = ()


def compare(first: ModuleGraph, second: ModuleGraph) -> tuple[Difference, ...]:
    """Return the rows of both graphs in the second's order, removed ones where they stood.

    Modules are the same by path and call, operations by the module that made them, their name and how many of
    that name came before. A class that changed under a path is a change of that row.
    """
    left, right = _keys(first), _keys(second)
    places = {key: number for number, key in enumerate(left)}
    found: list[Difference] = []
    kept = set(right)
    told = 0

    def tell_removed(end: int) -> None:
        nonlocal told
        found.extend(
            Difference("removed", before=number)
            for number in range(told, end)
            if left[number] not in kept
        )
        told = max(told, end)

    for number, key in enumerate(right):
        before = places.get(key, -1)
        if before < 0:
            found.append(Difference("added", after=number))
            continue
        tell_removed(before)
        fields = _changed(first.nodes[before], second.nodes[number])
        if _sources(first, before, left) != _sources(second, number, right):
            fields = (*fields, "inputs from")
        found.append(Difference("changed" if fields else "same", before, number, fields))
    tell_removed(len(left))
    return tuple(found)


def _keys(graph: ModuleGraph) -> list[tuple[str, str, str, int]]:
    seen: dict[tuple[str, str, str], int] = {}
    keys: list[tuple[str, str, str, int]] = []
    for node in graph.nodes:
        name = "" if node.kind == "module" else node.name
        key = (node.kind, node.path, name)
        place = seen.get(key, 0)
        seen[key] = place + 1
        keys.append((*key, place))
    return keys


def _changed(before: GraphNode, after: GraphNode) -> tuple[str, ...]:
    return tuple(name for name in _COMPARED if getattr(before, name) != getattr(after, name))


def _sources(
    graph: ModuleGraph, number: int, keys: list[tuple[str, str, str, int]]
) -> list[tuple[str, str, str, int]]:
    return sorted(keys[source] for source in graph.producers.get(number, ()))
