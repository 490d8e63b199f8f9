"""The gradient that reaches an input through one module, where the tensor has other consumers too.

The tensor's own gradient is the sum over all that use it. The share of one module is what the graph
nodes that were made inside its call hand on to the tensor's node: it is read there, and nothing of the graph changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch
from torch.autograd.graph import get_gradient_edge

from gradtui.torch.watching.backward import graph_task
from gradtui.torch.watching.calls import is_batched
from gradtui.torch.watching.uncompiled import uncompiled
from gradtui.torch.watching.views import is_lost, node_of, region_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gradtui.torch.watching.nesting import Named
    from gradtui.torch.watching.views import Region

# A call with more graph nodes than this gives no share: half of a sum would be worse than none.
MOST_NODES: Final = 5_000

Place = tuple[Any, int]
"""A tensor's place in the graph: its node, and which of the node's outputs it is."""

Places = dict[Place, "Region | None"]
"""The places by which a tensor can be reached; by that of the tensor whose memory it is a region of, where it is a view."""


def places_of(tensor: torch.Tensor) -> Places:
    """Where a tensor stands in the graph now; nowhere if it carries no gradient."""
    if not tensor.requires_grad:
        return {}
    if is_lost(tensor):
        return {}
    node = tensor.grad_fn
    if node is None:
        edge = get_gradient_edge(tensor)
        return {(edge.node, edge.output_nr): None}
    found: Places = {(node, tensor.output_nr): None}
    region = region_of(tensor)
    if region is not None:
        # An operation in place within the call goes on from there.
        found.setdefault((region.node, region.number), region)
    return found


def now() -> int:
    """The number that the next graph node will have: nodes count up as they are made."""
    return int(torch.autograd._get_sequence_nr())  # type: ignore[attr-defined]  # noqa: SLF001 - the clock of the graph


def watch_shares(
    places: Sequence[Places],
    outputs: Named,
    since: int,
    told: Callable[[int, torch.Tensor], None],
    failed: Callable[[Exception], None],
) -> list[Share]:
    """Read the share of each input as the backward pass goes by.

    Args:
        places: of each input, as they were before the call; one that stands twice is told at its first number.
        outputs: the tensors that the call returned.
        since: `now` as it was before the call.
        told: called with an input's number and its share, once a backward pass has made it whole.
        failed: called with an error of ours, which must not end the backward pass.

    Returns:
        Shares that are sums of several parts: `Share.finish` tells those of which a part never came.
    """
    wanted: dict[Place, tuple[int, Region | None]] = {}
    for is_region in (False, True):
        for number, ways in enumerate(places):
            for place, region in ways.items():
                if (region is not None) is is_region:
                    wanted.setdefault(place, (number, region))
    if not wanted:
        return []
    found: dict[int, list[tuple[Any, tuple[int, ...], Region | None]]] = {}
    met: set[Any] = set()
    queue = [node for _, tensor in outputs if (node := node_of(tensor)) is not None]
    ends = {place[0] for place in wanted}
    while queue:
        node = queue.pop()
        if node in met or node in ends or node._sequence_nr() < since:  # noqa: SLF001 - as above
            continue
        met.add(node)
        if len(met) > MOST_NODES:
            return []
        there: dict[Place, list[int]] = {}
        for position, place in enumerate(node.next_functions):
            if place[0] is None:
                continue
            if place in wanted:
                there.setdefault(place, []).append(position)
            else:
                queue.append(place[0])
        for place, positions in there.items():
            number, region = wanted[place]
            found.setdefault(number, []).append((node, tuple(positions), region))
    shares = []
    for number, sources in found.items():
        share = Share(number, sum(len(at) for _, at, _ in sources), told, failed)
        for node, at, region in sources:
            node.register_hook(_Part(share, at, region))
        if share.parts > 1:
            shares.append(share)
    return shares


class Share:
    """The sum of what several places hand on to one tensor."""

    __slots__ = ("awaited", "failed", "number", "parts", "run", "told", "total")

    def __init__(
        self,
        number: int,
        parts: int,
        told: Callable[[int, torch.Tensor], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self.number, self.parts, self.told, self.failed = number, parts, told, failed
        self.total: torch.Tensor | None = None
        self.awaited, self.run = parts, -1

    def add(self, part: torch.Tensor | None) -> None:
        """Take one part; the last one makes it whole."""
        run = graph_task()
        if run != self.run:
            # Another backward pass through the same graph: the last one's is told.
            self.run, self.awaited, self.total = run, self.parts, None
        if part is not None:
            # Alone it stays the graph's own tensor, which may be measured at its producer, too.
            self.total = part if self.total is None else self.total.detach() + part.detach()
        self.awaited -= 1
        if self.awaited == 0:
            self.finish()

    def finish(self) -> None:
        """Tell the sum of what has come."""
        total, self.total = self.total, None
        if total is not None:
            self.told(self.number, total)


class _Part:
    """A hook on one node that hands something on to the tensor."""

    __slots__ = ("positions", "region", "share")

    def __init__(self, share: Share, positions: tuple[int, ...], region: Region | None) -> None:
        self.share, self.positions, self.region = share, positions, region

    @uncompiled
    def __call__(
        self, handed_on: Sequence[torch.Tensor | None], _: Sequence[torch.Tensor | None]
    ) -> None:
        try:
            for position in self.positions:
                part = handed_on[position]
                if part is not None and is_batched(part):
                    return
                if part is not None and self.region is not None:
                    part = self.region.of(part)
                self.share.add(part)
        except Exception as error:  # noqa: BLE001 - an error here would end the user's backward pass
            self.share.failed(error)
