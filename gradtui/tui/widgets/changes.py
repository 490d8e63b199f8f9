"""Which rows of a widget must be painted again: those whose contents differ from what stands there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.geometry import Region

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.widget import Widget


def refresh_changed(widget: Widget, before: Sequence[object], after: Sequence[object]) -> None:
    """Refresh the rows of a widget, one thing each, that changed, came or went; a widget without size has none."""
    size = widget.size
    changed = [
        Region(0, y, size.width, 1)
        for y in range(max(len(before), len(after)))
        if before[y : y + 1] != after[y : y + 1]
    ]
    if changed and size:
        widget.refresh(*changed)
