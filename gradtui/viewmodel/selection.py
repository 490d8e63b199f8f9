"""What the person looks at: layer, pair, node, direction, threshold, scale, crop and zoom, as one value.

A selection knows names and places, never data, so that it survives a reload of the folder and a
restart of the program. `reconcile` fits it to a session; the transitions that keys call are in
`gradtui.viewmodel.moves` and `gradtui.viewmodel.choices`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal

from gradtui.core.estimate import ESTIMATES
from gradtui.core.layer import node_cell
from gradtui.core.polyphase import largest_level
from gradtui.core.reduce import strongest
from gradtui.core.scale import SCALES as SCALES
from gradtui.core.threshold import MODES as MODES
from gradtui.viewmodel.architecture.choices import ArchitectureChoices
from gradtui.viewmodel.run.choice import RunChoice

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gradtui.core.arrays import Array
    from gradtui.core.layer import Layer
    from gradtui.core.region import Region
    from gradtui.core.scale import Scale
    from gradtui.core.session import Pair, Session
    from gradtui.core.threshold import Mode

MapKey = Literal["input", "source", "connected", "target"]
Direction = Literal["out", "in", "both"]
Cell = tuple[int, int]
PairKey = tuple[str, str]

MAP_KEYS: Final[tuple[MapKey, ...]] = ("input", "source", "connected", "target")
DIRECTIONS: Final[tuple[Direction, ...]] = ("out", "in", "both")
VIEWS: Final = ("overview", "values", "flow", "history", "architecture", "log")

ALL_CHANNELS: Final = -1
"""Channels summed; in explicit mode, where a channel is a neighbour, all nine side by side."""
SUMMED: Final = -2
"""Explicit mode only: the sum over the nine channels."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A place to come back to: a node of a layer, and the pair and direction it was seen in."""

    layer: str
    connected: str
    direction: Direction
    cell: Cell


@dataclass(frozen=True, slots=True)
class Selection:
    """Everything that a person chose, in all views.

    ``layer`` is the selected layer and ``connected`` the other layer of the pair on the screen:
    its target in the directions out and both, its source in the direction in. Cursors, zooms and
    regions belong to a place (see `place_of`): a layer keeps its own wherever it is shown.

    ``zooms`` holds exponents: 0 is a cell for a cell, k a block of 2^k by 2^k; a place without one
    takes the smallest block that fits. ``thresholds`` are keyed by pair and mode, since a number of
    one mode means nothing in another. ``offsets`` are those of the input, then of the target.
    ``run`` is what was chosen of a watched training: module, series, steps; ``architecture`` of the
    model's graph: folds, order, merging.
    """

    view: str = "overview"
    layer: str = ""
    connected: str = ""
    direction: Direction = "out"
    focus: MapKey = "source"
    cursors: Mapping[str, Cell] = field(default_factory=dict)
    channel: int = ALL_CHANNELS
    tile: int = 0
    polyphase: int = 0
    scale: Scale = "linear"
    inverted: bool = False
    zooms: Mapping[str, int] = field(default_factory=dict)
    regions: Mapping[str, Region] = field(default_factory=dict)
    z: float = 1.0
    threshold_mode: Mode = "magnitude"
    threshold_scope: Literal["pair", "global"] = "pair"
    thresholds: Mapping[tuple[str, str, str], float] = field(default_factory=dict)
    offsets: Mapping[PairKey, tuple[Cell, Cell]] = field(default_factory=dict)
    estimate: str = "proportional"
    top: int = 12
    row: int = 0
    sort: str = "order"
    descending: bool = True
    filter: str = ""
    folds: frozenset[str] = frozenset()
    marks: Mapping[str, Visit] = field(default_factory=dict)
    trail: tuple[Visit, ...] = ()
    run: RunChoice = field(default_factory=RunChoice)
    architecture: ArchitectureChoices = field(default_factory=ArchitectureChoices)

    @property
    def node(self) -> Cell:
        """Row and column of the selected node, (0, 0) before one was chosen."""
        return self.cursors.get(layer_place(self.layer), (0, 0))

    def place_of(self, key: MapKey) -> str:
        """Return the place that a map shows: the input, the target, or a layer."""
        if key == "source":
            return layer_place(self.layer)
        if key == "connected":
            return layer_place(self.connected)
        return f"map:{key}"

    def cursor(self, key: MapKey) -> Cell:
        """Return the cell under the cursor of a map, as row and column of the whole map."""
        return self.cursors.get(self.place_of(key), (0, 0))

    def region(self, key: MapKey) -> Region | None:
        """Return the crop of a map, or None where it is shown whole."""
        return self.regions.get(self.place_of(key))

    def with_cursor(self, place: str, cell: Cell) -> Selection:
        """Return the selection with the cursor of a place at ``cell``."""
        return replace(self, cursors={**self.cursors, place: cell})


def layer_place(name: str) -> str:
    """Return the place of a layer; no layer's name can be mistaken for the input or the target."""
    return f"layer:{name}"


def connections(session: Session, selection: Selection) -> tuple[str, ...]:
    """Return the layers that `next pair` goes through, in the order of the session.

    The targets of the selected layer, or its sources in the direction in. A layer without pairs
    in that direction offers those of the other, so that a last layer still shows what feeds it.
    """
    outgoing = tuple(pair.target for pair in session.pairs_from(selection.layer))
    incoming = tuple(pair.source for pair in session.pairs_to(selection.layer))
    if selection.direction == "in":
        return incoming or outgoing
    return outgoing or incoming


def shown_direction(session: Session, selection: Selection) -> Direction:
    """Return the direction in force: the chosen one, or the only one that the layer has."""
    if selection.direction == "in":
        return "in" if session.pairs_to(selection.layer) else "out"
    return selection.direction if session.pairs_from(selection.layer) else "in"


def shown_pairs(session: Session, selection: Selection) -> tuple[Pair, ...]:
    """Return the pair on the screen as a tuple of one; empty where the layer has none."""
    if shown_direction(session, selection) == "in":
        pairs = [p for p in session.pairs_to(selection.layer) if p.source == selection.connected]
    else:
        pairs = [p for p in session.pairs_from(selection.layer) if p.target == selection.connected]
    return tuple(pairs[:1])


def shown_offsets(session: Session, selection: Selection, layer: str) -> tuple[Cell, Cell]:
    """Return the offsets of input and target that hold for a layer in the pair on the screen."""
    pairs = shown_pairs(session, selection)
    if pairs and layer in (pairs[0].source, pairs[0].target):
        return selection.offsets.get((pairs[0].source, pairs[0].target), ((0, 0), (0, 0)))
    return ((0, 0), (0, 0))


def map_shape(session: Session, selection: Selection, key: MapKey) -> Cell:
    """Return rows and columns of a map before crop and zoom; (0, 0) where there is none."""
    if key in ("input", "target"):
        array = session.input if key == "input" else session.target
        return (int(array.shape[-2]), int(array.shape[-1])) if array.size else (0, 0)
    name = selection.layer if key == "source" else selection.connected
    return layer_shape(session, name)


def layer_shape(session: Session, name: str) -> Cell:
    """Return rows and columns of a layer's map; (0, 0) for a layer that the session lacks."""
    for layer in session.layers:
        if layer.name == name:
            return (int(layer.shape[0]), int(layer.shape[1]))
    return (0, 0)


def layer_channels(layer: Layer) -> Array:
    """Return the channels of a layer, [C, H, W]; empty where only their sum is known."""
    if layer.channels.size or layer.gradient.ndim == 2:
        return layer.channels
    return layer.gradient


def channel_count(session: Session) -> int:
    """Return how many channels there are to choose from: nine in explicit mode, else the most of any layer."""
    if session.explicit:
        return 9
    return max((int(layer_channels(layer).shape[0]) for layer in session.layers), default=0)


def largest_polyphase(session: Session) -> int:
    """Return the largest polyphase level of the input, 0 outside explicit mode."""
    if not session.explicit:
        return 0
    return largest_level((int(session.input.shape[-2]), int(session.input.shape[-1])))


def reconcile(selection: Selection, session: Session) -> Selection:
    """Return the selection as it is valid for a session: what still exists is kept.

    A layer that is gone gives way to the first layer with a pair. A layer that was never visited
    starts at its strongest node, so that the first screen shows something. Thresholds, offsets
    and marks of pairs that are gone wait for their return.
    """
    names = [layer.name for layer in session.layers]
    if not names:
        return selection
    layer = selection.layer
    if layer not in names:
        layer = next((name for name in names if session.pairs_from(name)), names[0])
    fitted = replace(
        selection,
        layer=layer,
        channel=selection.channel
        if SUMMED <= selection.channel < channel_count(session)
        else ALL_CHANNELS,
        tile=min(max(selection.tile, 0), 8),
        polyphase=min(max(selection.polyphase, 0), largest_polyphase(session)),
        estimate=selection.estimate if selection.estimate in ESTIMATES else ESTIMATES[0],
    )
    others = connections(session, fitted)
    if fitted.connected not in others:
        fitted = replace(fitted, connected=others[0] if others else "")
    cursors = dict(fitted.cursors)
    for key in MAP_KEYS:
        height, width = map_shape(session, fitted, key)
        place = fitted.place_of(key)
        if not height or not width:
            continue
        if place not in cursors:
            cursors[place] = _strongest(session, fitted, key)
        row, column = cursors[place]
        cursors[place] = (min(max(row, 0), height - 1), min(max(column, 0), width - 1))
    focus = fitted.focus if 0 not in map_shape(session, fitted, fitted.focus) else "source"
    return replace(fitted, cursors=cursors, focus=focus)


def _strongest(session: Session, selection: Selection, key: MapKey) -> Cell:
    """The cell of the largest finite magnitude; (0, 0) for the input and target, and where all is NaN."""
    if key in ("input", "target"):
        return (0, 0)
    name = selection.layer if key == "source" else selection.connected
    values = session.layer(name).map()
    return node_cell((values.shape[0], values.shape[1]), strongest(values))
