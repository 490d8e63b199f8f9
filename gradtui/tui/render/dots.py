"""Curves as dots in cells: the field of a chart, without its axes.

plotext makes an object of every dot, which took three quarters of a picture of a run that grows.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final

import numpy as np

from gradtui.viewmodel.text import Span, TextLine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradtui.core.arrays import Floats, Indices

_BRAILLE: Final = 0x2800
_BITS: Final = np.array([[0x40, 0x04, 0x02, 0x01], [0x80, 0x20, 0x10, 0x08]], np.uint8)
"""Of the dot of a braille character: by its column, then by its row from below."""
Stroke = tuple["Floats", "Floats"]
"""A way of the pen: x and y of its corners, float64 [k] each, both from 0 to 1."""


def dotted(
    curves: Sequence[tuple[str, Sequence[Stroke]]], columns: int, rows: int, *, ascii: bool = False
) -> list[TextLine]:
    """Return the lines of a field; of curves that share a cell the first one has it.

    The middle of a cell at an end of an axis is that end, as it is for the marks of the axis.

    Args:
        curves: the role of each, and its strokes.
        columns: of the field, at least 1.
        rows: likewise.
        ascii: a star for a cell that a curve goes through, in place of braille dots.
    """
    wide, high = (1, 1) if ascii else (2, 4)
    cells = np.zeros((rows, columns), np.uint8)
    owners = np.full((rows, columns), -1)
    for number in reversed(range(len(curves))):
        own = np.zeros((rows, columns), np.uint8)
        for x, y in curves[number][1]:
            across, up = _line(_dots(x, columns, wide), _dots(y, rows, high))
            bits = _BITS[across % wide, up % high]
            np.bitwise_or.at(own, (rows - 1 - up // high, across // wide), bits)
        touched = own > 0
        cells[touched], owners[touched] = own[touched], number
    return [
        _text_line(row, owner, [role for role, _ in curves], ascii=ascii)
        for row, owner in zip(cells.tolist(), owners.tolist(), strict=True)
    ]


def _dots(places: Floats, cells: int, dots: int) -> Indices:
    """Shares of an axis as dots of it, each cell having so many."""
    found = np.floor((places * (cells - 1) + 0.5) * dots)
    return np.clip(found, 0, cells * dots - 1).astype(np.intp)


def _line(x: Indices, y: Indices) -> tuple[Indices, Indices]:
    """All dots from corner to corner."""
    steps = np.maximum(np.abs(np.diff(x)), np.abs(np.diff(y)))
    begin = np.repeat(np.arange(len(steps)), steps)
    share = (np.arange(len(begin)) - np.repeat(np.cumsum(steps) - steps, steps)) / steps[begin]
    across = np.rint(x[begin] + share * np.diff(x)[begin]).astype(np.intp)
    up = np.rint(y[begin] + share * np.diff(y)[begin]).astype(np.intp)
    return np.append(across, x[-1]), np.append(up, y[-1])


def _text_line(
    cells: list[int], owners: list[int], roles: Sequence[str], *, ascii: bool
) -> TextLine:
    spans = []
    place = 0
    for owner, group in groupby(owners):
        stop = place + len(list(group))
        if owner < 0:
            spans.append(Span(" " * (stop - place)))
        elif ascii:
            spans.append(Span("*" * (stop - place), roles[owner]))
        else:
            spans.append(Span("".join(chr(_BRAILLE + c) for c in cells[place:stop]), roles[owner]))
        place = stop
    return tuple(spans)
