"""Which call a checkpoint runs again: the reentrant kind makes its graph in the backward pass only.

Its first run leaves no graph, so no gradient can be awaited there. Its second run is a part of the same sequence
of calls, from its first to its last; parts come back in another order than they went.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gradtui.torch.watching.nesting import outputs_of

if TYPE_CHECKING:
    from gradtui.torch.watching.calls import Site

# Calls without a graph that are remembered in one step.
MOST: Final = 20_000


class Replays:
    """The calls of a step that ran without a graph, in order."""

    def __init__(self) -> None:
        self._calls: list[tuple[Site, int, int]] = []
        self._taken: list[bool] = []
        self._next = -1

    def ran(self, site: Site, call: int, args: tuple[object, ...]) -> None:
        """A call ran without a graph."""
        if len(self._calls) < MOST:
            self._calls.append((site, call, _address(args)))
            self._taken.append(False)

    def again(self, site: Site, args: tuple[object, ...]) -> int:
        """Which call of a module runs again now; -1 for none.

        It is the one after the last, else the one that was given the same memory, else the last that is left.
        """
        place = self._next
        if not (0 <= place < len(self._calls)) or not self._fits(place, site):
            address = _address(args)
            fitting = [k for k in range(len(self._calls)) if self._fits(k, site)]
            same = [k for k in fitting if address and self._calls[k][2] == address]
            place = (same or fitting or [-1])[-1]
        if place < 0:
            return -1
        self._taken[place] = True
        self._next = place + 1
        return self._calls[place][1]

    def forget(self) -> None:
        """A step is over."""
        self._calls.clear()
        self._taken.clear()
        self._next = -1

    def _fits(self, place: int, site: Site) -> bool:
        return self._calls[place][0] is site and not self._taken[place]


def _address(args: tuple[object, ...]) -> int:
    found = outputs_of(args)
    return found[0][1].data_ptr() if found else 0
