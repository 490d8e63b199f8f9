"""Dataflow beside a list: one column for each value that is still to be used, as a gutter of characters.

Each row is one node. A row whose input is used again later starts a lane beside it; a row with several
inputs closes the lanes that end there. The drawing cannot drift from its rows, and needs no layout.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST: Final = 12
"""Lanes that are drawn; what lies further right shares the last column."""


@dataclass(frozen=True, slots=True)
class LaneRow:
    """A row of the gutter.

    Attributes:
        lane: the row's own lane; -1 where the row is no node.
        open: for each lane whether a value runs on below this row; the last of more than `MOST` tells of all beyond.
        taken: lanes that the row takes values from.
        ended: lanes among them that end here.
    """

    lane: int
    open: tuple[bool, ...]
    taken: tuple[int, ...] = ()
    ended: tuple[int, ...] = ()


def lanes(
    rows: int, edges: Sequence[tuple[int, int]], nodes: Sequence[bool] = ()
) -> tuple[LaneRow, ...]:
    """Lay out the lanes of rows whose edges point down.

    Args:
        rows: how many rows.
        edges: (producer row, consumer row), producer < consumer; others are left out.
        nodes: for each row whether it is a node; all are where this is empty.

    Each producer keeps its lane to its last consumer. A row takes the leftmost lane that ends at it, else the
    leftmost free one right of the lanes that it takes from.
    """
    takes: list[set[int]] = [set() for _ in range(rows)]
    last = [-1] * rows
    for source, target in edges:
        if 0 <= source < target < rows and not (nodes and not (nodes[source] and nodes[target])):
            takes[target].add(source)
            last[source] = max(last[source], target)
    columns = _Columns()
    where = [-1] * rows
    found: list[LaneRow] = []
    for row in range(rows):
        if nodes and not nodes[row]:
            found.append(LaneRow(-1, columns.open))
            continue
        taken = sorted({where[source] for source in takes[row]})
        ended = [where[source] for source in takes[row] if last[source] == row]
        for lane in ended:
            columns.end(lane)
        lane = min(ended) if ended else columns.free(taken[-1] + 1 if taken else 0)
        where[row] = lane
        if last[row] >= 0:
            columns.begin(lane)
        found.append(LaneRow(lane, columns.open, tuple(taken), tuple(sorted(set(ended) - {lane}))))
    return tuple(found)


class _Columns:
    """Which lanes hold a value; of very many values no row looks at each."""

    def __init__(self) -> None:
        # Lanes up to the last that was ever used, and which of them are free, ascending.
        self._near = [False] * MOST
        self._far = 0
        self._count = 0
        self._free: list[int] = []
        self._open: tuple[bool, ...] | None = ()

    @property
    def open(self) -> tuple[bool, ...]:
        """As `LaneRow` has it."""
        if self._open is None:
            cells = [*self._near, self._far > 0]
            while cells and not cells[-1]:
                cells.pop()
            self._open = tuple(cells)
        return self._open

    def free(self, start: int) -> int:
        """The leftmost lane from one on that holds nothing."""
        place = bisect_left(self._free, start)
        return self._free[place] if place < len(self._free) else max(self._count, start)

    def begin(self, lane: int) -> None:
        """A value runs on in a lane."""
        if lane < self._count:
            del self._free[bisect_left(self._free, lane)]
        else:
            self._free.extend(range(self._count, lane))
            self._count = lane + 1
        self._put(lane, is_open=True)

    def end(self, lane: int) -> None:
        """A lane's value ends; once for each that began."""
        insort(self._free, lane)
        self._put(lane, is_open=False)

    def _put(self, lane: int, *, is_open: bool) -> None:
        self._open = None
        if lane < MOST:
            self._near[lane] = is_open
        else:
            self._far += 1 if is_open else -1


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters of a gutter; those of bottom-up lists join upwards."""

    through: str = "│"
    across: str = "─"
    cross: str = "┼"
    right: str = "├"
    left: str = "┤"
    end: str = "╯"
    join: str = "┴"
    begin: str = "╰"


UNICODE: Final = Glyphs()
UPWARDS: Final = Glyphs(end="╮", join="┬", begin="╭")
ASCII: Final = Glyphs("|", "-", "+", "+", "+", "'", "+", "`")


def gutter(
    row: LaneRow, above: LaneRow | None, node: str, *, width: int, glyphs: Glyphs = UNICODE
) -> str:
    """Draw one row: two characters a lane, the last without its second.

    Args:
        row: what to draw.
        above: the row before it; none at the top.
        node: the one character of the row's own node.
        width: lanes that are drawn; a value further right is drawn in the last.
        glyphs: which characters.

    Returns: 2 · width - 1 characters; "" for a width of 0.
    """
    if width <= 0:
        return ""
    before = above.open if above is not None else ()
    edge = width - 1
    came = _squeezed(before, width)
    goes = _squeezed(row.open, width)
    own = min(row.lane, edge)
    ends = {min(lane, edge) for lane in row.ended} - {own}
    joined = {min(lane, edge) for lane in row.taken} | ({own} if row.lane >= 0 else set())
    low, high = (min(joined), max(joined)) if joined and row.lane >= 0 else (0, -1)
    cells = []
    for lane in range(width):
        inside = low <= lane <= high
        if lane == own and row.lane >= 0:
            cells.append(node)
        elif lane in ends and not goes[lane]:
            cells.append(
                glyphs.end if lane == high else glyphs.begin if lane == low else glyphs.join
            )
        elif goes[lane] or (came[lane] and not inside):
            stays = goes[lane]
            if inside and lane in joined:
                cells.append(
                    glyphs.right if lane == low else glyphs.left if lane == high else glyphs.cross
                )
            else:
                cells.append(
                    (glyphs.cross if inside and low < lane < high else glyphs.through)
                    if stays
                    else " "
                )
        else:
            cells.append(glyphs.across if inside and low < lane < high else " ")
        if lane < edge:
            cells.append(glyphs.across if low <= lane < high else " ")
    return "".join(cells)


def _squeezed(open_lanes: Sequence[bool], width: int) -> list[bool]:
    cells = list(open_lanes[:width]) + [False] * max(0, width - len(open_lanes))
    if any(open_lanes[width:]):
        cells[-1] = True
    return cells


def lane_count(rows: Sequence[LaneRow], most: int = MOST) -> int:
    """How many lanes a gutter needs, at most ``most``; 0 without rows."""
    widest = max(
        (max(len(row.open), row.lane + 1, *(lane + 1 for lane in row.taken), 0) for row in rows),
        default=0,
    )
    return min(widest, most)
