"""One generation minus another, map by map."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gradtui.core.arrays import read_only

if TYPE_CHECKING:
    from gradtui.core.arrays import Array
    from gradtui.core.layer import Layer
    from gradtui.core.session import Session


def difference(session: Session, baseline: Session) -> Session:
    """Return ``session`` with its maps replaced by their differences to ``baseline``.

    Flows stay those of ``session``: a link is compared by its own number, in the readout.

    Shapes: each map keeps its shape, in float64.
    Units: those of the maps.
    Special values: a map that the baseline lacks, or has in another shape, is NaN everywhere:
        there is no difference to show. NaN in either gives NaN, Inf minus the same Inf is NaN, as
        IEEE 754 has it; empty maps stay empty.
    """
    known = {layer.name: layer for layer in baseline.layers}
    return replace(
        session,
        layers=tuple(_layer(layer, known.get(layer.name)) for layer in session.layers),
        input=_array(session.input, baseline.input),
        target=_array(session.target, baseline.target),
    )


def _layer(layer: Layer, other: Layer | None) -> Layer:
    if other is None:
        nothing = np.zeros((0, 0))
        return replace(
            layer,
            gradient=_array(layer.gradient, nothing),
            channels=_array(layer.channels, nothing),
        )
    return replace(
        layer,
        gradient=_array(layer.gradient, other.gradient),
        channels=_array(layer.channels, other.channels),
    )


def _array(array: Array, other: Array) -> Array:
    if array.shape != other.shape:
        return read_only(np.full(array.shape, np.nan))
    with np.errstate(invalid="ignore", over="ignore"):
        return read_only(array.astype(np.float64) - other.astype(np.float64))
