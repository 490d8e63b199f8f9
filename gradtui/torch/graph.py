"""Walks of the autograd graph: which layers feed which, and what lies between two of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradtui.torch.tap import Tap

# A graph node between two layers, and the number of its input through which the path goes on.
Step = tuple[Any, int]

# Beyond this many graph nodes between two layers their structure isn't looked for.
LONGEST_WALK: Final = 20_000


def consecutive_pairs(taps: Sequence[Tap]) -> list[tuple[Tap, Tap]]:
    """Pairs of layers with a path between them that passes no other layer.

    That is each layer and the next along the data's way, and, where a skip connection leads round
    layers, its two ends as well.

    Args:
        taps: layers in the order in which they ran.

    Returns:
        ``(source, target)``, by target and then by source, in the order given.
    """
    places: dict[tuple[object, int], list[Tap]] = {}
    for tap in taps:
        places.setdefault(tap.key, []).append(tap)
    pairs: list[tuple[Tap, Tap]] = []
    for tap in taps:
        here = places[tap.key]
        before = here.index(tap)
        found = [here[before - 1]] if before else _predecessors(tap, places)
        pairs += [(source, tap) for source in taps if any(source is item for item in found)]
    return pairs


def _predecessors(tap: Tap, places: dict[tuple[object, int], list[Tap]]) -> list[Tap]:
    found: list[Tap] = []
    seen: set[object] = {tap.edge.node}
    waiting: list[Any] = [tap.edge.node]
    while waiting:
        for node, number in waiting.pop().next_functions:
            if node is None:
                continue
            if (node, number) in places:
                found.append(places[node, number][-1])
            elif node not in seen:
                seen.add(node)
                waiting.append(node)
    return found


def leads_to(start: Any, goal: Tap) -> set[Any]:
    """Graph nodes from ``start`` backwards that have a path to the goal's place, ``start`` among them if it has.

    Empty also when the walk gets too long.
    """
    goal_node, goal_number = goal.key
    parents: dict[Any, list[Any]] = {start: []}
    waiting = [start]
    hits: list[Any] = []
    while waiting:
        node = waiting.pop()
        for following, number in node.next_functions:
            if following is None:
                continue
            if following is goal_node and number == goal_number:
                hits.append(node)
            if following in parents:
                parents[following].append(node)
            else:
                parents[following] = [node]
                waiting.append(following)
        if len(parents) > LONGEST_WALK:
            return set()
    leading: set[Any] = set()
    while hits:
        node = hits.pop()
        if node not in leading:
            leading.add(node)
            hits += parents[node]
    return leading


def is_upstream(source: Tap, target: Tap) -> bool:
    """Whether the target's activation depends on the source's, as the graph tells it."""
    return source.key == target.key or bool(leads_to(target.edge.node, source))
