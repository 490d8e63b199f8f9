"""Records that were dropped: what they would have said is not known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradtui.diagnosis.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradtui.diagnosis.bounds import Bounds
    from gradtui.diagnosis.evidence import Evidence


def find(evidence: Evidence, _bounds: Bounds) -> Iterator[Finding]:
    """Yield one note where any rank dropped records: the other rules judged what is there.

    Of a disk that stays full the last count is missing, too.
    """
    gaps = [at for at in evidence.run.events if at.event.kind == "dropped"]
    counts = [at.event.fields.get("records") for at in gaps]
    # A file says what it likes.
    count = sum(each for each in counts if isinstance(each, int) and 0 < each < 1 << 63)
    if not count:
        return
    steps = [max(at.step, 0) for at in gaps]
    until = f" and {max(steps)}" if max(steps) > min(steps) else ""
    ranks = len({at.rank for at in gaps})
    yield Finding(
        "dropped",
        "note",
        "",
        "records",
        min(steps),
        f"At least {count} records were dropped{f', by {ranks} ranks' if ranks > 1 else ''}.",
        f"before step {min(steps)}{until} they found no room on the disk, or the writer was behind: their numbers are missing, "
        "and were not judged",
        "Make room on the disk that has the run's folder; record more seldom (log_freq) where the writer was behind.",
    )
