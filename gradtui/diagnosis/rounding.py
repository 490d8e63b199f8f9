"""Which gradient norms are no more than what float32 leaves of an exact zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gradtui.core.arrays import Flags, Floats
    from gradtui.diagnosis.bounds import Bounds


def is_rounding(norms: Floats, bounds: Bounds) -> Flags:
    """Return which of a network's gradient norms say that no gradient arrives at all [n].

    What is added equally to all logits of a softmax has a gradient of exactly zero; the sums that make it leave some
    1e-9 of the others. Such norms lie a wide gap below all others and are tiny by themselves. Only both tell: in a
    network whose gradient grows or vanishes from layer to layer there is no gap, and where one layer makes it grow
    at once, what lies behind that layer is not tiny.

    Args:
        norms: of the weights of one network, in any order [n].
        bounds: ``rounding_gap`` and ``rounding_level``.

    Special values: a norm of 0 is one; NaN and infinity are not. Where all norms are tiny together none is.
    """
    ordered = np.sort(norms[(norms > 0) & np.isfinite(norms)])
    below = ordered[:-1]
    gaps = np.flatnonzero(
        (below < bounds.rounding_gap * ordered[1:]) & (below < bounds.rounding_level)
    )
    largest = float(below[gaps[-1]]) if len(gaps) else 0.0
    found: Flags = norms <= largest
    return found
