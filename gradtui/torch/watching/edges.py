"""Which output feeds which input: by the identity of tensors, and by the graph where operations lie between."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Final

from gradtui.core.run.records import Edges
from gradtui.torch.watching.columns import key_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from gradtui.torch.watching.columns import Name

MOST: Final = 20_000
MOST_NODES: Final = 200
"""Nodes of the graph between two modules: where there are more, those behind them are not looked at."""

Spot = tuple[int, int]
"""A tensor's place in the graph: the number of its node, and which of the node's outputs it is.

A number, and not the node: that would keep what it has saved for the backward pass.
"""


class EdgeFinder:
    """Remembers who made a tensor, and says so when another module is given it, or what was made of it.

    The innermost module that made a tensor is its source, and so is the outermost one that passes it on at the end.
    Operations between two modules make new tensors: from these the graph leads back, which is gone once for each input
    of a module. Without gradients there is no graph, and such an edge is not seen.
    """

    def __init__(self) -> None:
        self._made: dict[int, tuple[weakref.ref[torch.Tensor], Name, int]] = {}
        self._spots: dict[Spot, Name] = {}
        self._pairs: dict[tuple[Name, Name], None] = {}
        self._through: dict[tuple[Name, Name], None] = {}
        self._gone: set[Name] = set()
        self._told = 0

    def produced(self, name: Name, tensor: torch.Tensor) -> None:
        """A call returned a tensor."""
        number = -1
        for place in _spots_of(tensor):
            self._spots[place] = name
            number = max(number, place[0])
        self._made[id(tensor)] = (weakref.ref(tensor), name, number)

    def consumed(self, name: Name, tensor: torch.Tensor) -> None:
        """A call was given a tensor."""
        found = self._made.get(id(tensor))
        if found is not None and found[0]() is not tensor:
            found = None
        if found is not None and (found[1], name) in self._pairs:
            return
        if len(self._pairs) + len(self._through) >= MOST:
            return
        number = max((place[0] for place in _spots_of(tensor)), default=-1)
        if found is not None and found[2] == number:
            self._pairs[found[1], name] = None
        elif tensor.grad_fn is not None and name not in self._gone:
            self._gone.add(name)
            self._through.update((pair, None) for pair in self._behind(name, tensor))

    def _behind(self, name: Name, tensor: torch.Tensor) -> Iterator[tuple[Name, Name]]:
        """The edges from what a tensor was made of."""
        waiting: list[tuple[Any, int]] = [(tensor.grad_fn, tensor.output_nr)]
        met: set[Any] = set()
        while waiting and len(met) < MOST_NODES:
            node, position = waiting.pop()
            source = self._spots.get((_number(node), position))
            if source is not None:
                yield source, name
            elif node not in met:
                met.add(node)
                waiting += (place for place in node.next_functions if place[0] is not None)

    def forget(self) -> None:
        """A step is over: its tensors are gone."""
        self._made.clear()
        self._spots.clear()

    def news(self) -> Edges | None:
        """All edges so far, when there are more than were told."""
        known = len(self._pairs) + len(self._through)
        if known == self._told:
            return None
        self._told = known
        through = (pair for pair in self._through if pair not in self._pairs)
        return Edges(
            *(
                tuple((key_of(made), key_of(used)) for made, used in pairs)
                for pairs in (self._pairs, through)
            )
        )


def _spots_of(tensor: torch.Tensor) -> Iterator[Spot]:
    """Where a tensor stands in the graph, and where that does which owns its memory: a later write goes on from there."""
    owner = tensor._base  # noqa: SLF001 - the only way to know
    for each in (tensor, owner):
        if each is not None and each.grad_fn is not None:
            yield _number(each.grad_fn), each.output_nr


def _number(node: Any) -> int:
    """The number of a node of the graph: they count up as they are made."""
    return int(node._sequence_nr())  # noqa: SLF001 - the only way to tell nodes apart without holding them
