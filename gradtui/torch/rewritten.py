"""Layers whose output was a view of another tensor, and was changed in place afterwards.

Autograd then puts the change between that other tensor's old place in the graph and whatever reads it, and the
view's own place is left with what read it before the change: no gradient of the rest comes by there. What is
sought is the gradient at the old place of the tensor that the view was of, at the positions that the view had.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any, Final

import torch
from torch.autograd.graph import GradientEdge, get_gradient_edge

from gradtui.torch.tap import Tap, probe_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

# Said of a layer that can't be told from what else is done with the tensor that it is a view of.
UNTOLD: Final = "its output was changed in place within a tensor that is used elsewhere too"


@dataclass(frozen=True, slots=True)
class Strided:
    """Where a tensor's values stand in its memory."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int

    @classmethod
    def of(cls, tensor: torch.Tensor) -> Strided:
        """A tensor's, as it is now."""
        return cls(tuple(tensor.shape), tuple(tensor.stride()), int(tensor.storage_offset()))

    @property
    def reach(self) -> int:
        """The first place in memory behind all values."""
        ends = zip(self.shape, self.strides, strict=True)
        return self.offset + sum((size - 1) * stride for size, stride in ends) + 1


@dataclass(frozen=True, slots=True, eq=False)
class ViewMet:
    """A view as it was met in a forward pass.

    Attributes:
        tap: what was remembered of it.
        whole: the tensor that it is a view of, held as long as the pass may still be differentiated: it alone
            knows whether it was changed.
        edge: that tensor's place in the graph at that time.
        probe: differentiate this to differentiate that tensor as it was.
        strided: where the view's values stood.
    """

    tap: Tap
    whole: torch.Tensor
    edge: GradientEdge
    probe: torch.Tensor
    strided: Strided

    @property
    def is_changed(self) -> bool:
        """Whether the tensor was changed in place, in a way that gradients follow."""
        if self.whole.grad_fn is None:
            return False
        now = get_gradient_edge(self.whole)
        return (now.node, now.output_nr) != (self.edge.node, self.edge.output_nr)

    def settled(self, roots: Iterable[torch.Tensor]) -> Tap | None:
        """The tap from which the gradient of the roots can be had; None where the graph does not tell it."""
        if not self.is_changed:
            return self.tap
        place = (self.edge.node, self.edge.output_nr)
        chain = _chain(self.tap.edge.node, place)
        others = _readers(roots, place, chain)
        if chain and not others:
            # What was changed is not differentiated: all that is was read before.
            return self.tap
        if not chain or len(others) > 1 or not others <= _readers([self.whole], place, chain):
            return None
        within = self._within()
        if not len(within):
            return None
        indices = within[self.tap.layout.indices()].to(self.probe.device)
        within = within.to(self.probe.device)
        return replace(self.tap, edge=self.edge, probe=self.probe, indices=indices, within=within)

    def _within(self) -> torch.Tensor:
        """Flat positions of the view's values in the tensor; empty where they are not some of its values, once each."""
        none = torch.zeros(0, dtype=torch.long)
        whole = Strided.of(self.whole)
        if self.probe.dtype != self.tap.probe.dtype or whole.shape != tuple(self.probe.shape):
            return none
        memory = torch.full((max(whole.reach, self.strided.reach),), -1)
        count = prod(whole.shape)
        memory.as_strided(whole.shape, whole.strides, whole.offset)[...] = torch.arange(count).view(
            whole.shape
        )
        view = self.strided
        found = memory.as_strided(view.shape, view.strides, view.offset).reshape(-1)
        if (found < 0).any() or (torch.bincount(found) > 1).any():
            return none
        return found


def view_met(tap: Tap, tensor: torch.Tensor) -> list[ViewMet]:
    """What is to be remembered of a tap's tensor besides; nothing where it is no view that can be changed."""
    whole = tensor._base  # noqa: SLF001 - no public name
    if whole is None or whole.grad_fn is None or not tensor.numel():
        return []
    return [ViewMet(tap, whole, get_gradient_edge(whole), probe_of(whole), Strided.of(tensor))]


def _chain(node: Any, place: tuple[Any, int]) -> set[Any]:
    """Graph nodes of a view, from its own down to the place of what it is a view of; empty if they are no chain."""
    found: set[Any] = set()
    while True:
        found.add(node)
        following = node.next_functions
        if len(following) != 1 or following[0][0] is None:
            return set()
        if following[0] == place:
            return found
        node = following[0][0]


def _readers(roots: Iterable[torch.Tensor], place: tuple[Any, int], chain: set[Any]) -> set[Any]:
    """Graph nodes outside a view's chain that read the place, or what stands in the midst of the chain."""
    midst = {following for node in chain for following, _ in node.next_functions} & chain
    return {
        node
        for node in _nodes(root.grad_fn for root in roots)
        if node not in chain
        and any(edge == place or edge[0] in midst for edge in node.next_functions)
    }


def _nodes(starts: Iterable[Any]) -> Iterator[Any]:
    """Every graph node that the starts lead to."""
    waiting = [node for node in starts if node is not None]
    seen = set(waiting)
    while waiting:
        node = waiting.pop()
        yield node
        for following, _ in node.next_functions:
            if following is not None and following not in seen:
                seen.add(following)
                waiting.append(following)


def settled(
    found: Sequence[Tap], views: Sequence[ViewMet], roots: Sequence[torch.Tensor]
) -> tuple[list[Tap], dict[str, str]]:
    """Taps as they stand when the forward pass is over and its roots are differentiated.

    Args:
        found: taps as they were met.
        views: those of them whose tensor was a view.
        roots: what is differentiated.

    Returns:
        The taps, and the names of those that can't be told, with the reason.
    """
    by_tap = {id(view.tap): view for view in views}
    taps: list[Tap] = []
    untold: dict[str, str] = {}
    for tap in found:
        view = by_tap.get(id(tap))
        now = tap if view is None else view.settled(roots)
        if now is None:
            untold[tap.name] = UNTOLD
        else:
            taps.append(now)
    return taps, untold
