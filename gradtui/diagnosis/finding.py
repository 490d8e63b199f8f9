"""One judgement about a run: what is wrong, where, since when, why it was judged so, and what to try."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from gradtui.core.run.keys import SeriesKey

Severity: TypeAlias = Literal["bad", "warn", "note"]
SEVERITIES: Final[tuple[Severity, ...]] = ("bad", "warn", "note")
"""Worst first: training is failing; part of it does not learn as it should; worth knowing."""

Rule: TypeAlias = Literal[
    "non-finite",
    "exploding",
    "vanishing",
    "dead units",
    "saturation",
    "update ratio",
    "no gradient",
    "dominated merge",
    "clipping",
    "loss spike",
    "rank disagreement",
    "ended",
    "dropped",
    "damaged",
    "judging",
]


@dataclass(frozen=True, slots=True)
class Finding:
    """One judgement.

    Attributes:
        rule: which rule judged.
        severity: how bad it is.
        path: the module; "" for the root module and for what is about the whole run.
        name: what it is about, there: a parameter, "output", "loss", "rank 1"; never empty.
        since: the first step for which it holds; where older steps are only known in spans, the
            first step of the span.
        what: one sentence for a person, without numbers that change from step to step.
        why: the numbers, and the bound that they were held against.
        advice: one thing to try.
        until: the last step for which it held; -1 while it goes on.
        also: paths of other modules that the same judgement is about, none of them worse.
        series: what to look at in the history.
        rank: the rank that it is about; -1 for all of them.
        unfed: whether nothing else would be seen where hardly any gradient arrives.
        follows: the step since which another finding is told that it follows from; -1 where none is.
    """

    rule: Rule
    severity: Severity
    path: str
    name: str
    since: int
    what: str
    why: str
    advice: str
    until: int = -1
    also: tuple[str, ...] = ()
    series: tuple[SeriesKey, ...] = ()
    rank: int = -1
    unfed: bool = False
    follows: int = -1

    @property
    def ongoing(self) -> bool:
        """Whether it still holds at the newest step that is known."""
        return self.until < 0

    @property
    def paths(self) -> tuple[str, ...]:
        """All modules that it is about."""
        return (self.path, *self.also)


def in_order(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Return findings worst first, then what goes on before what is over, then by the step at which they begin.

    What follows from another one comes after it. Of what begins at the same step, a gradient that vanishes comes last.
    """
    return tuple(
        sorted(
            findings,
            key=lambda f: (
                SEVERITIES.index(f.severity),
                not f.ongoing,
                max(f.since, f.follows),
                f.rule == "vanishing",
            ),
        )
    )


def at_least(severity: Severity, bound: Severity) -> bool:
    """Return whether a severity is as bad as a bound, or worse."""
    return SEVERITIES.index(severity) <= SEVERITIES.index(bound)
