"""Where a gradient dies: between which layers it is lost, on the way back from the loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gradtui.core.session import Session


@dataclass(frozen=True, slots=True)
class Death:
    """Between which layers a gradient is lost.

    Attributes:
        source: the last layer, seen from the loss, without gradient at the nodes looked at; empty where
            the gradient has not died.
        target: the layer that still has one; empty where none of those that follow has.
        passed: layers without any gradient on the way there, from the node on.
    """

    source: str = ""
    target: str = ""
    passed: tuple[str, ...] = ()


def where_it_dies(session: Session, layer: str, node: int) -> Death:
    """Return between which layers a node's gradient is lost, on the way back from the loss.

    From the node towards the loss: the first layer that has a gradient anywhere, and the one before it.

    Raises:
        KeyError: there is no such layer.
        IndexError: there is no such node.

    Special values: NaN and infinities are a gradient, if a bad one.
    """
    gradient = session.layer(layer).map()
    height, width = gradient.shape
    if not 0 <= node < height * width:
        raise IndexError(f"no node {node} in a map of {height} by {width}")
    if gradient[divmod(node, width)] != 0:
        return Death()
    passed = [layer]
    seen = {layer}
    for name in passed:
        for pair in session.pairs_from(name):
            if pair.target in seen:
                continue
            seen.add(pair.target)
            if np.any(session.layer(pair.target).map()):
                return Death(name, pair.target, tuple(passed[1:]))
            passed.append(pair.target)
    return Death(passed[-1], "", tuple(passed[1:]))
