"""The Values view: four maps, arranged so that their cells are as large as they can be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from textual.containers import Container
from textual.geometry import Size
from textual.message import Message

from gradtui.core.edit import EditHistory
from gradtui.tui.render.geometry import choose
from gradtui.tui.widgets.heatmap import Heatmap
from gradtui.viewmodel.selection import MAP_KEYS, map_shape
from gradtui.viewmodel.values import value_maps

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from gradtui.tui.actions.desk import Desk
    from gradtui.viewmodel.selection import Cell, MapKey

MINI_WIDTH: Final = 60
LEAST_HEIGHT: Final = 5
"""Rows that a map needs below which a second row of maps is not worth its title."""
LARGEST_AREA: Final = 21.0
"""Characters of a cell beyond which it does not become clearer."""


class Resized(Message):
    """A view has another size: what it shows must be arranged anew."""


def desk_edits(desk: Desk) -> EditHistory:
    """Return the edits as far as they belong to what is shown: an older generation has none."""
    if desk.generations.comparing or not desk.generations.following:
        return EditHistory()
    return desk.edits


@dataclass(frozen=True, slots=True)
class Arrangement:
    """Which maps are shown, in how many columns, and how wide and high each column and row is."""

    keys: tuple[MapKey, ...] = ("source",)
    widths: tuple[int, ...] = (1,)
    height: int = 1

    def room(self, key: MapKey) -> Cell:
        """Rows and columns of characters that a map gets."""
        return (self.height, self.widths[self.keys.index(key) % len(self.widths)])


def arrangements(
    keys: tuple[MapKey, ...], shapes: dict[MapKey, Cell], width: int, height: int
) -> list[Arrangement]:
    """Return the ways to lay maps out: one row, two, or a column of them, each as wide as it needs."""
    ways = []
    for columns in sorted({1, 2, len(keys)} & set(range(1, len(keys) + 1)), reverse=True):
        rows = -(-len(keys) // columns)
        if rows > 1 and height // rows < LEAST_HEIGHT:
            continue
        needs = [
            max(shapes[key][1] for key in keys[column::columns]) * 2 + 4
            for column in range(columns)
        ]
        free = width - (columns - 1)
        widths = [max(free * need // sum(needs), 1) for need in needs]
        ways.append(Arrangement(keys, tuple(widths), height // rows))
    return ways


def score(way: Arrangement, shapes: dict[MapKey, Cell]) -> tuple[float, float]:
    """Return how large the smallest cell is, and all cells together."""
    areas = []
    for key in way.keys:
        height, width = way.room(key)
        rows, columns = shapes[key]
        plan = choose(rows, columns, width, height, digits=len(str(max(rows - 1, 0))))
        fits = plan.shown_rows >= rows and plan.shown_columns >= columns
        area = plan.cell_width * plan.cell_height * (0.5 if plan.half else 1.0)
        areas.append(min(area, LARGEST_AREA) if fits else 0.1)
    return (min(areas), sum(areas))


class ValuesView(Container):
    """The four maps, beside each other, in rows, or the focused one alone."""

    DEFAULT_CSS = """
    ValuesView { layout: grid; grid-size: 4 1; grid-gutter: 0 1; width: 1fr; height: 1fr; }
    """

    def __init__(self) -> None:
        super().__init__(id="values")
        self.maps: dict[MapKey, Heatmap] = {key: Heatmap(id=f"map-{key}") for key in MAP_KEYS}
        self.alone = False
        self._way = Arrangement(())
        self._drawn_for = Size(0, 0)

    def compose(self) -> ComposeResult:
        """Lay out the maps."""
        yield from self.maps.values()

    def on_resize(self) -> None:
        """Ask for maps of the new size, if they were made for another."""
        if self.size != self._drawn_for:
            self.post_message(Resized())

    def draw(self, desk: Desk, size: Size) -> None:
        """Show the maps, made for a size that the view has, or will have when it is laid out."""
        self._drawn_for = size
        way = self._choose(desk, size)
        if way != self._way:
            self._way = way
            for key, heatmap in self.maps.items():
                heatmap.display = key in way.keys
            columns = len(way.widths)
            self.styles.grid_size_columns = columns
            self.styles.grid_size_rows = -(-len(way.keys) // columns)
            self.styles.grid_columns = " ".join(f"{width}fr" for width in way.widths)
        solid = self.maps["input"].palette.solid
        room = {}
        for key in way.keys:
            height, width = way.room(key)
            room[key] = (max((height - 2) * (2 if solid else 1), 1), max(width - 4, 1))
        desk.maps = value_maps(
            desk.session, desk.selection, desk_edits(desk), room=room, seen=way.keys,
            scalings=desk.scalings,
        )  # fmt: skip
        for view in desk.maps:
            if view.key in way.keys:
                self.maps[view.key].show(view)

    def _choose(self, desk: Desk, size: Size) -> Arrangement:
        shapes = {key: map_shape(desk.session, desk.selection, key) for key in MAP_KEYS}
        keys = tuple(key for key in MAP_KEYS if 0 not in shapes[key])
        width, height = size
        focus = desk.selection.focus
        alone = Arrangement((focus if focus in keys else "source",), (max(width, 1),), height)
        if not keys or self.alone or width < MINI_WIDTH or height < LEAST_HEIGHT:
            return alone
        ways = arrangements(keys, shapes, width, height)
        return max(ways, key=lambda way: score(way, shapes), default=alone)
