"""Gradient flow that was not measured, estimated from the activation gradients of both layers.

Notation: s and t are the activation gradients of source and target, flattened. Every estimate is a
product of a vector over sources and one over targets, so that it takes N + M numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from gradtui.core.arrays import as_floats
from gradtui.core.flow_forms import OuterFlow
from gradtui.errors import UsageError

if TYPE_CHECKING:
    import numpy.typing as npt

    from gradtui.core.arrays import Floats

ESTIMATES: Final = ("proportional", "equal", "minimum-norm", "vnittest")


def estimate(
    name: str, source_gradient: npt.ArrayLike, target_gradient: npt.ArrayLike
) -> OuterFlow:
    """Return the estimated flow between two layers.

    - ``proportional``: ``F[i, j] = s_i · |t_j| / Σ_k |t_k|``
    - ``equal``: ``F[i, j] = s_i / M'`` over the M' targets with ``t_j ≠ 0``
    - ``minimum-norm``: ``F[i, j] = s_i · t_j² / ‖t‖²``, which of all flows whose rows sum to s is the
      one of least ``Σ (F[i, j] / t_j)²``
    - ``vnittest``: ``F[i, j] = sign(s_i) · (1 / t_j) / Σ_k |1 / t_k|``, 0 where ``t_j = 0`` or ``s_i = 0``

    The first three keep the chain rule, ``Σ_j F[i, j] = s_i``; the last is vnittest's own and does not.

    Shapes: gradients of any shape with N and M elements; the flow is [N, M], row-major on both sides.
    Units: those of the source's gradient; vnittest's has none.

    Args:
        name: one of `ESTIMATES`.
        source_gradient: s, of any real dtype; integers are not truncated.
        target_gradient: t.

    Raises:
        UsageError: there is no such estimate.

    Special values: all is in float64, and finite gradients of any size give finite flows. Where t is
    zero everywhere there is nothing to share by, and the flow is 0. A target node that is NaN or
    infinite has a share of NaN and the others share without it; a source node that is gives a row
    that is (for vnittest: NaN gives NaN, infinities count by their sign). Empty layers give an empty flow.
    """
    source = as_floats(source_gradient).ravel()
    target = as_floats(target_gradient).ravel()
    known = np.isfinite(target)
    size = np.where(known, np.abs(target), 0.0)
    if name == "proportional":
        right = _shares(size)
    elif name == "equal":
        right = _shares((size != 0).astype(np.float64))
    elif name == "minimum-norm":
        right = _shares(_scaled(size) ** 2)
    elif name == "vnittest":
        right = np.copysign(_shares(_inverse(size)), target)
        source = np.sign(source)
    else:
        raise UsageError(f"no estimate is called {name}: {', '.join(ESTIMATES)}")
    return OuterFlow(source, np.where(known, right, np.nan))


def _scaled(size: Floats) -> Floats:
    """Magnitudes over the largest of them, so that sums and squares neither overflow nor vanish."""
    largest = float(size.max(initial=0.0))
    return size / largest if largest > 0 else size


def _shares(weights: Floats) -> Floats:
    """Weights that add up to 1; all 0 where there is no weight."""
    scaled = _scaled(weights)
    total = float(scaled.sum())
    return scaled / total if total > 0 else scaled


def _inverse(size: Floats) -> Floats:
    """``1 / size`` up to a factor, 0 where the size is: the smallest gets 1, so that none overflows."""
    positive = size > 0
    least = float(size[positive].min()) if positive.any() else 1.0
    return np.divide(least, size, out=np.zeros_like(size), where=positive)
