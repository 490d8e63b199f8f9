"""Dataflow beside a list: one column for each value that is still to be used, as a gutter of characters.

Each row is one node. A row whose input is used again later starts a lane beside it; a row with several
inputs closes the lanes that end there. The drawing cannot drift from its rows, and needs no layout.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradtui.core.arrays import Flags, Indices

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


@dataclass(frozen=True, slots=True, eq=False)
class Lanes:
    """The lanes of many rows; a `LaneRow` is made of those that are looked at.

    Attributes:
        own: [rows], each row's own lane; -1 where it is no node.
        events: rows at which a value begins or ends in another lane than its own, ascending.
        states: for each event the open lanes below it as bits; bit `MOST` tells of all beyond.
        sources: [edges], producers by consumer.
        ends: [edges], whether the producer's value ends there.
        firsts: [rows + 1], where each consumer's edges begin.
    """

    own: Indices
    events: Indices
    states: tuple[int, ...]
    sources: Indices
    ends: Flags
    firsts: Indices

    def __len__(self) -> int:
        return len(self.own)

    def __getitem__(self, row: int) -> LaneRow:
        lane = int(self.own[row])
        event = int(self.events.searchsorted(row, side="right")) - 1
        bits = self.states[event] if event >= 0 else 0
        among = slice(self.firsts[row], self.firsts[row + 1])
        taken = self.own[self.sources[among]]
        ended = taken[self.ends[among]]
        return LaneRow(
            lane,
            tuple(bool(bits >> k & 1) for k in range(bits.bit_length())),
            tuple(sorted(set(taken.tolist()))),
            tuple(sorted(set(ended.tolist()) - {lane})),
        )


def lanes(
    rows: int, edges: Sequence[tuple[int, int]] | Indices, nodes: Sequence[bool] | Flags = ()
) -> Lanes:
    """Lay out the lanes of rows whose edges point down.

    Args:
        rows: how many rows.
        edges: (producer row, consumer row), producer < consumer; others are left out.
        nodes: for each row whether it is a node; all are where this is empty.

    Each producer keeps its lane to its last consumer. A row takes the leftmost lane that ends at it, else the
    leftmost free one right of the lanes that it takes from.
    """
    is_node = np.asarray(nodes, dtype=np.bool_) if len(nodes) else np.ones(rows, dtype=np.bool_)
    source, target = np.asarray(edges, dtype=np.intp).reshape(-1, 2).T
    sound = (source >= 0) & (source < target) & (target < rows)
    source, target = source[sound], target[sound]
    sound = is_node[source] & is_node[target]
    # By consumer, each pair once: one number an edge sorts as the pair does.
    marks = np.sort(target[sound] * rows + source[sound])
    target, source = np.divmod(marks[np.diff(marks, prepend=-1) > 0], max(rows, 1))
    firsts = np.searchsorted(target, np.arange(rows + 1))
    last = np.full(rows, -1, dtype=np.intp)
    np.maximum.at(last, source, target)
    ends = last[source] == target
    # Most rows take one value that ends there, and give one: they keep its lane, and no other lane changes.
    plain = np.flatnonzero((np.diff(firsts) == 1) & (last >= 0))
    plain = plain[ends[firsts[plain]]]
    whose = np.arange(rows)
    whose[plain] = source[firsts[plain]]
    while not np.array_equal(whose, further := whose[whose]):
        whose = further
    is_event = is_node & (whose == np.arange(rows))
    events = np.flatnonzero(is_event)
    # Which event each row has its lane from.
    event_of = (np.cumsum(is_event) - 1)[whose]
    here = is_event[target]
    lane_of, states = _assigned(
        event_of[source[here]], ends[here], np.diff(firsts)[events], last[events] >= 0
    )
    own = np.where(is_node, np.append(np.array(lane_of, dtype=np.intp), -1)[event_of], -1)
    return Lanes(own, events, states, source, ends, firsts)


def _assigned(
    sources: Indices, ends: Flags, counts: Indices, goes: Flags
) -> tuple[list[int], tuple[int, ...]]:
    """The lane of each event, and the lanes that are open below it.

    Args:
        sources: [edges], of all events one after another, the events that their values come from.
        ends: [edges], whether the value ends there.
        counts: [events], how many of these edges each has.
        goes: [events], whether it gives a value on.
    """
    lane_of: list[int] = []
    states: list[int] = []
    producers, last_uses = sources.tolist(), ends.tolist()
    beyond = 1 << MOST
    # Bits of one number: the lanes that hold a value.
    held = at = 0
    for count, goes_on in zip(counts.tolist(), goes.tolist(), strict=True):
        ended, right = 0, -1
        for k in range(at, at + count):
            lane = lane_of[producers[k]]
            if lane > right:
                right = lane
            if last_uses[k]:
                ended |= 1 << lane
        at += count
        if ended:
            held ^= ended
            lane = (ended & -ended).bit_length() - 1
        else:
            free = ~held >> (right + 1)
            lane = right + (free & -free).bit_length()
        lane_of.append(lane)
        if goes_on:
            held |= 1 << lane
        states.append(held if held < beyond else held & (beyond - 1) | beyond)
    return lane_of, tuple(states)


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


def lane_count(rows: Lanes, most: int = MOST) -> int:
    """How many lanes a gutter needs, at most ``most``; 0 without rows."""
    # What is open or taken from was some row's own.
    return min(int(rows.own.max(initial=-1)) + 1, most)
