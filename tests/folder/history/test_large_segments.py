"""A large segment is read at its start, then at its end, then in between; and nothing is read twice or left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from kit.run_records import LOSS, preamble, scalars, steps
from kit.segments import Segments

from gradtui.core.run.growing_run import GrowingRun
from gradtui.core.run.keys import SeriesKey
from gradtui.core.run.records import Entry, Layout, Scalars, Start
from gradtui.folder.history import rank_reader
from gradtui.folder.history.frames import first_record
from gradtui.folder.history.reader import HistoryReader
from gradtui.folder.location import DebugFolder

if TYPE_CHECKING:
    from pathlib import Path

LATER = SeriesKey("", "run", "value", "accuracy")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rank_reader, "_LARGE", 4000)
    monkeypatch.setattr(rank_reader, "_NEAR", (600, 4000))


@pytest.fixture
def segments(tmp_path: Path) -> Segments:
    return Segments(DebugFolder.at(tmp_path / "run"))


class Reading:
    """A reader, what it gave in which order, and the run that comes of it."""

    def __init__(self, segments: Segments) -> None:
        self.reader = HistoryReader(DebugFolder.at(segments.directory.parents[2]))
        self.growing = GrowingRun()
        self.order: list[int] = []

    def poll(self) -> bool:
        slices = self.reader.poll(1)
        for part in slices:
            self.growing.add(part.rank, part.entries)
            for each in part.entries:
                if not isinstance(each, Entry):
                    self.order += each.steps.tolist()
        return bool(slices) or self.reader.is_behind

    def until(self, condition) -> None:
        while not condition(self):
            assert self.poll()

    def all(self) -> None:
        while self.poll():
            pass

    @property
    def shown(self) -> list[int]:
        found: list[int] = self.growing.run().series(LOSS).steps.tolist()
        return found


def large(segments: Segments, count: int = 3000) -> None:
    segments.begin([*preamble(), *steps(0, count - 1)])


def test_the_start_comes_alone_and_everything_once(segments: Segments) -> None:
    large(segments, 500)
    reading = Reading(segments)
    (first,) = reading.reader.poll(1)
    assert [type(getattr(each, "record", None)) for each in first.entries] == [Start]
    reading.growing.add(0, first.entries)
    reading.all()
    assert sorted(reading.order) == list(range(500))
    assert reading.shown == list(range(500))
    assert reading.reader.progress == 1.0


def test_the_newest_record_comes_early(segments: Segments):
    large(segments)
    reading = Reading(segments)
    reading.until(lambda it: it.reader.is_at_newest and it.order)
    assert max(reading.order) == 2999
    assert len(reading.order) < 1500
    assert reading.reader.is_behind
    assert 0 < reading.reader.progress < 1
    segments.append(steps(3000, 3001))
    assert reading.poll()
    assert reading.order[-2:] == [3000, 3001]
    reading.all()
    assert sorted(reading.order) == list(range(3002))
    assert reading.reader.notes == ()


def test_a_layout_from_between_is_waited_for(segments: Segments):
    segments.begin([*preamble(), *steps(0, 1499)])
    segments.append([Entry(1500, 0.0, Layout(7, "scalars", (LATER,)))])
    segments.append(steps(1500, 2999))
    late = [Entry(step, 0.0, Scalars(7, np.full(1, step, np.float32))) for step in (2999, 3000)]
    segments.append([late[0], *steps(3000, 3001)])
    reading = Reading(segments)
    reading.until(lambda it: 2999 in it.order)
    # What is new waits behind it; so does a new segment.
    segments.begin([*preamble(), Entry(1500, 0.0, Layout(7, "scalars", (LATER,))), scalars(3002)])
    segments.append([late[1]])
    reading.all()
    run = reading.growing.run()
    assert run.series(LOSS).steps.tolist() == list(range(3003))
    assert run.series(LATER).values.tolist() == [2999, 3000]
    assert run.notes == ()
    assert reading.reader.notes == ()


def test_damage_between_costs_what_is_behind_it_and_not_the_end(segments: Segments):
    large(segments)
    segments.damage(segments.path.stat().st_size * 3 // 4)
    reading = Reading(segments)
    reading.all()
    assert reading.shown[-1] == 2999
    assert 1000 < len(reading.shown) < 3000
    assert reading.reader.notes
    assert not reading.reader.is_behind


def test_windows_are_exact_whatever_the_order(segments: Segments):
    large(segments)
    reading = Reading(segments)
    reading.all()
    found = GrowingRun()
    found.add(0, reading.reader.read_window(0, (LOSS,), 1490, 2990))
    series = found.run().series(LOSS)
    assert series.steps.tolist() == list(range(1490, 2991))
    assert series.values.tolist() == list(range(1490, 2991))


def test_a_torn_record_at_the_end(segments: Segments):
    large(segments)
    rest = segments.append_part(scalars(3000), 0.5)
    reading = Reading(segments)
    reading.all()
    assert reading.shown == list(range(3000))
    segments.append_bytes(rest)
    reading.all()
    assert reading.shown == list(range(3001))


def test_records_are_found_in_the_middle_of_bytes(segments: Segments):
    large(segments, 10)
    data = segments.path.read_bytes()
    assert first_record(memoryview(data)) == 0
    one = len(data) - len(data[: data.rfind(b"GTL1")])
    assert first_record(memoryview(data[-2 * one - 5 :])) == 5
    assert first_record(memoryview(data[-one + 1 :])) == -1
    assert first_record(memoryview(b"GTL1" * 50)) == -1
    assert first_record(memoryview(b"")) == -1
