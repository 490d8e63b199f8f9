"""The modules of a run as a tree in flat arrays: what is under what, and which siblings are alike.

Made once for a list of modules; 50,000 of them fold, sort and add up by arrays of positions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from gradtui.core.arrays import read_only
from gradtui.viewmodel.overview import DEEPEST
from gradtui.viewmodel.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gradtui.core.arrays import Flags, Indices
    from gradtui.core.run.records import ModuleInfo, ParameterInfo

LEAST_REPEATS: Final = 3
"""So many siblings in a row that are alike stand under one node."""
FEW_REPEATS: Final = 8
"""Of so many alike siblings the first is shown whole; more of them are folded into one row."""


@dataclass(frozen=True, slots=True, eq=False)
class ModuleTree:
    """Modules in the order of ``named_modules()``, each before what is under it; node 0 is the root.

    Rows of alike siblings stand under one node: their parent where it has no other children, else a node
    of their own, which is no module.

    Attributes:
        paths: module paths; of a row of alike siblings their common name, as ``blocks.[0…3]``.
        labels: what a node adds to the path of the node above, printable.
        kinds: the classes' names; empty for what is no module.
        depths: intp [n]: how far to indent; the root's children are not.
        ends: intp [n]: node k and all that is under it are k..ends[k]-1.
        parents: intp [n]; the root's is itself.
        repeats: intp [n]: how many alike siblings are right under the node; 0 where they differ.
        later: bool [n]: the node is one of a few alike siblings, and not the first of them.
        named: bool [n]: the node is a module of the model, or has parameters.
        shapes: the shape of the weight, ``768x3072``; empty where there are no parameters.
        parameters: of each module, by its path.
        order: positions by path.
        texts: what a filter looks in: path and class, in lower case.
    """

    paths: tuple[str, ...] = ("",)
    labels: tuple[str, ...] = ("",)
    kinds: tuple[str, ...] = ("",)
    depths: Indices = field(default_factory=lambda: _zeros(1))
    ends: Indices = field(default_factory=lambda: read_only(np.ones(1, np.intp)))
    parents: Indices = field(default_factory=lambda: _zeros(1))
    repeats: Indices = field(default_factory=lambda: _zeros(1))
    later: Flags = field(default_factory=lambda: read_only(np.zeros(1, np.bool_)))
    named: Flags = field(default_factory=lambda: read_only(np.ones(1, np.bool_)))
    shapes: tuple[str, ...] = ("",)
    parameters: Mapping[str, tuple[ParameterInfo, ...]] = field(default_factory=dict)
    order: Mapping[str, int] = field(default_factory=lambda: {"": 0})
    texts: tuple[str, ...] = ("",)

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def leaves(self) -> Flags:
        """Which nodes have nothing under them [n]."""
        flags: Flags = self.ends == np.arange(1, len(self) + 1)
        return flags

    def node(self, path: str) -> int:
        """Return the position of a path; -1 where no module is called so."""
        return self.order.get(path, -1)

    def above(self, node: int) -> tuple[int, ...]:
        """Return the nodes above one, the nearest first, without the root."""
        found = []
        while node > 0:
            node = int(self.parents[node])
            if node > 0:
                found.append(node)
        return tuple(found)

    def children(self, node: int) -> tuple[int, ...]:
        """Return the nodes directly under one."""
        found = []
        child = node + 1
        while child < self.ends[node]:
            found.append(child)
            child = int(self.ends[child])
        return tuple(found)


def _zeros(count: int) -> Indices:
    return read_only(np.zeros(count, np.intp))


@dataclass(slots=True)
class _Branch:
    path: str
    label: str
    below: dict[str, _Branch] = field(default_factory=dict)
    form: int = 0
    repeats: int = 0


def module_tree(
    modules: Iterable[ModuleInfo], parameters: Iterable[ParameterInfo] = ()
) -> ModuleTree:
    """Return the tree of a run's modules; a path without a module above it gets one without a class."""
    infos = {module.path: module for module in modules}
    owned: dict[str, list[ParameterInfo]] = {}
    for parameter in parameters:
        owned.setdefault(parameter.path, []).append(parameter)
    root = _Branch("", "")
    for path in dict.fromkeys((*infos, *owned)):
        if path:
            _place(root, path)
    preorder = _preorder(root)
    _find_forms(preorder, infos, owned)
    for branch in preorder:
        if len(branch.below) >= LEAST_REPEATS:
            _group(branch)
    return _flattened(root, infos, owned)


def _place(root: _Branch, path: str) -> None:
    branch = root
    parts = path.split(".", DEEPEST - 1)
    for depth, part in enumerate(parts, 1):
        found = branch.below.get(part)
        if found is None:
            found = branch.below[part] = _Branch(".".join(parts[:depth]), part)
        branch = found


def _preorder(root: _Branch) -> list[_Branch]:
    found, left = [], [root]
    while left:
        branch = left.pop()
        found.append(branch)
        left.extend(reversed(branch.below.values()))
    return found


def _find_forms(
    preorder: list[_Branch],
    infos: Mapping[str, ModuleInfo],
    owned: Mapping[str, list[ParameterInfo]],
) -> None:
    """Number the structures: two branches have one form when they are alike down to the last parameter."""
    forms: dict[object, int] = {}
    for branch in reversed(preorder):
        info = infos.get(branch.path)
        shape = tuple((p.name, p.shape) for p in owned.get(branch.path, ()))
        below = tuple((name, child.form) for name, child in branch.below.items())
        structure = (info.kind if info is not None else "", shape, below)
        branch.form = forms.setdefault(structure, len(forms))


def _group(branch: _Branch) -> None:
    """Put a branch above each row of alike siblings; where all are alike, their parent stands for them."""
    children = list(branch.below.items())
    forms = [child.form for _, child in children]
    if branch.path and len(set(forms)) == 1:
        branch.repeats = len(children)
        return
    below: dict[str, _Branch] = {}
    start = 0
    while start < len(children):
        stop = start + 1
        while stop < len(children) and forms[stop] == forms[start]:
            stop += 1
        row = dict(children[start:stop])
        if stop - start >= LEAST_REPEATS:
            name = f"[{children[start][0]}…{children[stop - 1][0]}]"
            path = f"{branch.path}.{name}" if branch.path else name
            below[name] = _Branch(path, name, row, forms[start], stop - start)
        else:
            below |= row
        start = stop
    branch.below = below


def _flattened(
    root: _Branch,
    infos: Mapping[str, ModuleInfo],
    owned: Mapping[str, list[ParameterInfo]],
) -> ModuleTree:
    branches: list[_Branch] = []
    depths: list[int] = []
    parents: list[int] = []
    left = [(root, 0, 0)]
    while left:
        branch, depth, parent = left.pop()
        here = len(branches)
        branches.append(branch)
        depths.append(depth)
        parents.append(parent)
        deeper = depth + 1 if here else 0
        left.extend((child, deeper, here) for child in reversed(branch.below.values()))
    ends = np.arange(1, len(branches) + 1)
    for node in range(len(branches) - 1, 0, -1):
        parent = parents[node]
        ends[parent] = max(ends[parent], ends[node])
    kinds = [infos[b.path].kind if b.path in infos else "" for b in branches]
    labels = [printable(branch.label) for branch in branches]
    for node, branch in enumerate(branches):
        if branch.repeats and branch.path not in infos:
            kinds[node] = kinds[node + 1]
    repeats = np.array([branch.repeats for branch in branches], np.intp)
    above = np.array(parents, np.intp)
    few = (repeats[above] > 0) & (repeats[above] <= FEW_REPEATS)
    later = few & (np.arange(len(branches)) > above + 1)
    labels[0] = printable(kinds[0]) or "(model)"
    return ModuleTree(
        tuple(branch.path for branch in branches),
        tuple(labels),
        tuple(kinds),
        read_only(np.array(depths, np.intp)),
        read_only(ends.astype(np.intp)),
        read_only(above),
        read_only(repeats),
        read_only(later),
        read_only(np.array([b.path in infos or b.path in owned for b in branches], np.bool_)),
        tuple(_shape(owned.get(branch.path, [])) for branch in branches),
        {path: tuple(found) for path, found in owned.items()},
        {branch.path: node for node, branch in enumerate(branches)},
        tuple(f"{b.path} {kind}".lower() for b, kind in zip(branches, kinds, strict=True)),
    )


def _shape(parameters: list[ParameterInfo]) -> str:
    """The shape of the parameter of the most dimensions, the first of them."""
    if not parameters:
        return ""
    largest = max(parameters, key=lambda parameter: len(parameter.shape))
    return "x".join(str(size) for size in largest.shape) or "scalar"
