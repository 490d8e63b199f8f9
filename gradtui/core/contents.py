"""Single values out of a foreign dict: checked, named when they are wrong, never guessed at."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np

from gradtui.core.arrays import read_only
from gradtui.errors import InvalidContents

if TYPE_CHECKING:
    from gradtui.core.arrays import Array

MOST_NODES: Final = 1 << 24
"""So many nodes a layer may have that no array in the file vouches for."""
_LONGEST = 60
_KINDS = {"c": "complex", "O": "object", "V": "structured", "S": "bytes", "U": "text"}


def said(name: object) -> str:
    """Return a key as an error can name it: quoted, on one line, short; no text at all for hostile ones."""
    if isinstance(name, tuple) and len(name) == 2 and all(isinstance(part, str) for part in name):
        return f"({said(name[0])}, {said(name[1])})"
    if not isinstance(name, str):
        return f"a {type(name).__name__}"
    return ascii(name if len(name) <= _LONGEST else name[: _LONGEST - 3] + "...")


def shown_shape(shape: tuple[int, ...]) -> str:
    """Return a shape as an error shows it: ``2x3``, ``0-d``."""
    return "x".join(map(str, shape)) or "0-d"


def mapping(value: object, what: str) -> Mapping[object, object]:
    """Return a value that has to be a dict; None counts as an empty one.

    Raises:
        InvalidContents: it is something else.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidContents(f"{what} is a {type(value).__name__}, not a dict")
    return value


def real_array(value: object, what: str) -> Array:
    """Return an array of real numbers: an array, a number, or nested lists of numbers.

    Raises:
        InvalidContents: another kind of value or of dtype; it says which.
    """
    if isinstance(value, np.ndarray):
        array = value
    elif isinstance(value, (bool, int, float, list, tuple, np.generic)):
        try:
            array = np.asarray(value)
        except (ValueError, OverflowError, RecursionError, TypeError):
            raise InvalidContents(f"{what} is not an array: lists of unequal length") from None
    else:
        raise InvalidContents(f"{what} is a {type(value).__name__}, not an array")
    if not array.size and math.prod(n for n in array.shape if n) > MOST_NODES:
        # Sums over its other axis would take what the shape claims, and no file pays for that.
        raise InvalidContents(f"{what} holds nothing, but claims to be {shown_shape(array.shape)}")
    if array.dtype.kind not in "biuf":
        kind = _KINDS.get(array.dtype.kind, str(array.dtype))
        raise InvalidContents(f"{what} has the {kind} dtype, not real numbers")
    return read_only(array)


def whole_numbers(value: object, what: str) -> Array:
    """Return a vector of whole numbers, of the integer dtype it came in; floats that are whole count.

    Raises:
        InvalidContents: anything else.
    """
    array = real_array(value, what).ravel()
    if array.dtype.kind == "f":
        if not (np.isfinite(array) & (array == np.rint(array)) & (np.abs(array) < 2**62)).all():
            raise InvalidContents(f"{what} holds numbers that are not whole")
        array = array.astype(np.int64)
    return array


def number(value: object) -> float:
    """Return a number as float; NaN for anything that is none."""
    if isinstance(value, (bool, int, float, np.number)) and not isinstance(
        value, np.complexfloating
    ):
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    return math.nan
