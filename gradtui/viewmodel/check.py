"""What ``gradtui check`` says: the findings of a debug folder and of a watched run, and whether they fail."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradtui.core.session import Session
from gradtui.viewmodel.findings import (
    SEVERITY_OF_FLAG,
    counts,
    fails,
    finding_document,
    finding_lines,
)
from gradtui.viewmodel.summary import summarize
from gradtui.viewmodel.text import printable

if TYPE_CHECKING:
    from gradtui.core.run.run import Run
    from gradtui.diagnosis.finding import Finding, Severity
    from gradtui.viewmodel.summary import Finding as Flagged

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found.

    Attributes:
        folder: where, as the person wrote it.
        step: the newest step of the run; -1 without one.
        findings: of the run.
        flagged: of the debug folder's layers.
    """

    folder: str
    step: int
    findings: tuple[Finding, ...]
    flagged: tuple[Flagged, ...]

    @property
    def severities(self) -> tuple[Severity, ...]:
        """The severity of each finding."""
        of_layers = (SEVERITY_OF_FLAG[each.flag] for each in self.flagged)
        return (*(finding.severity for finding in self.findings), *of_layers)


def verdict_of(
    folder: str,
    session: Session | None = None,
    run: Run | None = None,
    findings: tuple[Finding, ...] = (),
) -> Verdict:
    """Return what was found in a folder; without a session or a run there is nothing found in it."""
    flagged = summarize(session, Session.empty()).findings if session is not None else ()
    return Verdict(folder, run.last_step if run is not None else -1, findings, flagged)


def failed(verdict: Verdict, bound: Severity) -> bool:
    """Return whether any finding is as bad as the bound, or worse."""
    return fails(verdict.severities, bound)


def check_text(verdict: Verdict, bound: Severity) -> str:
    """Return the findings as text, the worst first, and the verdict in the last line."""
    lines: list[str] = []
    for finding in verdict.findings:
        lines += finding_lines(finding)
    for each in verdict.flagged:
        severity = SEVERITY_OF_FLAG[each.flag]
        lines += [
            f"{each.flag} {severity:<4}  {each.word:<6}  {printable(each.layer)}",
            f"    {printable(each.text)}",
        ]
    step = f", step {verdict.step}" if verdict.step >= 0 else ""
    end = f"fails on {bound}" if failed(verdict, bound) else "passes"
    lines.append(f"{printable(verdict.folder)}{step}: {counts(verdict.severities)}; {end}")
    return "\n".join(lines) + "\n"


def check_document(verdict: Verdict, bound: Severity) -> str:
    """Return the findings as JSON text."""
    document = {
        "schema": SCHEMA,
        "folder": verdict.folder,
        "step": verdict.step if verdict.step >= 0 else None,
        "fail_on": bound,
        "failed": failed(verdict, bound),
        "findings": [finding_document(finding) for finding in verdict.findings],
        "layers": [
            {
                "layer": each.layer,
                "severity": SEVERITY_OF_FLAG[each.flag],
                "flag": each.flag,
                "word": each.word,
                "text": each.text,
            }
            for each in verdict.flagged
        ],
    }
    return json.dumps(document, allow_nan=False) + "\n"
