"""A run as the Overview shows it: its tree with numbers, trends and flags, and which rows are in view."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from gradtui.viewmodel.run.flags import Flags, flags_of, sign
from gradtui.viewmodel.run.numbers import POINTS, Numbers, Placing, numbers_of, trends_of
from gradtui.viewmodel.run.tree import FEW_REPEATS

if TYPE_CHECKING:
    from gradtui.core.arrays import Flags as Mask
    from gradtui.core.arrays import Floats, Indices
    from gradtui.core.run.run import Run
    from gradtui.diagnosis.finding import Finding
    from gradtui.viewmodel.run.choice import RunChoice
    from gradtui.viewmodel.run.tree import ModuleTree

SMALL: Final = 24
"""A tree of so many rows is shown whole at first: alike modules are not folded."""
TREND_PARTS: Final = 2
MOST_STEPS: Final = 50
"""A trend is made anew when a part of one of its cells, or so many steps, have come."""
FLAG_WORDS: Final = {
    "!": "!", "x": "X", "v": "v", "flag": "!Xv", "flags": "!Xv", "flagged": "!Xv",
}  # fmt: skip
"""What a filter may say to keep modules with these flags alone."""


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """A run, ready to be shown as rows; `Training()` shows nothing.

    Attributes:
        placing: the tree, and where keys belong in it.
        numbers: the latest of every node.
        trends: float64 [n, 11], see `trends_of`.
        flags: the findings by node.
        trend_step: the newest step that the trends tell of; -1 before the first.
        rank: whose numbers; None: of all ranks together.
        kept: the nodes of which full tensors are kept.
    """

    placing: Placing = field(default_factory=Placing)
    numbers: Numbers = field(default_factory=Numbers)
    trends: Floats = field(default_factory=lambda: np.full((1, POINTS), np.nan))
    flags: Flags = field(default_factory=Flags)
    trend_step: int = -1
    rank: int | None = None
    kept: frozenset[int] = frozenset()

    @property
    def tree(self) -> ModuleTree:
        """The modules."""
        return self.placing.tree

    @property
    def empty(self) -> bool:
        """Whether there are no modules."""
        return len(self.tree) <= 1


def training_of(
    run: Run, findings: tuple[Finding, ...], before: Training, rank: int | None = None
) -> Training:
    """Return a run ready to be shown; what ``before`` knows of its modules is used again."""
    placing = before.placing.of(run)
    same = placing is before.placing and rank == before.rank
    grown = run.last_step - before.trend_step
    old = same and 0 <= grown < min(max(run.last_step // (TREND_PARTS * POINTS), 1), MOST_STEPS)
    flagged = placing is before.placing and findings is before.flags.findings
    return Training(
        placing,
        numbers_of(run, placing, rank),
        before.trends if old else trends_of(run, placing, rank),
        before.flags if flagged else flags_of(placing.tree, findings),
        before.trend_step if old else run.last_step,
        rank,
        frozenset(map(placing.tree.node, {entry.kept.key.path for entry in run.kept})),
    )


def folded_nodes(tree: ModuleTree, choice: RunChoice) -> Mask:
    """Return which nodes hide what is below them [n]."""
    if choice.folds == "none" or (choice.folds == "repeats" and len(tree) <= SMALL):
        folded = np.zeros(len(tree), np.bool_)
    elif choice.folds == "all":
        folded = ~tree.leaves
    else:
        folded = (tree.repeats > FEW_REPEATS) | tree.later
    for path in choice.toggled:
        node = tree.node(path)
        if node > 0:
            folded[node] = ~folded[node]
    return folded & ~tree.leaves & (np.arange(len(tree)) > 0)


def shown_nodes(training: Training, choice: RunChoice) -> Indices:
    """Return the nodes that have a row, in the order of the rows.

    The tree, without what is folded; or a flat list of modules where a filter or a sort is set. A
    filter keeps modules whose path or class has all its words; the words ``!``, ``X``, ``v`` and
    ``flag`` keep those with such flags of their own.
    """
    tree = training.tree
    if training.empty:
        return np.zeros(0, np.intp)
    if not choice.filter.strip():
        if choice.sort == "order":
            return _unfolded(tree, folded_nodes(tree, choice))
        # A group's numbers are those of its members, who have rows of their own.
        nodes = np.flatnonzero(tree.modules | tree.tensors)
    else:
        nodes = _filtered(training, choice.filter.lower().split())
    return _sorted(training, nodes, choice)


def _unfolded(tree: ModuleTree, folded: Mask) -> Indices:
    depth = np.zeros(len(tree) + 1, np.intp)
    hiding = np.flatnonzero(folded)
    np.add.at(depth, hiding + 1, 1)
    np.add.at(depth, tree.ends[hiding], -1)
    return np.flatnonzero(np.cumsum(depth[:-1]) == 0)


def _filtered(training: Training, words: list[str]) -> Indices:
    signs = "".join(FLAG_WORDS.get(word, "") for word in words)
    words = [word for word in words if word not in FLAG_WORDS]
    tree, flags = training.tree, training.flags
    keep = tree.named | tree.tensors
    keep[[tree.node(path) for path in tree.aliases]] = True
    keep[0] = False
    for word in words:
        has = np.zeros(len(tree), np.bool_)
        has[tree.searched.having(word)] = True
        keep &= has
    nodes = np.flatnonzero(keep)
    if signs:
        flagged = [node for node, own in flags.own.items() if any(sign(f) in signs for f in own)]
        nodes = nodes[np.isin(nodes, flagged)]
    return nodes


def _sorted(training: Training, nodes: Indices, choice: RunChoice) -> Indices:
    if choice.sort == "order":
        return nodes
    tree = training.tree
    if choice.sort in ("name", "shape"):
        texts = tree.paths if choice.sort == "name" else tree.shapes
        order = sorted(nodes.tolist(), key=lambda node: texts[node], reverse=choice.descending)
        return np.array(order, np.intp)
    values = sort_values(training, choice.sort)[nodes]
    unknown = np.isnan(values)
    # What is not known comes last in either direction.
    values = np.where(unknown, np.inf, -values if choice.descending else values)
    return nodes[np.lexsort((nodes, values, unknown))]


def sort_values(training: Training, sort: str) -> Floats:
    """Return what a column sorts by [n]; non-finite gradients are the greatest."""
    numbers = training.numbers
    if sort == "flag":
        return training.flags.worst.astype(np.float64)
    if sort == "trend":
        return _slopes(training.trends)
    values: Floats = getattr(numbers, sort)
    if sort == "gradient":
        return np.where(np.nan_to_num(numbers.nonfinite) > 0, np.inf, values)
    return values


def _slopes(trends: Floats) -> Floats:
    """How many decades a trend rises, from its first to its last value; NaN where there are not two."""
    known = np.isfinite(trends)
    first = np.argmax(known, axis=1)
    last = trends.shape[1] - 1 - np.argmax(known[:, ::-1], axis=1)
    rows = np.arange(len(trends))
    rise: Floats = trends[rows, last] - trends[rows, first]
    return np.where(known.sum(axis=1) >= 2, rise, np.nan)
