"""The gradient of what a row of the architecture stands for, as a watched run measured it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gradtui.core.run.norms import norm_of_all

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gradtui.core.architecture.graph import ModuleGraph
    from gradtui.viewmodel.architecture.layout import ArchitectureRow
    from gradtui.viewmodel.architecture.listing import Live


def flag_of(graph: ModuleGraph, row: ArchitectureRow, live: Mapping[str, Live]) -> tuple[str, str]:
    """The flag and word of the worst finding about what a row stands for; two empty texts where there is none.

    Of a folded call that is all that it hides, as in the Overview; of a leaf itself and what was merged into it.
    """
    found = []
    for number in (row.number, *row.members, *row.merged):
        one = live.get(graph.nodes[number].path) if graph.nodes[number].kind == "module" else None
        if one is not None and one.held and row.role != "own":
            found.append(one.held)
        elif one is not None and one.word:
            found.append((one.rank, one.flag, one.word))
    return min(found)[1:] if found else ("", "")


def gradient_of(
    graph: ModuleGraph, row: ArchitectureRow, live: Mapping[str, Live]
) -> tuple[float, bool]:
    """√Σ‖g‖² over the parameters that a row stands for, and whether it is lost, for none of them is finite.

    That is what the column says of a leaf, too: a folded call is all modules inside, calls alike are all of them, each
    module once however often it is called, and a leaf is itself with what was merged into it.

    Special values: NaN where nothing was measured, and where it is lost.
    """
    nodes = graph.nodes
    paths = dict.fromkeys(
        nodes[number].path
        for number in (row.number, *row.members, *row.merged)
        if nodes[number].kind == "module"
    )
    norms: list[float] = []
    for one in (live[path] for path in paths if path in live):
        is_own = row.role == "own" or not (one.is_inside_lost or one.inside == one.inside)
        norm, is_lost = (one.gradient, one.is_lost) if is_own else (one.inside, one.is_inside_lost)
        if is_lost or norm == norm:
            norms.append(norm)
    norm = norm_of_all(norms)
    return norm, bool(norms) and math.isnan(norm)
