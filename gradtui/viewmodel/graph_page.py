"""A graph of gradient norms as a page of text."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gradtui.viewmodel.document import text_table
from gradtui.viewmodel.findings import counts, finding_lines, sign, word
from gradtui.viewmodel.text import number, printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gradtui.diagnosis.finding import Finding


def graph_page(
    name: str,
    step: int,
    norms: Mapping[str, float],
    kinds: Mapping[str, str],
    edges: Sequence[tuple[str, str, float]],
    findings: Sequence[Finding],
) -> str:
    """Return layers and edges with their gradient norms.

    Args:
        name: of the file.
        step: of what moment; -1 where that is not known.
        norms: by layer; NaN is none.
        kinds: the class of each layer, "" where it is not known.
        edges: source, target and norm.
        findings: about the layers.
    """
    moment = f"step {step}" if step >= 0 else "of an unknown step"
    flags = {finding.path: f"{sign(finding)} {word(finding)}" for finding in findings}
    rows = [("layer", "class", "|dW|2", "flag")]
    rows += [
        (printable(layer), printable(kinds.get(layer, "")), _norm(norm), flags.get(layer, "."))
        for layer, norm in norms.items()
    ]
    lines = [f"{printable(name)}  gradient norms, {moment}", "", *text_table(rows)]
    if edges:
        rows_of_edges = [("edge", "|dy|2")]
        rows_of_edges += [
            (f"{printable(source)} -> {printable(target)}", _norm(norm))
            for source, target, norm in edges
        ]
        lines += ["", *text_table(rows_of_edges)]
    lines += ["", f"findings: {counts([finding.severity for finding in findings])}"]
    for finding in findings:
        lines += finding_lines(finding)
    return "\n".join(lines) + "\n"


def _norm(norm: float) -> str:
    return "none" if math.isnan(norm) else number(norm, 10).strip()
