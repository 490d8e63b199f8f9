"""Where the way to the loss is cut off, by what is known of which module's output feeds which one's input."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from gradtui.core.run.records import Edges


class Ways:
    """Where the outputs of modules go, as far as they can carry a gradient back.

    Where that is not known whole (of histories that tell of no operations, or where a way was too long to be followed)
    no cut is placed: what seems to end may go on unseen.
    """

    def __init__(self, edges: Edges) -> None:
        self._targets: dict[str, list[str]] = {}
        for source, target in edges.every if edges.whole else ():
            self._targets.setdefault(source.path, []).append(target.path)
        self._fed_at_all = {target for several in self._targets.values() for target in several}

    def cut_behind(self, paths: Iterable[str], alive: Collection[str]) -> str:
        """Return the one module at which all that comes out of some modules ends; "" where that is not known.

        What is detached feeds nothing. The last module inside another one feeds what that one feeds.

        Args:
            paths: modules that no gradient reaches.
            alive: modules that a gradient reaches. Where an edge leads to one of them, something else is wrong.
        """
        if not self._targets:
            return ""
        seen: set[str] = set()
        ends: set[str] = set()
        left = list(paths)
        while left:
            path = left.pop()
            if path in seen:
                continue
            seen.add(path)
            fed = self._fed(path)
            if not path or any(target in alive for target in fed):
                return ""
            left += fed
            if not fed:
                ends.add(path)
        # A module that ends where the one around it ends is not another end.
        outer = [end for end in ends if not any(end.startswith(f"{other}.") for other in ends)]
        return outer[0] if len(outer) == 1 and outer[0] in self._fed_at_all else ""

    def _fed(self, path: str) -> list[str]:
        """What a module feeds, or else the nearest one around it that feeds anything."""
        while path:
            if path in self._targets:
                return self._targets[path]
            path = path.rpartition(".")[0]
        return []
