"""The modules of a run as a tree in flat arrays: what is under what, and which siblings are alike.

Made once for a list of modules; 50,000 of them fold, sort and add up by arrays of positions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from gradtui.core.arrays import read_only
from gradtui.viewmodel.overview import DEEPEST
from gradtui.viewmodel.run.texts import Texts
from gradtui.viewmodel.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gradtui.core.arrays import Flags, Indices
    from gradtui.core.run.records import ModuleInfo, ParameterInfo

LEAST_REPEATS: Final = 3
"""So many siblings in a row that are alike stand under one node."""
FEW_REPEATS: Final = 8
"""Of so many alike siblings the first is shown whole; more of them are folded into one row."""
TENSOR: Final = "tensor"
"""What stands for the class, and for the shape, of a tensor that was attached."""


class Level(NamedTuple):
    """Nodes that are equally deep.

    Attributes:
        nodes: intp [k], ascending.
        starts: where in ``nodes`` those of another parent begin.
        parents: of each of these groups.
    """

    nodes: Indices
    starts: Indices
    parents: Indices


@dataclass(frozen=True, slots=True, eq=False)
class ModuleTree:
    """Modules in the order of ``named_modules()``, each before what is under it; node 0 is the root.

    Rows of alike siblings stand under one node: their parent where it has no other children, else a node
    of their own, which is no module. Tensors that were attached, and further names of a module that is used
    at several places, stand below the module that they are in; they are no modules either.

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
        shapes: the shape of the weight, ``768x3072``; in brackets where it is another module's, that counts it; empty
            where there are no parameters.
        parameters: of each module, by its path.
        order: positions by path.
        searched: path and class of each.
        modules: bool [n]: modules with numbers of their own: those with parameters, and leaves; not the root.
        levels: the nodes by how deep they are, the deepest first.
        tensors: bool [n]: the node is a tensor that was attached.
        tips: bool [n]: no module is under the node.
        aliases: further paths of modules that have one already, and which that is.
        tied: of modules with parameters of other modules, which these are: ``weight is embed.weight``.
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
    searched: Texts = field(default_factory=lambda: Texts.of([""]))
    modules: Flags = field(default_factory=lambda: read_only(np.zeros(1, np.bool_)))
    levels: tuple[Level, ...] = ()
    tensors: Flags = field(default_factory=lambda: read_only(np.zeros(1, np.bool_)))
    tips: Flags = field(default_factory=lambda: read_only(np.ones(1, np.bool_)))
    aliases: Mapping[str, str] = field(default_factory=dict)
    tied: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

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


def module_tree(
    modules: Sequence[ModuleInfo],
    parameters: Sequence[ParameterInfo] = (),
    attached: Iterable[str] = (),
) -> ModuleTree:
    """Return the tree of a run's modules; a path without a module above it gets one without a class.

    Args:
        modules: in the order of ``named_modules()``.
        parameters: theirs; each stands at the first module that has it.
        attached: paths of tensors that were attached; each stands after the modules of the one above it.
    """
    growing = _Growing()
    for module in modules:
        growing.kinds[growing.place(module.path)] = module.kind
        growing.named.add(module.path)
    for module in modules:
        for path in module.shared:
            growing.again(path, module.path)
    owned: dict[str, list[ParameterInfo]] = {}
    for parameter in parameters:
        owned.setdefault(parameter.path, []).append(parameter)
    for path in owned:
        growing.place(path)
    for parameter in parameters:
        growing.share(parameter)
    for path in attached:
        if path not in growing.index:
            growing.kinds[growing.place(path)] = TENSOR
            growing.tensors.add(path)
    growing.group({growing.index[path]: found for path, found in owned.items()})
    return growing.finished(owned)


class _Growing:
    """A tree while it is made: nodes by number, each after the one above it."""

    def __init__(self) -> None:
        self.index = {"": 0}
        self.paths = [""]
        self.labels = [""]
        self.kinds = [""]
        self.below: list[list[int]] = [[]]
        self.repeats: dict[int, int] = {}
        self.named: set[str] = set()
        self.tensors: set[str] = set()
        self.aliases: dict[str, str] = {}
        self.tied: dict[str, list[tuple[str, ParameterInfo]]] = {}

    def share(self, parameter: ParameterInfo) -> None:
        """Put the other names of a parameter in the tree: of a module with several paths the first one is its own."""
        for name in parameter.shared:
            path, _, own = name.rpartition(".")
            if path in self.named:
                self.tied.setdefault(path, []).append((own, parameter))
                continue
            module = parameter.path
            # What is used again may be a module that holds this one.
            while (above := path.rpartition(".")[0]) and above not in self.named:
                if path.rpartition(".")[2] != module.rpartition(".")[2]:
                    break
                path, module = above, module.rpartition(".")[0]
            self.again(path, module)

    def again(self, path: str, first: str) -> None:
        """Put a further path of a module in the tree, which has ``first`` already."""
        if path not in self.index:
            self.aliases[path] = first
            self.place(path)

    def place(self, path: str) -> int:
        """Return the node of a path; it is made, with those above it, when it is not there."""
        found = self.index.get(path)
        if found is not None:
            return found
        above, _, label = path.rpartition(".")
        if path.count(".") >= DEEPEST:
            *parts, label = path.split(".", DEEPEST - 1)
            above = ".".join(parts)
        parent = self.place(above)
        found = self.index[path] = self._add(path, label)
        self.below[parent].append(found)
        return found

    def _add(self, path: str, label: str, kind: str = "") -> int:
        self.paths.append(path)
        self.labels.append(label)
        self.kinds.append(kind)
        self.below.append([])
        return len(self.paths) - 1

    def group(self, owned: Mapping[int, list[ParameterInfo]]) -> None:
        """Put a node above each row of alike siblings; where all are alike, their parent stands for them."""
        known: dict[object, int] = {}
        forms = [0] * len(self.paths)
        # What is below a node comes after it: two nodes have one form when they are alike down to the last parameter.
        for node in range(len(self.paths) - 1, -1, -1):
            shapes = tuple((p.name, p.shape) for p in owned[node]) if node in owned else ()
            below = tuple((self.labels[child], forms[child]) for child in self.below[node])
            structure = (self.kinds[node], shapes, below)
            forms[node] = known.setdefault(structure, len(known))
        for node in range(len(forms)):
            children = self.below[node]
            if len(children) >= LEAST_REPEATS:
                self._group(node, [forms[child] for child in children])

    def _group(self, node: int, forms: list[int]) -> None:
        children = self.below[node]
        # Which module a second name leads to is told by its own row.
        is_again = [self.paths[child] in self.aliases for child in children]
        if node and forms.count(forms[0]) == len(forms) and not any(is_again):
            self.repeats[node] = len(children)
            return
        grouped: list[int] = []
        start = 0
        while start < len(children):
            stop = start + 1
            while stop < len(children) and forms[stop] == forms[start] and not is_again[stop]:
                stop += 1
            row = children[start:stop]
            if stop - start >= LEAST_REPEATS:
                name = f"[{self.labels[row[0]]}…{self.labels[row[-1]]}]"
                path = f"{self.paths[node]}.{name}" if node else name
                above = self._add(path, name, self.kinds[row[0]])
                self.below[above], self.repeats[above] = row, len(row)
                grouped.append(above)
            else:
                grouped += row
            start = stop
        self.below[node] = grouped

    def finished(self, owned: Mapping[str, list[ParameterInfo]]) -> ModuleTree:
        """Return the tree, each node before what is below it."""
        order, parents, depths = self._preorder()
        count = len(order)
        ends = list(range(1, count + 1))
        for node in range(count - 1, 0, -1):
            if ends[node] > ends[parents[node]]:
                ends[parents[node]] = ends[node]
        paths = [self.paths[node] for node in order]
        kinds = [self.kinds[node] for node in order]
        labels = [printable(self.labels[node]) for node in order]
        labels[0] = printable(kinds[0]) or "(model)"
        repeats = np.array([self.repeats.get(node, 0) for node in order], np.intp)
        above = np.array(parents, np.intp)
        few = (repeats[above] > 0) & (repeats[above] <= FEW_REPEATS)
        tensors = np.array([path in self.tensors for path in paths], np.bool_)
        no_modules = tensors | np.array([path in self.aliases for path in paths], np.bool_)
        running = np.concatenate([[0], np.cumsum(~no_modules)])
        tips = ~no_modules & (running[ends] - running[:-1] == 1)
        modules = np.array([path in owned for path in paths], np.bool_) | tips
        modules[0] = False
        named = [path in self.named or path in owned for path in paths]
        tied = {
            path: tuple(f"{own} is {_full(parameter)}" for own, parameter in found)
            for path, found in self.tied.items()
        }
        return ModuleTree(
            tuple(paths),
            tuple(labels),
            tuple(kinds),
            # The root's children stand where it stands itself.
            read_only(np.maximum(np.array(depths, np.intp) - 1, 0)),
            read_only(np.array(ends, np.intp)),
            read_only(above),
            read_only(repeats),
            read_only(few & (np.arange(count) > above + 1)),
            read_only(np.array(named, np.bool_)),
            tuple(self._shape(path, owned.get(path, [])) for path in paths),
            {path: tuple(found) for path, found in owned.items()},
            {path: node for node, path in enumerate(paths)},
            Texts.of(f"{path} {kind}" for path, kind in zip(paths, kinds, strict=True)),
            read_only(modules),
            _levels(np.array(depths), above),
            read_only(tensors),
            read_only(tips),
            self.aliases,
            tied,
        )

    def _shape(self, path: str, owned: Sequence[ParameterInfo]) -> str:
        if path in self.tensors:
            return TENSOR
        if owned or path not in self.tied:
            return _shape(owned)
        return f"({_shape([parameter for _, parameter in self.tied[path]])})"

    def _preorder(self) -> tuple[list[int], list[int], list[int]]:
        """The nodes in order, and for each place in it the place of the one above, and how deep it is."""
        order: list[int] = []
        parents: list[int] = []
        depths: list[int] = []
        left = [(0, 0, 0)]
        while left:
            node, parent, depth = left.pop()
            here = len(order)
            order.append(node)
            parents.append(parent)
            depths.append(depth)
            if below := self.below[node]:
                left.extend([(child, here, depth + 1) for child in reversed(below)])
        return order, parents, depths


def _levels(depths: Indices, parents: Indices) -> tuple[Level, ...]:
    levels = []
    for depth in range(int(depths.max(initial=0)), 0, -1):
        nodes = np.flatnonzero(depths == depth)
        above = parents[nodes]
        starts = np.flatnonzero(np.concatenate([[True], above[1:] != above[:-1]]))
        levels.append(Level(read_only(nodes), read_only(starts), read_only(above[starts])))
    return tuple(levels)


def _full(parameter: ParameterInfo) -> str:
    return f"{parameter.path}.{parameter.name}" if parameter.path else parameter.name


def _shape(parameters: Sequence[ParameterInfo]) -> str:
    """The shape of the parameter of the most dimensions, the first of them."""
    if not parameters:
        return ""
    largest = max(parameters, key=lambda parameter: len(parameter.shape))
    return "x".join(str(size) for size in largest.shape) or "scalar"
