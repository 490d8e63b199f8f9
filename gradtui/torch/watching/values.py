"""Statistics of one tensor: over its finite values, in float32 or better, in few passes.

A tensor is read in pieces that stay in the cache, so that the second pass over a piece costs a
fraction of the first. Sums of squares and of magnitudes are dot products, which are the fastest
reductions there are. What a float32 sum would lose (tiny, huge, non-finite values) is computed again in float64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from gradtui.torch.watching.late import Late, LateStats
from gradtui.torch.watching.sampling import flat, sample_of, sampled

if TYPE_CHECKING:
    from gradtui.torch.watching.sampling import Floats

PIECE: Final = 1 << 17
# Values of a row whose norm is one sum, and of the parts of a longer one.
_LONG: Final = 4096
_PART: Final = 1024
# Squares of values below and above are lost or infinite in float32.
_SMALL: Final = 1e-12
_LARGE: Final = 1e15
_SMALL_SQUARE: Final = 1e-30
_PLAIN: Final = frozenset(
    {
        torch.float32,
        torch.float64,
        torch.float16,
        torch.bfloat16,
        torch.int64,
        torch.int32,
        torch.bool,
    }
)
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

    @property
    def may_be_broken(self) -> bool:
        """Whether a value is not finite; of promised statistics that is not known yet."""
        return not self.is_finite


EMPTY: Final = Stats(0.0, 0.0, 0.0, math.nan, math.nan, 0, 0, 0, 0)


def _of_norm(norm: tuple[float, int, int], count: int) -> Stats:
    """Of ``count`` values only what `Meter.norm` tells is known."""
    l2, nan, inf = norm
    return Stats(l2, math.nan, math.nan, math.nan, math.nan, count, -1, nan, inf)


def measurable(tensor: torch.Tensor) -> torch.Tensor | None:
    """The dense real values that statistics are made of, or None where there are none in this process.

    A sharded tensor gives its local part, a sparse one its values, a nested one those of all its tensors, a complex one
    real and imaginary parts.
    """
    tensor = _unnested(tensor.detach())
    if (
        type(tensor) is torch.Tensor
        and tensor.dtype in _PLAIN
        and tensor.layout is torch.strided
        and not tensor.is_meta
        and not tensor.is_neg()
    ):
        return tensor
    local = getattr(tensor, "to_local", None)
    if local is not None:
        tensor = local()
    if _is_without_memory(tensor):
        return None
    if tensor.layout is not torch.strided:
        if not tensor.is_sparse:
            return None
        tensor = tensor.coalesce().values()
    if tensor.is_quantized or tensor.is_meta:
        return None
    if tensor.is_floating_point() and tensor.dtype.itemsize == 1:
        # Of eight bits torch reckons little more than other floats.
        tensor = tensor.float()
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor.resolve_conj())
    return tensor.resolve_neg()


def _is_without_memory(tensor: torch.Tensor) -> bool:
    """Whether a tensor's values cannot be read: they stand in tensors that it wraps, nowhere, or two in a byte."""
    return (
        (type(tensor) is not torch.Tensor and bool(is_traceable_wrapper_subclass(tensor)))
        or type(tensor).__name__ == "FakeTensor"
        or str(tensor.dtype).startswith("torch.float4")
    )


def _unnested(tensor: torch.Tensor) -> torch.Tensor:
    """The values of a nested tensor, ``[n, ...]`` or ``[n]``, its ragged dimension first; any other is returned as it is."""
    if not tensor.is_nested:
        return tensor
    ragged = 0
    if tensor.layout is torch.jagged:
        # That of each tensor in it: 0, but where dimensions were exchanged.
        ragged = getattr(tensor, "_ragged_idx", 1) - 1
        lengths = getattr(tensor, "lengths", lambda: None)()
        # On a device lengths cannot be asked for: what lies between the tensors counts, too.
        if lengths is None or not tensor.is_cpu:
            values: torch.Tensor = tensor.values()
            return values.movedim(ragged, 0) if ragged else values
    parts = [part.movedim(ragged, 0) if ragged else part for part in tensor.unbind()]
    if not parts:
        return torch.zeros(0, device="cpu")
    if len({part.shape[-1] if part.dim() > 1 else 0 for part in parts}) == 1 and parts[0].dim() > 1:
        return torch.cat([part.flatten(0, -2) for part in parts])
    return torch.cat([part.reshape(-1) for part in parts])


def plain(tensor: torch.Tensor) -> torch.Tensor | None:
    """What can be summed up of a tensor as it is, else its `measurable` values."""
    data = tensor.detach()
    is_plain = type(data) is torch.Tensor and data.layout is torch.strided and not data.is_nested
    return data if is_plain else measurable(data)


class Meter:
    """Measures tensors; it owns scratch memory of one piece, 0.5 MB.

    Attributes:
        late: where the numbers of tensors on devices are promised.
    """

    def __init__(self) -> None:
        self.late = Late()
        with torch.inference_mode(mode=False):
            # What is made in that mode cannot be written to outside of it.
            self._scratch = torch.empty(PIECE, dtype=torch.float32, device="cpu")
        self._views: dict[int, torch.Tensor] = {}

    def measure(
        self, tensor: torch.Tensor, *, wants_sum: bool = True, wants_zeros: bool = True
    ) -> Stats | LateStats:
        """The statistics of a dense real tensor; promised where it lies on a device.

        Args:
            tensor: any shape.
            wants_sum: without, one pass less is made, and the sum is NaN.
            wants_zeros: without, one pass less is made, and the zeros are -1.
        """
        count = tensor.numel()
        if count == 0:
            return EMPTY
        if self.late.is_remote(tensor):
            return self.late.measure(tensor, wants_sum=wants_sum, wants_zeros=wants_zeros)
        values = flat(tensor)
        if values.dtype == torch.float64:
            return exact(values)
        squares = size = 0.0
        total = 0.0 if wants_sum else math.nan
        zeros = 0 if wants_zeros else -1
        low, high = math.inf, -math.inf
        for piece in _pieces(values) if count > PIECE else (values,):
            part = piece if piece.dtype == torch.float32 else piece.float()
            squares += torch.dot(part, part).item()
            extremes = torch.aminmax(part)
            least, most = extremes.min.item(), extremes.max.item()
            low, high = _least(low, least), _most(high, most)
            if least >= 0.0:
                # What a ReLU gives: its sum is its magnitude, and its least value tells of zeros.
                amount = part.sum().item()
                total, size, smallest = total + amount, size + amount, least
            else:
                if wants_sum:
                    total += part.sum().item()
                magnitude = torch.abs(part, out=self._scratch_of(part.numel()))
                size += magnitude.sum().item()
                smallest = magnitude.amin().item() if wants_zeros else 1.0
            if wants_zeros and smallest == 0.0:
                sign = torch.sign(part, out=self._scratch_of(part.numel()))
                zeros += part.numel() - round(torch.dot(sign, sign).item())
        if not _safe(low, high):
            return exact(values)
        return Stats(math.sqrt(squares), size, total, low, high, count, zeros, 0, 0)

    def gradient(self, tensor: torch.Tensor, most: int) -> tuple[Stats | LateStats, torch.Tensor]:
        """What is asked of the gradient of an input or output, and the norms of its rows, see `row_norms`.

        That is the norm, and what is not finite; all else is NaN. Where all rows have their norms that of the whole is
        theirs, and the gradient is read once.
        """
        norms = row_norms(tensor, most)
        count = tensor.numel()
        if count == 0:
            return EMPTY, norms
        if self.late.is_remote(tensor):
            return self.late.gradient(tensor), norms
        squares = torch.dot(norms, norms).item()
        is_exact = _SMALL_SQUARE < squares < math.inf
        if is_exact and norms.numel() == (tensor.shape[0] if tensor.dim() else 1):
            return _of_norm((math.sqrt(squares), 0, 0), count), norms
        found = self.norm(tensor)
        if found[0] > 0 and not is_exact:
            norms = row_norms(tensor.double(), most).float()
        return _of_norm(found, count), norms

    def sample(self, tensor: torch.Tensor, most: int) -> Floats | torch.Tensor:
        """A copy of a strided sample of a dense real tensor, float32 ``[k]`` where that lies; see `sampled`."""
        if not self.late.is_remote(tensor):
            return sample_of(tensor, most)
        part = sampled(tensor, most)
        return part.clone() if part.dtype == torch.float32 else part.float()

    def norm(self, tensor: torch.Tensor) -> tuple[float, int, int]:
        """``(l2, nan, inf)`` of a dense real tensor on the CPU, ``l2`` over the finite part: the least ever asked.

        Torch's own norm of a tensor of 20 million values is wrong by a thousandth on the CPU: one float32 sum.
        """
        values = flat(tensor)
        if values.dtype == torch.float64:
            stats = exact(values)
            return stats.l2, stats.nan, stats.inf
        squares = 0.0
        for piece in _pieces(values) if values.numel() > PIECE else (values,):
            part = piece if piece.dtype == torch.float32 else piece.float()
            squares += torch.dot(part, part).item()
        if _SMALL_SQUARE < squares < math.inf or (squares == 0.0 and _is_zero(values)):
            return math.sqrt(squares), 0, 0
        stats = exact(values)
        return stats.l2, stats.nan, stats.inf

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
    """All statistics of one dimension of values on the CPU in float64, whatever they are."""
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
    if gradient.numel() == 0:
        return torch.zeros(gradient.shape[0], device="cpu")
    if gradient.dim() == 1:
        return gradient.float().abs()
    values = gradient if gradient.is_contiguous() else _by_memory(gradient)
    return _norms(values.flatten(1)).float()


def _norms(rows: torch.Tensor) -> torch.Tensor:
    """The norms of rows, ``[k]``; of long ones those of the norms of their parts: one float32 sum would be inexact."""
    dtype = torch.float64 if rows.dtype == torch.float64 else torch.float32
    length = rows.shape[1]
    if length <= _LONG:
        norms: torch.Tensor = torch.linalg.vector_norm(rows, dim=1, dtype=dtype)
        return norms
    whole = length - length % _PART
    parts = rows[:, :whole].reshape(len(rows), -1, _PART)
    norms = _norms(torch.linalg.vector_norm(parts, dim=2, dtype=dtype))
    return torch.hypot(norms, _norms(rows[:, whole:])) if whole < length else norms


def _by_memory(tensor: torch.Tensor) -> torch.Tensor:
    """The same rows with what is in them in the order of memory, where that saves a copy (channels last)."""
    order = sorted(range(1, tensor.dim()), key=tensor.stride, reverse=True)
    return tensor.permute(0, *order)


def _is_zero(tensor: torch.Tensor) -> bool:
    """Whether all values are 0, and not only their squares."""
    if tensor.numel() == 0:
        return True
    least, most = torch.aminmax(tensor)
    return least.item() == 0.0 == most.item()


def _safe(low: float, high: float) -> bool:
    """Whether float32 sums of squares of values between these lose nothing; False for NaN and Inf."""
    largest = max(abs(low), abs(high))
    return (_SMALL < largest < _LARGE) or (low == 0.0 == high)


def _least(a: float, b: float) -> float:
    return a if a <= b or math.isnan(a) else b


def _most(a: float, b: float) -> float:
    return a if a >= b or math.isnan(a) else b
