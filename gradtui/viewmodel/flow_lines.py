"""Drawing a text Sankey: nodes in columns of layers, links between them as lines that split and merge.

A row is one path from the first column to the last. Rows that share a node stand together, so that
no line crosses another. The length of the heavy part of a line is the size of the flow, and its
style is the sign: unbroken for positive, dashed for negative. Nothing is said by colour alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gradtui.viewmodel.text import Span, TextLine, cell_width, clip, number, safe_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradtui.viewmodel.selection import Cell

VALUE_WIDTH: Final = 8
SHORTEST_ZONE: Final = 7
LONGEST_ZONE: Final = 24


@dataclass(frozen=True, slots=True)
class PathNode:
    """A node on a path.

    Attributes:
        layer: its layer.
        cell: its place in the layer.
        flow: the part of the selected node's gradient that takes this path so far; the gradient
            itself for the selected node, NaN where a node on the way has none to share out.
        link: the flow along the link that reaches it, as it stands in the folder.
        end: why the path ends here; empty where it goes on, or where no layer follows.
    """

    layer: str
    cell: Cell
    flow: float
    link: float
    end: str = ""


Path = tuple[PathNode, ...]


@dataclass(frozen=True, slots=True)
class _Pen:
    heavy: str
    light: str
    negative_heavy: str
    negative_light: str
    split: str
    split_middle: str
    split_last: str
    merge: str
    merge_middle: str
    merge_last: str
    through: str
    arrow: str
    stop: str


_LINES: Final = _Pen("━", "─", "╍", "┄", "┳", "┣", "┗", "┳", "┫", "┛", "┃", "▸", "╸")
_ASCII: Final = _Pen("=", "-", "~", ".", "+", "+", "+", "+", "+", "+", "|", ">", "x")


@dataclass(frozen=True, slots=True)
class Drawing:
    """Lines of the same width, and the columns that the layers start at."""

    lines: tuple[TextLine, ...]
    starts: tuple[int, ...]
    width: int


def value_width(width: int) -> int:
    """Return the columns that a flow takes in ``width`` columns of text."""
    return VALUE_WIDTH if width >= 40 else 5


def columns_that_fit(width: int, nodes: int) -> int:
    """Return how many columns of layers fit beside each other, at least two."""
    return max(2, 1 + (width - nodes) // (nodes + SHORTEST_ZONE + 2))


def node_width(paths: Sequence[Path], width: int) -> int:
    """Return the columns that the widest node takes in ``width`` of text: its place and its flow."""
    places = (len(_place(node.cell)) for path in paths for node in path)
    return max(places, default=5) + 1 + value_width(width)


def draw(
    paths: Sequence[Path], width: int, *, root: int, columns: int, ascii: bool = False
) -> Drawing:
    """Draw paths in ``width`` columns of text.

    Args:
        paths: rows, each a path of at most ``columns`` nodes, left to right; rows that share a node
            stand together. A path shorter than that ends with its words.
        width: columns of text; nothing is wider.
        root: the column of nodes that holds the selected one (0, or the last).
        columns: how many columns of nodes there are.
        ascii: without box characters.
    """
    pen = _ASCII if ascii else _LINES
    cell = node_width(paths, width)
    zones = max(columns - 1, 1)
    zone = max(min((width - columns * cell) // zones - 2, LONGEST_ZONE), 3)
    starts = tuple(index * (cell + zone + 2) for index in range(columns))
    largest = [
        max(
            (
                _size(_through(paths, r, c, root))
                for r in range(len(paths))
                if len(paths[r]) > c + 1
            ),
            default=0.0,
        )
        for c in range(columns - 1)
    ]
    lines = []
    for row in range(len(paths)):
        spans: list[Span] = []
        for column in range(columns):
            if column >= len(paths[row]):
                break
            spans.extend(_node(paths, row, column, cell, root, value_width(width)))
            if column + 1 < len(paths[row]):
                spans.append(Span(" "))
                spans.extend(_zone(paths, row, column, zone, largest[column], root, pen))
                spans.append(Span(" "))
            elif paths[row][column].end and _opens(paths, row, column):
                room = width - starts[column] - cell - 3
                if room >= 5:
                    words = safe_label(paths[row][column].end, room, keep="start")
                    spans.append(Span(f" {pen.stop} {words}", "dim"))
        while spans and not spans[-1].text.strip():
            spans.pop()
        lines.append(clip(tuple(spans), width))
    return Drawing(tuple(lines), starts, min(starts[-1] + cell, width))


def _end(column: int, root: int) -> int:
    """Which end of a link carries its flow: the one away from the selected node."""
    return column + 1 if root <= column else column


def _place(cell: Cell) -> str:
    return f"({cell[0]},{cell[1]})"


def _same(paths: Sequence[Path], one: int, other: int, column: int) -> bool:
    """Whether two neighbouring rows share the node of a column."""
    if not (0 <= one < len(paths) and 0 <= other < len(paths)):
        return False
    a, b = paths[one], paths[other]
    if column >= len(a) or column >= len(b):
        return False
    return (a[column].layer, a[column].cell) == (b[column].layer, b[column].cell)


def _opens(paths: Sequence[Path], row: int, column: int) -> bool:
    """Whether a row is the first of those that share its node of a column."""
    return not _same(paths, row, row - 1, column)


def _node(
    paths: Sequence[Path], row: int, column: int, width: int, root: int, digits: int
) -> list[Span]:
    node = paths[row][column]
    if not _opens(paths, row, column):
        return [Span(" " * width)]
    place = _place(node.cell)
    flow = node.flow if column == root else _arriving(paths, row, column)
    value = "?" if math.isnan(flow) and column != root else number(flow, digits, digits=3)
    role = "title" if column == root else "negative" if flow < 0 else "positive"
    gap = width - len(place) - len(value)
    return [Span(place + " " * gap, "title" if column == root else ""), Span(value, role)]


def _arriving(paths: Sequence[Path], row: int, column: int) -> float:
    """The sum of all paths that reach a node; its rows begin at ``row``."""
    total = paths[row][column].flow
    while _same(paths, row, row + 1, column):
        row += 1
        total += paths[row][column].flow
    return total


def _through(paths: Sequence[Path], row: int, column: int, root: int) -> float:
    """The sum of all paths along the link between a column and the next that begins at ``row``."""
    end = _end(column, root)
    total = paths[row][end].flow
    while _same(paths, row, row + 1, column) and _same(paths, row, row + 1, column + 1):
        row += 1
        total += paths[row][end].flow
    return total


def _size(flow: float) -> float:
    return abs(flow) if math.isfinite(flow) else 0.0


def _zone(
    paths: Sequence[Path], row: int, column: int, width: int, largest: float, root: int, pen: _Pen
) -> list[Span]:
    """The line between a node and the next, in exactly ``width`` columns."""
    left_opens = _opens(paths, row, column)
    right_opens = _opens(paths, row, column + 1)
    splits = _shares(paths, row, column, column + 1)
    merges = _shares(paths, row, column + 1, column)
    anchor = left_opens or right_opens
    more = _anchors_below(paths, row, column)
    flow = _through(paths, row, column, root)
    length = width - (2 if splits else 0) - (1 if merges else 0) - 1
    role = "negative" if flow < 0 else "positive"
    if not anchor:
        through = pen.through if more else " "
        if splits:
            return [Span(" " + through + " " * (width - 2), "dim")]
        return [Span(" " * length + (through if merges else " ") + " ", "dim")]
    spans: list[Span] = []
    if splits:
        knot = pen.split if left_opens else pen.split_middle if more else pen.split_last
        spans.append(Span((pen.heavy if left_opens else " ") + knot, "dim"))
    spans.append(Span(_bar(flow, largest, length, pen), role))
    if merges:
        knot = pen.merge if right_opens else pen.merge_middle if more else pen.merge_last
        spans.append(Span(knot, "dim"))
    spans.append(Span(pen.arrow if right_opens else " ", role))
    return spans


def _shares(paths: Sequence[Path], row: int, column: int, other: int) -> bool:
    """Whether the node of ``column`` has links to several nodes of the neighbouring column."""
    first = row
    while _same(paths, first, first - 1, column):
        first -= 1
    while _same(paths, first, first + 1, column):
        first += 1
        if len(paths[first]) > other and not _same(paths, first, first - 1, other):
            return True
    return False


def _anchors_below(paths: Sequence[Path], row: int, column: int) -> bool:
    """Whether a link starts or ends further down at the node that this row's line belongs to."""
    below = row
    while _same(paths, below, below + 1, column) or _same(paths, below, below + 1, column + 1):
        below += 1
        if len(paths[below]) > column + 1 and (
            _opens(paths, below, column) or _opens(paths, below, column + 1)
        ):
            return True
    return False


def _bar(flow: float, largest: float, length: int, pen: _Pen) -> str:
    """A line of ``length`` whose heavy part is the share of the largest flow; at least one of it is heavy."""
    share = abs(flow) / largest if largest and math.isfinite(flow) else 1.0
    heavy = min(max(round(share * length), 1), length)
    if flow < 0:
        return pen.negative_heavy * heavy + pen.negative_light * (length - heavy)
    return pen.heavy * heavy + pen.light * (length - heavy)


def heading(names: Sequence[str], starts: Sequence[int], width: int, root: int) -> TextLine:
    """Return the names of the layers above their columns; each is cut where the next begins."""
    spans: list[Span] = []
    at = 0
    for index, (name, start) in enumerate(zip(names, starts, strict=False)):
        limit = (starts[index + 1] if index + 1 < len(starts) else width) - start - 1
        label = safe_label(name, max(limit, 1))
        spans.append(Span(" " * (start - at)))
        spans.append(Span(label, "title" if index == root else "dim"))
        at = start + cell_width(label)
    return clip(tuple(span for span in spans if span.text), width)
