"""How much may wait for the writer: bytes of logged steps, however many they are."""

from __future__ import annotations

import sys
import threading
from collections import deque
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gradtui.torch.watching import recorder
from gradtui.torch.watching.job import Job
from gradtui.torch.watching.recorder import MOST_WAITING_BYTES, Recorder


class Held:
    """A place whose writer takes nothing until it is let go; what is written is kept."""

    dropped, problem = 0, ""

    def __init__(self):
        self.writer, self.jobs = self, []
        self.begun, self.go_on = threading.Event(), threading.Event()

    def records(self, job):
        self.begun.set()
        self.go_on.wait()
        self.jobs.append(job)
        return ()

    def publish(self, job):
        """Nothing to publish."""

    def asked(self):
        return ()

    def beat(self):
        """Nobody looks."""

    def aside(self, reason):
        self.said = reason

    def close(self, timeout):
        """Nothing to close."""


def logged(step, nbytes):
    """A logged step that holds so much."""
    return Job(step, 0.0, collected=cast("Any", [SimpleNamespace(nbytes=nbytes)]))


@pytest.fixture
def held(monkeypatch):
    monkeypatch.setattr(recorder, "GATHER_SECONDS", 0.0)
    place = Held()
    yield place
    place.go_on.set()


def put(recorder, held, *sizes):
    for step, size in enumerate(sizes):
        recorder.put(logged(step, size))
        # What waits while the writer is at the first is then the same in every run.
        held.begun.wait()


def written(recorder, held):
    """The logged steps that were written, in order, and how many a last job says were dropped."""
    recorder.put(Job(-1, 0.0))
    held.go_on.set()
    recorder.close(60.0)
    *jobs, last = held.jobs
    told = [event for job in [*jobs, last] for event in job.events]
    return [job.step for job in jobs if job.collected], sum(e.fields["records"] for e in told)


@pytest.mark.parametrize(
    ("sizes", "taken"),
    [
        ([1000] * 200, list(range(200))),
        ([MOST_WAITING_BYTES // 4] * 6, [0, 1, 2, 3]),
        ([MOST_WAITING_BYTES * 3, 1, 1], [0]),
        ([1, MOST_WAITING_BYTES, MOST_WAITING_BYTES - 1, 1], [0, 2]),
    ],
)
def test_what_finds_no_room_is_dropped_and_counted(held, sizes, taken):
    faults = []
    keeper = Recorder(held, held, lambda *fault: faults.append(fault), deque())
    put(keeper, held, *sizes)
    steps, dropped = written(keeper, held)
    assert steps == taken
    assert dropped == len(sizes) - len(taken)
    assert not faults


def test_there_is_room_again_when_it_was_written(held):
    keeper = Recorder(held, held, lambda *_: None, deque())
    held.go_on.set()
    for step in range(4):
        keeper.put(logged(step, MOST_WAITING_BYTES))
        assert keeper.flush(60.0)
    assert [job.step for job in held.jobs] == [0, 1, 2, 3]
    assert not any(job.events for job in held.jobs)
    keeper.close(60.0)


def test_a_disk_that_is_full_is_told_once_and_counted_at_the_end(held):
    told: list[str] = []
    faults = []
    keeper = Recorder(held, held, lambda *fault: faults.append(fault), deque())
    keeper.told = told.append
    held.go_on.set()
    keeper.put(logged(0, 1))
    assert keeper.flush(60.0)
    assert told == []
    held.dropped, held.problem = 2, "x.gtlog: no space left on device"
    for step in (1, 2):
        keeper.put(logged(step, 1))
        assert keeper.flush(60.0)
    assert told == [held.said] == ["records are dropped: x.gtlog: no space left on device"]
    held.dropped = 7
    keeper.close(60.0)
    assert told[1:] == ["7 records were dropped: they found no room"]
    assert not faults


class Interrupted:
    """Has a recorder closed in the midst of what it does, as a signal's handler may: before the given line of it."""

    def __init__(self, recorder: Recorder, line: int):
        self.recorder, self.left = recorder, line

    def __call__(self, frame, event, _):
        if event == "line":
            self.left -= 1
            if self.left == 0:
                self.recorder.close(60.0)
        return self

    def works(self):
        sys.settrace(self)
        self.recorder.put(Job(0, 0.0))
        self.recorder.flush(0.1)
        sys.settrace(None)


def test_it_is_closed_in_the_midst_of_anything(held):
    """Each line of what the training's thread runs here, those of the library's below ours too."""
    held.go_on.set()
    line, is_over = 0, False
    while not is_over:
        line += 1
        recorder = Recorder(cast("Any", held), cast("Any", held), lambda *_: None, deque())
        recorder.put(Job(0, 0.0))
        interrupted = Interrupted(recorder, line)
        thread = threading.Thread(target=interrupted.works, daemon=True)
        thread.start()
        thread.join(60.0)
        assert not thread.is_alive(), f"it waits for itself before line {line}"
        is_over = interrupted.left > 0
        recorder.close(60.0)
    assert line > 10
