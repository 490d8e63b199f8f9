"""The rows of an architecture: which nodes stand for themselves, for what they hold, or for those alike.

A row is a leaf with what was merged into it, a folded call with all inside, or calls alike, one after
another. Calls that are open have no row of their own, unless they own parameters that no row inside has.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Final

import numpy as np

from gradtui.core.architecture.graph import counts
from gradtui.core.architecture.merging import merge
from gradtui.core.architecture.repeats import repeats
from gradtui.viewmodel.architecture.choices import FOLDED_REPEATS, ArchitectureChoices
from gradtui.viewmodel.architecture.layout import FOLDED, LEAF, OWN, REPEAT, Layout, key_of
from gradtui.viewmodel.architecture.order import natural_ranks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gradtui.core.architecture.graph import ModuleGraph
    from gradtui.core.arrays import Array, Flags, Indices

MOST_OPENED: Final = 500
"""Calls alike that one key opens: thousands of rows alike tell nothing more, and a person waits for them."""
_KEPT: Final = 2
"""Layouts that are kept: what was folded opens again at once."""


class Rows:
    """The rows of one graph; what does not depend on the choices is worked out once.

    Attributes:
        graph: whose rows they are.
        ranks: [nodes], in the order of their paths; worked out here, so that no key waits for it.
        sizes: [nodes], elements of their outputs, 0 where none is known; worked out here, too.
        names: of each node path and class in small letters, which a filter and a search look at; likewise.
    """

    def __init__(self, graph: ModuleGraph) -> None:
        self.graph = graph
        self._runs = {repeat.first: repeat.members for repeat in repeats(graph, FOLDED_REPEATS)}
        self._firsts = np.array(list(self._runs), dtype=np.intp)
        self._afters = np.array([run[-1] + 1 for run in self._runs.values()], dtype=np.intp)
        self.ranks = natural_ranks([node.path for node in graph.nodes])
        self.sizes = _sizes(graph)
        self.names = tuple(f"{node.path} {node.name}".lower() for node in graph.nodes)
        self._heads: dict[float, Indices] = {}
        self._laid: dict[tuple[object, ...], Layout] = {}

    def layout(self, choices: ArchitectureChoices) -> Layout:
        """Lay the rows out by the person's choices; sorting and filtering come after it."""
        asked = (choices.opened, choices.closed, choices.depth, choices.merge)
        found = self._laid.pop(asked, None)
        self._laid[asked] = self._once(self._lay_out(choices)) if found is None else found
        if len(self._laid) > _KEPT:
            del self._laid[next(iter(self._laid))]
        return self._laid[asked]

    def with_alike_open(self, choices: ArchitectureChoices) -> ArchitectureChoices:
        """The choices with all calls alike in sight one by one, and the first of each open: it tells of all."""
        firsts = [number for number in self._firsts.tolist() if not self.graph.nodes[number].leaf]
        inside = {key_of(self.graph.nodes[number]) for number in firsts}
        return replace(choices, opened=choices.opened.union(inside, self._keys_of_runs))

    def opened_to(self, number: int, choices: ArchitectureChoices) -> ArchitectureChoices:
        """The choices with all calls around a node open, and the calls alike that one of them stands among."""
        nodes, depths = self.graph.nodes, self.graph.columns.depths
        keys = set()
        here = number
        while here >= 0:
            among = (self._firsts <= here) & (here < self._afters)
            among &= depths[self._firsts] == depths[here]
            keys |= {"×" + key_of(nodes[first]) for first in self._firsts[among].tolist()}
            if here != number:
                keys.add(key_of(nodes[here]))
            here = nodes[here].parent
        return replace(choices, opened=choices.opened | keys, closed=choices.closed - keys)

    def _once(self, layout: Layout) -> Layout:
        """One that is kept where it has the same rows: its lanes are known."""
        return next((kept for kept in self._laid.values() if kept.has_rows_of(layout)), layout)

    def _lay_out(self, choices: ArchitectureChoices) -> Layout:
        columns = self.graph.columns
        heads = self._heads.get(choices.merge)
        if heads is None:
            heads = self._heads[choices.merge] = merge(self.graph, choices.merge)
        every = np.arange(len(heads))
        together, single = self._alike(choices, heads)
        folded = self._folded(choices, single)
        roles = np.where(columns.leaf, LEAF, np.where(folded, FOLDED, OWN))
        roles[together] = REPEAT
        lasts = every.copy()
        lasts[together] = [self._runs[first][-1] for first in together.tolist()]
        hidden = self._inside(np.flatnonzero((roles == FOLDED) | (roles == REPEAT)), lasts)

        # Whatever stands for a node: a row of its own, one that it merged into, or a folded call around it.
        stands = hidden | (roles != OWN)
        merges = ~hidden & (roles == LEAF) & (heads != every) & stands[heads]
        costs = (columns.parameters > 0) | (columns.shared > 0)
        costs |= (columns.flops > 0) & (every > 0)
        shown = ~hidden & ~merges & (stands | costs)
        # What is hidden is inside the last row before it.
        row_of = np.cumsum(shown) - 1
        row_of[merges] = row_of[heads[merges]]
        numbers = np.flatnonzero(shown)
        merged = np.flatnonzero(merges)
        merged = merged[np.argsort(row_of[merged], kind="stable")]
        of_leaves = merged[roles[numbers[row_of[merged]]] == LEAF]
        np.maximum.at(lasts, numbers[row_of[of_leaves]], of_leaves)

        def summed(values: Array, which: Flags) -> Array:
            sums = np.zeros(len(numbers), dtype=values.dtype)
            np.add.at(sums, row_of[which], values[which])
            return sums

        counted = stands | shown
        apart = counted & ~hidden & ((roles == LEAF) | (roles == OWN))
        parameters = summed(columns.parameters, counted)
        shared = summed(columns.shared, apart)
        flops = summed(columns.flops, counted)
        held = summed(columns.bytes, stands & columns.leaf)
        row_of[~stands] = -1
        return Layout(
            self.graph,
            self._runs,
            numbers,
            roles[numbers],
            columns.depths[numbers],
            parameters,
            shared,
            flops,
            held,
            lasts[numbers],
            merged,
            row_of[merged],
            _ends(row_of[columns.edges], len(numbers)),
            row_of,
        )

    def _alike(self, choices: ArchitectureChoices, heads: Indices) -> tuple[Indices, Flags]:
        """Calls alike that are one row, by the first; and which nodes are one of calls alike that were opened."""
        leaf = self.graph.columns.leaf
        single = np.zeros(len(heads), dtype=np.bool_)
        together = np.zeros(len(heads), dtype=np.bool_)
        # Of leaves that are shown with others each stands for itself.
        between = np.stack((self._firsts, self._afters), axis=1).ravel()
        lowest = np.minimum.reduceat(np.append(heads, 0), between)[::2]
        together[self._firsts] = ~leaf[self._firsts] | (lowest >= self._firsts)
        for opened in _numbers(choices.opened, self._keys_of_runs):
            first = opened if together[opened] else -1
            while first >= 0:
                together[first] = False
                members = self._runs[first]
                single[list(members[:MOST_OPENED])] = True
                first = self._rest(members[MOST_OPENED:], heads)
                if first >= 0:
                    together[first] = True
                    if "×" + key_of(self.graph.nodes[first]) not in choices.opened:
                        break
        return np.flatnonzero(together), single

    def _rest(self, rest: tuple[int, ...], heads: Indices) -> int:
        """The first of calls alike beyond those that a key opens; -1 where there are none, or each has its own row."""
        if not rest or (self.graph.nodes[rest[0]].leaf and heads[list(rest)].min() < rest[0]):
            return -1
        self._runs[rest[0]] = rest
        return rest[0]

    def _folded(self, choices: ArchitectureChoices, single: Flags) -> Flags:
        """Which calls are folded, whatever is around them; of leaves it tells nothing."""
        columns = self.graph.columns
        # Of calls alike that were opened each is still folded: one of them tells of all.
        folded = single.copy()
        if choices.depth >= 0:
            folded |= columns.depths > choices.depth
        folded[_numbers(choices.opened, self._keys_of_calls)] = False
        folded[_numbers(choices.closed, self._keys_of_calls)] = True
        is_folded: Flags = folded | (columns.ends == np.arange(1, len(single) + 1))
        return is_folded

    def _inside(self, holders: Indices, lasts: Indices) -> Flags:
        """Which nodes are inside a folded call, or behind the first of calls alike."""
        marks = np.zeros(len(lasts) + 1, dtype=np.intp)
        np.add.at(marks, holders + 1, 1)
        np.subtract.at(marks, self.graph.columns.ends[lasts[holders]], 1)
        inside: Flags = np.cumsum(marks[:-1]) > 0
        return inside

    @cached_property
    def _keys_of_calls(self) -> dict[str, list[int]]:
        return self._by_key(np.flatnonzero(~self.graph.columns.leaf).tolist(), "")

    @cached_property
    def _keys_of_runs(self) -> dict[str, list[int]]:
        return self._by_key(self._firsts.tolist(), "×")

    def _by_key(self, numbers: list[int], sign: str) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for number in numbers:
            found.setdefault(sign + key_of(self.graph.nodes[number]), []).append(number)
        return found


def _sizes(graph: ModuleGraph) -> Array:
    known = {shapes: prod(shapes[0]) if shapes else 1 for shapes in {n.shapes for n in graph.nodes}}
    return counts([known[node.shapes] if node.dtype else 0 for node in graph.nodes])


def _numbers(keys: Iterable[str], known: dict[str, list[int]]) -> list[int]:
    return [number for key in keys for number in known.get(key, ())]


def _ends(joined: Indices, rows: int) -> Indices:
    """The edges between rows, [edges, 2], of those between nodes."""
    source, target = joined.T
    between = (source != target) & (source >= 0) & (target >= 0)
    # One number an edge sorts as the pair does, and much faster; of what a row holds, most alike stand together.
    marks = source[between] * rows + target[between]
    marks = np.sort(marks[np.diff(marks, prepend=-1) != 0])
    marks = marks[np.diff(marks, prepend=-1) > 0]
    return np.stack(np.divmod(marks, max(rows, 1)), axis=1)
