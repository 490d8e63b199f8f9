"""Painting at once what a key has changed.

Textual hands a repaint from the widget to its screen as a message, from there to a timer, and then puts
the whole screen together from all widgets. After a key of ours it is known what changed: whole lines of
widgets that lie open. Where anything else is due, a new layout above all, Textual's own way is left to it.
The names of Textual that this needs are private.
"""

# ruff: noqa: SLF001
from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from gradtui.tui.widgets.direct import Direct

if TYPE_CHECKING:
    from collections.abc import Iterator

    from textual.geometry import Region
    from textual.screen import Screen
    from textual.strip import Strip
    from textual.widget import Widget

_DUE: Final = (
    "_layout_required", "_scroll_required", "_recompose_required", "_refresh_styles_required",
)  # fmt: skip
"""What a widget may want beyond a repaint."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Whole lines of widgets, each with its row and column on the screen."""

    lines: tuple[tuple[int, int, Strip], ...]


def lines_due(screen: Screen[Any]) -> Lines:
    """Take every repaint that is due on a screen, as lines; none where it is not only lines of ours.

    What is taken counts as painted.
    """
    try:
        if screen.message_queue_size or _wants_more(screen):
            return Lines(())
        visible = screen._compositor.visible_widgets
        due = [widget for widget in visible if widget._repaint_required]
        if screen._dirty_widgets or not all(_lies_open(widget, visible) for widget in due):
            return Lines(())
        return Lines(tuple(line for widget in due for line in _taken(widget, visible[widget][0])))
    except AttributeError:  # another Textual: it paints by itself
        return Lines(())


def lay_out(screen: Screen[Any]) -> None:
    """Lay a screen out and paint it, as Textual would after two ticks of a timer."""
    for widget in _below(screen):
        widget._layout_required = False
    screen._refresh_layout()


def _wants_more(screen: Screen[Any]) -> bool:
    return any(getattr(widget, name) for widget in _below(screen) for name in _DUE)


def _below(screen: Screen[Any]) -> Iterator[Widget]:
    left: list[Widget] = [screen]
    while left:
        widget = left.pop()
        yield widget
        left.extend(widget._nodes)


def _lies_open(widget: Widget, visible: dict[Widget, tuple[Region, Region]]) -> bool:
    """Whether a widget paints its own lines, and nothing is in front of them or cuts them."""
    region, clip = visible[widget]
    if not isinstance(widget, Direct) or not clip.contains_region(region):
        return False
    for other, (place, _) in visible.items():
        if other is widget:
            return True
        if place.overlaps(region):
            return False
    return False


def _taken(widget: Widget, region: Region) -> Iterator[tuple[int, int, Strip]]:
    widget._repaint_required = False
    rows = sorted(
        {
            y
            for part in widget._exchange_repaint_regions()
            for y in range(max(part.y, 0), min(part.bottom, region.height))
        }
    )
    if isinstance(widget, Direct):
        for y, strip in zip(rows, widget.painted(rows), strict=True):
            yield region.y + y, region.x, strip
