"""Findings come beside the numbers: late at worst, and never in their way."""

from __future__ import annotations

import threading

from kit.run_records import preamble, steps
from kit.seen import Seen
from kit.waiting import until

from gradtui.core.run.run import Run
from gradtui.diagnosis.finding import Finding
from gradtui.store.run.judging import Judge


def run_to(step):
    return Run.of({0: [*preamble(), *steps(0, step)]})


def finding(run):
    return (Finding("exploding", "bad", "layer0", "weight", run.last_step, "explodes", "", ""),)


def test_the_newest_run_is_judged_and_told_once():
    seen = Seen()
    gate, judged = threading.Event(), []

    def judge(run):
        judged.append(run.last_step)
        gate.wait(10)
        return finding(run_to(7))

    judging = Judge(judge, seen)
    judging.start()
    try:
        judging.take(run_to(1))
        until(lambda: judged, "a judgement")
        # These come while the first is judged: only the last is worth it.
        judging.take(run_to(2))
        judging.take(run_to(3))
        gate.set()
        until(lambda: judged == [1, 3], "the newest")
        seen.wait(lambda found: found)
        judging.take(run_to(4))
        until(lambda: judged == [1, 3, 4], "the next")
        assert len(seen.values) == 1
    finally:
        judging.stop()


def test_what_was_found_of_an_older_run_is_forgotten():
    seen = Seen()
    gate, judged = threading.Event(), []

    def judge(run):
        judged.append(run.last_step)
        gate.wait(10)
        return finding(run)

    judging = Judge(judge, seen)
    judging.start()
    try:
        judging.take(run_to(5))
        until(lambda: judged, "a judgement")
        judging.forget()
        judging.take(run_to(2))
        gate.set()
        assert seen.wait(lambda found: found)[0].since == 2
        judging.forget()
        assert seen.values[-1] == ()
    finally:
        judging.stop()


def test_a_mistake_in_a_rule_is_said_and_the_next_run_is_judged():
    seen = Seen()

    def judge(run):
        if run.last_step == 1:
            raise ZeroDivisionError("by\nnought")
        return finding(run)

    judging = Judge(judge, seen)
    judging.start()
    try:
        judging.take(run_to(1))
        until(lambda: judging.problem, "a problem")
        assert judging.problem == "findings: ZeroDivisionError: by nought"
        judging.take(run_to(2))
        seen.wait(lambda found: found)
        assert judging.problem == ""
    finally:
        judging.stop()
