"""The rows of an architecture: which nodes stand for themselves, for what they hold, or for those alike.

A row is a leaf with what was merged into it, a folded call with all inside, or calls alike, one after
another. Calls that are open have no row of their own, unless they own parameters that no row inside has.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np

from gradtui.core.architecture.lanes import LaneRow, lanes
from gradtui.core.architecture.merging import merge
from gradtui.core.architecture.repeats import repeats
from gradtui.viewmodel.architecture.choices import FOLDED_REPEATS, ArchitectureChoices

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradtui.core.architecture.graph import GraphNode, ModuleGraph, Shape, Sums
    from gradtui.core.arrays import Indices

Role: TypeAlias = Literal["leaf", "folded", "repeat", "own"]


@dataclass(slots=True)
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
    """The rows that are shown, in dataflow order, and what joins them.

    Attributes:
        rows: top-down.
        ends: [edges, 2]: producer row and consumer row, sorted, without doubles.
        lanes: one for each row.
        row_of: for each node the row that shows it; -1 for open calls.
        shapes: of each row's output.
    """

    rows: tuple[ArchitectureRow, ...]
    ends: Indices
    lanes: tuple[LaneRow, ...]
    row_of: Indices
    shapes: tuple[Shape, ...]

    @cached_property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """The edges as pairs."""
        return tuple(zip(*self.ends.T.tolist(), strict=True))

    @cached_property
    def meets(self) -> Indices:
        """For each row from how many others it takes."""
        return np.bincount(self.ends[:, 1], minlength=len(self.rows))

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
        return max((row.depth - (row.role != "own") for row in self.rows), default=-1)

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
        return prod(self.shapes[row][2:])


MOST_SKIPS: Final = 1000
MOST_OPENED: Final = 500
"""Calls alike that one key opens: thousands of rows alike tell nothing more, and a person waits for them."""
_NO_ROW: Final = -1


class Rows:
    """The rows of one graph; what does not depend on the choices is worked out once."""

    def __init__(self, graph: ModuleGraph) -> None:
        self.graph = graph
        self._sums: tuple[Sums, ...] = graph.sums()
        self._edges = np.array(graph.edges, dtype=np.intp).reshape(-1, 2)
        self._runs = {repeat.first: repeat.members for repeat in repeats(graph, FOLDED_REPEATS)}
        self._heads: dict[float, tuple[int, ...]] = {}
        self._laid: tuple[tuple[object, ...], Layout] | None = None

    def layout(self, choices: ArchitectureChoices) -> Layout:
        """Lay the rows out by the person's choices; sorting and filtering come after it."""
        asked = (choices.opened, choices.closed, choices.depth, choices.merge)
        if self._laid is None or self._laid[0] != asked:
            self._laid = asked, self._lay_out(choices)
        return self._laid[1]

    def _lay_out(self, choices: ArchitectureChoices) -> Layout:
        heads = self._heads.get(choices.merge)
        if heads is None:
            heads = self._heads[choices.merge] = merge(self.graph, choices.merge)
        row_of = [_NO_ROW] * len(self.graph.nodes)
        rows: list[ArchitectureRow] = []
        for row, merged_into in self._walk(choices, heads):
            if merged_into >= 0 and row_of[merged_into] >= 0:
                self._join(rows[row_of[merged_into]], row)
                row_of[row.number] = row_of[merged_into]
                continue
            if row.role == "leaf":
                row_of[row.number] = len(rows)
            elif row.role != "own":
                end = self.graph.ends[(row.members or (row.number,))[-1]]
                row_of[row.number : end] = [len(rows)] * (end - row.number)
            rows.append(row)
        found = np.array(row_of, dtype=np.intp)
        ends = self._row_ends(found, len(rows))
        nodes = [row.role != "own" for row in rows]
        pairs = list(zip(*ends.T.tolist(), strict=True))
        shapes = tuple(self.graph.nodes[row.last].shape for row in rows)
        return Layout(tuple(rows), ends, lanes(len(rows), pairs, nodes), found, shapes)

    def _walk(
        self, choices: ArchitectureChoices, heads: tuple[int, ...]
    ) -> Iterator[tuple[ArchitectureRow, int]]:
        """Yield each row with the number of the node that it merges into, or -1."""
        graph = self.graph
        waiting = [(number, False) for number in reversed(self._siblings(-1))]
        while waiting:
            number, single = waiting.pop()
            node = graph.nodes[number]
            depth = graph.depths[number]
            members = () if single else self._runs.get(number, ())
            if node.leaf and not _among_themselves(members, heads):
                # Some of them are shown with others: each stands for itself.
                waiting.extend((member, True) for member in reversed(members))
                continue
            key = ("×" if members else "") + key_of(node)
            if members and key not in choices.opened:
                yield self._folded(node, depth, key, members), -1
                continue
            if members:
                waiting.extend(self._opened(members))
                continue
            if node.leaf:
                yield self._leaf(node, depth), heads[number] if heads[number] != number else -1
                continue
            beyond = choices.depth >= 0 and depth > choices.depth
            inside = graph.children.get(number, ())
            # Of calls alike that were opened each is still folded: one of them tells of all.
            hidden = (beyond or single) and key not in choices.opened
            if key in choices.closed or hidden or not inside:
                yield self._folded(node, depth, key, ()), -1
                continue
            if node.parameters or node.shared or (node.flops and number):
                yield self._own(node, depth, key), -1
            waiting.extend((child, False) for child in reversed(self._siblings(number)))

    def _opened(self, members: tuple[int, ...]) -> list[tuple[int, bool]]:
        """Calls alike that were opened, the last first: so many, and one row for the rest."""
        shown, rest = members[:MOST_OPENED], members[MOST_OPENED:]
        waiting = [(member, True) for member in reversed(shown)]
        if rest:
            # They are alike, too: a run that begins where the shown ones end.
            self._runs[rest[0]] = rest
            waiting.insert(0, (rest[0], False))
        return waiting

    def _siblings(self, parent: int) -> list[int]:
        """What a call made, calls alike by their first."""
        found: list[int] = []
        skipped: set[int] = set()
        for child in self.graph.children.get(parent, ()):
            if child not in skipped:
                found.append(child)
                skipped.update(self._runs.get(child, ()))
        return found

    def _leaf(self, node: GraphNode, depth: int) -> ArchitectureRow:
        return ArchitectureRow(
            node.number,
            "leaf",
            depth,
            key_of(node),
            (),
            (),
            node.parameters,
            node.shared,
            node.flops,
            node.bytes,
            node.number,
        )

    def _own(self, node: GraphNode, depth: int, key: str) -> ArchitectureRow:
        return ArchitectureRow(
            node.number,
            "own",
            depth,
            "=" + key,
            (),
            (),
            node.parameters,
            node.shared,
            node.flops,
            0,
            node.number,
        )

    def _folded(
        self, node: GraphNode, depth: int, key: str, members: tuple[int, ...]
    ) -> ArchitectureRow:
        shown = members or (node.number,)
        sums = [self._sums[number] for number in shown]
        return ArchitectureRow(
            node.number,
            "repeat" if members else "folded",
            depth,
            key,
            members,
            (),
            sum(one.parameters for one in sums),
            0,
            sum(one.flops for one in sums),
            sum(one.activation_bytes for one in sums),
            shown[-1],
        )

    @staticmethod
    def _join(into: ArchitectureRow, row: ArchitectureRow) -> None:
        into.merged = (*into.merged, row.number)
        if into.role == "leaf":
            into.last = row.number
        into.parameters += row.parameters
        into.shared += row.shared
        into.flops += row.flops
        into.bytes += row.bytes

    def _row_ends(self, row_of: Indices, rows: int) -> Indices:
        source, target = row_of[self._edges].T
        between = (source != target) & (source >= 0) & (target >= 0)
        # One number an edge sorts as the pair does, and much faster.
        marks = np.unique(source[between] * rows + target[between])
        return np.stack(np.divmod(marks, max(rows, 1)), axis=1)


def _among_themselves(members: tuple[int, ...], heads: tuple[int, ...]) -> bool:
    """Whether calls alike are shown with one another, if they are with any."""
    inside = set(members)
    return all(heads[member] in inside for member in members)


def key_of(node: GraphNode) -> str:
    """What a node is known by over traces: its path and call, with an operation's name and place."""
    if node.kind == "module":
        return f"{node.path}#{node.call}"
    return f"{node.path}:{node.name}@{node.number}"
