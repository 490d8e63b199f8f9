"""Numbers of tensors that lie on a device: promised in the training's step, read when the device has made them.

To ask a device for a number is to wait until it has done all that it was given, and a training is fast because it
runs ahead of its device. So the step only gives the device more to do; one copy a step brings all numbers back,
and the writer's thread waits for that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

Kind: TypeAlias = Literal["value", "finite", "inverse", "nan", "inf"]


class Bucket:
    """Tensors of one device and one kind of numbers, on their way to the CPU together."""

    def __init__(self) -> None:
        self.size = 0
        self._tensors: list[torch.Tensor] = []
        self._host: torch.Tensor | None = None
        self._event: Any = None
        self._array: npt.NDArray[Any] | None = None

    def put(self, tensor: torch.Tensor) -> int:
        """Take a tensor, which must not be written to any more; returns the place of its first value."""
        place = self.size
        self._tensors.append(tensor.reshape(-1))
        self.size += tensor.numel()
        return place

    def send(self) -> None:
        """Begin the copy; waits for nothing where the device is one that can be left alone."""
        joined = torch.cat(self._tensors)
        self._tensors.clear()
        if joined.is_cuda:
            self._host = torch.empty(
                joined.shape, dtype=joined.dtype, device="cpu", pin_memory=True
            )
            self._host.copy_(joined, non_blocking=True)
            self._event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._event.record(torch.cuda.current_stream(joined.device))
        else:
            self._host = joined.cpu()

    def values(self) -> npt.NDArray[Any]:
        """All values, once the device has made them: waits, so never in the training's thread."""
        if self._array is None:
            if self._host is None:
                raise RuntimeError("these numbers were not sent")
            if self._event is not None:
                self._event.synchronize()
            self._array, self._host = _as_array(self._host), None
        return self._array


class Elapsed:
    """The time between two moments of a device's own work; in the place of a bucket of one value, in seconds."""

    def __init__(self) -> None:
        self._events: list[Any] = [
            torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            for _ in range(2)
        ]
        self._events[0].record()

    def stop(self) -> Promise:
        """This is the second moment; returns the promise of the time."""
        self._events[1].record()
        return Promise(self, 0)

    def values(self) -> npt.NDArray[Any]:
        """See `Bucket`."""
        begin, end = self._events
        end.synchronize()
        return np.array([begin.elapsed_time(end) / 1e3])


@dataclass(frozen=True, slots=True)
class Promise:
    """One number of a device, known later.

    Attributes:
        kind: what is made of the value x: itself, "finite": NaN for what is not, "inverse": 1 / x, "nan" and "inf":
            whether it is, 1 or 0.
        factor: what that is multiplied with.
    """

    bucket: Bucket | Elapsed
    place: int
    kind: Kind = "value"
    factor: Later = 1.0

    def __mul__(self, factor: Later) -> Promise:
        return replace(self, factor=factor if self.factor == 1.0 else self.factor * factor)

    __rmul__ = __mul__

    def of_kind(self, kind: Kind) -> Promise:
        """The same number, of which something else is made."""
        return replace(self, kind=kind)


Later: TypeAlias = "float | Promise"
"""A number, or the promise of one."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some values of a device, known later."""

    bucket: Bucket
    place: int
    size: int


@dataclass(frozen=True, slots=True)
class LateStats:
    """What `gradtui.torch.watching.values.Stats` has, promised.

    The counts are exact; of a tensor that is not finite all else is NaN, where a tensor on the CPU has the
    numbers of its finite part.
    """

    l2: Promise
    l1: Later
    sum: Later
    minimum: Later
    maximum: Later
    count: int
    zeros: Later
    nan: Promise
    inf: Promise

    @property
    def may_be_broken(self) -> bool:
        """See `gradtui.torch.watching.values.Stats`."""
        return True


class Late:
    """Gathers what a step asks of devices."""

    def __init__(self) -> None:
        self._open: dict[tuple[torch.device, torch.dtype], Bucket] = {}

    @staticmethod
    def is_remote(tensor: torch.Tensor) -> bool:
        """Whether a number of a tensor is to be waited for."""
        return not tensor.is_cpu

    def number(self, tensor: torch.Tensor, kind: Kind = "value") -> Promise:
        """Promise the one value of a tensor."""
        bucket = self._bucket(tensor)
        return Promise(bucket, bucket.put(tensor.detach()), kind)

    def scalar(self, given: Any) -> Later:
        """A number that is given as one, or as a tensor that may be written to afterwards."""
        if not isinstance(given, torch.Tensor):
            return float(given)
        value = given.detach()
        return self.number(value.reshape(()).clone()) if self.is_remote(value) else float(value)

    def part(self, tensor: torch.Tensor) -> Part:
        """Promise all values of a tensor."""
        bucket = self._bucket(tensor)
        return Part(bucket, bucket.put(tensor.detach()), tensor.numel())

    def send(self) -> None:
        """Have all that was promised so far on its way; what is promised from now on goes with the next."""
        opened, self._open = self._open, {}
        for bucket in opened.values():
            bucket.send()

    def now(self, given: Later) -> float:
        """A number at once, for what copies a tensor of the device anyway: the device is waited for."""
        if isinstance(given, Promise):
            self.send()
        return number_of(given)

    def norm(self, values: torch.Tensor) -> Promise:
        """The norm of a real tensor: NaN with NaN in it, else Inf with infinities."""
        return self.number(torch.linalg.vector_norm(_real(values), dtype=_wide(values)))

    def norms(self, tensors: Sequence[torch.Tensor]) -> list[Promise]:
        """The norm of each, see `norm`; in a few calls for all."""
        groups: dict[tuple[torch.device, torch.dtype], list[int]] = {}
        for place, tensor in enumerate(tensors):
            groups.setdefault((tensor.device, tensor.dtype), []).append(place)
        found: dict[int, Promise] = {}
        for places in groups.values():
            some = [_real(tensors[place]) for place in places]
            norms = torch._foreach_norm(some, 2, _wide(some[0]))  # noqa: SLF001 - as torch.nn.utils does
            found.update(zip(places, map(self.number, norms), strict=True))
        return [found[place] for place in range(len(tensors))]

    def measure(
        self, values: torch.Tensor, *, wants_sum: bool = True, wants_zeros: bool = True
    ) -> LateStats:
        """The statistics of a tensor that is not empty; see `gradtui.torch.watching.values.Meter.measure`."""
        real, wide = _real(values), _wide(values)
        least, most = torch.aminmax(real)
        return LateStats(
            self.number(torch.linalg.vector_norm(real, dtype=wide), "finite"),
            self.number(torch.linalg.vector_norm(real, 1, dtype=wide), "finite"),
            self.number(real.sum(dtype=wide), "finite") if wants_sum else math.nan,
            self.number(least, "finite"),
            self.number(most, "finite"),
            values.numel(),
            self.number((real == 0).sum()) if wants_zeros else -1,
            self.number(torch.isnan(real).sum()),
            self.number(torch.isinf(real).sum()),
        )

    def gradient(self, values: torch.Tensor) -> LateStats:
        """Of a tensor that is not empty; see `gradtui.torch.watching.values.Meter.gradient`."""
        real, wide = _real(values), _wide(values)
        return LateStats(
            self.number(torch.linalg.vector_norm(real, dtype=wide), "finite"),
            math.nan,
            math.nan,
            math.nan,
            math.nan,
            values.numel(),
            -1,
            self.number(torch.isnan(real).sum()),
            self.number(torch.isinf(real).sum()),
        )

    def _bucket(self, tensor: torch.Tensor) -> Bucket:
        place = (tensor.device, tensor.dtype)
        found = self._open.get(place)
        if found is None:
            found = self._open[place] = Bucket()
        return found


def _real(values: torch.Tensor) -> torch.Tensor:
    return values if values.is_floating_point() else values.float()


def _wide(values: torch.Tensor) -> torch.dtype:
    """What sums are made in: the squares of all float32 are finite in float64, which one kind of device does not have."""
    return torch.float32 if values.device.type == "mps" else torch.float64


def number_of(given: Later) -> float:
    """A number, waited for where it was promised."""
    if not isinstance(given, Promise):
        return given
    value = float(given.bucket.values()[given.place])
    factor = number_of(given.factor)
    match given.kind:
        case "finite":
            return value * factor if math.isfinite(value) else math.nan
        case "inverse":
            return factor / value if value else math.inf
        case "nan":
            return float(math.isnan(value))
        case "inf":
            return float(math.isinf(value))
        case _:
            return value * factor


def values_of(given: torch.Tensor | npt.NDArray[Any] | Part) -> npt.NDArray[Any]:
    """The values of a tensor or of what was promised, as one dimension."""
    if isinstance(given, Part):
        return given.bucket.values()[given.place : given.place + given.size]
    if isinstance(given, np.ndarray):
        return given
    return _as_array(given.detach().cpu().reshape(-1))


def inverse(given: Later) -> Later:
    """1 over a number."""
    return given.of_kind("inverse") if isinstance(given, Promise) else 1.0 / given


def _as_array(tensor: torch.Tensor) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = (
        tensor.float() if tensor.dtype in (torch.bfloat16, torch.float16) else tensor
    ).numpy()
    return array
