"""Series as curves: no spike is lost, zeros and negative values have their place, ranks stand apart."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.runs import Training as Made

from gradtui.core.run.keys import SeriesKey
from gradtui.core.run.run import Run
from gradtui.tui.render.chart import _strokes, drawn
from gradtui.viewmodel.run.choice import APART, RunChoice, pinned
from gradtui.viewmodel.run.curves import chart_of, charted, value_at
from gradtui.viewmodel.run.headline import history_words
from gradtui.viewmodel.run.history import companion_lines, legend_lines
from gradtui.viewmodel.run.window import window_of
from gradtui.viewmodel.text import plain

KEY = SeriesKey("a", "gradient", "l2", "weight")
LOSS = SeriesKey("", "run", "value", "loss")


def run_with(values):
    made = Made(steps=len(values)).layer("a")
    made.numbers[KEY] = np.asarray(values, np.float64)
    return made.run()


def chart(run, choice=None, keys=(KEY,), width=40, height=10):
    choice = choice or RunChoice()
    return chart_of(run, choice, keys, window_of(run, choice), width, height)


@settings(max_examples=25)
@given(st.integers(0, 2999), st.integers(10, 90))
def test_a_spike_of_one_step_is_in_the_curve_however_narrow_the_chart(step, width):
    values = np.full(3000, 0.5)
    values[step] = 1000.0
    found = chart(run_with(values), width=width).curves[0]
    assert found.high.max() == pytest.approx(3.0)
    assert found.greatest == pytest.approx(1000.0)
    assert len(found.x) <= 2 * width + 1


def test_a_dip_is_kept_too():
    values = np.full(2000, 10.0)
    values[777] = 1e-4
    found = chart(run_with(values)).curves[0]
    assert found.low.min() == pytest.approx(-4.0)
    assert found.least == pytest.approx(1e-4)


def test_on_a_log_axis_zero_lies_at_the_bottom():
    found = chart(run_with([1.0, 0.0, 1.0, 100.0]))
    assert found.log
    assert np.isneginf(found.curves[0].y[1])
    assert found.y_ticks[0] == (found.low, "0")
    assert found.low < 0 <= found.y_ticks[1][0]
    rows = [plain(each) for each in drawn(found, 60, 12).lines]
    labels = [row[:7].strip() for row in rows]
    assert "0" in labels
    assert labels.index("0") > labels.index("1")
    assert np.isfinite((found.low, found.high)).all()


def test_negative_values_make_the_axis_linear_and_say_so():
    found = chart(run_with([1.0, -2.0, 3.0]))
    assert not found.log
    assert "negative" in found.note
    assert chart(run_with([1.0, 2.0]), RunChoice(axis="linear")).note == ""


def test_all_zero_is_linear():
    found = chart(run_with([0.0, 0.0, 0.0]))
    assert not found.log
    assert (found.low, found.high) == (-1, 1)


def test_what_is_not_measured_is_left_out():
    found = chart(run_with([1.0, np.nan, np.nan, 4.0]))
    assert found.curves[0].x.tolist() == [0.0, 3.0]


def test_a_nan_of_the_loss_is_a_gap():
    made = Made(steps=6)
    made.numbers[LOSS] = np.array([3.0, 2.0, np.nan, np.inf, 1.0, 1.0])
    found = chart(made.run(), keys=(LOSS,)).curves[0]
    assert 2.0 not in found.x.tolist()


def with_counts(values, nan):
    made = Made(steps=len(values)).layer("a")
    made.numbers[KEY] = np.asarray(values, np.float64)
    made.numbers[KEY.of("nan")] = np.asarray(nan, np.float64)
    return made.run()


def test_where_a_tensor_is_not_finite_its_norm_is_a_gap_and_no_zero():
    found = chart(with_counts([1.0, 2.0, 0.0, 0.5, 0.0, 4.0], [0, 0, 64, 3, 0, 0])).curves[0]
    assert found.x.tolist() == [0, 1, 4, 5]
    assert found.bad.tolist() == [2, 3]
    assert found.least == 0, "a zero that is one stays"
    text = "\n".join(
        plain(each) for each in drawn(chart(with_counts([1, 2, 0], [0, 0, 9])), 40, 8).lines
    )
    assert text.count("x") == 1


def test_the_pen_is_lifted_at_a_gap():
    found = chart(with_counts([1.0, 2.0, 0.0, 2.0, 2.0], [0, 0, 1, 0, 0])).curves[0]
    assert [xs.tolist() for xs, _ in _strokes(found, 0.0)] == [[0.0, 1.0], [3.0, 4.0]]
    whole = chart(run_with([1.0, 2.0, 2.0])).curves[0]
    assert len(_strokes(whole, 0.0)) == 1


def test_a_series_that_is_never_finite_has_no_point_and_all_its_steps_are_marked():
    found = chart(with_counts([0.0] * 4, [5] * 4))
    assert found.empty
    assert found.curves[0].bad.tolist() == [0, 1, 2, 3]
    assert math.isnan(found.curves[0].least)
    axis = plain(drawn(found, 40, 8).lines[6])
    assert axis.count("x") == 4


@settings(max_examples=15)
@given(st.integers(0, 2990), st.integers(1, 9))
def test_of_joined_steps_those_that_are_finite_are_left(step, length):
    """However steps are joined: nothing is drawn at 0, and what is not finite is marked."""
    nan = np.zeros(3000)
    nan[step : step + length] = 7
    found = chart(with_counts(np.where(nan > 0, 0.0, 2.0), nan)).curves[0]
    assert found.least == found.greatest == 2.0
    assert len(found.bad)
    assert np.all(np.abs(found.bad - step) < 3000 / 4)


def test_small_courses_mark_what_is_not_finite():
    run = with_counts([1.0] * 8 + [0.0] * 8, [0] * 8 + [4] * 8)
    line = companion_lines(run, RunChoice(), [KEY], "a", window_of(run, RunChoice()), 60, 1)[0]
    text = plain(line)
    assert text.count("x") == 8
    assert "nan" in text


def test_a_value_that_is_older_than_the_cursor_says_its_step():
    run = run_with([5.0, np.nan, 7.0])
    for cursor, value in ((0, "5"), (1, "5 at 0"), (2, "7")):
        choice = RunChoice(cursor=cursor)
        for width in (80, 120):
            shown = companion_lines(run, choice, [KEY], "", window_of(run, choice), width, 1)
            assert f" {value} " in plain(shown[0])
            assert ("at" in plain(shown[0])) == (cursor == 1)


def test_values_at_the_cursor_are_those_at_or_before_it():
    series = run_with([5.0, np.nan, 7.0]).series(KEY)
    assert value_at(series, 1) == (0, 5.0)
    assert value_at(series, 2) == (2, 7.0)
    assert value_at(series, -1)[0] == -1


def test_a_series_that_the_run_lacks_is_an_empty_curve():
    found = chart(run_with([1.0]), keys=(KEY.of("l1"),))
    assert found.empty
    assert found.curves[0].at.step == -1


def test_the_difference_to_a_baseline():
    choice = RunChoice(baseline=0, comparing=True, axis="linear")
    found = chart(run_with([5.0, 6.0, 8.0]), choice).curves[0]
    assert found.y.tolist() == [0.0, 1.0, 3.0]
    assert found.before.value == 5.0
    made, both = run_with([5.0, 6.0, 8.0]), replace(choice, axis="log")
    made_chart = chart(made, both)
    assert made_chart.note == ""
    for width in (80, 120):
        (legend,) = legend_lines(made, made_chart, both, width, 1)
        assert plain(legend).endswith("+3 ×1.6 in view 0 .. +3")
    words = history_words(made, both, KEY, made_chart, window_of(made, both), 1.0, 60)
    assert plain(words).startswith(" History  |dW|2 a.weight  minus step 0  cursor 2")
    assert found.at.value == 8.0


def two_ranks():
    made = Made(steps=5).layer("a")
    other = Made(steps=5, seed=1).layer("a")
    other.numbers[KEY] = other.numbers[KEY] * 100
    return Run.of({0: made.entries(0, 2), 1: other.entries(1, 2)})


def test_ranks_apart_are_a_curve_each():
    run = two_ranks()
    apart = chart(run, RunChoice(rank=APART))
    assert [curve.rank for curve in apart.curves] == [0, 1]
    assert "rank 1" in apart.curves[1].name
    assert [curve.rank for curve in chart(run).curves] == [-1]
    assert chart(run, RunChoice(rank=1)).curves[0].rank == 1


def test_pins_come_after_the_chosen_series_and_once():
    choice = pinned(pinned(RunChoice(), KEY), LOSS)
    assert charted(choice, LOSS) == (LOSS, KEY)
    assert pinned(choice, KEY).pins == (LOSS,)


def test_a_window_takes_its_part_alone():
    values = np.ones(1000)
    values[100] = 1e6
    choice = RunChoice(span=50, end=500)
    found = chart(run_with(values), choice).curves[0]
    assert found.greatest == 1.0
    assert 450 <= found.x.min() <= found.x.max() <= 500
    assert replace(choice, span=0).span == 0


def test_an_axis_that_is_not_the_one_that_was_asked_for_says_why():
    assert chart(run_with([0.0, 0.0])).note == "linear: all values are 0"
    assert chart(run_with([-1.0, 1.0])).note == "linear: there are negative values"
    assert chart(run_with([0.0, 1.0])).note == ""
