"""Trainings that did not come to their end."""

from __future__ import annotations

import pytest
from kit.runs import Training, deep

from gradtui.core.run.run import Run
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


def test_a_generator_that_is_closed_was_meant_to_be():
    (found,) = diagnose(ended_with("GeneratorExit").run())
    assert (found.severity, found.what) == ("note", "The generator that trains was closed.")


def test_other_notes_and_a_closed_watcher_are_no_finding():
    training = deep(3)
    training.happens(10, "note", "keep: body.1 was too large to be kept")
    training.happens(299, "closed", "the watcher was closed")
    assert diagnose(training.run()) == ()
    assert diagnose(training.run(), gone={0}) == ()


def test_a_process_that_is_gone_without_a_word_is_a_warning():
    assert diagnose(deep(3).run()) == ()
    (found,) = diagnose(deep(3).run(), gone={0})
    assert (found.rule, found.severity, found.since) == ("ended", "warn", 299)
    assert "nothing was recorded after step 299" in found.why


def test_an_error_is_told_once_however_the_process_went():
    training = ended_with("ValueError")
    training.events.pop()
    (found,) = diagnose(training.run(), gone={0})
    assert found.why == "step 299: ValueError"


def test_the_first_rank_that_failed_is_named():
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


def ranks_that(*said: str, steps: tuple[int, ...] = ()) -> Run:
    """A run of as many ranks: each says what ended it ("" for nothing) after so many steps."""
    entries = {}
    for rank, word in enumerate(said):
        training = deep(3, steps=steps[rank] if steps else 300)
        if word == "closed":
            training.happens(training.steps - 1, "closed", "the watcher was closed")
        elif word:
            training.happens(training.steps - 1, "note", word, error=word)
        entries[rank] = training.entries(rank, len(said))
    return Run.of(entries)


def told(run: Run, gone: set[int]) -> list[tuple[str, str, int]]:
    found = [each for each in diagnose(run, gone=gone) if each.rule == "ended"]
    return [(each.severity, each.what, each.since) for each in found]


def test_a_rank_that_is_killed_while_others_go_on_is_bad():
    silent = "Rank 1 ended without a word, and others went on."
    for others in ("closed", ""):
        run = ranks_that(others, "", others, steps=(300, 100, 300))
        assert told(run, {1}) == [("bad", silent, 99)]
    (found,) = diagnose(run, gone={1})
    assert found.why.startswith("the last that was recorded: step 99 on rank 1;")
    assert "step 299" in found.why
    assert found.rank == 1


def test_rank_0_is_a_rank_like_the_others():
    run = ranks_that("", "closed", steps=(100, 300))
    assert told(run, {0})[0][0] == "bad"


def test_ranks_that_fell_silent_together_are_one_finding():
    run = ranks_that("closed", *[""] * 12, steps=(300, *[100] * 12))
    (found,) = told(run, set(range(1, 13)))
    assert found[1].startswith("Ranks 1, 2, 3, 4, 5, 6, 7, 8, ... ended")


def test_ranks_that_end_a_little_apart_are_no_finding():
    # Still running, or closing; and a script that closes on one rank alone.
    assert told(ranks_that("", "", steps=(300, 297)), set()) == []
    assert told(ranks_that("closed", "", steps=(300, 297)), set()) == []
    assert told(ranks_that("closed", ""), {1}) == []
    (found,) = told(ranks_that("closed", "", steps=(300, 297)), {1})
    assert found[0] == "warn"


def test_a_rank_that_is_gone_beside_others_that_wait_for_it_is_a_warning():
    assert told(ranks_that("", ""), {1}) == [("warn", "Rank 1 ended without a word.", 299)]


def test_a_training_whose_ranks_are_all_gone_is_told_once():
    words = [("warn", "The training ended without a word.", 299)]
    assert told(ranks_that("", "", steps=(300, 298)), {0, 1}) == words


def test_a_rank_of_another_host_is_told_when_all_others_have_ended():
    """Nobody can ask for its process; one that wrote until a moment ago may write on."""
    run = ranks_that("closed", "", steps=(300, 100))
    (found,) = [each for each in diagnose(run) if each.rank == 1]
    assert (found.rule, found.severity) == ("ended", "bad")
    assert told(ranks_that("closed", "", "", steps=(300, 100, 300)), set()) == []


def test_ranks_that_an_error_took_along_are_not_told():
    run = ranks_that("ValueError: bad", "", steps=(300, 299))
    assert [each[1] for each in told(run, {1})] == ["The training ended with an error."]
    run = ranks_that("RuntimeError: closed by peer", "", steps=(300, 100))
    assert len(told(run, {1})) == 2


def test_a_process_that_is_gone_before_the_first_step_has_no_step():
    training = deep(3, steps=0)
    run = Run.of({0: training.entries()})
    (found,) = diagnose(run, gone={0})
    assert "nothing was recorded: it did not close" in found.why
