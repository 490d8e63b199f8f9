"""All findings of a run as a page, each one whole: what, where, since when, why, and what to try."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, Final

from gradtui.viewmodel.findings import sign, where, word
from gradtui.viewmodel.overview import ROLE_OF_FLAG
from gradtui.viewmodel.text import TextLine, clip, line, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gradtui.diagnosis.finding import Finding

_LEFT: Final = 7
"""Columns of the words before a paragraph."""


def findings_page(
    findings: Sequence[Finding], first: Finding | None, width: int
) -> tuple[TextLine, ...]:
    """Return the lines of all findings; ``first`` begins, what follows it comes next, and the ones before it last.

    Nothing is cut but a name that is longer than a line.
    """
    places = _places(findings)
    start = next((n for n, each in enumerate(findings) if each is first), 0)
    turned = [*range(start, len(findings)), *range(start)]
    lines: list[TextLine] = []
    for place in turned:
        lines += [*_told(findings[place], places[place], width), ()]
    return tuple(clip(each, width) for each in lines[:-1])


def _places(findings: Sequence[Finding]) -> list[str]:
    """Which of how many each finding is; notes are counted apart, as in the Overview."""
    found = []
    for is_note in (False, True):
        alike = [each for each in findings if (each.severity == "note") is is_note]
        what = "note " if is_note else ""
        found += [(id(each), f"{what}{n} of {len(alike)}") for n, each in enumerate(alike, 1)]
    words = dict(found)
    return [words[id(each)] for each in findings]


def _told(finding: Finding, place: str, width: int) -> Iterator[TextLine]:
    role = ROLE_OF_FLAG[sign(finding)]
    yield line(
        (f" {sign(finding)} {word(finding)}", role),
        (f"  {where(finding)}", "title"),
        (f"  {place}", "dim"),
    )
    since = f"step {finding.since}"
    since += " to now" if finding.ongoing else f" to {finding.until}"
    rank = f", rank {finding.rank}" if finding.rank >= 0 else ""
    yield from _paragraph("", finding.what, role, width)
    yield from _paragraph("since", since + rank, "", width)
    yield from _paragraph("why", finding.why, "", width)
    yield from _paragraph("try", finding.advice.removeprefix("Try "), "good", width)
    if finding.also:
        names = ", ".join(path or "the model" for path in finding.also)
        yield from _paragraph("also", names, "", width)


def _paragraph(label: str, text: str, role: str, width: int) -> Iterator[TextLine]:
    rows = wrap(printable(text), max(width - _LEFT - 1, 8)) or [""]
    for n, row in enumerate(rows):
        head = f" {label}" if not n else ""
        yield line((head.ljust(_LEFT), "dim"), (row, role))
