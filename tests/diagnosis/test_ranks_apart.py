"""Ranks that train models of their own into one folder."""

from __future__ import annotations

import pytest
from kit.runs import deep, findings_of

from gradtui.core.run.run import Run


@pytest.mark.parametrize(
    ("world", "what", "why"),
    [
        (2, "Ranks 0 and 1 train models of their own.", "all 8 weights that both have differ"),
        (
            32,
            "Ranks 0, 1, 2, 3, 4, 5, 6, 7, ... train models of their own.",
            "of ranks 0 and 1 all 8 weights that both have differ",
        ),
    ],
)
def test_they_are_one_finding(world, what, why):
    entries = {}
    for rank in range(world):
        training = deep(3, steps=30)
        for key in training.numbers:
            if key.role == "parameter":
                training.numbers[key] = training.numbers[key] * (1 + rank / 100)
        entries[rank] = training.entries(rank, world)
    (found,) = findings_of(Run.of(entries), "rank disagreement")
    assert (found.severity, found.rank, found.what) == ("warn", 1, what)
    assert found.why.startswith(why)
