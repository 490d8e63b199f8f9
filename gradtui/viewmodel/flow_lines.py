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
SHORTEST_WORDS: Final = 5
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

BLANK: Final = PathNode("", (-1, -1), 0.0, 0.0)
"""Fills the columns at the left of a path that ends before it reaches them."""


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
    stop_left: str


_LINES: Final = _Pen("━", "─", "╍", "┄", "┳", "┣", "┗", "┳", "┫", "┛", "┃", "▸", "╸", "╺")
_ASCII: Final = _Pen("=", "-", "~", ".", "+", "+", "+", "+", "+", "+", "|", ">", "x", "x")


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
    nodes = (node for path in paths for node in path if node is not BLANK)
    places = (len(f"({node.cell[0]},{node.cell[1]})") for node in nodes)
    return max(places, default=5) + 1 + value_width(width)


def draw(
    paths: Sequence[Path], width: int, *, root: int, columns: int, ascii: bool = False
) -> Drawing:
    """Draw paths in ``width`` columns of text.

    Args:
        paths: rows, each a path of at most ``columns`` nodes, left to right; rows that share a node
            stand together. A path that ends early says why: at its right, or in the place of the
            `BLANK` nodes at its left.
        width: columns of text; nothing is wider.
        root: the column of nodes that holds the selected one (0, or the last).
        columns: how many columns of nodes there are.
        ascii: without box characters.
    """
    cell = node_width(paths, width)
    zones = max(columns - 1, 1)
    zone = max(min((width - columns * cell) // zones - 2, LONGEST_ZONE), 3)
    starts = tuple(index * (cell + zone + 2) for index in range(columns))
    sankey = _Sankey(paths, columns, root, cell, zone, value_width(width), ascii)
    lines = tuple(clip(sankey.line(row, width, starts), width) for row in range(len(paths)))
    return Drawing(lines, starts, min(starts[-1] + cell, width))


class _Sankey:
    """Rows of paths, with where the rows begin and end that share a node."""

    def __init__(
        self,
        paths: Sequence[Path],
        columns: int,
        root: int,
        cell: int,
        zone: int,
        digits: int,
        ascii: bool,
    ) -> None:
        self.paths, self.columns, self.root = paths, columns, root
        self.cell, self.zone, self.digits = cell, zone, digits
        self.pen = _ASCII if ascii else _LINES
        self.first = [[0] * len(paths) for _ in range(columns)]
        self.stop = [[0] * len(paths) for _ in range(columns)]
        for column in range(columns):
            self._runs(column)
        self.largest = [
            max(
                (
                    _size(self._through(row, column))
                    for row in range(len(paths))
                    if self._linked(row, column)
                ),
                default=0.0,
            )
            for column in range(columns - 1)
        ]

    def _runs(self, column: int) -> None:
        start = 0
        for row in range(1, len(self.paths) + 1):
            if row < len(self.paths) and self._key(row, column) == self._key(start, column):
                continue
            for within in range(start, row):
                self.first[column][within], self.stop[column][within] = start, row
            start = row

    def _key(self, row: int, column: int) -> object:
        path = self.paths[row]
        if column >= len(path) or path[column] is BLANK:
            return row
        return (path[column].layer, path[column].cell)

    def _linked(self, row: int, column: int) -> bool:
        """Whether there is a link between a row's node of a column and that of the next."""
        path = self.paths[row]
        return column + 1 < len(path) and path[column] is not BLANK

    def _opens(self, row: int, column: int) -> bool:
        """Whether a row is the first of those that share its node of a column."""
        return self.first[column][row] == row

    def line(self, row: int, width: int, starts: Sequence[int]) -> TextLine:
        """Return a row as a line without blanks at its end."""
        path = self.paths[row]
        spans: list[Span] = []
        for column, node in enumerate(path):
            if node is BLANK:
                spans.extend(self._blank(path, column))
                continue
            spans.extend(self._node(row, column))
            if column + 1 < len(path):
                spans.extend((Span(" "), *self._link(row, column), Span(" ")))
            elif node.end and self.root == 0 and self._opens(row, column):
                room = width - starts[column] - self.cell - 3
                if room >= SHORTEST_WORDS:
                    words = safe_label(node.end, room, keep="start")
                    spans.append(Span(f" {self.pen.stop} {words}", "dim"))
        while spans and not spans[-1].text.strip():
            spans.pop()
        return tuple(spans)

    def _blank(self, path: Path, column: int) -> list[Span]:
        """The place of a node that a path never reached; next to the one where it ends, the reason."""
        room = self.cell + self.zone + 2
        following = path[column + 1] if column + 1 < len(path) else BLANK
        if following is BLANK or not following.end:
            return [Span(" " * room)]
        words = safe_label(following.end, max(room - 3, 1), keep="start")
        return [Span(f"{words} {self.pen.stop_left} ".rjust(room), "dim")]

    def _node(self, row: int, column: int) -> list[Span]:
        node = self.paths[row][column]
        if not self._opens(row, column):
            return [Span(" " * self.cell)]
        place = f"({node.cell[0]},{node.cell[1]})"
        selected = column == self.root
        # All paths that reach it; of the selected node the gradient itself.
        rows = range(row, row + 1 if selected else self.stop[column][row])
        flow = sum(self.paths[r][column].flow for r in rows)
        unknown = math.isnan(flow) and not selected
        value = "?" if unknown else number(flow, self.digits, digits=3)
        role = "title" if selected else "negative" if flow < 0 else "positive"
        gap = " " * (self.cell - len(place) - len(value))
        return [Span(place + gap, "title" if selected else ""), Span(value, role)]

    def _through(self, row: int, column: int) -> float:
        """The sum of all paths along the link between a column and the next that begins at a row."""
        # A link carries the flow of its end away from the selected node.
        end = column + 1 if self.root <= column else column
        stop = min(self.stop[column][row], self.stop[column + 1][row])
        return sum(self.paths[r][end].flow for r in range(row, stop))

    def _link(self, row: int, column: int) -> list[Span]:
        """The line between a node and the next, in exactly ``zone`` columns."""
        pen, width = self.pen, self.zone
        left, right = self.stop[column], self.stop[column + 1]
        opens_left, opens_right = self._opens(row, column), self._opens(row, column + 1)
        splits = right[self.first[column][row]] < left[row]
        merges = left[self.first[column + 1][row]] < right[row]
        # Of two nested groups of rows the inner ones are single links.
        more = min(left[row], right[row]) < max(left[row], right[row])
        flow = self._through(row, column)
        length = width - (2 if splits else 0) - (1 if merges else 0) - 1
        role = "negative" if flow < 0 else "positive"
        if not (opens_left or opens_right):
            through = pen.through if more else " "
            if splits:
                return [Span(" " + through + " " * (width - 2), "dim")]
            return [Span(" " * length + (through if merges else " ") + " ", "dim")]
        spans: list[Span] = []
        if splits:
            knot = pen.split if opens_left else pen.split_middle if more else pen.split_last
            spans.append(Span((pen.heavy if opens_left else " ") + knot, "dim"))
        spans.append(Span(_bar(flow, self.largest[column], length, pen), role))
        if merges:
            knot = pen.merge if opens_right else pen.merge_middle if more else pen.merge_last
            spans.append(Span(knot, "dim"))
        spans.append(Span(pen.arrow if opens_right else " ", role))
        return spans


def _size(flow: float) -> float:
    return abs(flow) if math.isfinite(flow) else 0.0


def _bar(flow: float, largest: float, length: int, pen: _Pen) -> str:
    """A line of ``length`` whose heavy part is the share of the largest flow; at least one of it is heavy."""
    share = abs(flow) / largest if largest and math.isfinite(flow) else 1.0
    heavy = min(max(round(share * length), 1), length)
    if flow < 0:
        return pen.negative_heavy * heavy + pen.negative_light * (length - heavy)
    return pen.heavy * heavy + pen.light * (length - heavy)


def heading(names: Sequence[str], starts: Sequence[int], width: int, root: int) -> TextLine:
    """Return the names of the layers above their columns, and what the numbers below them are.

    Each is cut where the next begins; the words are left out where they don't fit.
    """
    spans: list[Span] = []
    at = 0
    for index, (name, start) in enumerate(zip(names, starts, strict=False)):
        limit = (starts[index + 1] if index + 1 < len(starts) else width) - start - 1
        label = safe_label(name, max(limit, 1))
        spans.append(Span(" " * (start - at)))
        spans.append(Span(label, "title" if index == root else "dim"))
        at = start + cell_width(label)
        words = " gradient" if index == root else " flow"
        if cell_width(label) + len(words) <= limit:
            spans.append(Span(words, "dim"))
            at += len(words)
    return clip(tuple(span for span in spans if span.text), width)
