"""Which output feeds which input: by the identity of tensors, held weakly."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Final

from gradtui.core.run.records import Edges
from gradtui.torch.watching.columns import key_of

if TYPE_CHECKING:
    import torch

    from gradtui.torch.watching.columns import Name

MOST: Final = 20_000


class EdgeFinder:
    """Remembers who made a tensor, and says so when another module is given it.

    An operation between two modules makes a new tensor: then there is no edge. The innermost module
    that made a tensor is its source, and so is the outermost one that passes it on at the end.
    """

    def __init__(self) -> None:
        self._made: dict[int, tuple[weakref.ref[torch.Tensor], Name]] = {}
        self._pairs: dict[tuple[Name, Name], None] = {}
        self._told = 0

    def produced(self, name: Name, tensor: torch.Tensor) -> None:
        """A call returned a tensor."""
        self._made[id(tensor)] = (weakref.ref(tensor), name)

    def consumed(self, name: Name, tensor: torch.Tensor) -> None:
        """A call was given a tensor."""
        found = self._made.get(id(tensor))
        if found is not None and found[0]() is tensor and len(self._pairs) < MOST:
            self._pairs[found[1], name] = None

    def forget(self) -> None:
        """A step is over: its tensors are gone."""
        self._made.clear()

    def news(self) -> Edges | None:
        """All edges so far, when there are more than were told."""
        if len(self._pairs) == self._told:
            return None
        self._told = len(self._pairs)
        return Edges(tuple((key_of(made), key_of(used)) for made, used in self._pairs))
