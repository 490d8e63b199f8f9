"""Where the way to the loss is cut off, by what is known of which module's output feeds which one's input."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from gradtui.core.run.records import Edges


def cut_behind(edges: Edges, paths: Iterable[str], alive: Collection[str]) -> str:
    """Return the one module at which all that comes out of some modules ends; "" where that is not known.

    Edges are those of the backward pass: what is detached feeds nothing. The last module inside another one feeds what
    that one feeds.

    Args:
        edges: which module's output feeds which one's input.
        paths: modules that no gradient reaches.
        alive: modules that a gradient reaches. Where an edge leads to one of them, something else is wrong.
    """
    targets: dict[str, list[str]] = {}
    for source, target in edges.every:
        targets.setdefault(source.path, []).append(target.path)
    if not targets:
        return ""
    seen: set[str] = set()
    ends: set[str] = set()
    left = list(paths)
    while left:
        path = left.pop()
        if path in seen:
            continue
        seen.add(path)
        fed = _fed(targets, path)
        if not path or any(target in alive for target in fed):
            return ""
        left += fed
        if not fed:
            ends.add(path)
    # A module that ends where the one around it ends is not another end.
    outer = [end for end in ends if not any(end.startswith(f"{other}.") for other in ends)]
    fed_at_all = {target for several in targets.values() for target in several}
    return outer[0] if len(outer) == 1 and outer[0] in fed_at_all else ""


def _fed(targets: Mapping[str, list[str]], path: str) -> list[str]:
    """What a module feeds, or else the nearest one around it that feeds anything."""
    while path:
        if path in targets:
            return targets[path]
        path = path.rpartition(".")[0]
    return []
