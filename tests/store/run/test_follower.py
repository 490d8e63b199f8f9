"""The thread of a run: its pace, its faults, what it does to the process."""

from __future__ import annotations

import gc

import pytest
from kit.ended import served
from kit.run_records import preamble, steps
from kit.runs import deep
from kit.seen import Seen
from kit.segments import Segments

from gradtui.core.session import Session
from gradtui.folder.location import DebugFolder
from gradtui.store.publishing import Publisher
from gradtui.store.run import pace
from gradtui.store.run.follower import RunFollower
from gradtui.store.run.memory import no_collection
from gradtui.store.run.pace import Pace
from gradtui.store.view import FolderView, Status


@pytest.fixture
def clock(monkeypatch):
    times = {"now": 100.0, "spent": 0.0}
    monkeypatch.setattr("time.monotonic", lambda: times["now"])
    monkeypatch.setattr("time.thread_time", lambda: times["spent"])
    return times


def look(clock, found, cost, pause):
    """One look of a follower that tells when it may; returns the pause that it makes."""
    clock["now"] += pause
    keeping = clock["pace"]
    keeping.begin()
    if found:
        keeping.came()
        if keeping.may_tell(behind=False):
            keeping.told()
            clock["views"] += 1
    clock["spent"] += cost
    return keeping.end(behind=False)


def test_views_take_their_share_of_a_core_and_no_more(clock):
    for cost, most in ((0.0005, 1 / pace._SHORTEST), (0.02, pace._SHARE / 0.02), (5.0, 1.0)):
        clock.update(pace=Pace(), views=0)
        pause = 0.0
        begin = clock["now"]
        for _ in range(300):
            pause = look(clock, True, cost, pause)
        rate = clock["views"] / (clock["now"] - begin)
        assert 0.7 * most <= rate <= 1.3 * most


def test_a_quiet_run_is_looked_at_seldom_and_a_busy_one_soon_again(clock):
    clock.update(pace=Pace(), views=0)
    pause = look(clock, True, 0.0005, 0.0)
    for _ in range(200):
        pause = look(clock, False, 0.00003, pause)
    assert pause == pace._QUIET_LONGEST
    look(clock, True, 0.0005, pause)
    assert clock["views"] == 2


def test_older_steps_are_read_without_pause_and_told_now_and_then(clock):
    keeping = Pace()
    keeping.begin()
    keeping.told()
    assert keeping.end(behind=True) <= 0.001
    assert not keeping.may_tell(behind=True)
    clock["now"] += pace._READING
    assert keeping.may_tell(behind=True)


def test_a_mistake_is_said_and_reading_goes_on(tmp_path, monkeypatch):
    folder = DebugFolder.at(tmp_path / "run")
    Segments(folder).begin([*preamble(), *steps(0, 9)])
    seen: Seen[FolderView] = Seen()
    begun = FolderView(Session.empty(), Session.empty(), 0.0, Status("loading", "loading", 0.0))
    follower = RunFollower(folder, Publisher(begun, seen))
    poll = follower._reader.poll
    faults = [OSError("no\nluck")]

    def faulty(limit):
        if faults:
            raise faults.pop()
        return poll(limit)

    monkeypatch.setattr(follower._reader, "poll", faulty)
    follower.start()
    try:
        view = seen.wait(lambda view: view.notes)
        assert view.notes == ("history: OSError: no luck",)
        seen.wait(lambda view: view.run.last_step == 9 and not view.notes)
    finally:
        follower.stop()


@pytest.mark.parametrize(("runs", "rules"), [(frozenset(), ["ended"]), (frozenset({"run"}), [])])
def test_the_newest_run_of_a_process_that_is_gone_says_so(tmp_path, runs, rules):
    folder = DebugFolder.at(tmp_path / "run")
    Segments(folder).begin(deep(3).entries())
    served(folder, "training")
    seen: Seen[FolderView] = Seen()
    begun = FolderView(Session.empty(), Session.empty(), 0.0, Status("loading", "loading", 0.0))
    follower = RunFollower(folder, Publisher(begun, seen), runs=runs)
    while follower._run_told.last_step != 299:
        follower.look()
    follower._judge._once()
    assert [finding.rule for finding in follower._judge._told] == rules


def test_the_collector_is_as_it_was():
    was = gc.isenabled()
    try:
        gc.enable()
        with no_collection():
            assert not gc.isenabled()
        assert gc.isenabled()
        gc.disable()
        with no_collection():
            pass
        assert not gc.isenabled()
    finally:
        (gc.enable if was else gc.disable)()
