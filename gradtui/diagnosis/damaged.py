"""A history of which a part is missing or cannot be read: what was not read was not judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gradtui.diagnosis.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradtui.diagnosis.bounds import Bounds
    from gradtui.diagnosis.evidence import Evidence

MOST_TOLD: Final = 3


def find(evidence: Evidence, _bounds: Bounds) -> Iterator[Finding]:
    """Yield one warning where there is any damage: no other finding is no sign of health then."""
    damage = evidence.damage
    if not damage:
        return
    more = f"; and {len(damage) - MOST_TOLD} more" if len(damage) > MOST_TOLD else ""
    yield Finding(
        "damaged",
        "warn",
        "",
        "history",
        max(evidence.run.last_step, 0),
        "A part of the history is missing or cannot be read; the rest alone was judged.",
        "; ".join(damage[:MOST_TOLD]) + more,
        "Copy the folder once more where it is a copy, and look whether the disk was full.",
    )
