"""The architecture of a model: calls, operations, what flows between them, and what they cost.

A graph is a tree of calls (a module's call holds the calls and operations that it made) with the
dataflow between its leaves. It is a value: whoever traces it is elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradtui.core.arrays import Array, Flags, Indices

Shape: TypeAlias = tuple[int, ...]

Kind: TypeAlias = Literal["input", "output", "module", "operation"]

Stage: TypeAlias = Literal["static", "meta", "fake", "real"]
"""How a graph was found: from the tree of modules alone; by a forward pass without data (meta tensors, then
fake ones); by a forward pass with data. Each knows more than the one before and costs more."""

State: TypeAlias = Literal["run", "failed", "not run"]


@dataclass(frozen=True, slots=True)
class GraphNode:
    """One call of a module, one operation between modules, or an input or output of the model.

    Attributes:
        number: its place in `ModuleGraph.nodes`: the order of execution, a call before what it made.
        kind: what it is.
        path: the module path; of an operation, the module that made it. "" is the model itself.
        name: the module's class, the operation's name, or the argument's.
        call: which call of the module in this forward pass, from 0.
        parent: the number of the call that made it; -1 for the model's own call, inputs and outputs.
        leaf: whether it has no calls and operations of its own in the graph. Dataflow is between leaves.
        parameters: elements of the module's own parameters, where they are counted here: at the first node
            that has them, whatever the number of calls and of names.
        shared: elements of own parameters that an earlier node counts.
        flops: 2 · multiply-adds of the operations inside, those of inner nodes not included.
        shapes: of its output tensors.
        inputs: shapes of the input tensors.
        dtype: of the first output tensor ("float32"); "" where no output is known.
        bytes: of all output tensors.
        source: the user's line that made it, "file.py:12"; "" where unknown.
        state: whether it was run.
        guessed: whether a value that only data can give was guessed before it.
        extra: what the module says of itself (``extra_repr``).
    """

    number: int
    kind: Kind
    path: str
    name: str
    call: int = 0
    parent: int = -1
    leaf: bool = True
    parameters: int = 0
    shared: int = 0
    flops: int = 0
    shapes: tuple[Shape, ...] = ()
    inputs: tuple[Shape, ...] = ()
    dtype: str = ""
    bytes: int = 0
    source: str = ""
    state: State = "run"
    guessed: bool = False
    extra: str = ""

    @property
    def shape(self) -> Shape:
        """The shape of its first output tensor; () of a scalar, and where none is known."""
        return self.shapes[0] if self.shapes else ()

    @property
    def label(self) -> str:
        """The module path with the call, or the operation's name."""
        if self.kind == "module":
            return (self.path or "(model)") + (f"#{self.call}" if self.call else "")
        return self.name


@dataclass(frozen=True, slots=True)
class TraceFault:
    """Why a forward pass did not end.

    Attributes:
        kind: the exception's class.
        text: its message.
        path: the innermost module that was running; "" is the model itself.
        operation: the operation that failed; "" where the user's own code raised.
        inputs: shapes of that operation's tensors.
        source: the user's line, "file.py:12".
        line: that line's text, stripped.
        node: the number of the innermost node; -1 where none was reached.
    """

    kind: str = ""
    text: str = ""
    path: str = ""
    operation: str = ""
    inputs: tuple[Shape, ...] = ()
    source: str = ""
    line: str = ""
    node: int = -1

    def __bool__(self) -> bool:
        return bool(self.kind)


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over a model.

    ``parameters`` and ``parameter_bytes`` are the whole model's, also when a forward pass failed, each
    parameter counted once; ``flops`` and ``activation_bytes`` (outputs of leaves) are those up to the failure.
    """

    parameters: int = 0
    trainable: int = 0
    parameter_bytes: int = 0
    buffer_bytes: int = 0
    flops: int = 0
    activation_bytes: int = 0


@dataclass(frozen=True)
class ModuleGraph:
    """A model's architecture.

    Attributes:
        model: the class of the model.
        nodes: in the order of execution, modules that were not reached at their place in the tree.
        edges: (producer, consumer) numbers of leaves, sorted by consumer, each pair once.
        stage: how it was found.
        fault: why the forward pass did not end; false where it did, or none was tried.
        totals: sums over the model.
        notes: what a person should know: guesses, modules that could not be seen.
    """

    model: str = ""
    nodes: tuple[GraphNode, ...] = ()
    edges: tuple[tuple[int, int], ...] = ()
    stage: Stage = "static"
    fault: TraceFault = field(default_factory=TraceFault)
    totals: Totals = field(default_factory=Totals)
    notes: tuple[str, ...] = ()

    @cached_property
    def children(self) -> dict[int, tuple[int, ...]]:
        """The numbers of the nodes that each call made, in order; of -1 those at the top."""
        found: dict[int, list[int]] = {}
        for node in self.nodes:
            found.setdefault(node.parent, []).append(node.number)
        return {parent: tuple(numbers) for parent, numbers in found.items()}

    @cached_property
    def producers(self) -> dict[int, tuple[int, ...]]:
        """The leaves that each leaf takes its inputs from."""
        found: dict[int, list[int]] = {}
        for source, target in self.edges:
            found.setdefault(target, []).append(source)
        return {target: tuple(sources) for target, sources in found.items()}

    @cached_property
    def depths(self) -> tuple[int, ...]:
        """How many calls enclose each node; 0 at the top."""
        found: list[int] = []
        for node in self.nodes:
            found.append(found[node.parent] + 1 if node.parent >= 0 else 0)
        return tuple(found)

    @cached_property
    def ends(self) -> tuple[int, ...]:
        """The number after the last node inside each node: a node's inside is ``number + 1 … end``."""
        found = [node.number + 1 for node in self.nodes]
        for node in reversed(self.nodes):
            if node.parent >= 0:
                found[node.parent] = max(found[node.parent], found[node.number])
        return tuple(found)

    @property
    def complete(self) -> bool:
        """Whether a whole forward pass was seen."""
        return self.stage != "static" and not self.fault

    @cached_property
    def guessed(self) -> bool:
        """Whether it holds by a guess: a branch or a size that only data can give."""
        return any(node.guessed for node in self.nodes)

    def inside(self, number: int) -> Iterator[GraphNode]:
        """Yield the nodes inside a node, at any depth, in order."""
        return iter(self.nodes[number + 1 : self.ends[number]])

    @cached_property
    def columns(self) -> NodeColumns:
        """The nodes as columns."""
        nodes = self.nodes
        return NodeColumns(
            counts([node.parameters for node in nodes]),
            counts([node.shared for node in nodes]),
            counts([node.flops for node in nodes]),
            counts([node.bytes for node in nodes]),
            np.array([node.leaf for node in nodes], dtype=np.bool_),
            np.array([node.guessed for node in nodes], dtype=np.bool_),
            np.array([node.state == "failed" for node in nodes], dtype=np.bool_),
            np.array(self.depths, dtype=np.intp),
            np.array(self.ends, dtype=np.intp),
            np.array(self.edges, dtype=np.intp).reshape(-1, 2),
        )


@dataclass(frozen=True, slots=True, eq=False)
class NodeColumns:
    """What is asked of all nodes at once.

    Attributes:
        parameters, shared, flops, bytes, leaf, guessed: [nodes], as `GraphNode` has them.
        failed: [nodes], whether that is its state.
        depths, ends: [nodes], as `ModuleGraph` has them.
        edges: [edges, 2].
    """

    parameters: Array
    shared: Array
    flops: Array
    bytes: Array
    leaf: Flags
    guessed: Flags
    failed: Flags
    depths: Indices
    ends: Indices
    edges: Indices


def counts(values: list[int]) -> Array:
    """Whole numbers from 0 as an array whose sums are exact: int64, or Python's own where that may be too small.

    Shapes: [values]. The sum of two such arrays has exact sums, too.
    """
    return np.array(values, dtype=np.int64 if sum(values) < 1 << 62 else object)
