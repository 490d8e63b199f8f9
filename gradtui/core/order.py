"""The order of layers: sources before targets, otherwise as the file has them."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def topological(names: Iterable[str], edges: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Return names so that every edge points forward; what edges leave open stays in the given order.

    Where edges run in a circle, the first of the given names that is left is taken next: an order
    that holds for all but the edges that close the circle. Edges between unknown names, and from a
    name to itself, are ignored; no names give none.

    Source: Kahn, "Topological sorting of large networks", 1962, with a heap for the ties.
    """
    given = list(dict.fromkeys(names))
    place = {name: at for at, name in enumerate(given)}
    after: dict[int, list[int]] = {}
    waiting = [0] * len(given)
    for source, target in set(edges):
        if source in place and target in place and source != target:
            after.setdefault(place[source], []).append(place[target])
            waiting[place[target]] += 1
    ready = [at for at, count in enumerate(waiting) if count == 0]
    taken = [False] * len(given)
    first_left = 0
    order: list[str] = []
    while len(order) < len(given):
        if not ready:
            while taken[first_left]:
                first_left += 1
            ready.append(first_left)
        at = heapq.heappop(ready)
        if taken[at]:
            continue
        taken[at] = True
        order.append(given[at])
        for follower in after.get(at, ()):
            waiting[follower] -= 1
            if waiting[follower] == 0 and not taken[follower]:
                heapq.heappush(ready, follower)
    return tuple(order)


def in_order(wanted: object, names: Sequence[str]) -> tuple[str, ...]:
    """Return names as a list of the writer has them; those that it leaves out follow as they were.

    Anything but a list of names is no order; names that do not exist are left out of it.
    """
    if not isinstance(wanted, (list, tuple)):
        return tuple(names)
    known = set(names)
    listed = [name for name in wanted if isinstance(name, str) and name in known]
    return tuple(dict.fromkeys([*listed, *names]))
