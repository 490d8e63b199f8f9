"""Products with the Jacobian between two layers of a live graph: transposed (VJP) and plain (JVP).

A VJP is what the backward pass does; many at once are one batched backward pass. A JVP is had from
the same graph by differentiating the VJP, which is linear in what it is given, with respect to it.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradtui.torch.tap import Tap

# Elements of one batch of cotangents, and of what a wide graph makes of them.
CHUNK_ELEMENTS: Final = 1 << 22
WIDEST_CHUNK: Final = 512


class NoForwardProduct(Exception):
    """An operation between the two layers can't be differentiated twice."""


def pull_back(target: Tap, source: Tap, cotangents: torch.Tensor) -> torch.Tensor:
    """``Jᵀ u`` for each of K cotangents: ``[K, *target]`` to ``[K, *source]``.

    One batched backward pass; one each where an operation refuses batching, and where the user's hooks
    are on the graph, which must never meet a batch. Zero where the target
    does not depend on the source.
    """
    if len(cotangents) > 1 and not target.hooked:
        try:
            with _quiet():
                return _gradient(target.probe, source, cotangents, batched=True)
        except (RuntimeError, NotImplementedError, ValueError):
            pass
    return torch.stack([_gradient(target.probe, source, one) for one in cotangents])


def push_forward(target: Tap, source: Tap, tangent: torch.Tensor) -> torch.Tensor:
    """``J v`` for one tangent: ``[*source]`` to ``[*target]``.

    Source: the double-backward identity, J. Townsend, "A new trick for calculating Jacobian vector
    products", 2017.

    Raises:
        NoForwardProduct: when an operation on the way has no second derivative, or the user's hooks are on it.
    """
    if target.hooked:
        raise NoForwardProduct("hooks are on the graph")
    if target.key == source.key:
        return tangent
    cotangent = torch.zeros_like(target.probe, memory_format=torch.contiguous_format)
    cotangent.requires_grad_()
    try:
        with _quiet(), torch.enable_grad():
            pulled = torch.autograd.grad(
                target.probe, source.edge, cotangent, create_graph=True, retain_graph=True
            )[0]
            return torch.autograd.grad(pulled, cotangent, tangent)[0].detach()
    except (RuntimeError, NotImplementedError, ValueError) as error:
        raise NoForwardProduct(str(error).partition("\n")[0]) from error


def flow_columns(
    source: Tap, target: Tap, gradient: torch.Tensor, nodes: torch.Tensor
) -> torch.Tensor:
    """Columns of the flow: ``F[i, j] = Σ_c Σ_c' (∂b[c', j]/∂a[c, i]) · g_b[c', j]``.

    Args:
        source: the layer ``a``.
        target: the layer ``b``.
        gradient: ``g_b`` at the nodes, ``[C', M]``.
        nodes: which columns ``j``, int64 ``[K]``.

    Returns:
        ``[K, N]``: row k is column ``nodes[k]``.
    """
    count = len(nodes)
    cotangents = target.probe.new_zeros((count, target.probe.numel()))
    cotangents.scatter_(1, target.indices[:, nodes].T, gradient[:, nodes].T)
    pulled = pull_back(target, source, cotangents.view(count, *target.probe.shape))
    flat = pulled.reshape(count, -1)[:, source.indices.reshape(-1)]
    return flat.view(count, *source.indices.shape).sum(1)


def chunk_size(source: Tap, target: Tap) -> int:
    """How many columns go into one batched backward pass."""
    widest = max(source.probe.numel(), target.probe.numel(), 1)
    return max(1, min(WIDEST_CHUNK, CHUNK_ELEMENTS // widest))


def flow_row(source: Tap, target: Tap, gradient: torch.Tensor, node: int) -> torch.Tensor:
    """One row ``F[node, :]`` by one JVP, ``[M]``.

    Raises:
        NoForwardProduct: see `push_forward`.
    """
    tangent = torch.zeros(
        source.probe.numel(), dtype=source.probe.dtype, device=source.probe.device
    )
    tangent[source.indices[:, node]] = 1
    pushed = push_forward(target, source, tangent.view(source.probe.shape))
    return (target.nodes_of(pushed) * gradient).sum(0)


def column_sums(source: Tap, target: Tap, gradient: torch.Tensor) -> torch.Tensor:
    """``Σ_i F[i, ·]`` by one JVP, ``[M]``.

    Raises:
        NoForwardProduct: see `push_forward`.
    """
    tangent = torch.zeros(
        source.probe.numel(), dtype=source.probe.dtype, device=source.probe.device
    )
    tangent[source.indices.reshape(-1)] = 1
    pushed = push_forward(target, source, tangent.view(source.probe.shape))
    return (target.nodes_of(pushed) * gradient).sum(0)


def row_sums(source: Tap, target: Tap, gradient: torch.Tensor) -> torch.Tensor:
    """``Σ_j F[·, j]`` by one VJP, ``[N]``."""
    cotangent = torch.zeros(target.probe.numel(), dtype=gradient.dtype, device=gradient.device)
    cotangent[target.indices.reshape(-1)] = gradient.reshape(-1)
    pulled = _gradient(target.probe, source, cotangent.view(target.probe.shape))
    return source.nodes_of(pulled).sum(0)


def _gradient(
    output: torch.Tensor, source: Tap, cotangent: torch.Tensor, *, batched: bool = False
) -> torch.Tensor:
    result: torch.Tensor | None = torch.autograd.grad(
        output,
        source.edge,
        cotangent,
        retain_graph=True,
        allow_unused=True,
        is_grads_batched=batched,
    )[0]
    if result is not None:
        return result.detach()
    lead = (len(cotangent),) if batched else ()
    return source.probe.new_zeros((*lead, *source.probe.shape))


@contextmanager
def _quiet() -> Iterator[None]:
    # torch warns of slow batching rules and of graphs that hold themselves; neither is the user's doing.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def gradients(root: Any, seed: Any, taps: list[Tap]) -> list[torch.Tensor | None]:
    """Activation gradients of taps from one backward pass that keeps the graph; None where none arrives."""
    if not taps:
        return []
    found = torch.autograd.grad(
        root, [tap.edge for tap in taps], seed, retain_graph=True, allow_unused=True
    )
    return [None if gradient is None else gradient.detach() for gradient in found]
