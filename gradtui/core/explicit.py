"""Explicit mode: a map of nine channels, one for each neighbour, whose numbers are the links themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from gradtui.core.sparse_flow import SparseFlow

if TYPE_CHECKING:
    from gradtui.core.arrays import Array

CHANNELS: Final = 9


def neighbour(channel: int) -> tuple[int, int]:
    """Return the offset in rows and columns that a channel stands for: ``(j // 3 − 1, j % 3 − 1)``.

    Raises:
        IndexError: a channel outside 0..8.
    """
    if not 0 <= channel < CHANNELS:
        raise IndexError(f"no channel {channel}: a cell has {CHANNELS} neighbours, itself included")
    return (channel // 3 - 1, channel % 3 - 1)


def is_explicit(array: Array) -> bool:
    """Whether a map has the nine neighbours as channels: [9, H, W]."""
    return array.ndim == 3 and array.shape[0] == CHANNELS


class ExplicitFlow(SparseFlow):
    """Links of explicit mode. Their values are the channels' numbers; vnittest counts each as 1."""

    __slots__ = ()


def explicit_flow(neighbours: Array) -> ExplicitFlow:
    """Return the links that nine channels list.

    The link from (r, c) to (r + dr, c + dc), with (dr, dc) the `neighbour` of channel j, exists where
    ``|A[j, r, c]| > 0``, and ``A[j, r, c]`` is its value. A neighbour outside the map is no link.

    Shapes: A is [9, H, W]; the flow is [H·W, H·W] with at most nine links a node.

    Raises:
        ValueError: another number of channels.

    Special values: infinities are links. So is NaN, with the value NaN: what went wrong must not look
        like no link. Zero, and an empty map, give no links.
    """
    if not is_explicit(neighbours):
        raise ValueError(f"explicit mode has [9, H, W], not {neighbours.shape}")
    height, width = neighbours.shape[1:]
    channels, rows, columns = np.nonzero(neighbours)
    to_rows = rows + channels // 3 - 1
    to_columns = columns + channels % 3 - 1
    inside = (to_rows >= 0) & (to_rows < height) & (to_columns >= 0) & (to_columns < width)
    values = neighbours[channels[inside], rows[inside], columns[inside]]
    return ExplicitFlow(
        (height * width, height * width),
        (rows * width + columns)[inside],
        (to_rows * width + to_columns)[inside],
        values,
    )
