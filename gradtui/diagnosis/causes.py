"""Which finding follows from which: the cause is told first, and what only follows says so or is left out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gradtui.diagnosis.words import and_more, place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradtui.diagnosis.evidence import Evidence
    from gradtui.diagnosis.finding import Finding

ALL_WEIGHTS = "all weights"
"""What a finding about the steps of no weight in particular is named."""


def causes_first(evidence: Evidence, findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return findings of which those that follow from others point to them; what says nothing more is left out.

    Units that are dead or saturated let no gradient pass: what lies before them vanishes, and weights that get no
    gradient make no steps.
    """
    blocked = [
        f
        for f in findings
        if f.rule == "saturation"
        or (f.rule == "dead units" and (f.severity == "bad" or not f.ongoing))
    ]
    told = [_after(evidence, f, blocked) if f.rule == "vanishing" else f for f in findings]
    starved = {path for f in told if f.rule == "vanishing" and f.ongoing for path in f.paths}
    for f in blocked:
        if f.rule == "dead units" and f.severity == "bad":
            starved |= _fed_by(evidence, f.path)
    lost = min(
        (f.since for f in told if f.rule == "non-finite" and f.severity == "bad"), default=-1
    )
    no_way = any(f.severity == "bad" and f.rule in ("vanishing", "dead units") for f in told)
    return tuple(
        f
        for f in told
        if not (
            (f.unfed and (no_way if f.name == ALL_WEIGHTS else starved.issuperset(f.paths)))
            # Nothing was ever there to move with.
            or (f.name == ALL_WEIGHTS and 0 <= lost <= f.since)
        )
    )


def _after(evidence: Evidence, finding: Finding, blocked: Sequence[Finding]) -> Finding:
    """A gradient that vanishes, with the units that let none of it pass."""
    causes = [
        f
        for f in blocked
        if f.ongoing == finding.ongoing
        and any(_lies_before(evidence, path, f.path) for path in finding.paths)
        and _seen_before(evidence, f) <= finding.since
    ]
    if not causes:
        return finding
    first = causes[0]
    others = and_more([f.path for f in causes[1:] if f.rule == first.rule and f.path != first.path])
    kind = "dead units" if first.rule == "dead units" else "saturated values"
    return replace(
        finding,
        advice=f"See the {kind} of {place(first.path)}{others}: hardly any gradient passes them.",
        follows=max(f.since for f in causes),
    )


def _seen_before(evidence: Evidence, cause: Finding) -> int:
    """The first step from which on it may have been so: the one after the last measurement that says otherwise.

    Outputs are measured less often than gradients.
    """
    ends = evidence.table("output", "count").ends
    before = int(np.searchsorted(ends, cause.since)) - 1
    return int(ends[before]) + 1 if before >= 0 else -1


def _lies_before(evidence: Evidence, path: str, other: str) -> bool:
    """Whether a module lies before another one, or before an attached tensor, on the way to the loss."""
    order = evidence.structure.order
    if evidence.is_attached(other):
        other = other.rpartition(".")[0]
        if not other or path.startswith(f"{other}."):
            return True
    return path in order and other in order and order[path] < order[other]


def _fed_by(evidence: Evidence, path: str) -> set[str]:
    """The modules whose outputs one module is given."""
    return {source.path for source, target in evidence.run.edges.every if target.path == path}
