"""Runs of which records were dropped."""

from __future__ import annotations

import pytest
from kit.runs import deep, findings_of

from gradtui.core.run.run import Run


def test_records_that_were_dropped_are_a_note():
    training = deep(3)
    training.happens(67, "dropped", "47 records found no room", records=47)
    training.happens(236, "dropped", "3 records were dropped: the writer was behind", records=3)
    (found,) = findings_of(training.run())
    assert (found.rule, found.severity, found.since) == ("dropped", "note", 67)
    assert found.what == "At least 50 records were dropped."
    assert found.why.startswith("before step 67 and 236 ")


def test_several_ranks_are_one_finding():
    entries = {}
    for rank in range(2):
        training = deep(3)
        training.happens(10, "dropped", "", records=4)
        entries[rank] = training.entries(rank, 2)
    (found,) = findings_of(Run.of(entries), "dropped")
    assert found.what == "At least 8 records were dropped, by 2 ranks."


@pytest.mark.parametrize("count", [0, -5, "many", None, 1.5, [], 1 << 70])
def test_a_count_that_is_none(count):
    training = deep(3)
    training.happens(10, "dropped", "", records=count)
    assert findings_of(training.run()) == []
