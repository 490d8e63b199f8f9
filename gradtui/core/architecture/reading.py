"""A graph from a JSON document that anybody may have written: every number, shape and reference is checked."""

from __future__ import annotations

from itertools import chain
from operator import lt
from typing import TYPE_CHECKING, Any, Final, get_args

import numpy as np

from gradtui.core.architecture.document import SCHEMA, USUAL
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

LARGEST: Final = 1 << 62
"""Numbers beyond it are no counts of anything."""
MOST_NODES: Final = 2_000_000
_KINDS: Final = get_args(Kind)
_STATES: Final = get_args(State)


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
    nodes = _nodes_in(listed)
    edges = _edges(_list(fields.get("edges"), "edges"), len(nodes))
    totals = _mapping(fields.get("totals", {}), "totals")
    return ModuleGraph(
        _text(fields.get("model", ""), "model"),
        nodes,
        edges,
        _one_of(fields.get("stage"), get_args(Stage), "stage"),
        _fault_in(fields.get("error"), len(nodes)),
        Totals(**{name: _count(totals.get(name, 0), name) for name in Totals.__dataclass_fields__}),
        tuple(_text(note, "notes") for note in _list(fields.get("notes", []), "notes")),
    )


def _nodes_in(listed: list[Any]) -> tuple[GraphNode, ...]:
    """All nodes, checked a column at a time: of a model of 50,000 calls a million values are looked at."""
    if not set(map(type, listed)) <= {dict}:
        for number, item in enumerate(listed):
            _mapping(item, f"node {number}")

    columns = {name: [item.get(name, usual) for item in listed] for name, usual in USUAL.items()}
    for name in _TEXTS:
        _texts(columns[name], name)
    for name in _COUNTS:
        _counts(columns[name], name)
    kinds = [item.get("kind") for item in listed]
    _choices(kinds, _KINDS, "kind")
    _choices(columns["state"], _STATES, "state")
    _parents(columns["parent"])
    return tuple(
        map(
            GraphNode,
            range(len(listed)),
            kinds,
            columns["path"],
            columns["name"],
            columns["call"],
            columns["parent"],
            [leaf is True for leaf in columns["leaf"]],
            columns["parameters"],
            columns["shared"],
            columns["flops"],
            _all_shapes(columns["out_shapes"], "out_shapes"),
            _all_shapes(columns["in_shapes"], "in_shapes"),
            columns["dtype"],
            columns["bytes"],
            columns["source"],
            columns["state"],
            [guessed is True for guessed in columns["guessed"]],
            columns["extra"],
        )
    )


_TEXTS: Final = ("path", "name", "dtype", "source", "extra")
_COUNTS: Final = ("call", "parameters", "shared", "flops", "bytes")


# Each of these looks at a whole column at once, and at its values one by one only to say which is wrong.


def _texts(column: list[Any], what: str) -> None:
    if not set(map(type, column)) <= {str}:
        for number, value in enumerate(column):
            _text(value, f"node {number}: {what}")


def _counts(column: list[Any], what: str) -> None:
    if not _are_counts(column):
        for number, value in enumerate(column):
            _count(value, f"node {number}: {what}")


def _are_counts(values: list[Any]) -> bool:
    return not values or (
        set(map(type, values)) == {int} and min(values) >= 0 and max(values) <= LARGEST
    )


def _choices(column: list[Any], allowed: tuple[str, ...], what: str) -> None:
    if not set(map(type, column)) <= {str} or not set(column) <= set(allowed):
        for number, value in enumerate(column):
            _one_of(value, allowed, f"node {number}: {what}")


def _parents(column: list[Any]) -> None:
    sound = not column or (set(map(type, column)) == {int} and min(column) >= -1)
    if not sound or not all(map(lt, column, range(len(column)))):
        for number, parent in enumerate(column):
            if type(parent) is not int or not -1 <= parent < number:
                raise InvalidContents(
                    f"node {number}: its parent is {parent!r}, not a node before it"
                )


def _all_shapes(column: list[Any], what: str) -> list[tuple[Shape, ...]]:
    """Shapes alike are one object: a large model has few that differ."""
    known: dict[tuple[Shape, ...], tuple[Shape, ...]] = {}
    if not _are_shapes(column):
        for number, value in enumerate(column):
            _shapes(value, f"node {number}: {what}")
    return [known.setdefault(shapes, shapes) for shapes in (tuple(map(tuple, v)) for v in column)]


def _are_shapes(column: list[Any]) -> bool:
    if not set(map(type, column)) <= {list}:
        return False
    shapes = list(chain.from_iterable(column))
    if not set(map(type, shapes)) <= {list}:
        return False
    return _are_counts(list(chain.from_iterable(shapes)))


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


def _shapes(value: object, what: str) -> tuple[Shape, ...]:
    return tuple(
        tuple(_count(size, f"{what}: a size") for size in _list(shape, f"{what}: a shape"))
        for shape in _list(value, what)
    )


def _edges(listed: list[Any], nodes: int) -> tuple[tuple[int, int], ...]:
    """All edges, sorted by consumer, each once."""
    if not listed:
        return ()
    ends = _ends(listed)
    if not ends or min(ends) < 0 or max(ends) >= nodes:
        for item in listed:
            _edge(item, nodes)
    # One number an edge, consumer first: what sorts as the pairs do.
    marks = np.array(ends[1::2], dtype=np.int64) * nodes + np.array(ends[::2], dtype=np.int64)
    targets, sources = np.divmod(np.unique(marks), nodes)
    return tuple(zip(sources.tolist(), targets.tolist(), strict=True))


def _ends(listed: list[Any]) -> list[Any]:
    """All ends of pairs of whole numbers, one after another; none where anything else is among them."""
    if set(map(type, listed)) != {list} or set(map(len, listed)) != {2}:
        return []
    ends = list(chain.from_iterable(listed))
    return ends if set(map(type, ends)) == {int} else []


def _edge(value: object, nodes: int) -> None:
    pair = _list(value, "an edge")
    if len(pair) != 2:
        raise InvalidContents(f"an edge has {len(pair)} ends")
    source, target = (_count(end, "an edge's end") for end in pair)
    if source >= nodes or target >= nodes:
        raise InvalidContents(f"the edge {source} to {target} leaves the graph")


def _one_of(value: object, allowed: tuple[str, ...], what: str) -> Any:
    if value not in allowed:
        raise InvalidContents(f"{what}: {value!r} is none of {', '.join(allowed)}")
    return value
