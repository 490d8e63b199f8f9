"""One generation minus another, map by map."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gradtui.core.arrays import read_only

if TYPE_CHECKING:
    from gradtui.core.arrays import Array
    from gradtui.core.layer import Layer
    from gradtui.core.session import Session


def difference(session: Session, baseline: Session) -> Session:
    """Return ``session`` with its maps replaced by their differences to ``baseline``.

    Flows stay those of ``session``: a link is compared by its own number, in the readout.

    Shapes: each map keeps its shape. Integers get a dtype that holds every difference; floats keep
        theirs, and its precision, unless a difference is beyond its range.
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
    nothing = np.zeros((0, 0))
    gradient = _array(layer.gradient, nothing if other is None else other.gradient)
    if layer.channels is layer.gradient:
        return replace(layer, gradient=gradient, channels=gradient)
    channels = _array(layer.channels, nothing if other is None else other.channels)
    return replace(layer, gradient=gradient, channels=channels)


def _array(array: Array, other: Array) -> Array:
    if array.shape != other.shape:
        return np.broadcast_to(np.nan, array.shape)
    dtype = _wide(np.result_type(array, other))
    # Cast piece by piece as it goes: two copies in float64 of a map of bytes would be 16 times its file.
    try:
        with np.errstate(invalid="ignore", over="raise"):
            return read_only(np.subtract(array, other, dtype=dtype))
    except FloatingPointError:
        with np.errstate(invalid="ignore", over="ignore"):
            return read_only(np.subtract(array, other, dtype=np.float64))


def _wide(dtype: np.dtype[Any]) -> type[np.generic]:
    """The smallest type that holds the differences of a type's numbers."""
    if dtype.kind == "f":
        return {2: np.float16, 4: np.float32}.get(dtype.itemsize, np.float64)
    return {1: np.int16, 2: np.int32}.get(dtype.itemsize, np.float64)
