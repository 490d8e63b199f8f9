"""The slow and obvious way to a gradient flow: the whole Jacobian, one entry at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable


def reduced(tensor: torch.Tensor, letters: str, first: int = 0) -> torch.Tensor:
    """Sample 0 of ``B``, the sum over ``C``, the rest flattened: of the dimensions from ``first`` on."""
    for letter in letters:
        if letter == "B":
            tensor = tensor.select(first, 0)
        elif letter == "C":
            tensor = tensor.sum(first)
        else:
            first += 1
    return tensor


def flow_by_jacobian(
    between: Callable[[torch.Tensor], torch.Tensor],
    a: torch.Tensor,
    g_b: torch.Tensor,
    letters_a: str,
    letters_b: str,
) -> torch.Tensor:
    """``F[i, j] = Σ_c Σ_c' (∂b[c', j]/∂a[c, i]) · g_b[c', j]`` from ``∂b/∂a`` written out, ``[N, M]``."""
    jacobian = torch.autograd.functional.jacobian(lambda x: between(x.clone()), a.detach())
    weighted = jacobian * g_b.reshape(*g_b.shape, *[1] * a.dim())
    by_target = reduced(weighted, letters_b)
    mapped = by_target.dim() - a.dim()
    both = reduced(by_target, letters_a, mapped)
    targets = 1
    for size in both.shape[:mapped]:
        targets *= size
    return both.reshape(targets, -1).T


def dense(flow: object, nodes: tuple[int, int]) -> torch.Tensor:
    """A measured flow as a matrix, whatever its form."""
    if flow.form == "dense":  # type: ignore[attr-defined]
        return flow.matrix  # type: ignore[attr-defined,no-any-return]
    links = flow.links  # type: ignore[attr-defined]
    matrix = torch.zeros(nodes, dtype=links.values.dtype)
    matrix[links.sources, links.targets] = links.values
    assert len(torch.unique(links.sources * nodes[1] + links.targets)) == len(links.values)
    return matrix
