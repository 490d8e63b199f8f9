"""The chain rule as a check: do a node's flows and its bypass add up to its gradient?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from gradtui.core.arrays import as_floats, read_only

if TYPE_CHECKING:
    from gradtui.core.arrays import Floats
    from gradtui.core.layer import Layer
    from gradtui.core.session import Pair


@dataclass(frozen=True, slots=True, eq=False)
class ChainRule:
    """What is left of a source layer's gradient when its flows are taken away.

    Attributes:
        name: ``residual`` where the bypass is known and has been taken away too, so that what is left is an
            error of the capture; ``unexplained`` where it is not, and may have come another way.
        left: ``g_a[i] − Σ_j F[i, j] − bypass[i]``, [N].
        worst: the node where it is largest; -1 without nodes, or where nothing finite is left.
        relative: the largest of it over the largest ``|g_a|``; infinite where that is 0 and something is
            left, NaN without finite nodes.
        nonfinite: how many nodes have no finite answer.
    """

    name: Literal["residual", "unexplained"]
    left: Floats
    worst: int = -1
    relative: float = math.nan
    nonfinite: int = 0


def chain_rule(pair: Pair, source: Layer) -> ChainRule:
    """Return what is left of the gradient of a pair's source layer.

    Shapes: [N] for N source nodes. Units: those of the gradient.

    Raises:
        ValueError: the layer is not the pair's source.

    Special values: a node is left out of ``worst`` and ``relative``, and counted, where its gradient or a
        flow is NaN or infinite. Empty layers give NaN, and layers without gradient and flow 0.
    """
    if source.name != pair.source or source.nodes != pair.flow.shape[0]:
        raise ValueError(f"{source.name} is not the source of the pair from {pair.source}")
    gradient = as_floats(source.map()).ravel()
    with np.errstate(over="ignore", invalid="ignore"):
        left = gradient - pair.flow.row_sums()
        if pair.bypass.size:
            left = left - pair.bypass
    name: Literal["residual", "unexplained"] = "residual" if pair.bypass.size else "unexplained"
    finite = np.isfinite(left)
    nonfinite = int(left.size - np.count_nonzero(finite))
    if nonfinite == left.size:
        return ChainRule(name, read_only(left), nonfinite=nonfinite)
    size = np.where(finite, np.abs(left), -1.0)
    worst = int(np.argmax(size))
    largest = float(np.abs(gradient[np.isfinite(gradient)]).max(initial=0.0))
    error = float(size[worst])
    relative = error / largest if largest else (math.inf if error else 0.0)
    return ChainRule(name, read_only(left), worst, relative, nonfinite)
