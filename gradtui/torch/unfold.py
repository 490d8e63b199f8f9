"""The exact flow through one convolution in closed form: no Jacobian, no backward pass.

For a convolution ``b[c', j] = Σ_c Σ_k W[c', c, k] · x[c, p(j, k)]``, where ``p(j, k)`` is the position that
tap k of the kernel reads for output position j, and ``x = d ⊙ a`` up to a constant (``d`` the slopes of
elementwise operations on the way, 1 without any):

``F[p(j, k), j] += Σ_c d[c, p(j, k)] · Σ_c' W[c', c, k] · g_b[c', j]``

so that each of the at most K·M links is one contraction over channels. A transposed convolution is
the same with the roles of reading and writing positions exchanged: ``q(i, k)`` is the output that
input i reaches through tap k.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Final

import torch

# How torch's padding modes continue a row of n cells at position p < 0 or p ≥ n.
_MODES: Final = ("zeros", "circular", "reflect", "replicate")


@dataclass(frozen=True, slots=True)
class Convolution:
    """What the closed form needs of a convolution.

    Attributes:
        weight: ``[C', C/groups, *kernel]``; ``[C, C'/groups, *kernel]`` where transposed.
        stride: per spatial dimension, as are the next two.
        padding: cells before the first (a transposed convolution: cells cut there).
        dilation: distance of the kernel's taps.
        groups: blocks of channels that don't mix.
        transposed: whether it is a transposed convolution.
        mode: how what is outside is continued.
    """

    weight: torch.Tensor
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int = 1
    transposed: bool = False
    mode: str = "zeros"

    @property
    def kernel(self) -> tuple[int, ...]:
        """Extent of the kernel."""
        return tuple(self.weight.shape[2:])


@dataclass(frozen=True, slots=True)
class FlowLinks:
    """A flow's non-zero links: equally long source nodes, target nodes, values."""

    sources: torch.Tensor
    targets: torch.Tensor
    values: torch.Tensor


def convolution_flow(
    convolution: Convolution,
    source_shape: tuple[int, ...],
    target_shape: tuple[int, ...],
    gradient: torch.Tensor,
    slopes: torch.Tensor | None = None,
) -> FlowLinks:
    """The flow through a convolution.

    Args:
        convolution: which.
        source_shape: spatial extent of its input, N positions.
        target_shape: spatial extent of its output, M positions.
        gradient: ``g_b``, ``[C', M]``.
        slopes: ``d``, ``[C, N]``; None for ones.

    Returns:
        Links whose value is not exactly zero (NaN and Inf stay), each pair of nodes once.
    """
    anchors, reached = source_shape, target_shape
    if not convolution.transposed:
        anchors, reached = target_shape, source_shape
    table = _positions(convolution, anchors, reached).to(gradient.device)
    if slopes is None:
        values = _summed_channels(convolution, gradient, table)
    elif convolution.transposed:
        values = _transposed_values(convolution, gradient, slopes, table)
    else:
        values = _values(convolution, gradient, slopes, table)
    own = torch.arange(prod(anchors), device=gradient.device).expand_as(table)
    kept = (table >= 0) & (values != 0)
    ends = (own[kept], table[kept])
    sources, targets = ends if convolution.transposed else ends[::-1]
    links = FlowLinks(sources, targets, values[kept])
    # Only a continued border can reach one cell through two taps.
    return links if convolution.mode == "zeros" else _merged(links, prod(target_shape))


def _positions(
    convolution: Convolution, anchors: tuple[int, ...], reached: tuple[int, ...]
) -> torch.Tensor:
    """Flat reached position of each tap and anchor, int64 ``[K, A]``; -1 outside."""
    dimensions = len(anchors)
    flat = torch.zeros((1,) * (2 * dimensions), dtype=torch.long)
    inside = torch.ones((1,) * (2 * dimensions), dtype=torch.bool)
    for d, (count, extent) in enumerate(zip(anchors, reached, strict=True)):
        taps = torch.arange(convolution.kernel[d]) * convolution.dilation[d]
        starts = torch.arange(count) * convolution.stride[d] - convolution.padding[d]
        line = _continued(taps[:, None] + starts[None, :], extent, convolution.mode)
        shape = [1] * (2 * dimensions)
        shape[d], shape[dimensions + d] = line.shape
        line = line.view(shape)
        flat = flat * extent + line
        inside = inside & (line >= 0)
    size = (prod(convolution.kernel), prod(anchors))
    return torch.where(inside, flat, -1).reshape(size)


def _continued(position: torch.Tensor, extent: int, mode: str) -> torch.Tensor:
    if mode == "circular":
        return position % extent
    if mode == "replicate":
        return position.clamp(0, extent - 1)
    if mode == "reflect":
        position = position.abs()
        return torch.where(position < extent, position, 2 * (extent - 1) - position)
    return torch.where((position >= 0) & (position < extent), position, -1)


def _summed_channels(
    convolution: Convolution, gradient: torch.Tensor, table: torch.Tensor
) -> torch.Tensor:
    weight, groups = convolution.weight, convolution.groups
    if not convolution.transposed:
        return torch.mm(weight.flatten(2).sum(1).T, gradient)
    by_group = _blocks(weight.flatten(2), groups).sum(1).flatten(0, 1)
    return torch.mm(by_group.T, gradient).gather(1, table.clamp(min=0))


def _values(
    convolution: Convolution, gradient: torch.Tensor, slopes: torch.Tensor, table: torch.Tensor
) -> torch.Tensor:
    groups = convolution.groups
    weight = _blocks(convolution.weight.flatten(2), groups)  # [G, C'/G, C/G, K]
    grouped = _blocks(gradient, groups)  # [G, C'/G, M]
    rows = []
    for tap, position in enumerate(table.clamp(min=0)):
        arriving = (weight[..., tap].transpose(1, 2) @ grouped).flatten(0, 1)  # [C, M]
        rows.append((arriving * slopes[:, position]).sum(0))
    return torch.stack(rows)


def _transposed_values(
    convolution: Convolution, gradient: torch.Tensor, slopes: torch.Tensor, table: torch.Tensor
) -> torch.Tensor:
    groups = convolution.groups
    weight = _blocks(convolution.weight.flatten(2), groups)  # [G, C/G, C'/G, K]
    grouped = _blocks(gradient, groups)
    rows = []
    for tap, position in enumerate(table.clamp(min=0)):
        arriving = (weight[..., tap] @ grouped).flatten(0, 1)  # [C, M]
        rows.append((arriving[:, position] * slopes).sum(0))
    return torch.stack(rows)


def _blocks(tensor: torch.Tensor, groups: int) -> torch.Tensor:
    return tensor.reshape(groups, -1, *tensor.shape[1:])


def _merged(links: FlowLinks, targets: int) -> FlowLinks:
    keys, places = torch.unique(links.sources * targets + links.targets, return_inverse=True)
    values = torch.zeros(len(keys), dtype=links.values.dtype, device=links.values.device)
    values.index_add_(0, places, links.values)
    kept = values != 0
    return FlowLinks(keys[kept] // targets, keys[kept] % targets, values[kept])
