"""What a forward pass did, while it is running: calls and operations, and which tensor came from which.

Tensors are known by identity, weakly, so that a trace keeps no activation alive; what was written in
place is known by its storage.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from gradtui.core.architecture.graph import GraphNode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torch import nn

    from gradtui.core.architecture.graph import Kind, Shape, State


@dataclass(slots=True, eq=False)
class Draft:
    """A node while its call is running; see `GraphNode` for the fields."""

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
    outputs: tuple[tuple[Shape, str, int], ...] = ()
    inputs: tuple[Shape, ...] = ()
    source: str = ""
    state: State = "run"
    guessed: bool = False
    extra: str = ""

    def node(self, number: int, parent: int) -> GraphNode:
        """The node, under the numbers that it has in the finished graph."""
        return GraphNode(
            number,
            self.kind,
            self.path,
            self.name,
            self.call,
            parent,
            self.leaf,
            self.parameters,
            self.shared,
            self.flops,
            tuple(shape for shape, _, _ in self.outputs),
            self.inputs,
            self.outputs[0][1] if self.outputs else "",
            sum(size for _, _, size in self.outputs),
            self.source,
            self.state,
            self.guessed,
            self.extra,
        )


@dataclass(slots=True, eq=False)
class Ledger:
    """The nodes of a pass that is running, and where its tensors came from.

    ``paused`` says that what runs has been counted already.
    """

    drafts: list[Draft] = field(default_factory=list)
    edges: set[tuple[int, int]] = field(default_factory=set)
    paused: bool = False
    _made: dict[int, tuple[weakref.ref[torch.Tensor], int]] = field(default_factory=dict)
    _written: dict[int, int] = field(default_factory=dict)
    _counted: set[int] = field(default_factory=set)

    def open(self, kind: Kind, path: str, name: str, parent: int) -> Draft:
        """Begin a node."""
        draft = Draft(len(self.drafts), kind, path, name, parent=parent)
        self.drafts.append(draft)
        return draft

    def count(self, draft: Draft, module: nn.Module) -> None:
        """Count a module's own parameters, each where it is met first."""
        self.count_each(draft, module._parameters.values())  # noqa: SLF001 - own ones, without the walk of a generator

    def count_each(self, draft: Draft, parameters: Iterable[torch.Tensor | None]) -> None:
        """Count some parameters for a node, each where it is met first."""
        for parameter in parameters:
            if parameter is None:
                continue
            if id(parameter) in self._counted:
                draft.shared += elements(parameter)
            else:
                self._counted.add(id(parameter))
                draft.parameters += elements(parameter)

    def reads(self, draft: Draft, tensors: Iterable[torch.Tensor]) -> list[tuple[int, int]]:
        """Note the tensors that a node takes: their shapes, and the edges from their producers, which are returned."""
        shapes = []
        edges = []
        for tensor in tensors:
            shapes.append(tuple(tensor.shape))
            producer = self.producer(tensor, draft.number)
            if producer >= 0:
                edges.append((producer, draft.number))
        draft.inputs += tuple(shapes)
        self.edges.update(edges)
        return edges

    def drop(self, edges: list[tuple[int, int]]) -> None:
        """Take back the last node, and its edges."""
        self.drafts.pop()
        self.edges.difference_update(edges)

    def makes(self, draft: Draft, tensors: Iterable[torch.Tensor]) -> None:
        """Note the tensors that a node gives; they are known as its own from here on."""
        made = tuple(tensors)
        self.describe(draft, made)
        for tensor in made:
            self._made[id(tensor)] = (weakref.ref(tensor), draft.number)

    def describe(self, draft: Draft, tensors: Iterable[torch.Tensor]) -> None:
        """Note the shapes, dtypes and bytes of a node's tensors."""
        draft.outputs = tuple(described(tensor) for tensor in tensors)

    def writes(self, number: int, tensor: torch.Tensor) -> None:
        """Note that a node wrote into a tensor's storage: whoever reads it, by whatever view, reads the node."""
        try:
            self._written[tensor.untyped_storage()._cdata] = number  # noqa: SLF001 - the storage's identity
        except (NotImplementedError, RuntimeError):  # a tensor without storage (sparse, wrapped)
            return

    def producer(self, tensor: torch.Tensor, reader: int) -> int:
        """The number of the node that a tensor came from, before the reader's own writing; -1 where none made it.

        Parameters and constants have no producer.
        """
        known = self._made.get(id(tensor))
        made = known[1] if known is not None and known[0]() is tensor else -1
        if not self._written:
            return made
        try:
            written = self._written.get(tensor.untyped_storage()._cdata, -1)  # noqa: SLF001
        except (NotImplementedError, RuntimeError):
            return made
        return max(made, written) if written < reader else made


def elements(parameter: torch.Tensor) -> int:
    """Elements of a parameter; 0 of a lazy one, whose shape isn't known yet."""
    return 0 if torch.nn.parameter.is_lazy(parameter) else parameter.numel()


def described(tensor: torch.Tensor) -> tuple[Shape, str, int]:
    """A tensor's shape, dtype and bytes."""
    dtype = tensor.dtype
    return (tuple(tensor.shape), str(dtype)[6:], tensor.numel() * dtype.itemsize)


def tensors_in(value: Any, depth: int = 0) -> Iterator[torch.Tensor]:
    """Yield the tensors in nested tuples, lists, dicts and dataclasses' fields, at most 8 deep."""
    if isinstance(value, torch.Tensor):
        yield value
    elif depth > 8:
        return
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from tensors_in(item, depth + 1)
    elif isinstance(value, dict):
        for item in value.values():
            yield from tensors_in(item, depth + 1)
    elif hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
        for name in value.__dataclass_fields__:
            yield from tensors_in(getattr(value, name, None), depth + 1)
