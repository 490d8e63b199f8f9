"""A graph as a JSON document.

The document: ``schema`` 1, ``model``, ``stage``, ``nodes`` (``path``, ``call``, ``kind``, ``name``: the class or the
operation, ``parent``, ``leaf``, ``parameters``, ``shared``, ``flops``, ``in_shapes``, ``out_shape``, ``out_shapes``,
``dtype``, ``bytes``, ``source``, ``state``, ``guessed``, ``extra``), ``edges`` (pairs of node numbers, which are places
in ``nodes``), ``totals``, ``error`` (null, or ``kind``, ``text``, ``path``, ``operation``, ``in_shapes``, ``source``,
``line``, ``node``), ``notes``.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Final

from gradtui.core.architecture.graph import Totals

if TYPE_CHECKING:
    from gradtui.core.architecture.graph import GraphNode, ModuleGraph

SCHEMA: Final = 1


def to_document(graph: ModuleGraph, *, brief: bool = False) -> dict[str, object]:
    """A graph as values that JSON can hold.

    Args:
        graph: any.
        brief: whether nodes leave out ``out_shape`` and what has its usual value (`USUAL`), which is most of a
            large model's document.
    """
    fault = graph.fault
    nodes = [_node_out(node) for node in graph.nodes]
    return {
        "schema": SCHEMA,
        "model": graph.model,
        "stage": graph.stage,
        "nodes": [_brief(node) for node in nodes] if brief else nodes,
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


_TOTALS: Final = tuple(one.name for one in fields(Totals))


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


USUAL: Final[dict[str, object]] = {
    "path": "",
    "call": 0,
    "name": "",
    "parent": -1,
    "leaf": True,
    "parameters": 0,
    "shared": 0,
    "flops": 0,
    "in_shapes": [],
    "out_shapes": [],
    "dtype": "",
    "bytes": 0,
    "source": "",
    "state": "run",
    "guessed": False,
    "extra": "",
}
"""What a node's field is where the document does not say."""


def _brief(node: dict[str, object]) -> dict[str, object]:
    return {
        name: value
        for name, value in node.items()
        if name != "out_shape" and (name not in USUAL or value != USUAL[name])
    }
