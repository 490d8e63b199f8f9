"""What only outputs have: units that are dead, and values in the flat part of a nonlinearity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch import nn

from gradtui.torch.layout import layout_of
from gradtui.torch.watching.values import Stats

if TYPE_CHECKING:
    from gradtui.torch.watching.calls import Site
    from gradtui.torch.watching.late import LateStats

# Beyond these the slope of a sigmoid and of a tanh is below 0.01 and 0.02.
_SIGMOID: Final = 0.99
_TANH: Final = 0.99
_SATURATING: Final = (
    nn.Sigmoid, nn.Tanh, nn.Softmax, nn.Softmax2d, nn.Hardtanh, nn.ReLU6, nn.Hardsigmoid,
)  # fmt: skip


def saturates(kind: type) -> bool:
    """Whether `saturated` can tell something of a module of this class."""
    return issubclass(kind, _SATURATING)


def unit_dimension(
    site: Site, module: nn.Module, shape: tuple[int, ...], known: dict[tuple[int, ...], str]
) -> int:
    """The dimension that counts units: channels of ``[B, C, ...]``, else the last; -1 for a scalar.

    ``known`` remembers the letters that earlier modules stated for a shape: an activation goes by its producer.
    """
    found = site.units.get(shape)
    if found is None:
        letters = layout_of(module, shape, 0, known).letters
        known[shape] = letters
        found = letters.index("C") if "C" in letters else len(shape) - 1
        if len(site.units) < 64:
            site.units[shape] = found
    return found


def dead(
    values: torch.Tensor, dimension: int, stats: Stats | LateStats
) -> tuple[int, torch.Tensor]:
    """How many units a tensor has, and how many of them are 0 everywhere (a tensor of one number); NaN is not 0."""
    if dimension < 0 or stats.count == 0:
        return 0, torch.zeros((), device="cpu")
    units = values.shape[dimension]
    others = [d for d in range(values.dim()) if d != dimension]
    if isinstance(stats, Stats):
        if stats.zeros * units < stats.count:
            # Fewer zeros than one unit has values.
            return units, torch.zeros((), device="cpu")
        if stats.minimum >= 0 and not stats.nan:
            return units, (values.amax(others) == 0).sum() if others else (values == 0).sum()
    if not values.is_signed():
        largest = values.amax(others) if others else values
    else:
        # The smallest integer is its own magnitude, and negative.
        there = values != 0 if not values.is_floating_point() else values.abs()
        largest = there.amax(others) if others else there
    return units, (largest == 0).sum()


def saturated(module: nn.Module, values: torch.Tensor) -> torch.Tensor:
    """How many values are in the flat part of a module's nonlinearity, a tensor of one number.

    Sigmoid within 0.01 of its ends, tanh likewise, the clamped values of hardtanh and hardsigmoid, those
    at the upper end of ReLU6, and for softmax all values of a distribution of which one value has more than 0.99.
    """
    if isinstance(module, nn.ReLU6):
        return (values >= 6).sum()
    if isinstance(module, nn.Hardtanh):
        return ((values <= module.min_val) | (values >= module.max_val)).sum()
    if isinstance(module, nn.Hardsigmoid):
        return ((values <= 0) | (values >= 1)).sum()
    if isinstance(module, nn.Tanh):
        return (values.abs() > _TANH).sum()
    if isinstance(module, nn.Sigmoid):
        return ((values > _SIGMOID) | (values < 1 - _SIGMOID)).sum()
    dimension = -3 if isinstance(module, nn.Softmax2d) else getattr(module, "dim", None)
    if dimension is None or not -values.dim() <= dimension < values.dim():
        # Of a nested tensor all are in one dimension less.
        dimension = -1
    if not values.numel():
        return torch.zeros((), device="cpu")
    rows = (values.amax(dimension) > _SIGMOID).sum()
    return rows * (values.shape[dimension] if values.dim() else 1)
