"""The architecture as lines: lanes, name, shape, costs and hotspot of each row, and what is told of one."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from gradtui.core.architecture.lanes import ASCII, UNICODE, UPWARDS, gutter, lane_count, lanes
from gradtui.viewmodel.architecture.columns import HOT_CELLS, columns_of
from gradtui.viewmodel.architecture.figures import bar, shape_text, short
from gradtui.viewmodel.architecture.gradients import gradient_of
from gradtui.viewmodel.text import Span, cell_width, printable, safe_label

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gradtui.core.architecture.categories import Colours
    from gradtui.core.architecture.graph import GraphNode, ModuleGraph
    from gradtui.core.architecture.lanes import LaneRow
    from gradtui.viewmodel.architecture.choices import ArchitectureChoices
    from gradtui.viewmodel.architecture.columns import Column
    from gradtui.viewmodel.architecture.rows import ArchitectureRow, Layout, Rows
    from gradtui.viewmodel.text import TextLine

LEAST_FOR_MARK: Final = 20
"""Cells for a row's name from which "failed" stands behind it; the name's colour says it too."""


@dataclass(frozen=True, slots=True)
class Live:
    """What a watched run knows of a module: its gradient's norm, its time, and its worst finding.

    ``inside`` is the norm over its parameters and those of all modules in it. NaN says that a number is not known;
    ``is_lost`` and ``is_inside_lost``: the norm is NaN, for no value of the gradient is finite.
    """

    gradient: float = float("nan")
    seconds: float = float("nan")
    flag: str = ""
    word: str = ""
    is_lost: bool = False
    inside: float = float("nan")
    is_inside_lost: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class ArchitectureView:
    """What the screen shows of a graph.

    Attributes:
        layout: all rows in dataflow order.
        shown: places in ``layout.rows`` of the rows that are listed, top-down.
        heat: for each shown row the share of the largest, 0 to 1.
        lanes: for each shown row; none where the order is not the dataflow's.
        lane_width: lanes that the widest row needs.
        live: what a run knows, by module path.
    """

    graph: ModuleGraph
    layout: Layout
    choices: ArchitectureChoices
    shown: tuple[int, ...]
    heat: tuple[float, ...]
    lanes: tuple[LaneRow, ...] = ()
    lane_width: int = 0
    live: Mapping[str, Live] = field(default_factory=dict)

    def row(self, place: int) -> ArchitectureRow:
        """The row at a place of the list."""
        return self.layout.rows[self.shown[place]]

    def gutter(self, place: int, *, ascii: bool = False) -> str:
        """The lanes of a shown row as text; "" where the order is not the dataflow's."""
        if not self.lanes:
            return ""
        row = self.shown[place]
        mark = node_mark(
            self.layout.rows[row],
            int(self.layout.meets[row]),
            turns=row == self.layout.turn,
            ascii=ascii,
        )
        above = self.lanes[place - 1] if place else None
        glyphs = ASCII if ascii else UPWARDS if self.choices.upward else UNICODE
        return gutter(self.lanes[place], above, mark, width=self.lane_width, glyphs=glyphs)

    def place_of(self, row: int) -> int:
        """Where a row of the layout is listed; -1 where the filter hides it."""
        try:
            return self.shown.index(row)
        except ValueError:
            return -1


def architecture_view(
    rows: Rows,
    choices: ArchitectureChoices,
    *,
    live: Mapping[str, Live] | None = None,
) -> ArchitectureView:
    """Lay out, filter and sort the rows of a graph, and judge their heat."""
    layout = rows.layout(choices)
    live = live or {}
    kept = list(range(len(layout.rows)))
    if choices.filter:
        kept = [place for place in kept if _fits(rows.graph, layout.rows[place], choices.filter)]
    heats = _heats(rows, layout, choices.hot, live)
    if choices.sort != "dataflow":
        keys = _sort_keys(rows.graph, layout, heats, kept, choices.sort)
        # Either way round, equal ones stay in the order of dataflow.
        order = sorted(range(len(kept)), key=keys.__getitem__, reverse=choices.descending)
        kept = [kept[k] for k in order]
        drawn: tuple[LaneRow, ...] = ()
    else:
        if choices.upward:
            kept.reverse()
        drawn = _drawn(layout, kept, upward=choices.upward)
    return ArchitectureView(
        rows.graph,
        layout,
        choices,
        tuple(kept),
        tuple(heats[place] for place in kept),
        drawn,
        lane_count(drawn),
        live,
    )


def _fits(graph: ModuleGraph, row: ArchitectureRow, text: str) -> bool:
    wanted = text.lower()
    return not text or any(
        wanted in f"{graph.nodes[number].path} {graph.nodes[number].name}".lower()
        for number in (row.number, *row.merged)
    )


def cost(rows: Rows, row: ArchitectureRow, hot: str, live: Mapping[str, Live]) -> float:
    """The number that a row's heat is judged by; 0 where it is not known."""
    if hot == "parameters":
        return float(row.parameters)
    if hot == "activations":
        return float(row.bytes)
    if hot == "flops":
        return float(row.flops)
    if hot == "gradient":
        value = gradient_of(rows.graph, row, live)[0]
    else:
        known = live.get(rows.graph.nodes[row.number].path)
        value = 0.0 if known is None else known.seconds
    return value if value > 0 and value != float("inf") else 0.0


def _heats(rows: Rows, layout: Layout, hot: str, live: Mapping[str, Live]) -> list[float]:
    if hot == "flops":
        values = [float(row.flops) for row in layout.rows]
    else:
        values = [cost(rows, row, hot, live) for row in layout.rows]
    largest = max(values, default=0.0)
    return [value / largest if largest else 0.0 for value in values]


def _sort_keys(
    graph: ModuleGraph, layout: Layout, heats: Sequence[float], kept: Sequence[int], column: str
) -> Sequence[Any]:
    """What the rows that are kept are sorted by, in a column."""
    rows, nodes = layout.rows, graph.nodes
    match column:
        case "layer":
            # Numbers by their value: layer 10 comes after layer 2.
            return [
                [
                    int(part) if part.isdecimal() else part
                    for part in _DIGITS.split(nodes[rows[place].number].path)
                ]
                for place in kept
            ]
        case "out":
            lasts = [nodes[rows[place].last] for place in kept]
            return [math.prod(node.shape) if node.dtype else 0 for node in lasts]
        case "params":
            return [rows[place].parameters for place in kept]
        case "FLOPs":
            return [rows[place].flops for place in kept]
        case "bytes":
            return [rows[place].bytes for place in kept]
        case _:
            return [heats[place] for place in kept]


_DIGITS: Final = re.compile(r"(\d+)", re.ASCII)


def _drawn(layout: Layout, kept: list[int], *, upward: bool) -> tuple[LaneRow, ...]:
    """The lanes of the rows that are kept, in their order."""
    if not upward and len(kept) == len(layout.rows):
        return layout.lanes
    at = {place: k for k, place in enumerate(kept)}
    pairs = [(at[a], at[b]) for a, b in layout.edges if a in at and b in at]
    turned = sorted((b, a) if upward else (a, b) for a, b in pairs)
    return lanes(len(kept), turned, [layout.rows[place].role != "own" for place in kept])


def node_mark(row: ArchitectureRow, inputs: int, *, turns: bool, ascii: bool) -> str:
    """The sign of a row: folded, several inputs, where the graph turns, or a leaf."""
    if row.role in ("folded", "repeat"):
        return "+" if ascii else "▸"
    if inputs > 1:
        return "#" if ascii else "⊕"
    if turns:
        return "U" if ascii else "◡"
    return "o" if ascii else "◆"


def architecture_header(view: ArchitectureView, width: int, *, ascii: bool = False) -> TextLine:
    """The line above the rows; the column that sorts is marked."""
    columns = columns_of(width, live=bool(view.live))
    room = width - sum(column.width + 1 for column in columns)
    choices = view.choices
    down, up = ("v", "^") if ascii else ("▾", "▴")
    arrow = down if choices.descending else up
    name = "layer" + (arrow if choices.sort == "layer" else "")
    spans = [Span((" " + name).ljust(room)[:room], "dim")]
    for column in columns:
        title = (
            f"{choices.hot[:4]}·"
            if column.sort == "hot" and choices.hot != "flops"
            else column.title
        )
        title += arrow if column.sort == choices.sort else ""
        text = (
            title.ljust(column.width)
            if column.sort in ("hot", "flag")
            else title.rjust(column.width)
        )
        role = "title" if column.sort == choices.sort else "dim"
        spans.append(Span(" " + text[: column.width], role))
    return tuple(spans)


def architecture_line(
    view: ArchitectureView, place: int, width: int, colours: Colours, *, ascii: bool = False
) -> TextLine:
    """One row as a line of exactly ``width`` columns (of none below 8)."""
    if width < 8:
        return ()
    row = view.row(place)
    node = view.graph.nodes[row.number]
    columns = columns_of(width, live=bool(view.live))
    room = width - sum(column.width + 1 for column in columns)
    lead = view.gutter(place, ascii=ascii)
    lead = f" {lead} " if lead else " "
    if len(lead) > room // 2:
        lead = lead[: room // 2]
    name, classes = row_names(view, row)
    space = max(room - len(lead), 1)
    failed = has_failed(view, row)
    mark = (" x failed" if ascii else " ✗ failed") if failed and space > LEAST_FOR_MARK else ""
    space -= len(mark)
    # Of a path the end tells most, of an operation with what was merged into it the beginning.
    kept: Literal["start", "end"] = "start" if node.kind == "operation" else "end"
    name = safe_label(name, max(space - min(cell_width(classes) + 1, space // 3), 1), keep=kept)
    left = space - cell_width(name) - 1
    classes = safe_label(classes, left, keep="start") if left > 2 else ""
    spans = [
        Span(lead, "dim"),
        Span(name, "bad" if failed else _role_of(_state(view, node), node.guessed)),
        Span(" " + classes if classes else "", colours.of(node.name, node.kind)),
        Span(mark, "bad"),
    ]
    used = len(lead) + len(mark) + cell_width(name) + (cell_width(classes) + 1 if classes else 0)
    spans.append(Span(" " * max(room - used, 0)))
    for column in columns:
        text, role = _cell(view, row, place, column, ascii=ascii)
        padded = (
            text.ljust(column.width) if column.sort in ("hot", "flag") else text.rjust(column.width)
        )
        spans.append(Span(" " + padded, role))
    return tuple(span for span in spans if span.text)


def has_failed(view: ArchitectureView, row: ArchitectureRow) -> bool:
    """Whether the forward pass ended in what the row stands for."""
    if row.role == "own":
        # The calls around the failure failed too; where they stand open, the row inside tells it.
        return view.graph.fault.node == row.number
    numbers = (row.number, *row.merged, *row.members)
    return any(view.graph.nodes[number].state == "failed" for number in numbers)


def _state(view: ArchitectureView, node: GraphNode) -> str:
    # Of a tree that nobody ran, "not run" tells nothing of a module.
    return "run" if view.graph.stage == "static" else node.state


def _unreached(view: ArchitectureView, node: GraphNode) -> str:
    return "not run" if _state(view, node) == "not run" else ""


def _role_of(state: str, guessed: bool) -> str:
    return "dim" if state == "not run" else "warn" if guessed else ""


def row_names(view: ArchitectureView, row: ArchitectureRow) -> tuple[str, str]:
    """A row's name, and its classes or what else it is; both as the model has them.

    A module with parameters that was merged into the row is named with its path: nobody finds it elsewhere.
    """
    nodes = view.graph.nodes
    node = nodes[row.number]
    call = f"#{node.call}" if node.call else ""
    merged = [_merged_name(nodes[number]) for number in row.merged]
    if row.role in ("repeat", "folded"):
        name = _between(node.path, nodes[row.members[-1]].path) if row.members else node.path
        times = f" ×{len(row.members)}" if row.members else ""
        return (name or "(model)") + call, "+".join((node.name + times, *merged))
    if row.role == "own":
        return (node.path or "(model)") + call, "its own parameters"
    classes = "+".join((node.name, *merged))
    if node.kind == "module":
        return (node.path or "(model)") + call, classes
    if node.kind == "operation":
        return classes, node.path
    return node.name, node.kind


def _merged_name(node: GraphNode) -> str:
    own = node.kind == "module" and (node.parameters or node.shared)
    return f"{node.path} {node.name}" if own and not node.name.endswith(_SMALL) else node.name


_SMALL: Final = ("Norm", "Norm1d", "Norm2d", "Norm3d", "PReLU")
"""Modules with few parameters that go without saying beside the one before them."""


def _between(first: str, last: str) -> str:
    """``layers.0`` and ``layers.79`` as ``layers.[0…79]``; of calls of one module its path."""
    if first == last:
        return first
    head, _, a = first.rpartition(".")
    other, _, b = last.rpartition(".")
    return f"{head + '.' if head else ''}[{a}…{b}]" if head == other else f"{first} … {last}"


def _cell(
    view: ArchitectureView, row: ArchitectureRow, place: int, column: Column, *, ascii: bool
) -> tuple[str, str]:
    node, last = view.graph.nodes[row.number], view.graph.nodes[row.last]
    if column.sort == "out":
        if row.role == "own":
            return "", ""
        text = shape_text(last.shape) if last.dtype else (_unreached(view, node))
        return (text if len(text) <= column.width else text[: column.width - 1] + "…"), "dim"
    if column.sort == "hot":
        return bar(view.heat[place], HOT_CELLS, ascii=ascii), "highlight"
    if column.sort in ("gradient", "flag"):
        known = view.live.get(node.path)
        if known is None or node.kind != "module":
            return "", ""
        if column.sort == "flag":
            return f"{known.flag} {known.word}"[
                : column.width
            ], "bad" if known.flag in "!X" else "dim"
        norm, is_lost = gradient_of(view.graph, row, view.live)
        if is_lost:
            return "nan", "bad"
        return (f"{norm:.1e}" if norm == norm else "-"), "value"
    value = {"params": row.parameters, "FLOPs": row.flops, "bytes": row.bytes}[column.sort]
    if column.sort == "params" and not value and row.shared:
        return "(" + short(row.shared) + ")", "dim"
    return (short(value), "value") if value else ("·", "dim")


def architecture_tsv(view: ArchitectureView) -> str:
    """The rows as they are listed, as tab-separated text with a header."""
    lines = ["layer\tclass\tout\tdtype\tparameters\tshared\tflops\tbytes\tstate\tguessed"]
    for place in range(len(view.shown)):
        row = view.row(place)
        node, last = view.graph.nodes[row.number], view.graph.nodes[row.last]
        name, classes = (printable(text) for text in row_names(view, row))
        shape = "x".join(map(str, last.shape)) if last.dtype else ""
        cells = (
            name, classes, shape, last.dtype, row.parameters, row.shared, row.flops, row.bytes, node.state,
            int(node.guessed),
        )  # fmt: skip
        lines.append("\t".join(str(cell) for cell in cells))
    return "\n".join(lines) + "\n"
