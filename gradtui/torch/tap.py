"""A tap: what is remembered of one layer as it was met in a forward pass.

It holds the place in the autograd graph, never the tensor: an in-place operation after the module
overwrites the tensor, the place stays right (of a view: see `gradtui.torch.rewritten`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import torch
from torch.autograd.graph import GradientEdge, get_gradient_edge

if TYPE_CHECKING:
    from gradtui.torch.layout import Layout


class _Probe(torch.autograd.Function):
    """A tensor of no memory whose gradient is handed to the activation as it was at the hook.

    Differentiating it is differentiating the activation, even where that was overwritten later.
    """

    @staticmethod
    def forward(ctx: Any, tensor: torch.Tensor) -> torch.Tensor:  # noqa: ARG004 - torch's signature
        return tensor.new_zeros(()).expand(tensor.shape)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:  # noqa: ARG004
        return gradients[0]


def probe_of(tensor: torch.Tensor) -> torch.Tensor:
    """What is differentiated in a tensor's stead."""
    return cast("torch.Tensor", _Probe.apply(tensor))  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True, eq=False)
class Tap:
    """One layer as it was met in a forward pass.

    Attributes:
        name: the layer's name in the folder (`gradtui.torch.selection.layer_name`).
        path: module path; empty for the model itself.
        call: call index, from 0.
        kind: the module's class name.
        edge: the activation's place in the autograd graph.
        probe: differentiate this to differentiate what stands at that place.
        layout: how the activation becomes a map.
        indices: positions in the flat tensor at the place of each channel of each node, int64 ``[C, N]``.
        hooked: whether the user's hooks are on the graph: nothing is batched then, nor in closed form.
        within: where the tensor at the place is another, of which the activation was a view: the positions in it
            of the activation's values, int64; else empty.
    """

    name: str
    path: str
    call: int
    kind: str
    edge: GradientEdge
    probe: torch.Tensor
    layout: Layout
    indices: torch.Tensor
    hooked: bool = False
    within: torch.Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.long))

    @property
    def key(self) -> tuple[object, int]:
        """What two taps of one place share."""
        return (self.edge.node, self.edge.output_nr)

    def nodes_of(self, tensor: torch.Tensor) -> torch.Tensor:
        """The values of the nodes in a tensor of the shape that the place has, ``[C, N]``."""
        return tensor.reshape(-1)[self.indices]

    def own(self, tensor: torch.Tensor) -> torch.Tensor:
        """A tensor of the shape that the place has, in the activation's."""
        if not len(self.within):
            return tensor
        return tensor.reshape(-1)[self.within].view(self.layout.shape)


def make_tap(
    name: str, path: str, call: int, kind: str, tensor: torch.Tensor, layout: Layout
) -> Tap:
    """A tap of a tensor that carries a gradient."""
    indices = layout.indices().to(tensor.device)
    return Tap(name, path, call, kind, get_gradient_edge(tensor), probe_of(tensor), layout, indices)
