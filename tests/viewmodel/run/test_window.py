"""The steps in view and the step cursor."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from kit.runs import Training as Made

from gradtui.core.run.run import Run
from gradtui.errors import UsageError
from gradtui.viewmodel.run.choice import NEWEST, RunChoice
from gradtui.viewmodel.run.ticks import linear_ticks, log_ticks, nice_step, step_ticks
from gradtui.viewmodel.run.window import following, typed_window, window_of, with_cursor, zoomed

RUN = Made(steps=1000).layer("a").run()
ALL = RunChoice()


def test_all_steps_are_in_view_and_the_cursor_follows():
    window = window_of(RUN, ALL)
    assert (window.first, window.cursor, window.newest) == (0, 999, 999)
    assert 999 <= window.last <= 1100


def test_the_window_moves_seldom_while_a_run_grows():
    lasts = {window_of(Made(steps=n).run(), ALL).last for n in range(900, 1000, 7)}
    assert len(lasts) <= 3


def test_the_empty_run_has_a_window():
    window = window_of(Run.empty(), ALL)
    assert window.span >= 1
    assert window.column(0, 70) == 0


@given(
    st.integers(-1, 2000), st.integers(0, 5000), st.integers(-1, 2000), st.integers(-3, 3),
    st.integers(0, 1200),
)  # fmt: skip
def test_the_cursor_is_always_in_view_after_it_moved(cursor, span, end, zoom, step):
    choice = zoomed(RUN, RunChoice(cursor=cursor, span=span, end=end), zoom)
    moved = with_cursor(RUN, choice, step)
    window = window_of(RUN, moved)
    assert window.first <= window.cursor <= window.last
    assert window.first < window.last
    assert window.cursor == min(step, 999)
    assert following(moved) or step < 999


def test_columns_and_steps_go_there_and_back():
    window = window_of(RUN, RunChoice(span=100, end=500))
    for step in range(window.first, window.last + 1):
        column = window.column(step, 201)
        assert 0 <= column <= 200
        assert abs(window.step(column, 201) - step) <= 1


@pytest.mark.parametrize(
    ("text", "first", "last", "follows"),
    [
        ("all", 0, 1000, True),
        ("", 0, 1000, True),
        ("200", 800, 1000, True),
        ("100..300", 100, 300, False),
        ("100 300", 100, 300, False),
        ("900..5000", 0, 1000, True),
    ],
)
def test_typed_windows(text, first, last, follows):
    choice = typed_window(RUN, ALL, text)
    window = window_of(RUN, choice)
    assert (window.first, window.last) == (first, last)
    assert following(choice) is follows
    assert window.first <= window.cursor <= window.last


@pytest.mark.parametrize("text", ["x", "-3", "5..2", "1 2 3", "0", "1e3", "9" * 5000 + "x"])
def test_what_is_no_window_is_refused(text):
    with pytest.raises(UsageError, match="window"):
        typed_window(RUN, ALL, text)


def test_a_window_of_steps_that_the_run_lacks_is_refused():
    entries = [
        replace(entry, step=entry.step + 50) if entry.step >= 0 else entry
        for entry in Made(steps=10).entries()
    ]
    late = Run.of({0: entries})
    for text in ("10..20", "60..80"):
        with pytest.raises(UsageError, match="50 to 59"):
            typed_window(late, RunChoice(), text)
    window = window_of(late, typed_window(late, RunChoice(), "10..55"))
    assert (window.first, window.last) == (50, 55)


def test_zooming_in_and_out_again_shows_all():
    choice = ALL
    for _ in range(3):
        choice = zoomed(RUN, choice, 1)
    assert window_of(RUN, choice).span <= 130
    choice = zoomed(RUN, choice, -5)
    assert (choice.span, choice.end) == (0, NEWEST)


@given(st.floats(1e-30, 1e30), st.integers(1, 40))
def test_nice_steps_are_few_and_round(extent, most):
    step = nice_step(extent, most)
    assert extent / step <= most * 1.001
    assert f"{step:.3e}"[:5] in ("1.000", "2.000", "5.000")


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (log_ticks(-3.2, 0.4, 4), ["1e-3", "1e-2", "1e-1", "1"]),
        (log_ticks(0.02, 0.5, 5), ["2"]),
        (log_ticks(math.log10(0.18), math.log10(4.84), 4), ["0.2", "0.5", "1", "2"]),
        (log_ticks(math.log10(0.18), math.log10(4.84), 2), ["0.3", "1", "3"]),
        (linear_ticks(-1.0, 1.0, 4), ["-1", "-0.5", "0", "0.5", "1"]),
        (step_ticks(0, 400, 4), ["0", "100", "200", "300", "400"]),
        (step_ticks(3, 7, 10), ["3", "4", "5", "6", "7"]),
    ],
)
def test_ticks(made, words):
    found = [text for _, text in made]
    assert found == words or len(words) == 1


@given(st.floats(-40, 40), st.floats(0.01, 60), st.integers(2, 12))
def test_ticks_lie_inside_and_are_not_many(low, extent, most):
    for ticks in (log_ticks(low, low + extent, most), linear_ticks(low, low + extent, most)):
        assert all(low - 1e-6 <= place <= low + extent + 1e-6 for place, _ in ticks)
        assert len(ticks) <= 2 * most + 2
        assert np.all(np.diff([place for place, _ in ticks]) > 0)


@given(st.floats(-30, 30), st.floats(0.7, 2), st.integers(3, 8))
@example(8.25, 0.7, 3)
def test_a_logarithmic_axis_of_few_decades_has_marks(low, extent, most):
    assert len(log_ticks(low, low + extent, most)) >= 2
