"""All rules over one run."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeAlias

from gradtui.diagnosis import (
    clipping,
    damaged,
    dead_units,
    dominated_merge,
    dropped,
    ended,
    exploding,
    loss_spike,
    no_gradient,
    non_finite,
    rank_disagreement,
    saturation,
    update_ratio,
    vanishing,
)
from gradtui.diagnosis.bounds import USUAL, Bounds
from gradtui.diagnosis.causes import causes_first
from gradtui.diagnosis.evidence import Evidence
from gradtui.diagnosis.finding import Finding, in_order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from collections.abc import Set as AbstractSet

    from gradtui.core.run.run import Run

    Find: TypeAlias = Callable[[Evidence, Bounds], Iterator[Finding]]

RULES: Final[tuple[Find, ...]] = (
    ended.find,
    damaged.find,
    non_finite.find,
    exploding.find,
    vanishing.find,
    dead_units.find,
    saturation.find,
    update_ratio.find,
    no_gradient.find,
    dominated_merge.find,
    clipping.find,
    loss_spike.find,
    rank_disagreement.find,
    dropped.find,
)


def diagnose(
    run: Run,
    *,
    bounds: Bounds = USUAL,
    gone: AbstractSet[int] = frozenset(),
    damage: tuple[str, ...] = (),
) -> tuple[Finding, ...]:
    """Return what is wrong with a run, worst first, then by the step at which it began.

    The cost depends on the number of modules and hardly on the number of steps: the newest 256
    measurements are judged one by one, older ones in 256 spans.

    Args:
        run: the run.
        bounds: what is still taken for healthy.
        gone: the ranks whose processes are known to live no more: the run does not tell.
        damage: what of the history is missing or cannot be read, in lines: neither does it tell of that.

    Special values: an empty run gives nothing. What each rule makes of NaN, infinities and gaps is said there.
    """
    if run.is_empty:
        return ()
    evidence = Evidence(run, gone=gone, damage=damage)
    found: list[Finding] = []
    for find in RULES:
        try:
            found += _capped(find(evidence, bounds), bounds.most)
        except Exception as error:  # noqa: BLE001
            # A mistake in one rule must not take the findings of the others from the person.
            found.append(_failed(find, error))
    return in_order(causes_first(evidence, found))


def _capped(findings: Iterator[Finding], most: int) -> list[Finding]:
    """At most so many findings of one rule: the last names the modules of all that follow."""
    kept = list(islice(findings, most))
    rest = [path for finding in findings for path in finding.paths]
    if rest:
        last = kept[-1]
        paths = dict.fromkeys((*last.also, *rest))
        kept[-1] = replace(last, also=tuple(path for path in paths if path != last.path))
    return kept


def _failed(find: Find, error: Exception) -> Finding:
    """What is told where a rule itself failed: nothing is known of what it looks for."""
    rule = find.__module__.rsplit(".", 1)[-1].replace("_", " ")
    told = " ".join(str(error).split())[:200]
    return Finding(
        "judging",
        "note",
        "",
        f"rule {rule}",
        0,
        f"The rule {rule} could not judge this run; the others did.",
        f"{rule}: {type(error).__name__}: {told}",
        "This is a mistake in gradtui, not in the training: please report it.",
    )
