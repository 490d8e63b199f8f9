"""What a model is made of, as rules ask for it; worked out once for all states of one run."""

from __future__ import annotations

import heapq
from functools import cached_property
from typing import TYPE_CHECKING, Final, TypeVar
from weakref import WeakKeyDictionary

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from gradtui.core.arrays import Indices
    from gradtui.core.run.index import RunIndex
    from gradtui.core.run.keys import SeriesKey
    from gradtui.core.run.records import Edges, ParameterInfo
    from gradtui.core.run.run import Run

    Keys = tuple[SeriesKey, ...]

T = TypeVar("T")

REMEMBERED: Final = 256
"""Answers about key tuples that are remembered; a run has a few dozen of them."""


class Structure:
    """The modules, parameters and edges of one run.

    Attributes:
        parameters: all parameters by their module's path and their name.
        kinds: the class of each module by its path.
    """

    def __init__(self, index: RunIndex, edges: Edges) -> None:
        self.parameters: Mapping[tuple[str, str], ParameterInfo] = index.parameters
        self.kinds: Mapping[str, str] = index.kinds
        self.edges = edges
        self._answers: dict[tuple[object, ...], tuple[tuple[Keys, ...], object]] = {}

    def about(self, what: str, keys: tuple[Keys, ...], work: Callable[[], T]) -> T:
        """Return what ``work`` gives for these very tuples of keys, from memory where it was asked before.

        A run gives the same tuples again and again; comparing hundreds of thousands of keys would cost more
        than a diagnosis may.
        """
        name = (what, *map(id, keys))
        found = self._answers.get(name)
        if found is None:
            if len(self._answers) >= REMEMBERED:
                self._answers.clear()
            # The tuples are held, so that no other can come to stand at their address.
            found = self._answers[name] = (keys, work())
        return found[1]  # type: ignore[return-value]

    def weights(self, keys: Keys) -> Indices:
        """Return the positions of the keys of weights that all batches pass through.

        Biases, scales and shifts have gradients of a size of their own (that of a bias before a
        normalisation is zero by construction), and so have embeddings, whose rows are used in turn.
        """
        return self.about("weights", (keys,), lambda: self._weights(keys))

    def _weights(self, keys: Keys) -> Indices:
        found = []
        for i, key in enumerate(keys):
            info = self.parameters.get((key.path, key.slot))
            if (
                info is not None
                and info.trainable
                and len(info.shape) >= 2
                and "Embedding" not in self.kinds.get(key.path, "")
            ):
                found.append(i)
        return np.array(found, np.intp)

    def columns(self, keys: Keys, among: Keys) -> Indices:
        """Return where the tensors of ``keys`` stand among others, whatever the quantity; -1: nowhere."""
        return self.about("columns", (keys, among), lambda: _columns(keys, among))

    @cached_property
    def order(self) -> Mapping[str, int]:
        """The place of each module on the way from the input to the output."""
        return {path: i for i, path in enumerate(forward_order(tuple(self.kinds), self.edges))}

    def depths(self, keys: Keys) -> Indices:
        """Return the places of the keys' modules on the way from the input to the output."""
        return self.about(
            "depths", (keys,), lambda: np.array([self.order.get(k.path, 0) for k in keys], np.intp)
        )

    @cached_property
    def last_modules(self) -> frozenset[str]:
        """The last module without others below it on the way to the output; of several networks each one's.

        A list or a dict of modules has no way through it: each of its parts is a network.
        """
        parts = self.kinds.get("") in ("ModuleList", "ModuleDict")
        last = {
            path.partition(".")[0] if parts else "": path
            for path in self.order
            if self.is_leaf(path)
        }
        return frozenset(last.values())

    def is_leaf(self, path: str) -> bool:
        """Return whether a module has no modules below."""
        return path not in self._parents

    @cached_property
    def _parents(self) -> frozenset[str]:
        parents: set[str] = set()
        for path in self.kinds:
            above = path
            while above:
                above = above.rpartition(".")[0]
                if above in parents:
                    break
                parents.add(above)
        return frozenset(parents)


_KNOWN: WeakKeyDictionary[RunIndex, Structure] = WeakKeyDictionary()


def structure_of(run: Run) -> Structure:
    """Return the structure of a run: the same one while its modules and edges are the same."""
    found, edges = _KNOWN.get(run.index), run.edges
    if found is None or (found.edges is not edges and found.edges != edges):
        found = _KNOWN[run.index] = Structure(run.index, edges)
    return found


def _columns(keys: Keys, among: Keys) -> Indices:
    place = {(key.path, key.slot, key.call): i for i, key in enumerate(among)}
    return np.array([place.get((key.path, key.slot, key.call), -1) for key in keys], np.intp)


def forward_order(registered: tuple[str, ...], edges: Edges) -> tuple[str, ...]:
    """Return the paths of modules on the way from the input to the output.

    By the edges that were seen between modules, as far as they tell; else in the order in which the modules
    were registered, which for most models is the same. Kahn's order, the first registered first; what lies on
    a circle (a cell that is called again) stands last, as registered.
    """
    after: dict[str, set[str]] = {}
    waiting = dict.fromkeys(registered, 0)
    place = {path: i for i, path in enumerate(registered)}
    ends = _ends(registered)
    for source, target in edges.every:
        tail, head = source.path, target.path
        # Only first calls: a module that is used again stands where it was used first.
        first = not source.call and not target.call
        if not first or head not in waiting or tail not in waiting or _nested(tail, head):
            continue
        # What a module hands on comes from the last of those in it.
        for inner in registered[place[tail] : ends[tail]]:
            heads = after.setdefault(inner, set())
            if head not in heads and not _nested(inner, head):
                heads.add(head)
                waiting[head] += 1
    if not after:
        return registered
    ready = [place[path] for path in registered if not waiting[path]]
    heapq.heapify(ready)
    found: dict[str, None] = {}
    while ready:
        path = registered[heapq.heappop(ready)]
        found[path] = None
        for head in _sorted(after.get(path, ()), place):
            waiting[head] -= 1
            if not waiting[head]:
                heapq.heappush(ready, place[head])
    found.update(dict.fromkeys(registered))
    return tuple(found)


def _ends(registered: tuple[str, ...]) -> Mapping[str, int]:
    """Where what lies in each module ends: modules are registered with what they hold right after them."""
    ends: dict[str, int] = {}
    within: list[str] = []
    for i, path in enumerate(registered):
        while within and within[-1] and not path.startswith(f"{within[-1]}."):
            ends[within.pop()] = i
        within.append(path)
    ends.update(dict.fromkeys(within, len(registered)))
    return ends


def _nested(one: str, other: str) -> bool:
    """Whether one module is the other or lies in it: there is no order between them."""
    return not one or not other or f"{one}.".startswith(f"{other}.") or other.startswith(f"{one}.")


def _sorted(paths: Iterable[str], place: Mapping[str, int]) -> list[str]:
    return sorted(paths, key=place.__getitem__)
