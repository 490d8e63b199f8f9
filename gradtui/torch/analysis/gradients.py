"""Gradients of the moment: mean, largest, L1 and L2 of every parameter's ``.grad``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from gradtui.core.analysis.gradients import GradientTable, table

if TYPE_CHECKING:
    from torch import nn


def gradients(model: nn.Module, *, scale: float = 1.0, step: int = 0) -> GradientTable:
    """Return statistics of the gradients that a model's parameters hold now, as one row.

    In float64, so that half precision neither vanishes nor overflows; over the finite values, the others
    counted. All parameters count: biases, the model's own, those in lists; a shared one once. A parameter without
    a gradient is NaN. ``gradients(model).by_layer()`` takes each module's own together.

    Args:
        model: any module, after a backward pass.
        scale: what gradients are multiplied by now: ``scaler.get_scale()`` between ``scale(loss).backward()`` and
            ``unscale_``, 1 after it.
        step: the number of the row.

    Special values: a gradient without finite values has norms of 0 and a mean of NaN; an empty
        parameter's norms are 0. Of a sharded parameter (DTensor) it is this rank's part.
    """
    model = getattr(model, "_orig_mod", model)
    names, columns = [], []
    for name, parameter in model.named_parameters():
        names.append(name)
        columns.append(_statistics(parameter.grad, scale))
    values = np.array(columns, np.float64).reshape(len(names), 5).T[:, None]
    return table(
        tuple(names),
        np.array([step]),
        l1=values[0],
        l2=values[1],
        largest=values[2],
        count=values[3],
        nonfinite=values[4],
    )


def _statistics(gradient: torch.Tensor | None, scale: float) -> list[float]:
    """L1, L2, the largest, how many finite values and how many others; NaN without a gradient."""
    if gradient is None:
        return [math.nan] * 5
    gradient = gradient.detach()
    if hasattr(gradient, "to_local"):
        gradient = gradient.to_local()
    whole = gradient.numel()
    if gradient.layout == torch.sparse_coo:
        # What a sparse gradient leaves out is zero, and counts.
        gradient = gradient.coalesce().values()
    elif gradient.layout != torch.strided:
        gradient = gradient.to_dense()
    # Apple's GPUs have no float64.
    wide = torch.float32 if gradient.device.type == "mps" else torch.float64
    size = gradient.abs().to(wide)
    finite = torch.isfinite(size)
    lost = int((~finite).sum())
    size = torch.where(finite, size, 0.0) / scale
    largest = float(size.max()) if size.numel() else 0.0
    return [float(size.sum()), float(torch.linalg.vector_norm(size)), largest, whole - lost, lost]
