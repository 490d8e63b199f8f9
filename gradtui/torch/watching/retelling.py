"""How often something is told that goes on changing."""

from __future__ import annotations


class Retelling:
    """At once what changes seldom; ever more seldom, by doubled gaps, what goes on changing.

    After four gaps without anything it begins anew. Steps count up.
    """

    def __init__(self) -> None:
        self._last: int | None = None
        self._gap = 0

    def is_due(self, step: int) -> bool:
        """Whether it may be told in a step."""
        return self._last is None or step >= self._last + self._gap

    def told(self, step: int) -> None:
        """It was told in this step."""
        is_anew = self._last is None or step >= self._last + 4 * self._gap
        self._gap, self._last = 1 if is_anew else 2 * self._gap, step
