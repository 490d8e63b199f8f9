"""Trainings that did not come to their end."""

from __future__ import annotations

import pytest
from kit.runs import Training, deep

from gradtui.diagnosis.diagnose import diagnose


def ended_with(error: str) -> Training:
    training = deep(3)
    training.happens(299, "note", f"the training ended with {error}", error=error)
    training.happens(299, "closed", "the watcher was closed")
    return training


def test_an_error_that_ended_the_training_is_told_with_its_words():
    (found,) = diagnose(ended_with("RuntimeError: shapes (8x5 and 4x2)").run())
    assert (found.rule, found.severity, found.path, found.name, found.since) == (
        "ended",
        "bad",
        "",
        "training",
        299,
    )
    assert found.what == "The training ended with an error."
    assert found.why == "step 299: RuntimeError: shapes (8x5 and 4x2)"
    assert "traceback" in found.advice


@pytest.mark.parametrize("error", ["KeyboardInterrupt", "KeyboardInterrupt: now"])
def test_a_person_who_stops_a_training_meant_to(error):
    (found,) = diagnose(ended_with(error).run())
    assert (found.severity, found.what) == ("note", "The training was interrupted.")


def test_other_notes_and_a_closed_watcher_are_no_finding():
    training = deep(3)
    training.happens(10, "note", "keep: body.1 was too large to be kept")
    training.happens(299, "closed", "the watcher was closed")
    assert diagnose(training.run()) == ()
    assert diagnose(training.run(), is_gone=True) == ()


def test_a_process_that_is_gone_without_a_word_is_a_warning():
    assert diagnose(deep(3).run()) == ()
    (found,) = diagnose(deep(3).run(), is_gone=True)
    assert (found.rule, found.severity, found.since) == ("ended", "warn", 299)
    assert "nothing was recorded after step 299" in found.why


def test_an_error_is_told_once_however_the_process_went():
    training = ended_with("ValueError")
    training.events.pop()
    (found,) = diagnose(training.run(), is_gone=True)
    assert found.why == "step 299: ValueError"


def test_the_first_rank_that_failed_is_named():
    from gradtui.core.run.run import Run

    first, second = deep(3), deep(3)
    second.happens(
        250, "note", "the training ended with ValueError: bad shard", error="ValueError: bad shard"
    )
    first.happens(
        251,
        "note",
        "the training ended with RuntimeError: connection closed by peer",
        error="RuntimeError: connection closed by peer",
    )
    run = Run.of({0: first.entries(0, 2), 1: second.entries(1, 2)})
    (found,) = (f for f in diagnose(run) if f.rule == "ended")
    assert (found.rank, found.why) == (1, "step 250 on rank 1: ValueError: bad shard")
