"""An app that sends the terminal only the cells that differ from what it shows.

Textual crops what it repaints on the right only, writes every attribute of every segment, and
paints the first frame several times. Here each of its updates goes through a `Shadow` of the
terminal instead. The names of Textual that this needs are private: where one is missing, or an
update is not understood, its own way of writing is used.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from textual import events
from textual.app import App, ReturnType
from textual.geometry import Size

from gradtui.tui.render.cells import COLOR_SYSTEMS, Shadow, cells_of
from gradtui.tui.screens.at_once import Lines, lay_out, lines_due

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.color import ColorSystem
    from rich.console import Console
    from textual.screen import Screen

    from gradtui.tui.render.cells import Cell

try:
    from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
except ImportError:  # another Textual: its own compositor writes
    SUPPORTED = False
else:
    SUPPORTED = hasattr(App, "_display")


class Unknown(Exception):
    """An update whose shape is not the one this module was written for."""


def _layout_patches(update: Any, system: ColorSystem) -> Iterator[tuple[int, int, list[Cell]]]:
    for row, strips in enumerate(update.strips, update.region.y):
        cells: list[Cell] = []
        for strip in strips:
            cells.extend(cells_of(strip, system))
        yield row, update.region.x, cells


def _chops_patches(update: Any, system: ColorSystem) -> Iterator[tuple[int, int, list[Cell]]]:
    for row, start, end in update.spans:
        if not 0 <= row < len(update.chops):
            continue
        for chop_end, (x, strip) in zip(update.chop_ends[row], update.chops[row].items()):  # noqa: B905
            if strip is None or x >= end or chop_end <= start:
                continue
            left, right = max(start, x), min(end, chop_end)
            if (left, right) != (x, x + strip.cell_length):
                strip = strip.crop(left - x, right - x)  # noqa: PLW2901
            yield row, left, cells_of(strip, system)


def patches_of(update: object, system: ColorSystem) -> list[tuple[int, int, list[Cell]]]:
    """The runs of cells that an update of Textual's compositor paints, as (row, column, cells).

    Raises:
        Unknown: it is not an update of the kinds known here.
    """
    if isinstance(update, Lines):
        return [(row, column, cells_of(strip, system)) for row, column, strip in update.lines]
    if not SUPPORTED:
        raise Unknown
    try:
        if isinstance(update, LayoutUpdate):
            return list(_layout_patches(update, system))
        if isinstance(update, ChopsUpdate):
            return list(_chops_patches(update, system))
    except (AttributeError, TypeError, ValueError, IndexError) as reason:
        raise Unknown from reason
    raise Unknown


if SUPPORTED:

    class _Differences(CompositorUpdate):
        """An update that writes itself as differences to a shadow."""

        def __init__(
            self, update: CompositorUpdate | Lines, shadow: Shadow, size: tuple[int, int]
        ) -> None:
            self._update = update
            self._shadow = shadow
            self._size = size

        def render_segments(self, console: Console) -> str:
            """Terminal sequences that bring the screen to the update."""
            system = COLOR_SYSTEMS.get(
                console.color_system or "truecolor", COLOR_SYSTEMS["truecolor"]
            )
            try:
                patches = patches_of(self._update, system)
            except Unknown:
                self._shadow.forget(*self._size)
                return str(self._update.render_segments(console))  # type: ignore[union-attr]
            return self._shadow.update(patches)


class SparseApp(App[ReturnType]):
    """An app whose screen is written as differences. `repaint_all` sends everything once more."""

    sparse: bool = SUPPORTED

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._shadow = Shadow()
        self._sized = False

    def _display(self, screen: Screen[Any], renderable: Any) -> None:
        if self.sparse and isinstance(renderable, (LayoutUpdate, ChopsUpdate, Lines)):
            size = (self.size.width, self.size.height)
            if self._shadow.size != size:
                self._shadow.forget(*size)
                if not isinstance(renderable, LayoutUpdate):
                    screen.refresh()
            renderable = _Differences(renderable, self._shadow, size)
        super()._display(screen, renderable)

    def paint_now(self) -> None:
        """Send at once what an action has changed, unless more keys wait: then all of them together."""
        if not self.sparse or self._batch_count or self.message_queue_size:
            return
        screen = self.screen
        if self._shadow.size == (self.size.width, self.size.height):
            found = lines_due(screen)
            if found.lines:
                self._display(screen, found)

    def lay_out_now(self) -> None:
        """Lay the screen out at once, and send what that changes."""
        if self.sparse and not self._batch_count and self.message_queue_size == 0:
            lay_out(self.screen)

    def repaint_all(self) -> None:
        """Send the whole screen again, whatever was written over it by others."""
        self._shadow.forget(*self._shadow.size)
        self.screen.refresh()

    def on_mount(self) -> None:
        """After a suspension the terminal shows something else."""
        self.app_resume_signal.subscribe(self, lambda _app: self.repaint_all())

    def _terminal_size(self) -> Size | None:
        """The size of the terminal; None where it is told in the stream of keys, in its order, or there is no terminal."""
        if self.is_headless or getattr(self._driver, "_in_band_window_resize", False):
            return None
        return Size(*shutil.get_terminal_size())

    def on_resize(self, event: events.Resize) -> None:
        """A resized terminal has moved, cut or wrapped what it showed.

        The first event only tells the size that the first frame was painted in.
        """
        if (now := self._terminal_size()) not in (None, event.size):
            # Textual reads the size in the handler of a signal. A second signal can interrupt that handler
            # when it has read and not yet told: then the older size is told last.
            event.prevent_default()
            self.post_message(events.Resize(now, now))
            return
        first, self._sized = not self._sized, True
        if self._shadow.size != (0, 0) and not (first and self._shadow.size == event.size):
            self.repaint_all()
