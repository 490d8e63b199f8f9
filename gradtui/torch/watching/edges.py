"""Which output feeds which input: by the identity of tensors, and by the graph where operations lie between."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import torch

from gradtui.core.run.records import Edges
from gradtui.torch.watching.columns import key_of
from gradtui.torch.watching.views import node_of, reference_to, version_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gradtui.torch.watching.columns import Name

Reference: TypeAlias = "Callable[[], torch.Tensor | None]"

MOST: Final = 20_000
MOST_NODES: Final = 200
"""Nodes of the graph that are gone back from one input, the nearest first."""
_FIRST, _EVERY = 3, 16
"""Logged steps in which the graph is gone back: the first ones, and then each so many. It costs, and hardly changes."""

Spot = tuple[int, int]
"""A tensor's place in the graph: the number of its node, and which of the node's outputs it is.

A number, and not the node: that would keep what it has saved for the backward pass.
"""


class EdgeFinder:
    """Remembers who made a tensor, and says so when another module is given it, or what was made of it.

    The innermost module that made a tensor is its source, and so is the outermost one that passes it on at the end.
    Operations between two modules make new tensors: from these the graph leads back. What one buffer holds of several
    modules is of all of them. Without gradients there is no graph, and such an edge is not seen.

    Attributes:
        whole: whether all of what fed an input was looked for, as far as it can carry a gradient.
    """

    def __init__(self) -> None:
        self.whole = True
        self._made: dict[int, tuple[Reference, Name, int]] = {}
        self._spots: dict[Spot, Name] = {}
        # What had no place in the graph when it was returned: from a checkpoint it gets one later.
        self._unplaced: list[tuple[Reference, Name]] = []
        self._pairs: dict[tuple[Name, Name], None] = {}
        self._through: dict[tuple[Name, Name], None] = {}
        self._told: tuple[int, bool] = (0, True)
        self._steps = 0
        # Nodes are numbered thread by thread: of those of two nobody can tell which is meant.
        self._thread = 0

    def produced(self, name: Name, tensor: torch.Tensor) -> None:
        """A call returned a tensor."""
        self._made[id(tensor)] = (reference_to(tensor), name, version_of(tensor))
        thread = threading.get_ident()
        self._thread = self._thread or thread
        if thread != self._thread:
            self._thread, self.whole = -1, False
            self._spots.clear()
        elif not self._place(name, tensor):
            self._unplaced.append((reference_to(tensor), name))

    def _place(self, name: Name, tensor: torch.Tensor) -> bool:
        node = node_of(tensor)
        if node is None:
            return False
        self._spots[_number(node), tensor.output_nr] = name
        owner = tensor._base  # noqa: SLF001 - the only way to know
        above = node_of(owner) if owner is not None else None
        if owner is not None and above is not None:
            # What is written to the view later goes on from there; it may be what another module returned.
            self._spots.setdefault((_number(above), owner.output_nr), name)
        return True

    def consumed(self, name: Name, tensor: torch.Tensor) -> None:
        """A call was given a tensor."""
        found = self._made.get(id(tensor))
        if found is not None and (found[0]() is not tensor or found[2] != version_of(tensor)):
            found = None
        if found is not None and (found[1], name) in self._pairs:
            return
        if len(self._pairs) + len(self._through) >= MOST:
            self.whole = False
            return
        if found is not None:
            self._pairs[found[1], name] = None
        elif self._steps < _FIRST or self._steps % _EVERY == 0:
            self._go_back(name, tensor)

    def _go_back(self, name: Name, tensor: torch.Tensor) -> None:
        node = node_of(tensor)
        if node is not None and self._thread != -1:
            for reference, maker in self._unplaced:
                made = reference()
                if made is not None:
                    self._place(maker, made)
            self._through.update((pair, None) for pair in self._behind(name, node, tensor))
        elif name[-1] == "train" and not torch.is_grad_enabled() and tensor.is_floating_point():
            # Without a graph nobody knows where it comes from; in an evaluation no gradient is missed.
            self.whole = False

    def _behind(self, name: Name, node: Any, tensor: torch.Tensor) -> Iterator[tuple[Name, Name]]:
        """The edges from what a tensor was made of."""
        waiting: deque[tuple[Any, int]] = deque([(node, tensor.output_nr)])
        met: set[Any] = set()
        while waiting:
            here, position = waiting.popleft()
            source = self._spots.get((_number(here), position))
            if source is not None:
                yield source, name
            elif here not in met:
                if len(met) == MOST_NODES:
                    self.whole = False
                    return
                met.add(here)
                waiting += (place for place in here.next_functions if place[0] is not None)

    def forget(self) -> None:
        """A step is over: its tensors are gone."""
        self._steps += bool(self._made)
        self._made.clear()
        self._spots.clear()
        self._unplaced.clear()
        self._thread = 0

    def news(self) -> Edges | None:
        """All edges so far, when there are more than were told."""
        known = (len(self._pairs) + len(self._through), self.whole)
        if known == self._told:
            return None
        self._told = known
        through = [pair for pair in self._through if pair not in self._pairs]
        return Edges(
            tuple((key_of(made), key_of(used)) for made, used in self._pairs),
            tuple((key_of(made), key_of(used)) for made, used in through),
            self.whole,
        )


def _number(node: Any) -> int:
    """The number of a node of the graph: they count up as they are made."""
    return int(node._sequence_nr())  # noqa: SLF001 - the only way to tell nodes apart without holding them
