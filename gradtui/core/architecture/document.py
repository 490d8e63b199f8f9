"""A graph as a JSON document, and back from one that anybody may have written.

The document: ``schema`` 1, ``model``, ``stage``, ``nodes`` (``path``, ``call``, ``kind``, ``name``: the class or the
operation, ``parent``, ``leaf``, ``parameters``, ``shared``, ``flops``, ``in_shapes``, ``out_shape``, ``out_shapes``,
``dtype``, ``bytes``, ``source``, ``state``, ``guessed``, ``extra``), ``edges`` (pairs of node numbers, which are places
in ``nodes``), ``totals``, ``error`` (null, or ``kind``, ``text``, ``path``, ``operation``, ``in_shapes``, ``source``,
``line``, ``node``), ``notes``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, get_args

import numpy as np

from gradtui.core.architecture.graph import (
    GraphNode,
    Kind,
    ModuleGraph,
    Stage,
    State,
    Totals,
    TraceFault,
)
from gradtui.errors import InvalidContents

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gradtui.core.architecture.graph import Shape

SCHEMA: Final = 1
LARGEST: Final = 1 << 62
"""Numbers beyond it are no counts of anything."""
MOST_NODES: Final = 2_000_000


def to_document(graph: ModuleGraph) -> dict[str, object]:
    """A graph as values that JSON can hold."""
    fault = graph.fault
    return {
        "schema": SCHEMA,
        "model": graph.model,
        "stage": graph.stage,
        "nodes": [_node_out(node) for node in graph.nodes],
        "edges": [list(edge) for edge in graph.edges],
        "totals": {name: getattr(graph.totals, name) for name in _TOTALS},
        "error": {
            "kind": fault.kind,
            "text": fault.text,
            "path": fault.path,
            "operation": fault.operation,
            "in_shapes": [list(shape) for shape in fault.inputs],
            "source": fault.source,
            "line": fault.line,
            "node": fault.node,
        }
        if fault
        else None,
        "notes": list(graph.notes),
    }


def from_document(document: object) -> ModuleGraph:
    """Read a graph; every number, shape and reference is checked.

    Raises:
        InvalidContents: with what is wrong.
    """
    fields = _mapping(document, "the document")
    if fields.get("schema") != SCHEMA:
        raise InvalidContents(f"schema {fields.get('schema')!r}: expected {SCHEMA}")
    listed = _list(fields.get("nodes"), "nodes")
    if len(listed) > MOST_NODES:
        raise InvalidContents(f"{len(listed)} nodes: at most {MOST_NODES}")
    nodes = tuple(_node_in(number, item) for number, item in enumerate(listed))
    edges = _edges(_list(fields.get("edges"), "edges"), len(nodes))
    totals = _mapping(fields.get("totals", {}), "totals")
    return ModuleGraph(
        _text(fields.get("model", ""), "model"),
        nodes,
        edges,
        _one_of(fields.get("stage"), get_args(Stage), "stage"),
        _fault_in(fields.get("error"), len(nodes)),
        Totals(**{name: _count(totals.get(name, 0), name) for name in _TOTALS}),
        tuple(_text(note, "notes") for note in _list(fields.get("notes", []), "notes")),
    )


_KINDS: Final = get_args(Kind)
_STATES: Final = get_args(State)
_TOTALS: Final = (
    "parameters",
    "trainable",
    "parameter_bytes",
    "buffer_bytes",
    "flops",
    "activation_bytes",
)


def _node_out(node: GraphNode) -> dict[str, object]:
    return {
        "path": node.path,
        "call": node.call,
        "kind": node.kind,
        "name": node.name,
        "parent": node.parent,
        "leaf": node.leaf,
        "parameters": node.parameters,
        "shared": node.shared,
        "flops": node.flops,
        "in_shapes": [list(shape) for shape in node.inputs],
        "out_shape": list(node.shape) if node.shapes else None,
        "out_shapes": [list(shape) for shape in node.shapes],
        "dtype": node.dtype,
        "bytes": node.bytes,
        "source": node.source,
        "state": node.state,
        "guessed": node.guessed,
        "extra": node.extra,
    }


def _node_in(number: int, item: object) -> GraphNode:
    fields = _mapping(item, f"node {number}")
    parent = fields.get("parent", -1)
    if not isinstance(parent, int) or isinstance(parent, bool) or not -1 <= parent < number:
        raise InvalidContents(f"node {number}: its parent is {parent!r}, not a node before it")
    return GraphNode(
        number,
        _one_of(fields.get("kind"), _KINDS, "kind"),
        _text(fields.get("path", ""), "path"),
        _text(fields.get("name", ""), "name"),
        _count(fields.get("call", 0), "call"),
        parent,
        fields.get("leaf", True) is True,
        _count(fields.get("parameters", 0), "parameters"),
        _count(fields.get("shared", 0), "shared"),
        _count(fields.get("flops", 0), "flops"),
        _shapes(fields.get("out_shapes", []), "out_shapes"),
        _shapes(fields.get("in_shapes", []), "in_shapes"),
        _text(fields.get("dtype", ""), "dtype"),
        _count(fields.get("bytes", 0), "bytes"),
        _text(fields.get("source", ""), "source"),
        _one_of(fields.get("state", "run"), _STATES, "state"),
        fields.get("guessed", False) is True,
        _text(fields.get("extra", ""), "extra"),
    )


def _fault_in(item: object, nodes: int) -> TraceFault:
    if item is None:
        return TraceFault()
    fields = _mapping(item, "error")
    node = fields.get("node", -1)
    return TraceFault(
        _text(fields.get("kind", ""), "kind") or "Error",
        _text(fields.get("text", ""), "text"),
        _text(fields.get("path", ""), "path"),
        _text(fields.get("operation", ""), "operation"),
        _shapes(fields.get("in_shapes", []), "in_shapes"),
        _text(fields.get("source", ""), "source"),
        _text(fields.get("line", ""), "line"),
        node if isinstance(node, int) and not isinstance(node, bool) and -1 <= node < nodes else -1,
    )


def _mapping(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InvalidContents(f"{what}: expected an object, not {type(value).__name__}")
    return value


def _list(value: object, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidContents(f"{what}: expected a list, not {type(value).__name__}")
    return value


def _text(value: object, what: str) -> str:
    if type(value) is not str:
        raise InvalidContents(f"{what}: expected text, not {type(value).__name__}")
    return value


def _count(value: object, what: str) -> int:
    if type(value) is not int or not 0 <= value <= LARGEST:
        raise InvalidContents(f"{what}: {value!r} is not a count")
    return value


def _shape(value: object) -> Shape:
    return tuple([_count(size, "a shape's size") for size in _list(value, "a shape")])


def _shapes(value: object, what: str) -> tuple[Shape, ...]:
    return tuple([_shape(shape) for shape in _list(value, what)])


def _edges(listed: list[Any], nodes: int) -> tuple[tuple[int, int], ...]:
    """All edges, sorted by consumer, each once; looked at one by one only to say which is wrong."""
    if not listed:
        return ()
    try:
        pairs = np.array(listed)
    except (ValueError, OverflowError):
        pairs = np.zeros(0)
    sound = pairs.ndim == 2 and pairs.shape[1] == 2 and pairs.dtype == np.int64
    if not sound or pairs.min() < 0 or pairs.max() >= nodes:
        return tuple(
            sorted({_edge(item, nodes) for item in listed}, key=lambda edge: (edge[1], edge[0]))
        )
    ordered = np.unique(pairs[:, ::-1], axis=0)[:, ::-1]
    return tuple(map(tuple, ordered.tolist()))


def _edge(value: object, nodes: int) -> tuple[int, int]:
    pair = _list(value, "an edge")
    if len(pair) != 2:
        raise InvalidContents(f"an edge has {len(pair)} ends")
    source, target = (_count(end, "an edge's end") for end in pair)
    if source >= nodes or target >= nodes:
        raise InvalidContents(f"the edge {source} to {target} leaves the graph")
    return source, target


def _one_of(value: object, allowed: tuple[str, ...], what: str) -> Any:
    if value not in allowed:
        raise InvalidContents(f"{what}: {value!r} is none of {', '.join(allowed)}")
    return value
