"""Which rows of an architecture are listed, in which order, how hot each is, and the lanes beside them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from gradtui.core.architecture.lanes import ASCII, UNICODE, UPWARDS, gutter, lane_count, lanes
from gradtui.viewmodel.architecture.gradients import gradient_of
from gradtui.viewmodel.architecture.layout import FOLDED, REPEAT, ROLES, joined

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gradtui.core.architecture.graph import ModuleGraph
    from gradtui.core.architecture.lanes import Lanes
    from gradtui.core.arrays import Array, Flags, Floats, Indices
    from gradtui.viewmodel.architecture.choices import ArchitectureChoices
    from gradtui.viewmodel.architecture.layout import ArchitectureRow, Layout, Role
    from gradtui.viewmodel.architecture.rows import Rows


@dataclass(frozen=True, slots=True)
class Live:
    """What a watched run knows of a module: its gradient's norm, its time, and its worst finding.

    ``inside`` is the norm over its parameters and those of all modules in it. NaN says that a number is not known;
    ``is_lost`` and ``is_inside_lost``: the norm is NaN, for no value of the gradient is finite. ``rank`` is the
    finding's place among all, the worst first; ``held`` the worst one about it or about what is in it: place, flag, word.
    """

    gradient: float = float("nan")
    seconds: float = float("nan")
    flag: str = ""
    word: str = ""
    is_lost: bool = False
    inside: float = float("nan")
    is_inside_lost: bool = False
    rank: int = 0
    held: tuple[int, str, str] | tuple[()] = ()


@dataclass(frozen=True, slots=True, eq=False)
class ArchitectureView:
    """What the screen shows of a graph.

    Attributes:
        layout: all rows in dataflow order.
        shown: [shown], places in ``layout`` of the rows that are listed, top-down.
        heat: [shown], the share of the largest, 0 to 1.
        lanes: for each shown row; none where the order is not the dataflow's.
        lane_width: lanes that the widest row needs.
        live: what a run knows, by module path.
    """

    graph: ModuleGraph
    layout: Layout
    choices: ArchitectureChoices
    shown: Indices
    heat: Floats
    lanes: Lanes
    lane_width: int = 0
    live: Mapping[str, Live] = field(default_factory=dict)

    def row(self, place: int) -> ArchitectureRow:
        """The row at a place of the list."""
        return self.layout.row(int(self.shown[place]))

    def gutter(self, place: int, *, ascii: bool = False) -> str:
        """The lanes of a shown row as text; "" where the order is not the dataflow's."""
        if not self.lanes:
            return ""
        row = int(self.shown[place])
        mark = node_mark(
            ROLES[self.layout.roles[row]],
            int(self.layout.meets[row]),
            turns=row == self.layout.turn,
            ascii=ascii,
        )
        above = self.lanes[place - 1] if place else None
        glyphs = ASCII if ascii else UPWARDS if self.choices.upward else UNICODE
        return gutter(self.lanes[place], above, mark, width=self.lane_width, glyphs=glyphs)

    def place_of(self, row: int) -> int:
        """Where a row of the layout is listed; -1 where the filter hides it."""
        places = np.flatnonzero(self.shown == row)
        return int(places[0]) if len(places) else -1


def architecture_view(
    rows: Rows,
    choices: ArchitectureChoices,
    *,
    live: Mapping[str, Live] | None = None,
) -> ArchitectureView:
    """Lay out, filter and sort the rows of a graph, and judge their heat."""
    layout = rows.layout(choices)
    live = live or {}
    kept = np.arange(len(layout))
    if choices.filter:
        kept = np.flatnonzero(_fits(rows, layout, choices.filter))
    heats = _heats(layout, choices.hot, live)
    if choices.sort != "dataflow":
        keys = _sort_keys(rows, layout, heats, choices.sort)[kept]
        # Either way round, equal ones stay in the order of dataflow.
        kept = kept[np.argsort(-keys if choices.descending else keys, kind="stable")]
        drawn = lanes(0, ())
    else:
        drawn = _drawn(layout, kept, upward=choices.upward)
        if choices.upward:
            kept = kept[::-1]
    return ArchitectureView(
        rows.graph, layout, choices, kept, heats[kept], drawn, lane_count(drawn), live
    )


def holding(rows: Rows, view: ArchitectureView, text: str) -> list[int]:
    """Places of the listed rows of which a module or an operation has a text in its path or class; ascending."""
    places: list[int] = np.flatnonzero(_fits(rows, view.layout, text)[view.shown]).tolist()
    return places


def _fits(rows: Rows, layout: Layout, text: str) -> Flags:
    """For each row whether its name or class holds a text, or that of a leaf merged into it."""
    wanted = text.lower()
    holds = np.array([wanted in name for name in rows.names], dtype=np.bool_)
    fits: Flags = holds[layout.numbers]
    fits[layout.merged_into[holds[layout.merged]]] = True
    return fits


def _heats(layout: Layout, hot: str, live: Mapping[str, Live]) -> Floats:
    """For each row the share of the largest; 0 where nothing is known."""
    match hot:
        case "flops":
            values = layout.flops.astype(np.float64)
        case "parameters":
            values = layout.parameters.astype(np.float64)
        case "activations":
            values = layout.bytes.astype(np.float64)
        case _:
            values = _of_run(layout, hot, live)
    largest = values.max(initial=0.0)
    shares: Floats = values / largest if largest else np.zeros(len(layout))
    return shares


def _of_run(layout: Layout, hot: str, live: Mapping[str, Live]) -> Floats:
    """For each row its module's time, or the gradient of what it stands for; 0 where it is not known or not finite."""
    unknown = Live()
    about = (layout.graph.nodes[number] for number in layout.numbers.tolist())
    # An operation's path is that of the module it stands in.
    known = [live.get(n.path, unknown) if n.kind == "module" else unknown for n in about]
    if hot == "time":
        values = np.array([one.seconds for one in known])
    else:
        values = np.array([one.gradient for one in known])
        several = (layout.roles == FOLDED) | (layout.roles == REPEAT)
        several[layout.merged_into] = True
        for place in np.flatnonzero(several).tolist() if live else ():
            values[place] = gradient_of(layout.graph, layout.row(place), live)[0]
    return np.where((values > 0) & np.isfinite(values), values, 0.0)


def _sort_keys(rows: Rows, layout: Layout, heats: Floats, column: str) -> Array:
    """What the rows are sorted by, in a column."""
    match column:
        case "layer":
            return rows.ranks[layout.numbers]
        case "out":
            return rows.sizes[layout.lasts]
        case "params":
            return layout.parameters
        case "FLOPs":
            return layout.flops
        case "bytes":
            return layout.bytes
        case _:
            return heats


def _drawn(layout: Layout, kept: Indices, *, upward: bool) -> Lanes:
    """The lanes of the rows that are kept, in their order, or the last first."""
    if len(kept) == len(layout):
        return layout.lanes_upward if upward else layout.lanes
    at = np.full(len(layout), -1)
    at[kept] = np.arange(len(kept))
    ends = at[layout.ends]
    ends = ends[(ends >= 0).all(axis=1)]
    return joined(ends, layout.is_node[kept], upward=upward)


def node_mark(role: Role, inputs: int, *, turns: bool, ascii: bool) -> str:
    """The sign of a row: folded, several inputs, where the graph turns, or a leaf."""
    if role in ("folded", "repeat"):
        return "+" if ascii else "▸"
    if inputs > 1:
        return "#" if ascii else "⊕"
    if turns:
        return "U" if ascii else "◡"
    return "o" if ascii else "◆"
