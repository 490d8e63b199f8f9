"""The latest numbers of every module of a run, and of what is under it, as columns of a tree.

Made when the run has grown; sorting, folding and drawing read arrays.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from gradtui.core.arrays import read_only
from gradtui.viewmodel.run.tree import ModuleTree, module_tree

if TYPE_CHECKING:
    from gradtui.core.arrays import Array, Flags, Floats, Indices
    from gradtui.core.run.keys import SeriesKey
    from gradtui.core.run.records import ModuleInfo, ParameterInfo
    from gradtui.core.run.run import Run

POINTS: Final = 11
"""Cells of a trend."""


@dataclass(slots=True)
class Placing:
    """Remembers to which nodes of a tree the keys of a column belong: a run that grows keeps its keys."""

    tree: ModuleTree = field(default_factory=ModuleTree)
    _known: dict[int, tuple[tuple[SeriesKey, ...], Indices]] = field(default_factory=dict)
    _modules: tuple[ModuleInfo, ...] = ()
    _parameters: tuple[ParameterInfo, ...] = ()
    _attached: tuple[str, ...] = ()
    _index: object = None

    def nodes(self, keys: tuple[SeriesKey, ...]) -> Indices:
        """Return the node of each key; -1 where the tree has none."""
        found = self._known.get(id(keys))
        if found is None or found[0] is not keys:
            order = self.tree.order
            places = read_only(np.array([order.get(key.path, -1) for key in keys], np.intp))
            if len(self._known) > 256:
                self._known.clear()
            found = self._known[id(keys)] = (keys, places)
        return found[1]

    def of(self, run: Run) -> Placing:
        """Return the placing for a run: this one as long as its modules are the same."""
        if self._index is run.index:
            return self
        made_from = (run.modules, run.parameters, attached_of(run))
        if made_from == (self._modules, self._parameters, self._attached):
            self._index = run.index
            return self
        return Placing(module_tree(*made_from), {}, *made_from, run.index)


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """Columns over the nodes of a tree, float64 [n]; NaN where there is nothing to tell.

    A node's parameters are its own and all below it: norms are roots of sums of squares. Shares of
    outputs are over the leaves below; time and the gradient of the output are the module's own. What
    has no finite value has no norm and no shares: NaN, not 0.

    A tensor that was attached counts for itself alone: it has its own norm in ``weight`` and its gradient's in
    ``gradient``.

    Attributes:
        tree: the modules.
        weight: ‖parameters‖₂, over their finite part.
        weight_nonfinite: how many values of the parameters are NaN or infinite.
        gradient: ‖gradients‖₂ as the optimizer sees them, over their finite part.
        nonfinite: how many values of the latest gradients are NaN or infinite.
        ratio: update-to-weight ratio.
        zeros: the share of zeros in the outputs.
        dead: the share of units that are 0 over a whole batch.
        output_gradient: ‖d loss / d output‖₂.
        seconds: of one step's calls.
        steps: the step of ``gradient``; -1 for none.
        sampled: whether ``ratio`` is from a sample.
        lost: bool [n]: whether the outputs have no finite value.
        lost_gradient: bool [n]: whether the gradient of the output has none.
    """

    tree: ModuleTree = field(default_factory=ModuleTree)
    weight: Floats = field(default_factory=lambda: _none(1))
    weight_nonfinite: Floats = field(default_factory=lambda: _none(1))
    gradient: Floats = field(default_factory=lambda: _none(1))
    nonfinite: Floats = field(default_factory=lambda: _none(1))
    ratio: Floats = field(default_factory=lambda: _none(1))
    zeros: Floats = field(default_factory=lambda: _none(1))
    dead: Floats = field(default_factory=lambda: _none(1))
    output_gradient: Floats = field(default_factory=lambda: _none(1))
    seconds: Floats = field(default_factory=lambda: _none(1))
    steps: Floats = field(default_factory=lambda: _none(1))
    sampled: bool = False
    lost: Flags = field(default_factory=lambda: np.zeros(1, np.bool_))
    lost_gradient: Flags = field(default_factory=lambda: np.zeros(1, np.bool_))


def is_lost(run: Run, key: SeriesKey, rank: int | None = None) -> bool:
    """Whether the newest norm of a tensor is 0 for want of a finite value: what was counted is not finite."""
    if run.latest(key, rank) != 0:
        return False
    return any(run.latest(key.of(kind), rank) > 0 for kind in ("nan", "inf"))


def _none(count: int) -> Floats:
    return read_only(np.full(count, np.nan))


_NORMS: Final = (
    ("parameter", "l2"), ("gradient", "l2"), ("update", "l2"), ("update", "base_l2"),
)  # fmt: skip


def numbers_of(run: Run, placing: Placing, rank: int | None = None) -> Numbers:
    """Return the latest numbers of all nodes.

    Args:
        run: any run, the empty one too.
        placing: of this run, from `Placing.of`.
        rank: of one rank; None merges the ranks.
    """
    tree = placing.tree
    read = _Reader(run, placing, rank)
    # All together: of a small model each call of numpy's costs more than what it adds up.
    own = [read.own(role, quantity, squared=True) for role, quantity in _NORMS]
    own += [read.own(role, kind) for role in ("gradient", "parameter") for kind in ("nan", "inf")]
    own += [read.leaf(quantity) for quantity in ("count", "zeros", "units", "dead", "nan", "inf")]
    weight, gradient, update, base, *counts = _with_tensors(read, below_sum(tree, np.stack(own)))
    bad, bad_weights = _joined_counts(*counts[:2]), _joined_counts(*counts[2:4])
    count, zeros, units, dead = counts[4:8]
    spoilt = _joined_counts(*counts[8:])
    steps = read.steps("gradient", "l2")
    if tree.tensors.any():
        steps = np.where(tree.tensors, read.steps("output", "l2"), steps)
    lost = (spoilt > 0) & (spoilt >= count)
    back = np.sqrt(read.own("output gradient", "l2", squared=True))
    lost_gradient = (back == 0) & (
        _joined_counts(read.own("output gradient", "nan"), read.own("output gradient", "inf")) > 0
    )
    weight[(weight == 0) & (bad_weights > 0)] = np.nan
    gradient[(gradient == 0) & (bad > 0)] = np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        return Numbers(
            tree,
            np.sqrt(weight),
            bad_weights,
            np.sqrt(gradient),
            bad,
            np.sqrt(update) / np.sqrt(base),
            np.where(lost, np.nan, zeros / count),
            np.where(lost, np.nan, dead / units),
            np.where(lost_gradient, np.nan, back),
            _own_or_below(tree, read.own("module", "seconds")),
            steps,
            run.index.has_sampled("update", "l2"),
            lost,
            lost_gradient,
        )


def attached_of(run: Run) -> tuple[str, ...]:
    """Return the paths of tensors that were attached: what has values, and is no module."""
    modules = run.index.modules
    found = (
        key.path
        for role in ("output", "output gradient")
        for phase in ("train", "eval")
        for key in run.column(role, "l2", phase).keys
        if key.path not in modules
    )
    return tuple(dict.fromkeys(found))


def _with_tensors(read: _Reader, sums: Floats) -> Floats:
    """Sums [m, n] as `numbers_of` stacks them, with those of attached tensors in the columns of these."""
    apart = read.placing.tree.tensors
    if apart.any():
        nothing = np.full(len(apart), np.nan)
        norms = [read.own(role, "l2", squared=True) for role in ("output", "output gradient")]
        counts = [
            read.own(role, kind)
            for role in ("output gradient", "output")
            for kind in ("nan", "inf")
        ]
        shares = [
            read.own("output", quantity)
            for quantity in ("count", "zeros", "units", "dead", "nan", "inf")
        ]
        own = np.stack([*norms, nothing, nothing, *counts, *shares])
        sums[:, apart] = own[:, apart]
    return sums


@dataclass(slots=True)
class _Reader:
    """Columns of a run put on the nodes of a tree."""

    run: Run
    placing: Placing
    rank: int | None

    def column(self, role: str, quantity: str) -> tuple[Indices, Floats, Array]:
        column = self.run.column(role, quantity, rank=self.rank)
        nodes = self.placing.nodes(column.keys)
        known = ~np.isnan(column.values) & (nodes >= 0)
        if known.all():
            return nodes, column.values, column.steps
        return nodes[known], column.values[known], column.steps[known]

    def own(self, role: str, quantity: str, *, squared: bool = False) -> Floats:
        """Sum of a module's own values [n]; NaN where it has none."""
        nodes, values, _ = self.column(role, quantity)
        return self._on_nodes(nodes, values * values if squared else values)

    def _on_nodes(self, nodes: Indices, values: Floats) -> Floats:
        size = len(self.placing.tree)
        total: Floats = np.bincount(nodes, weights=values, minlength=size).astype(np.float64)
        total[np.bincount(nodes, minlength=size) == 0] = np.nan
        return total

    def steps(self, role: str, quantity: str) -> Floats:
        """The newest step of a node and all below it [n]; -1 where nothing was measured."""
        nodes, _, steps = self.column(role, quantity)
        newest = np.full(len(self.placing.tree), -1.0)
        np.maximum.at(newest, nodes, steps.astype(np.float64))
        return below_max(self.placing.tree, newest)

    def leaf(self, quantity: str) -> Floats:
        """Sum of a module's own outputs where no module is under it [n]; NaN for all others."""
        own = self.own("output", quantity)
        own[~self.placing.tree.tips] = np.nan
        return own


def below_sum(tree: ModuleTree, own: Floats) -> Floats:
    """Add up each node's value and those below it, [n] or [m, n]; NaN counts as nothing, and is left where all are."""
    known = ~np.isnan(own)
    total = _reduced(np.add, tree, np.where(known, own, 0.0))
    total[below_count(tree, known) == 0] = np.nan
    return total


def below_count(tree: ModuleTree, own: Array) -> Array:
    """Add up whole numbers of each node and those below it, [n] or [m, n]; no NaN.

    What is below a node follows it, so that a difference of running sums is enough: exact below 2^53, where
    sums of squares, large ones beside small ones, would not be.
    """
    whole = np.float64 if own.dtype == np.float64 else np.int32
    running = np.zeros((*own.shape[:-1], own.shape[-1] + 1), whole)
    np.cumsum(own, axis=-1, out=running[..., 1:])
    count: Array = running.take(tree.ends, axis=-1)
    count -= running[..., :-1]
    return count


def below_max(tree: ModuleTree, own: Array) -> Array:
    """Return the greatest of each node and those below it [n]."""
    return _reduced(np.maximum, tree, own)


def _reduced(operation: np.ufunc, tree: ModuleTree, own: Array) -> Array:
    """Reduce over each node and all below it, level by level from the deepest; [n] or [m, n]."""
    result = np.array(own)
    for nodes, starts, parents in tree.levels:
        below = operation.reduceat(result.take(nodes, axis=-1), starts, axis=-1)
        result[..., parents] = operation(result[..., parents], below)
    return result


def _own_or_below(tree: ModuleTree, own: Floats) -> Floats:
    """A module that is never called itself takes as long as what is right under it."""
    total: Floats = own.copy()
    for nodes, starts, parents in tree.levels:
        missing = np.isnan(total[parents])
        if missing.any():
            below = np.add.reduceat(np.nan_to_num(total[nodes]), starts)
            known = np.add.reduceat((~np.isnan(total[nodes])).astype(np.intp), starts) > 0
            wanted = missing & known
            total[parents[wanted]] = below[wanted]
    return total


def _joined_counts(first: Floats, second: Floats) -> Floats:
    total: Floats = np.where(
        np.isnan(first), second, np.where(np.isnan(second), first, first + second)
    )
    return total


def trends_of(run: Run, placing: Placing, rank: int | None = None) -> Floats:
    """Return the course of each node's gradient norm, float64 [n, `POINTS`], as base-10 logarithms.

    NaN: nothing was measured in that span; +Inf: values were NaN or infinite there. A norm of 0 is the
    smallest logarithm of float32.
    """
    tree = placing.tree
    trends = run.trends("gradient", "l2", POINTS, rank=rank)
    values = trends.values.T
    finite = ~np.isnan(values)
    nodes = placing.nodes(trends.keys)
    squares = _reduced(np.add, tree, _put(tree, nodes, np.where(finite, values * values, 0.0)))
    known = below_count(tree, _put(tree, nodes, finite))
    result = np.full((POINTS, len(tree)), np.nan)
    there = known > 0
    result[there] = 0.5 * np.log10(np.maximum(squares[there], 1e-90))
    for quantity in ("nan", "inf"):
        counts = run.trends("gradient", quantity, POINTS, rank=rank)
        bad = np.nan_to_num(counts.values.T)
        if bad.any():
            result[below_count(tree, _put(tree, placing.nodes(counts.keys), bad)) > 0] = np.inf
    if tree.tensors.any():
        result[:, tree.tensors] = _own_trends(run, placing, rank)[:, tree.tensors]
    return np.ascontiguousarray(result.T)


def _own_trends(run: Run, placing: Placing, rank: int | None) -> Floats:
    """The course of the gradients of outputs, float64 [`POINTS`, n], of each node alone."""
    tree = placing.tree

    def course(kind: str) -> tuple[Indices, Floats]:
        found = run.trends("output gradient", kind, POINTS, rank=rank)
        return placing.nodes(found.keys), found.values.T

    nodes, norms = course("l2")
    known = _put(tree, nodes, ~np.isnan(norms)) > 0
    squares = _put(tree, nodes, np.nan_to_num(norms) ** 2)
    result = np.where(known, 0.5 * np.log10(np.maximum(squares, 1e-90)), np.nan)
    for kind in ("nan", "inf"):
        nodes, counts = course(kind)
        result[_put(tree, nodes, np.nan_to_num(counts)) > 0] = np.inf
    return result


def _put(tree: ModuleTree, nodes: Indices, values: Array) -> Floats:
    """Add up the values of some keys [m, k] on their nodes [m, n]; those of no node are left out."""
    inside = nodes >= 0
    places, kept = nodes[inside], values[:, inside]
    size = len(tree)
    rows = [np.bincount(places, weights=row, minlength=size) for row in kept]
    return np.array(rows, np.float64)
