"""One pair's exact flow, in the cheapest form that is exact.

In this order: the closed form, where the graph proves that one convolution lies between the layers;
batched VJPs, one for each target node that has a gradient, where the result stays within the link
budget; else row and column sums alone, and single rows and columns on request.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

import torch

from gradtui.folder.generation import MAX_LINK_BYTES, MAX_LINKS
from gradtui.torch.products import (
    NoForwardProduct,
    chunk_size,
    column_sums,
    flow_columns,
    row_sums,
)
from gradtui.torch.structure import contract, convolution_path
from gradtui.torch.unfold import FlowLinks, convolution_flow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import nn
    from torch.autograd.graph import GradientEdge

    from gradtui.torch.tap import Tap

Form = Literal["dense", "sparse", "summed"]

# A link of a sparse flow: four int32 of its cells and a float32.
SPARSE_LINK_BYTES: Final = 20
# Column sums of a layer this small are worth a VJP per node where no JVP is to be had.
SUMMED_BY_COLUMNS: Final = 4096


_NONE: Final = torch.zeros(0, dtype=torch.long)


class Cancelled(Exception):
    """The work was told to stop."""


def _never(_: float) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Effort:
    """What a flow may cost.

    Attributes:
        links: most links that are written whole.
        link_bytes: most bytes of them.
        seconds: longest time for one pair's VJPs; a pair that would take longer is summed.
        progress: told the share done, 0 to 1; may raise `Cancelled`.
    """

    links: int = MAX_LINKS
    link_bytes: int = MAX_LINK_BYTES
    seconds: float = 20.0
    progress: Callable[[float], None] = _never

    def admits(self, links: int, link_bytes: int) -> bool:
        """Whether that many links are written whole."""
        return links <= self.links and link_bytes <= self.link_bytes


@dataclass(frozen=True, slots=True)
class PairFlow:
    """A measured flow between ``N`` source nodes and ``M`` target nodes.

    Attributes:
        form: which of the next two is filled; neither where ``summed``.
        matrix: ``[N, M]``.
        links: the non-zero links.
        row_sums: ``Σ_j F[·, j]``, ``[N]``.
        column_sums: ``Σ_i F[i, ·]``, ``[M]``; NaN where they could not be had.
        way: how it was computed, in words.
    """

    form: Form
    row_sums: torch.Tensor
    column_sums: torch.Tensor
    way: str
    matrix: torch.Tensor = field(default_factory=lambda: torch.zeros(0, 0))
    links: FlowLinks = field(default_factory=lambda: FlowLinks(_NONE, _NONE, torch.zeros(0)))

    @property
    def link_count(self) -> int:
        """Links that are not exactly zero; 0 where summed."""
        if self.form == "dense":
            return int(torch.count_nonzero(self.matrix))
        return len(self.links.values)


def measure_flow(
    source: Tap,
    target: Tap,
    gradient: torch.Tensor,
    *,
    wrapped: Mapping[tuple[object, int], tuple[GradientEdge, nn.Module]] | None = None,
    effort: Effort | None = None,
    closed_form: bool = True,
) -> PairFlow:
    """The exact flow from one layer to another.

    Args:
        source: ``a``.
        target: ``b``.
        gradient: ``g_b`` at b's nodes, ``[C', M]``.
        wrapped: convolutions that pad by themselves, from the taps.
        effort: the budget; the contract's by default.
        closed_form: whether the closed form may be used where it is proven.

    Returns:
        The flow, in the source's precision. A node whose ``g_b`` is zero in every channel has an empty
        column. NaN and Inf stay; where they stand hangs on the form: the closed form has them at the links
        of the nodes they belong to alone, a backward pass also multiplies them by the zeros of other
        nodes (0·NaN and 0·Inf are NaN), and so spreads them.

    Raises:
        Cancelled: from ``effort.progress``.
    """
    effort = effort or Effort()
    nodes = (source.layout.nodes, target.layout.nodes)
    if closed_form:
        path = convolution_path(source, target, wrapped or {})
        if path is not None:
            seed = torch.zeros(target.probe.numel(), dtype=gradient.dtype, device=gradient.device)
            seed[target.indices] = gradient
            arriving, slopes = contract(path, source, target, seed.view(target.probe.shape))
            links = convolution_flow(
                path.convolution,
                source.layout.shape[2:],
                target.layout.shape[2:],
                arriving,
                slopes,
            )
            if effort.admits(len(links.values), len(links.values) * SPARSE_LINK_BYTES):
                return _from_links(links, nodes, "closed form")
            return _summed(source, target, gradient, effort)
    return _by_columns(source, target, gradient, effort)


def _by_columns(source: Tap, target: Tap, gradient: torch.Tensor, effort: Effort) -> PairFlow:
    rows, columns = source.layout.nodes, target.layout.nodes
    live = torch.nonzero((gradient != 0).any(0)).flatten()
    # A flow has the source's precision, which mixed precision makes another than the target's.
    like = source.probe
    keep_dense = effort.admits(rows * columns, rows * columns * like.element_size())
    matrix = like.new_zeros((rows, columns) if keep_dense else (0, 0))
    found: list[FlowLinks] = []
    count, pace = 0, _Pace()
    for start in range(0, len(live), step := chunk_size(source, target)):
        chosen = live[start : start + step]
        part = flow_columns(source, target, gradient, chosen)
        if keep_dense:
            matrix[:, chosen] = part.T
        else:
            at, from_node = torch.nonzero(part, as_tuple=True)
            found.append(FlowLinks(from_node, chosen[at], part[at, from_node]))
            count += len(at)
            if not effort.admits(count, count * SPARSE_LINK_BYTES):
                return _summed(source, target, gradient, effort)
        done = (start + len(chosen)) / len(live)
        effort.progress(done)
        if pace.left(done) > effort.seconds:
            return _summed(source, target, gradient, effort)
    if keep_dense:
        return _from_matrix(matrix, "VJPs")
    return _from_links(_joined(found, like), (rows, columns), "VJPs")


class _Pace:
    """How long the rest will take, judged without the first step, which pays for what is done once."""

    __slots__ = ("_first", "_started")

    def __init__(self) -> None:
        self._first = 0.0
        self._started = 0.0

    def left(self, done: float) -> float:
        """Seconds left when the share ``done`` is done."""
        now = time.monotonic()
        if not self._first:
            self._first, self._started = done, now
            return 0.0
        return (now - self._started) / (done - self._first) * (1 - done)


def _joined(parts: list[FlowLinks], like: torch.Tensor) -> FlowLinks:
    if not parts:
        empty = torch.zeros(0, dtype=torch.long, device=like.device)
        return FlowLinks(empty, empty, like.new_zeros(0))
    return FlowLinks(
        torch.cat([part.sources for part in parts]),
        torch.cat([part.targets for part in parts]),
        torch.cat([part.values for part in parts]),
    )


def _from_matrix(matrix: torch.Tensor, way: str) -> PairFlow:
    matrix = matrix.cpu()
    # In double precision: the chain-rule check is to see the flow's error, not the sum's.
    sums = (matrix.sum(1, dtype=torch.float64), matrix.sum(0, dtype=torch.float64))
    count = int(torch.count_nonzero(matrix))
    if count * SPARSE_LINK_BYTES >= matrix.numel() * matrix.element_size():
        return PairFlow("dense", *sums, way, matrix=matrix)
    sources, targets = torch.nonzero(matrix, as_tuple=True)
    links = FlowLinks(sources, targets, matrix[sources, targets])
    return PairFlow("sparse", *sums, way, links=links)


def _from_links(links: FlowLinks, nodes: tuple[int, int], way: str) -> PairFlow:
    links = FlowLinks(links.sources.cpu(), links.targets.cpu(), links.values.cpu())
    sums = [
        torch.zeros(size, dtype=torch.float64).index_add_(0, ends, links.values.double())
        for size, ends in zip(nodes, (links.sources, links.targets), strict=True)
    ]
    dense_bytes = nodes[0] * nodes[1] * links.values.element_size()
    if len(links.values) * SPARSE_LINK_BYTES < dense_bytes:
        return PairFlow("sparse", sums[0], sums[1], way, links=links)
    matrix = links.values.new_zeros(nodes)
    matrix[links.sources, links.targets] = links.values
    return PairFlow("dense", sums[0], sums[1], way, matrix=matrix)


def _summed(source: Tap, target: Tap, gradient: torch.Tensor, effort: Effort) -> PairFlow:
    rows = row_sums(source, target, gradient)
    try:
        columns, way = column_sums(source, target, gradient), "one VJP and one JVP"
        if not same_total(rows, columns):
            raise NoForwardProduct
    except NoForwardProduct:
        columns = torch.full_like(gradient[0], math.nan)
        way = "one VJP; column sums unknown"
        if target.layout.nodes <= SUMMED_BY_COLUMNS:
            columns, way = _summed_columns(source, target, gradient, effort), "VJPs, summed"
    return PairFlow("summed", rows, columns, way)


def same_total(left: torch.Tensor, right: torch.Tensor) -> bool:
    """Whether two ways to the same total agree, as far as the terms' precision goes; NaN and Inf can't tell."""
    difference = left.double().sum() - right.double().sum()
    size = left.double().abs().sum() + right.double().abs().sum()
    coarser = max(torch.finfo(left.dtype).eps, torch.finfo(right.dtype).eps)
    tolerance = 64 * coarser * size
    return not bool(torch.isfinite(difference)) or bool(difference.abs() <= tolerance)


def _summed_columns(
    source: Tap, target: Tap, gradient: torch.Tensor, effort: Effort
) -> torch.Tensor:
    sums = source.probe.new_zeros(target.layout.nodes)
    live = torch.nonzero((gradient != 0).any(0)).flatten()
    for start in range(0, len(live), step := chunk_size(source, target)):
        chosen = live[start : start + step]
        sums[chosen] = flow_columns(source, target, gradient, chosen).sum(1)
        effort.progress((start + len(chosen)) / len(live))
    return sums
