"""Statistics of one tensor on the CPU: over its finite values, in float32 or better, in few passes.

A tensor is read in pieces that stay in the cache, so that the second pass over a piece costs a
fraction of the first. Sums of squares and of magnitudes are dot products, which are the fastest
reductions there are. What a float32 sum would lose (tiny, huge, non-finite values) is computed again in float64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch

from gradtui.torch.watching.sampling import flat

if TYPE_CHECKING:
    from collections.abc import Sequence

PIECE: Final = 1 << 18
# Squares of values below and above are lost or infinite in float32.
_SMALL: Final = 1e-12
_LARGE: Final = 1e15
# Views of the scratch memory are kept by length; models have few lengths, a generator of lengths must not fill memory.
_MOST_VIEWS: Final = 512


@dataclass(frozen=True, slots=True)
class Stats:
    """Statistics of a tensor, over its finite values; see `gradtui.core.run.keys.MERGED_BY` for each.

    An empty tensor has zeros, and NaN for the extremes; so has one without a finite value, but for its counts.
    """

    l2: float
    l1: float
    sum: float
    minimum: float
    maximum: float
    count: int
    zeros: int
    nan: int
    inf: int

    @property
    def is_finite(self) -> bool:
        """Whether every value is."""
        return not (self.nan or self.inf)


EMPTY: Final = Stats(0.0, 0.0, 0.0, math.nan, math.nan, 0, 0, 0, 0)


def measurable(tensor: torch.Tensor) -> torch.Tensor | None:
    """The dense real values that statistics are made of, or None where there are none in this process.

    A sharded tensor gives its local part, a sparse one its values, a complex one real and imaginary parts.
    """
    tensor = tensor.detach()
    local = getattr(tensor, "to_local", None)
    if local is not None:
        tensor = local()
    if tensor.layout is not torch.strided:
        if not tensor.is_sparse:
            return None
        tensor = tensor.coalesce().values()
    if tensor.is_quantized or tensor.is_meta or tensor.is_nested:
        return None
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor.resolve_conj())
    return tensor


class Meter:
    """Measures tensors on the CPU; it owns scratch memory of one piece, 1 MB."""

    def __init__(self) -> None:
        self._scratch = torch.empty(PIECE)
        self._views: dict[int, torch.Tensor] = {}

    def measure(self, tensor: torch.Tensor) -> Stats:
        """All statistics of a dense real tensor."""
        count = tensor.numel()
        if count == 0:
            return EMPTY
        values = flat(tensor)
        if values.dtype == torch.float64:
            return exact(values)
        squares = size = total = nonzero = 0.0
        low, high = math.inf, -math.inf
        for piece in _pieces(values) if count > PIECE else (values,):
            part = piece if piece.dtype == torch.float32 else piece.float()
            sign = torch.sign(part, out=self._scratch_of(part.numel()))
            squares += torch.dot(part, part).item()
            size += torch.dot(part, sign).item()
            nonzero += torch.dot(sign, sign).item()
            total += part.sum().item()
            least, most = torch.aminmax(part)
            low, high = _least(low, least.item()), _most(high, most.item())
        if not _safe(low, high):
            return exact(values)
        return Stats(
            math.sqrt(squares), size, total, low, high, count, count - round(nonzero), 0, 0
        )

    def norms_and_extremes(self, tensors: Sequence[torch.Tensor]) -> list[list[float]]:
        """``[l2, minimum, maximum, nan, inf]`` of each of several dense real tensors.

        One call does all norms: this is what every step pays.
        """
        found: list[list[float]] = []
        norms = _norms(tensors)
        for tensor, norm in zip(tensors, norms, strict=True):
            if tensor.numel() == 0:
                found.append([0.0, math.nan, math.nan, 0.0, 0.0])
                continue
            least, most = torch.aminmax(tensor)
            low, high = least.item(), most.item()
            if _safe(low, high):
                found.append([norm, low, high, 0.0, 0.0])
            else:
                stats = exact(flat(tensor))
                found.append([stats.l2, stats.minimum, stats.maximum, stats.nan, stats.inf])
        return found

    def norms(self, tensors: Sequence[torch.Tensor]) -> list[tuple[float, int, int]]:
        """``(l2, nan, inf)`` of each of several dense real tensors, ``l2`` over the finite part."""
        found: list[tuple[float, int, int]] = []
        for tensor, norm in zip(tensors, _norms(tensors), strict=True):
            if math.isfinite(norm) and norm > _SMALL:
                found.append((norm, 0, 0))
            else:
                stats = exact(flat(tensor)) if tensor.numel() else EMPTY
                found.append((stats.l2, stats.nan, stats.inf))
        return found

    def _scratch_of(self, count: int) -> torch.Tensor:
        view = self._views.get(count)
        if view is None:
            view = self._scratch[:count]
            if len(self._views) < _MOST_VIEWS:
                self._views[count] = view
        return view


def _pieces(values: torch.Tensor) -> tuple[torch.Tensor, ...]:
    found: tuple[torch.Tensor, ...] = values.split(PIECE)  # type: ignore[no-untyped-call]
    return found


def exact(values: torch.Tensor) -> Stats:
    """All statistics of one dimension of values in float64, whatever they are."""
    squares = size = total = 0.0
    low, high = math.inf, -math.inf
    zeros = nan = inf = 0
    largest = 0.0
    for piece in _pieces(values):
        part = piece.double()
        nan += int(torch.isnan(part).sum())
        inf += int(torch.isinf(part).sum())
        part = part[torch.isfinite(part)]
        if part.numel() == 0:
            continue
        least, most = torch.aminmax(part)
        low, high = min(low, least.item()), max(high, most.item())
        largest = max(abs(low), abs(high))
        size += part.abs().sum().item()
        total += part.sum().item()
        zeros += int((part == 0).sum())
        squares += torch.dot(part, part).item()
    if low > high:
        return Stats(0.0, 0.0, 0.0, math.nan, math.nan, values.numel(), 0, nan, inf)
    norm = math.sqrt(squares) if 1e-140 < largest < 1e140 else _scaled_norm(values, largest)
    return Stats(norm, size, total, low, high, values.numel(), zeros, nan, inf)


def _scaled_norm(values: torch.Tensor, largest: float) -> float:
    """The norm where even float64 squares would be lost."""
    if largest == 0.0:
        return 0.0
    part = values.double()
    part = part[torch.isfinite(part)] / largest
    return largest * math.sqrt(torch.dot(part, part).item())


def row_norms(gradient: torch.Tensor, most: int) -> torch.Tensor:
    """``‖g[b]‖₂`` over the rows of dimension 0, of at most ``most`` rows at a fixed stride, float32 ``[k]``.

    A tensor without a dimension is one row; rows without values have norm 0.
    """
    if gradient.dim() == 0:
        gradient = gradient.reshape(1)
    rows = gradient.shape[0]
    if rows > most:
        from gradtui.torch.watching.sampling import stride

        gradient = gradient[:: stride(rows, most)]
    if gradient.dtype == torch.float64:
        return torch.linalg.vector_norm(gradient.flatten(1), dim=1).float() if rows else _none()
    if rows == 0 or gradient.numel() == 0:
        return torch.zeros(gradient.shape[0])
    if gradient.dim() == 1:
        return gradient.float().abs()
    norms: torch.Tensor = torch.linalg.vector_norm(gradient.flatten(1), dim=1, dtype=torch.float32)
    return norms


def _none() -> torch.Tensor:
    return torch.zeros(0)


def _norms(tensors: Sequence[torch.Tensor]) -> list[float]:
    """The L2 norm of each, in float32 or better."""
    if not tensors:
        return []
    if any(tensor.dtype in (torch.float16, torch.bfloat16) for tensor in tensors):
        return [
            torch.linalg.vector_norm(
                tensor, dtype=torch.float64 if tensor.dtype == torch.float64 else torch.float32
            ).item()
            for tensor in tensors
        ]
    return [norm.item() for norm in torch._foreach_norm(list(tensors))]  # noqa: SLF001 - what optimizers use


def _safe(low: float, high: float) -> bool:
    """Whether float32 sums of squares of values between these lose nothing; False for NaN and Inf."""
    largest = max(abs(low), abs(high))
    return (_SMALL < largest < _LARGE) or (low == 0.0 == high)


def _least(a: float, b: float) -> float:
    return a if a <= b or math.isnan(a) else b


def _most(a: float, b: float) -> float:
    return a if a >= b or math.isnan(a) else b
