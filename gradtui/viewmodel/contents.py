"""What a map holds before it is cut: a layer's gradient or one of its channels, the input with its edits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gradtui.viewmodel.grid import TILES
from gradtui.viewmodel.selection import ALL_CHANNELS, layer_channels

if TYPE_CHECKING:
    from gradtui.core.arrays import Array
    from gradtui.core.edit import EditHistory
    from gradtui.core.session import Session
    from gradtui.viewmodel.selection import MapKey, Selection


@dataclass(frozen=True, slots=True)
class Content:
    """One array [H, W], or nine of them [9, H, W] where ``tiles`` is 3; ``words`` say what they are."""

    array: Array
    words: str = ""
    tiles: int = 1

    def plane(self, tile: int) -> Array:
        """Return the map of [H, W] cells, or that of one tile."""
        if self.array.ndim == 2:
            return self.array
        plane: Array = self.array[tile]
        return plane


def map_content(
    session: Session, selection: Selection, key: MapKey, edits: EditHistory | None = None
) -> Content:
    """Return what a map holds, in the channel that is chosen; empty where there is nothing.

    Pending edits show in the input if they were made on one of its shape.
    """
    if key in ("input", "target"):
        array = session.target if key == "target" else session.input
        if key == "input" and edits is not None and edits.pending_count:
            array = edits.applied() if edits.base.shape == array.shape else array
        return Content(array) if array.ndim == 2 else _one_channel(array, selection.channel, True)
    name = selection.layer if key == "source" else selection.connected
    layer = next((known for known in session.layers if known.name == name), None)
    if layer is None:
        return Content(np.zeros((0, 0)))
    stack = layer_channels(layer)
    if not stack.size:
        return Content(layer.map())
    if selection.channel == ALL_CHANNELS and not session.explicit:
        return Content(layer.map(), f"sum of {stack.shape[0]} channels")
    return _one_channel(stack, selection.channel, session.explicit)


def _one_channel(stack: Array, channel: int, nine: bool) -> Content:
    """One of several channels, all nine of explicit mode, or their sum."""
    count = stack.shape[0]
    if channel == ALL_CHANNELS and nine and count == TILES**2:
        return Content(stack, f"{count} channels", TILES)
    if 0 <= channel < count:
        return Content(stack[channel], f"channel {channel}")
    with np.errstate(invalid="ignore", over="ignore"):
        summed = stack.sum(axis=0, dtype=np.float64)
    return Content(summed, f"sum of {count} channels")
