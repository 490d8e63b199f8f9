"""Array types, and the one way in which values of the core keep their arrays from being written to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterator

Array: TypeAlias = npt.NDArray[Any]
"""An array of any real dtype."""
Floats: TypeAlias = npt.NDArray[np.float64]
Indices: TypeAlias = npt.NDArray[np.intp]
Flags: TypeAlias = npt.NDArray[np.bool_]

BLOCK: Final = 1 << 17
"""Elements that a scan looks at in one piece: 1 MB in float64, whatever the size of the whole."""


def read_only(array: npt.ArrayLike) -> Array:
    """Return a view of an array that cannot be written through.

    Special values: any shape and dtype; the data are not copied, and whoever holds the array itself
    can still write to it.
    """
    view: Array = np.asarray(array).view()
    view.flags.writeable = False
    return view


def as_floats(array: npt.ArrayLike) -> Floats:
    """Return values in float64, without a copy where they are float64 already.

    Special values: NaN and infinities stay. What float64 cannot hold (long doubles beyond 1.8e308)
    becomes infinite, without a warning.
    """
    with np.errstate(over="ignore"):
        return np.asarray(array, dtype=np.float64)


def blocks_of_rows(rows: int, columns: int) -> Iterator[slice]:
    """Yield slices of rows that hold about `BLOCK` elements each, at least one row.

    Nothing is yielded for an array without elements.
    """
    if rows <= 0 or columns <= 0:
        return
    height = max(1, BLOCK // columns)
    for start in range(0, rows, height):
        yield slice(start, min(start + height, rows))


def as_table(values: Array) -> Array:
    """Return the cells of an array, row-major, as a table that `blocks_of_rows` cuts into small pieces.

    Shapes: any to [n, m]. A map of one long row would else be a single block; the data are copied only
    where they lie in memory in no order that a table has.
    """
    if values.flags.c_contiguous or values.ndim < 2:
        return values.reshape(-1, 1)
    return values.reshape(-1, values.shape[-1])


def finite_parts(values: Array) -> Iterator[Floats]:
    """Yield the finite numbers of an array, row-major, in float64, about `BLOCK` at a time.

    A copy in float64 of a whole map of bytes would take eight times its file. A piece is empty where
    all of its cells are NaN or infinite; an empty array has no pieces.
    """
    table = as_table(values)
    for rows in blocks_of_rows(*table.shape):
        part = as_floats(table[rows])
        yield part[np.isfinite(part)]


def no_floats() -> Floats:
    """Return the empty value of a vector: read-only, no elements."""
    empty: Floats = read_only(np.zeros(0))
    return empty
