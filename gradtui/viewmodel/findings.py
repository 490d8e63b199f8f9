"""Findings in words: one vocabulary for debug folders and watched runs, on the screen, as text and in JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from gradtui.diagnosis.finding import SEVERITIES, at_least
from gradtui.viewmodel.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gradtui.diagnosis.finding import Finding, Severity

Flag = Literal["X", "!", "v", "."]
FLAGS: Final[tuple[Flag, ...]] = ("X", "!", "v", ".")
"""Worst first: non-finite, too large or not adding up, vanishing, nothing found."""

WORDS: Final[Mapping[str, str]] = {
    "non-finite": "NAN",
    "exploding": "EXPL",
    "vanishing": "VAN",
    "dead units": "DEAD",
    "saturation": "SAT",
    "update ratio": "RATIO",
    "no gradient": "NOGRAD",
    "dominated merge": "MERGE",
    "clipping": "CLIP",
    "loss spike": "SPIKE",
    "rank disagreement": "RANKS",
    "dropped": "DROP",
    "damaged": "DAMAGE",
    "judging": "JUDGE",
    # Of debug folders alone.
    "zero": "ZERO",
    "chain rule": "RULE",
}
"""The short word of each rule, for tables."""

SEVERITY_OF_FLAG: Final[Mapping[str, Severity]] = {
    "X": "bad",
    "!": "warn",
    "v": "warn",
    ".": "note",
}
"""How severe a flag of a debug folder is: one moment of a network tells no more."""


def word(finding: Finding) -> str:
    """Return a rule's short word for tables."""
    return WORDS.get(finding.rule, finding.rule[:6].upper())


def sign(finding: Finding) -> Flag:
    """Return a finding's flag: X not finite, v vanishing, ! anything else that is bad or a warning."""
    if finding.severity == "note":
        return "."
    flags: Mapping[str, Flag] = {"non-finite": "X", "vanishing": "v"}
    return flags.get(finding.rule, "!")


def where(finding: Finding) -> str:
    """Return what a finding is about: the module, and the part of it."""
    if not finding.path:
        return printable(finding.name)
    return f"{printable(finding.path)} ({printable(finding.name)})"


def finding_lines(finding: Finding) -> tuple[str, ...]:
    """Return a finding as lines of text: what, since when; why; what to try."""
    when = f"since step {finding.since}"
    if not finding.ongoing:
        when = f"steps {finding.since} to {finding.until}"
    rank = f", rank {finding.rank}" if finding.rank >= 0 else ""
    return (
        f"{sign(finding)} {finding.severity:<4}  {word(finding):<6}  {where(finding)}, {when}{rank}",
        f"    {printable(finding.what)}",
        f"    why: {printable(finding.why)}",
        f"    try: {printable(finding.advice)}",
    )


def finding_document(finding: Finding) -> dict[str, object]:
    """Return a finding as values that any JSON writer takes; what does not apply is None."""
    return {
        "rule": finding.rule,
        "severity": finding.severity,
        "flag": sign(finding),
        "word": word(finding),
        "path": finding.path,
        "name": finding.name,
        "since": finding.since,
        "until": None if finding.ongoing else finding.until,
        "rank": finding.rank if finding.rank >= 0 else None,
        "what": finding.what,
        "why": finding.why,
        "advice": finding.advice,
        "also": list(finding.also),
    }


def counts(severities: Iterable[Severity]) -> str:
    """Return how many findings there are of each severity: "1 bad, 2 warn", or "no findings"."""
    listed = list(severities)
    parts = [f"{listed.count(each)} {each}" for each in SEVERITIES if each in listed]
    return ", ".join(parts) or "no findings"


def fails(severities: Sequence[Severity], bound: Severity) -> bool:
    """Return whether any of the severities is as bad as the bound."""
    return any(at_least(each, bound) for each in severities)
