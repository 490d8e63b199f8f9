"""Distributions over time as cells: counts add up, zero is a line, NaN is told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradtui.core.run.histogram import binned
from gradtui.core.run.keys import VALUES, SeriesKey
from gradtui.core.run.records import Entry, Histograms, Layout, ParameterInfo, Start
from gradtui.core.run.run import Run
from gradtui.viewmodel.run.choice import RunChoice
from gradtui.viewmodel.run.density import (
    bars_of,
    bins_of,
    density_of,
    distribution_at,
    on_one_grid,
    only_zeros,
)
from gradtui.viewmodel.run.distribution import distribution_lines
from gradtui.viewmodel.run.window import Window, window_of
from gradtui.viewmodel.text import plain

KEY = SeriesKey("a", "gradient", VALUES, "weight")


def run_of(samples):
    """A run whose histograms at the steps (keys) are of these samples."""
    entries = [
        Entry(-1, 0.0, Start("r", "Net")),
        Entry(-1, 0.0, Layout(0, "histograms", (KEY,))),
    ]
    for step, values in samples.items():
        made = binned(np.asarray(values, np.float32)[None])
        record = Histograms(0, made.counts, made.exponents, made.offsets, made.tails)
        entries.append(Entry(step, float(step), record))
    return Run.of({0: entries})


def density(run, columns=20, rows=15, window=None):
    window = window or Window(0, max(run.last_step, 1), run.last_step, run.last_step)
    return density_of(run.histogram(KEY), window, columns, rows)


RNG = np.random.default_rng(0)


@settings(max_examples=40)
@given(st.integers(2, 60), st.integers(2, 40), st.floats(-3, 3), st.floats(0.01, 100))
def test_zero_is_between_two_rows_and_the_rows_fit(columns, rows, shift, scale):
    run = run_of({s: (RNG.normal(size=200) + shift) * scale * (1 + s) for s in range(0, 50, 10)})
    found = density(run, columns, rows)
    assert found.shares.shape[0] <= max(rows, 2)
    assert found.shares.shape[1] == columns
    assert len(found.edges) == len(found.shares) + 1
    assert np.all(np.diff(found.edges) < 0)
    if found.zero >= 0:
        assert found.edges[found.zero] == 0
    known = found.shares[:, ~np.isnan(found.shares[0])]
    assert np.all((known >= 0) & (known <= 1))


def test_each_column_is_a_share_of_its_fullest_cell():
    run = run_of({0: [1.0] * 30 + [-1.0] * 10, 10: [1.0] * 5})
    found = density(run, columns=2)
    assert np.nanmax(found.shares, axis=0).tolist() == [1.0, 1.0]
    assert sorted(found.shares[:, 0])[-2] == pytest.approx(1 / 3)


def test_columns_between_histograms_show_the_one_before():
    run = run_of({0: [1.0], 100: [2.0]})
    found = density(run, columns=11)
    assert found.steps.tolist() == [0] * 10 + [100]


def test_columns_before_the_first_histogram_are_empty():
    run = run_of({50: [1.0], 100: [1.0]})
    found = density(run, columns=11)
    assert np.isnan(found.shares[0, :4]).all()
    assert not np.isnan(found.shares[0, 5:]).any()


def test_nan_and_infinite_values_are_told_where_they_were():
    run = run_of({0: [1.0, 2.0], 50: [1.0, np.nan], 100: [np.inf, 2.0]})
    found = density(run, columns=3)
    assert found.bad.tolist() == [False, True, True]


def test_nothing_finite_at_all():
    run = run_of({0: [np.nan, np.inf]})
    found = density(run, columns=3)
    assert found.empty or not np.nansum(found.shares)


def test_a_window_without_histograms_is_empty():
    run = run_of({0: [1.0], 10: [2.0]})
    assert density(run, window=Window(3, 7, 5, 10)).empty
    assert density_of(run.histogram(KEY.of("row norms")), Window(), 10, 10).empty


def test_the_distribution_at_a_step_is_on_its_own_grid():
    run = run_of({0: RNG.normal(size=500) * 1e-3, 10: RNG.normal(size=500) * 1e3})
    found = distribution_at(run, KEY, 7)
    assert found.step == 0
    assert found.total == 500
    assert abs(found.quantile(0.5)) < 3e-4
    assert found.quantile(0.99) == pytest.approx(2.3e-3, rel=0.3)
    assert distribution_at(run, KEY, -5).step == 0
    assert distribution_at(run, KEY.of("row norms"), 5).step == -1


def test_bars_keep_the_count():
    run = run_of({0: RNG.normal(size=300)})
    found = distribution_at(run, KEY, 0)
    bars = bars_of(found, 37, float(found.edges[0]), float(found.edges[-1]))
    assert bars.sum() == pytest.approx(300)


def test_lines_of_the_distribution_say_step_quantiles_and_what_is_not_finite():
    run = run_of({0: [*RNG.normal(size=100), np.nan, np.inf], 10: RNG.normal(size=100)})
    choice = RunChoice(cursor=3)
    lines = distribution_lines(run, choice, KEY, window_of(run, choice), 100)
    text = "\n".join(plain(line) for line in lines)
    assert "at step 0" in text
    assert "1 NaN" in text
    assert "1 +Inf" in text
    assert "p50" in text
    both = distribution_lines(
        run, RunChoice(cursor=10, baseline=0), KEY, window_of(run, RunChoice()), 100
    )
    assert len(both) == len(lines) + 1


def lines_at(run, step, **choices):
    choice = RunChoice(cursor=step, **choices)
    lines = distribution_lines(run, choice, KEY, window_of(run, choice), 100)
    return "\n".join(plain(line) for line in lines)


def test_zeros_are_said_to_be_zeros():
    run = run_of({0: [0.0] * 50, 10: [-0.0, np.nan], 20: [0.0] * 40 + [1e-45], 30: [1e-30] * 3})
    found = distribution_at(run, KEY, 0)
    assert found.all_zero
    assert [found.quantile(share) for share in (0.01, 0.5, 0.99)] == [0, 0, 0]
    text = lines_at(run, 0)
    assert "p50 0 " in text
    assert "all 50 counted values are exactly 0" in text
    assert "e-4" not in text
    assert "the one counted value is exactly 0" in lines_at(run, 10)
    assert "1 NaN" in lines_at(run, 10)
    for step in (20, 30):
        assert not distribution_at(run, KEY, step).all_zero
        assert "exactly" not in lines_at(run, step)
    beside = lines_at(run, 0, baseline=30)
    assert "1e-30" in beside
    assert not distribution_at(run, KEY.of("row norms"), 0).all_zero


def test_a_window_of_nothing_but_zeros_is_told():
    run = run_of({0: [0.0] * 5, 10: [0.0, np.inf], 20: [1.0], 30: [np.nan]})
    series = run.histogram(KEY, None, (0, 10))
    assert only_zeros(series, Window(0, 10, 10, 30))
    assert not only_zeros(run.histogram(KEY), Window(0, 30, 10, 30))
    assert not only_zeros(run.histogram(KEY, None, (30, 30)), Window(30, 31, 30, 30))
    assert not only_zeros(run.histogram(KEY, None, (3, 7)), Window(3, 7, 5, 30))


def test_a_constant_is_one_bar():
    run = run_of({0: [3.0] * 10})
    found = distribution_at(run, KEY, 0)
    assert found.quantile(0.5) == pytest.approx(3.0, rel=1e-5)
    assert not density(run).empty


def test_distributions_side_by_side_have_the_same_rows():
    """Whatever their own grids are: counts stay where their values are, and a row means the same in each."""
    samples = (RNG.normal(size=300), 40 + 9 * RNG.normal(size=300), 1e-3 * RNG.normal(size=300))
    found = [run_of({0: each, 10: each}).histogram(KEY) for each in samples]
    assert len({each.width for each in found}) > 1
    grids = on_one_grid([*found, run_of({}).histogram(KEY)])
    assert grids[3].empty
    assert len({(each.low, each.width, each.counts.shape) for each in grids[:3]}) == 1
    for values, grid in zip(samples, grids, strict=False):
        assert (
            grid.counts[0].tolist()
            == np.histogram(values.astype(np.float32), grid.edges)[0].tolist()
        )
    window = Window(0, 10, 10, 10)
    bins = bins_of(grids, window)
    shown = [density_of(each, window, 12, 9, bins) for each in grids[:3]]
    assert all(each.edges.tolist() == shown[0].edges.tolist() for each in shown)
    # What is small beside the others lies about zero alone.
    assert np.count_nonzero(shown[2].shares[:, 0]) == 2
    assert bins_of([run_of({}).histogram(KEY)], window) == (0, 0)


def test_what_is_not_finite_of_a_sample_is_said_to_be_of_the_sample():
    info = ParameterInfo("a", "weight", (64, 64))
    for shape, words in (((64, 64), "~2 NaN of the sample"), ((2,), " 2 NaN")):
        start = Start("r", "Net", parameters=(replace(info, shape=shape),))
        made = binned(np.full((1, 2), np.nan, np.float32))
        record = Histograms(0, made.counts, made.exponents, made.offsets, made.tails)
        layout = Layout(0, "histograms", (KEY,))
        entries = (Entry(-1, 0.0, start), Entry(-1, 0.0, layout), Entry(0, 0.0, record))
        text = lines_at(Run.of({0: entries}), 0)
        assert words in text
        assert ("of the sample" in text) == words.startswith("~")
