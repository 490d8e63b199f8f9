"""Windows are read newest first, kept within a bound, and every question gets an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kit.run_records import LOSS, QUANTITIES, keys_of, preamble, steps, value

from gradtui.core.run.keys import SeriesKey
from gradtui.core.run.run import Run
from gradtui.store.run import windows
from gradtui.store.run.windows import Windows, recorded

if TYPE_CHECKING:
    import pytest


class Disk:
    """A history of two modules, and what was read of it."""

    def __init__(self, last=100):
        self.last = last
        self.reads = []

    def __call__(self, keys, first, last, most):
        self.reads.append((first, last))
        return Run.of({0: [*preamble(), *steps(max(first, 0), min(last, self.last))]})


def test_an_answer_holds_the_numbers_in_the_order_asked():
    asked, disk = Windows(), Disk()
    keys = (keys_of(2)[5], LOSS)
    n = asked.ask(keys, 10, 12, None)
    assert asked.is_waiting
    assert asked.read_next(disk, 100)
    assert not asked.read_next(disk, 100)
    window = asked.answers[n]
    assert [series.key for series in window.series] == list(keys)
    assert window.series[0].values.tolist() == [value(step, 5) for step in (10, 11, 12)]
    assert window.note == ""


def test_a_window_is_read_once_while_the_run_is_past_it():
    asked, disk = Windows(), Disk()
    for last in (50, 50, 100, 100):
        asked.ask((LOSS,), 0, last, None)
        asked.read_next(disk, 100)
    assert disk.reads == [(0, 50), (0, 100), (0, 100)]
    asked.forget()
    asked.ask((LOSS,), 0, 50, None)
    asked.read_next(disk, 100)
    assert len(disk.reads) == 4


def test_the_last_question_first_and_those_too_many_are_told_so():
    asked, disk = Windows(), Disk()
    numbers = [asked.ask((LOSS,), k, k + 1, None) for k in range(12)]
    while asked.read_next(disk, 100):
        pass
    answers = asked.answers
    assert set(answers) == set(numbers)
    assert [bool(answers[n].note) for n in numbers] == [True] * 4 + [False] * 8
    assert disk.reads[0] == (11, 12)


def test_answers_and_what_is_kept_are_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(windows, "_KEPT_VALUES", 500)
    asked, disk = Windows(), Disk()
    for k in range(40):
        asked.ask((LOSS,), k, k + 9, None)
        asked.read_next(disk, 100)
    assert len(asked.answers) == 16
    assert 1 <= len(asked._kept) < 10


def test_what_cannot_be_read_is_an_answer():
    def broken(*_):
        raise OSError("no such\nsegment")

    asked = Windows()
    n = asked.ask((LOSS,), 0, 1, None)
    assert asked.read_next(broken, 5)
    assert asked.answers[n].note == "no such segment"


def test_a_quotient_needs_both_its_parts_and_a_mean_what_is_not_finite():
    key = SeriesKey("layer0", "gradient", "mean", "weight")
    assert {each.quantity for each in recorded((key,))} == {"sum", "count", "nan", "inf"}
    ratio = key.of("ratio")
    assert {each.quantity for each in recorded((ratio, key.of("l2")))} >= {"l2", "base_l2"}
    assert recorded((LOSS,)) == (LOSS,)
    assert QUANTITIES[0] == "l2"
