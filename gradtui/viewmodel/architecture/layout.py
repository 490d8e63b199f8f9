"""What is known of the rows of an architecture once they are laid out, as columns: a row is made when it is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np

from gradtui.core.architecture.lanes import lanes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gradtui.core.architecture.graph import GraphNode, ModuleGraph
    from gradtui.core.architecture.lanes import Lanes
    from gradtui.core.arrays import Array, Flags, Indices

MOST_SKIPS: Final = 300
"""Skips from which on no turn is looked for."""

Role: TypeAlias = Literal["leaf", "folded", "repeat", "own"]
ROLES: Final[tuple[Role, ...]] = ("leaf", "folded", "repeat", "own")
LEAF, FOLDED, REPEAT, OWN = range(len(ROLES))
_SIGNS: Final = {"repeat": "×", "own": "="}


@dataclass(frozen=True, slots=True)
class ArchitectureRow:
    """One row.

    Attributes:
        number: the node that it is about; of calls alike the first.
        role: a leaf, a folded call, folded calls alike, or an open call's own parameters.
        depth: calls around it.
        key: what folds and unfolds it, and keeps the cursor on it.
        members: numbers of calls alike.
        merged: numbers of the leaves merged into this row.
        parameters, shared, flops, bytes: of all that the row stands for.
        last: the number of the node whose output the row gives.
    """

    number: int
    role: Role
    depth: int
    key: str
    members: tuple[int, ...] = ()
    merged: tuple[int, ...] = ()
    parameters: int = 0
    shared: int = 0
    flops: int = 0
    bytes: int = 0
    last: int = -1


@dataclass(frozen=True, eq=False)
class Layout:
    """The rows that are shown, in dataflow order, as columns, and what joins them.

    Attributes:
        graph: what they are rows of.
        runs: of calls alike all numbers, by the first.
        numbers, depths, parameters, shared, flops, bytes, lasts: [rows], as `ArchitectureRow` has them.
        roles: [rows], places in `ROLES`.
        merged: numbers of merged leaves, by their row.
        merged_into: for each of them that row.
        ends: [edges, 2]: producer row and consumer row, sorted, without doubles.
        row_of: for each node the row that shows it; -1 for open calls.
    """

    graph: ModuleGraph
    runs: Mapping[int, tuple[int, ...]]
    numbers: Indices
    roles: Array
    depths: Indices
    parameters: Array
    shared: Array
    flops: Array
    bytes: Array
    lasts: Indices
    merged: Indices
    merged_into: Indices
    ends: Indices
    row_of: Indices

    def __len__(self) -> int:
        return len(self.numbers)

    def row(self, place: int) -> ArchitectureRow:
        """The row at a place; it is made once."""
        found = self._made.get(place)
        if found is None:
            found = self._made[place] = self._row(place)
        return found

    @cached_property
    def _made(self) -> dict[int, ArchitectureRow]:
        return {}

    def _row(self, place: int) -> ArchitectureRow:
        number = int(self.numbers[place])
        role = ROLES[self.roles[place]]
        return ArchitectureRow(
            number,
            role,
            int(self.depths[place]),
            _SIGNS.get(role, "") + key_of(self.graph.nodes[number]),
            self.runs[number] if role == "repeat" else (),
            self._merged_by_row.get(place, ()),
            int(self.parameters[place]),
            int(self.shared[place]),
            int(self.flops[place]),
            int(self.bytes[place]),
            int(self.lasts[place]),
        )

    @cached_property
    def _merged_by_row(self) -> dict[int, tuple[int, ...]]:
        rows, firsts = np.unique(self.merged_into, return_index=True)
        parts = np.split(self.merged, firsts[1:])
        return {row: tuple(some.tolist()) for row, some in zip(rows.tolist(), parts, strict=False)}

    def has_rows_of(self, other: Layout) -> bool:
        """Whether another layout of the graph has the same rows."""
        return all(
            np.array_equal(mine, others)
            for mine, others in (
                (self.numbers, other.numbers), (self.roles, other.roles), (self.lasts, other.lasts), (self.row_of, other.row_of),
            )
        )  # fmt: skip

    @cached_property
    def is_node(self) -> Flags:
        """For each row whether values flow through it."""
        flows: Flags = self.roles != OWN
        return flows

    @cached_property
    def lanes(self) -> Lanes:
        """One for each row."""
        return joined(self.ends, self.is_node, upward=False)

    @cached_property
    def lanes_upward(self) -> Lanes:
        """One for each row, the last first."""
        return joined(self.ends, self.is_node, upward=True)

    @cached_property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """The edges as pairs."""
        return tuple(zip(*self.ends.T.tolist(), strict=True))

    @cached_property
    def meets(self) -> Indices:
        """For each row from how many others it takes."""
        return np.bincount(self.ends[:, 1], minlength=len(self))

    def inputs(self, row: int) -> tuple[int, ...]:
        """Rows that a row takes from."""
        return tuple(self.ends[self.ends[:, 1] == row, 0].tolist())

    def outputs(self, row: int) -> tuple[int, ...]:
        """Rows that a row gives to."""
        return tuple(self.ends[self.ends[:, 0] == row, 1].tolist())

    @cached_property
    def deepest_open(self) -> int:
        """The depth of the deepest call that stands open; -1 where none does."""
        # An open call with a row has it for its own parameters; any other is around a row.
        return int((self.depths - self.is_node).max(initial=-1))

    @cached_property
    def turn(self) -> int:
        """The row at which the graph turns, as a UNet does at its bottom: inside the most nested skips; -1 without.

        A skip is an edge over other rows. It takes two nested ones to make a turn, and a map that is smaller there
        than where the inner one begins: attention has nested skips too, over maps of one size. Of a graph with
        very many skips none is looked for.
        """
        above, below = self.ends[self.ends[:, 1] - self.ends[:, 0] > 1].T
        if not 1 < len(above) <= MOST_SKIPS:
            return -1
        around = (above[None] <= above[:, None]) & (below[:, None] <= below[None])
        depths = around.sum(axis=1)
        deepest = int(depths.argmax())
        first, last = int(above[deepest]), int(below[deepest])
        row = (first + last) // 2
        nested = int(depths[deepest]) > 1
        return row if nested and self._pixels(row) < self._pixels(first) else -1

    def _pixels(self, row: int) -> int:
        """The size of a row's output map, [B, C, …]: without batch and channels; 1 where it has no more."""
        return prod(self.graph.nodes[self.lasts[row]].shape[2:])


def joined(ends: Indices, is_node: Flags, *, upward: bool) -> Lanes:
    """The lanes of rows; where they go upward, those of the rows turned round, the last first.

    Args:
        ends: [edges, 2], producer row and consumer row.
        is_node: [rows], whether values flow through it.
        upward: whether the input is at the bottom.
    """
    if upward:
        ends, is_node = len(is_node) - 1 - ends[:, ::-1], is_node[::-1]
    return lanes(len(is_node), ends, is_node)


def key_of(node: GraphNode) -> str:
    """What a node is known by over traces: its path and call, with an operation's name and place."""
    if node.kind == "module":
        return f"{node.path}#{node.call}"
    return f"{node.path}:{node.name}@{node.number}"
