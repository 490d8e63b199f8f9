"""Findings put on the tree: the worst of each module, and of all that a folded row hides."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from gradtui.core.arrays import read_only
from gradtui.viewmodel.findings import sign as sign
from gradtui.viewmodel.findings import word as word
from gradtui.viewmodel.run.numbers import below_max

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gradtui.core.arrays import Indices
    from gradtui.diagnosis.finding import Finding
    from gradtui.viewmodel.run.tree import ModuleTree

RANKS: Final[Mapping[str, int]] = {"bad": 3, "warn": 2, "note": 1}
"""How severe a finding is; 0 is none."""

ROLES: Final[Mapping[str, str]] = {"bad": "bad", "warn": "warn", "note": "dim"}


@dataclass(frozen=True, slots=True, eq=False)
class Flags:
    """Findings by node of a tree.

    Attributes:
        own: the findings of each node that has some, the worst first.
        worst: intp [n]: how severe the worst at or below each node is.
        findings: all of them, worst first; ``nodes`` are those of each, intp [k], ascending.
    """

    own: Mapping[int, tuple[Finding, ...]] = field(default_factory=dict)
    worst: Indices = field(default_factory=lambda: np.zeros(1, np.intp))
    findings: tuple[Finding, ...] = ()
    nodes: tuple[Indices, ...] = ()

    def at(self, node: int) -> tuple[Finding, ...]:
        """Return the findings about a node itself."""
        return self.own.get(node, ())

    def below(self, node: int, end: int) -> tuple[Finding, ...]:
        """Return the findings about a node and what is below it, each once, the worst first."""
        return tuple(
            finding
            for finding, nodes in zip(self.findings, self.nodes, strict=True)
            if (place := int(nodes.searchsorted(node))) < len(nodes) and nodes[place] < end
        )


def flags_of(tree: ModuleTree, findings: tuple[Finding, ...]) -> Flags:
    """Return the findings by node; what is about no module of the tree stands at the nearest one above."""
    own: dict[int, list[Finding]] = {}
    places = []
    for finding in findings:
        nodes = [nearest(tree, path) for path in dict.fromkeys(finding.paths)]
        for node in dict.fromkeys(nodes):
            own.setdefault(node, []).append(finding)
        places.append(read_only(np.unique(np.array(nodes, np.intp))))
    severity = np.zeros(len(tree), np.intp)
    for node, found in own.items():
        severity[node] = max(RANKS[finding.severity] for finding in found)
    return Flags(
        {node: tuple(found) for node, found in own.items()},
        read_only(below_max(tree, severity)),
        findings,
        tuple(places),
    )


def nearest(tree: ModuleTree, path: str) -> int:
    """Return the node of a path, or of the nearest one above it that the tree has."""
    while path:
        node = tree.node(path)
        if node >= 0:
            return node
        path = path.rpartition(".")[0]
    return 0
