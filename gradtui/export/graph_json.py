"""``training_output.json`` of the Gradient Visualization Project: layers and edges with gradient norms.

``{"nodes": [{"id", "gradient_norm"}], "edges": [{"source", "target", "gradient_norm"}]}``. There a node's id is
its class's name, so that two Linear layers are one and the same, and no file says of which step it is. Ours
has the module path as ``id``, the class beside it, and a ``step``; what other readers don't know they pass over.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gradtui.core.run.norms import newest_norms, norm_of_all
from gradtui.errors import FolderMissing, UnreadableFile
from gradtui.folder.reading import read_regular

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping

    from gradtui.core.run.run import Run

SCHEMA: Final = 1
MOST: Final = 1_000_000
"""Nodes, and edges, that are read."""


@dataclass(frozen=True, slots=True)
class Node:
    """A layer.

    Attributes:
        id: unique in its graph: the module path where it is known.
        norm: ‖weight.grad‖₂; NaN where it has none, or where that is lost.
        kind: its class; "" where that is not known.
        is_lost: whether the norm is NaN because no value of the gradient is finite.
    """

    id: str
    norm: float = math.nan
    kind: str = ""
    is_lost: bool = False


@dataclass(frozen=True, slots=True)
class Edge:
    """A connection: ``norm`` is that of the activation gradient that crosses it; NaN where it is not known."""

    source: str
    target: str
    norm: float = math.nan


@dataclass(frozen=True, slots=True)
class Graph:
    """Layers and edges of one step; -1 where that is not known."""

    nodes: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = ()
    step: int = -1


def graph_of(run: Run) -> Graph:
    """Return the newest state of a run.

    A node's norm is that of its weight's gradient, of all its own parameters' where nothing is called
    ``weight``. An edge has the gradient of the input that it leads to: what crosses it on the way back (where operations
    lie between, behind the last of them), root of the sum of squares where modules are joined more than once. Modules without parameters and edges are left out.
    """
    own: dict[str, list[float]] = {}
    weights: dict[str, float] = {}
    for key, norm in newest_norms(run, "gradient").items():
        own.setdefault(key.path, []).append(norm)
        if key.slot == "weight":
            weights[key.path] = norm
    norms = {path: weights.get(path, norm_of_all(some)) for path, some in own.items()}
    edges = _edges(run)
    used = {info.path for info in run.parameters}
    used.update(path for edge in edges for path in (edge.source, edge.target))
    nodes = tuple(
        Node(
            module.path,
            norms.get(module.path, math.nan),
            module.kind,
            math.isnan(norms.get(module.path, 0.0)),
        )
        for module in run.modules
        if module.path in used
    )
    steps = run.column("gradient", "l2").steps
    return Graph(nodes, edges, int(steps.max()) if len(steps) else run.last_step)


def _edges(run: Run) -> tuple[Edge, ...]:
    crossing: dict[tuple[str, str, int], float] = {}
    for role in ("output gradient", "input gradient"):
        for key, norm in newest_norms(run, role).items():
            crossing[f"{role} {key.path}", key.slot, key.call] = norm
    squares: dict[tuple[str, str], float] = {}
    for source, target in run.edges.every:
        norm = crossing.get((f"input gradient {target.path}", target.slot, target.call), math.nan)
        if math.isnan(norm):
            norm = crossing.get(
                (f"output gradient {source.path}", source.slot, source.call), math.nan
            )
        pair = (source.path, target.path)
        before = squares.get(pair, math.nan)
        square = norm * norm
        squares[pair] = (
            square if math.isnan(before) else before if math.isnan(square) else before + square
        )
    return tuple(Edge(*pair, math.sqrt(square)) for pair, square in squares.items())


def graph_text(graph: Graph) -> str:
    """Return a graph as the JSON text of the format; numbers that JSON lacks as "nan" and "inf", none as null."""
    document = {
        "schema": SCHEMA,
        "step": graph.step if graph.step >= 0 else None,
        "nodes": [
            {
                "id": node.id,
                "gradient_norm": "nan" if node.is_lost else _plain(node.norm),
                "class": node.kind,
            }
            for node in graph.nodes
        ],
        "edges": [
            {"source": edge.source, "target": edge.target, "gradient_norm": _plain(edge.norm)}
            for edge in graph.edges
        ],
    }
    return json.dumps(document, indent=4, allow_nan=False) + "\n"


def _plain(norm: float) -> float | str | None:
    if math.isnan(norm):
        return None
    return norm if math.isfinite(norm) else "inf"


def read_graph(path: str | os.PathLike[str], max_bytes: int) -> Graph:
    """Read a file of the format, ours or the original's.

    Ids that come again (class names) are told apart as "Linear", "Linear#2"; edges that name nodes that are not
    listed bring them along.

    Raises:
        FolderMissing: there is no such file.
        UnreadableFile: it is no such JSON, no regular file, or too large.
        FileBusy: it changed while it was read.
    """
    try:
        data = bytes(read_regular(Path(path), max_bytes=max_bytes).data)
    except UnreadableFile:
        if not Path(path).exists():
            raise FolderMissing(path, "no such file") from None
        raise
    try:
        root = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UnreadableFile(path, f"no JSON: {' '.join(str(error).split())[:100]}") from None
    if not isinstance(root, dict) or not isinstance(root.get("nodes"), list):
        raise UnreadableFile(path, 'no gradient graph: "nodes" and "edges" are expected')
    try:
        return _graph(root)
    except _Wrong as error:
        raise UnreadableFile(path, str(error)) from None


class _Wrong(ValueError):
    """Contents that are not of the format."""


def _graph(root: Mapping[str, Any]) -> Graph:
    edges = tuple(_edge(item, place) for place, item in enumerate(_items(root, "edges")))
    nodes: dict[str, Node] = {}
    taken: dict[str, int] = {}
    for place, item in enumerate(_items(root, "nodes")):
        node = _node(item, place)
        unique = node.id
        while unique in nodes:
            taken[node.id] = taken.get(node.id, 1) + 1
            unique = f"{node.id}#{taken[node.id]}"
        nodes[unique] = Node(unique, node.norm, node.kind or (node.id if unique != node.id else ""))
    for edge in edges:
        for end in (edge.source, edge.target):
            nodes.setdefault(end, Node(end))
    step = root.get("step")
    known = isinstance(step, int) and not isinstance(step, bool) and 0 <= step < 1 << 62
    return Graph(tuple(nodes.values()), edges, step if known and isinstance(step, int) else -1)


def _items(root: Mapping[str, Any], name: str) -> Iterable[Any]:
    items = root.get(name, [])
    if not isinstance(items, list):
        raise _Wrong(f'"{name}" is no list')
    if len(items) > MOST:
        raise _Wrong(f"{len(items):,} {name}: more than {MOST:,}")
    return items


def _node(item: Any, place: int) -> Node:
    if not isinstance(item, dict) or not isinstance(item.get("id"), str | int):
        raise _Wrong(f'node {place} has no "id"')
    kind = item.get("class")
    return Node(
        str(item["id"]),
        _norm(item, f"node {place}"),
        kind if isinstance(kind, str) else "",
        item.get("gradient_norm") == "nan",
    )


def _edge(item: Any, place: int) -> Edge:
    if not isinstance(item, dict) or not all(
        isinstance(item.get(end), str | int) for end in ("source", "target")
    ):
        raise _Wrong(f'edge {place} has no "source" and "target"')
    return Edge(str(item["source"]), str(item["target"]), _norm(item, f"edge {place}"))


def _norm(item: Mapping[str, Any], where: str) -> float:
    value = item.get("gradient_norm")
    if value is None or value == "nan":
        return math.nan
    if value == "inf":
        return math.inf
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _Wrong(f'{where}: "gradient_norm" is no number')
    try:
        return float(np.float64(value))
    except OverflowError:
        return math.inf
