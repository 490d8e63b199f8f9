"""What a run answers, against the records themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from kit.net_records import GRAD, LOSS, OUT, SHARD, UPDATE, start

from gradtui.core.run.histogram import binned
from gradtui.core.run.keys import DERIVED, MERGED_BY, SeriesKey
from gradtui.core.run.records import (
    Entry,
    Histograms,
    Layout,
    Scalars,
    Start,
)
from gradtui.core.run.run import Run
from gradtui.core.run.track import Rows


def statistics(values):
    """All stored quantities of a tensor, of its finite part."""
    finite = values[np.isfinite(values)].astype(np.float64)
    return {
        "l2": math.sqrt(float((finite**2).sum())),
        "l1": float(np.abs(finite).sum()),
        "sum": float(finite.sum()),
        "minimum": float(finite.min()),
        "maximum": float(finite.max()),
        "count": values.size,
        "zeros": int((values == 0).sum()),
        "nan": int(np.isnan(values).sum()),
        "inf": int(np.isinf(values).sum()),
        "units": values.shape[-1],
        "dead": int((values == 0).all(0).sum()),
        "saturated": int((np.abs(finite) > 1).sum()),
    }


def scalars(layout, keys, of):
    return Scalars(layout, np.array([of[key.quantity] for key in keys], np.float32))


def tensors(steps, ranks):
    random = np.random.default_rng(3)
    values = np.round(random.standard_normal((steps, 4 * ranks, 6)), 1).astype(np.float32)
    values[2, 0, 0] = np.nan
    values[3, -1, 1] = np.inf
    return values


def split_run(steps=30, ranks=2, behind=0):
    """A batch that is split over ranks; its statistics from each part."""
    values = tensors(steps, ranks)

    def of(rank):
        yield Entry(-1, 0.0, start(rank, ranks))
        yield Entry(-1, 0.0, Layout(1, "scalars", OUT))
        yield Entry(-1, 0.0, Layout(2, "scalars", (*GRAD, *SHARD, *UPDATE)))
        for step in range(steps - behind * rank):
            part = values[step, 4 * rank : 4 * rank + 4]
            yield Entry(step, 10.0 + step, scalars(1, OUT, statistics(part)))
            own = statistics(np.abs(part[np.isfinite(part)]).reshape(-1, 1))
            own["base_l2"] = 3.0
            yield Entry(step, 10.0 + step, scalars(2, (*GRAD, *SHARD, *UPDATE), own))

    return values, Run.of({rank: of(rank) for rank in range(ranks)})


def test_the_empty_run_answers_everything():
    run = Run.empty()
    assert run.is_empty
    assert (run.keys, run.events, run.modules, run.notes, run.blocks("output", "l2")) == (
        (),
        (),
        (),
        (),
        (),
    )
    assert run.series(OUT[0]).empty
    assert math.isnan(run.latest(OUT[0]))
    assert len(run.column("output", "l2")) == 0
    assert run.trends("output", "l2", 5).values.shape == (0, 5)
    assert run.histogram(OUT[0]).empty
    assert (run.first_step, run.last_step, run.world, run.start) == (-1, -1, 0, None)
    assert Run.of({}).is_empty


@pytest.mark.parametrize("key", OUT, ids=lambda key: key.quantity)
def test_a_split_batch_is_merged_exactly(key):
    values, run = split_run()
    wanted = [statistics(batch)[key.quantity] for batch in values]
    if key.quantity in ("units", "dead"):
        # Of a split batch these are counted in each part.
        wanted = [
            sum(statistics(batch[part : part + 4])[key.quantity] for part in (0, 4))
            for batch in values
        ]
    series = run.series(key)
    assert series.steps.tolist() == list(range(30))
    np.testing.assert_allclose(series.values, wanted, rtol=1e-6)
    np.testing.assert_array_equal(series.low, series.values)
    assert run.latest(key) == pytest.approx(wanted[-1], rel=1e-6)
    one = run.series(key, rank=1)
    np.testing.assert_allclose(
        one.values, [statistics(b[4:])[key.quantity] for b in values], rtol=1e-6
    )


@pytest.mark.parametrize("quantity", ["mean", "mean_abs", "zero_share", "saturated_share"])
def test_quotients_are_of_the_whole(quantity):
    values, run = split_run()

    def wanted(batch):
        finite = batch[np.isfinite(batch)].astype(np.float64)
        return {
            "mean": finite.mean(),
            "mean_abs": np.abs(finite).mean(),
            "zero_share": (batch == 0).mean(),
            "saturated_share": (np.abs(finite) > 1).sum() / batch.size,
        }[quantity]

    key = OUT[0].of(quantity)
    np.testing.assert_allclose(
        run.series(key).values, [wanted(batch) for batch in values], rtol=1e-5, atol=1e-7
    )
    assert run.latest(key, rank=1) == pytest.approx(wanted(values[-1][4:]), rel=1e-5)
    column = run.column("output", quantity)
    assert column.keys == (key,)
    assert column.values[0] == pytest.approx(wanted(values[-1]), rel=1e-5)
    (block,) = run.blocks("output", quantity)
    np.testing.assert_array_equal(block.last[:, 0], run.series(key).values)
    trends = run.trends("output", quantity, 30)
    np.testing.assert_allclose(trends.values[0], run.series(key).values, rtol=1e-6)


def test_replicated_parameters_are_the_lowest_ranks_and_shards_are_merged():
    _, run = split_run()
    for key in GRAD:
        np.testing.assert_array_equal(run.series(key).values, run.series(key, rank=0).values)
        assert run.latest(key) == run.latest(key, rank=0)
    assert run.latest(GRAD[0]) != run.latest(GRAD[0], rank=1)
    shards = [run.series(SHARD[0], rank=rank).values for rank in (0, 1)]
    np.testing.assert_allclose(run.series(SHARD[0]).values, np.hypot(*shards), rtol=1e-12)
    column = run.column("gradient", "l2")
    assert dict(zip(column.keys, column.values, strict=True)) == {
        key: run.latest(key) for key in (GRAD[0], SHARD[0])
    }
    # Shares of a parameter without a series of its own count use the layout's.
    assert run.latest(GRAD[1].of("mean_abs")) == pytest.approx(run.latest(GRAD[1]) / 20)
    ratio = run.series(UPDATE[0].of("ratio"))
    merged = np.hypot(*[run.series(UPDATE[0], rank=rank).values for rank in (0, 1)])
    np.testing.assert_allclose(ratio.values, merged / math.sqrt(18), rtol=1e-6)


def test_together_ends_where_the_slowest_rank_is():
    _, run = split_run(behind=3)
    assert run.last_step == 29
    assert run.series(OUT[0]).last_step == 26
    assert run.series(OUT[0], rank=0).last_step == 29
    assert run.column("output", "l2").steps.tolist() == [26]
    assert run.column("output", "l2", rank=0).steps.tolist() == [29]
    # A rank that died long ago is waited for as well.
    _, run = split_run(steps=60, behind=40)
    assert run.column("output", "l2").steps.tolist() == [19]


def test_low_and_high_of_long_runs_enclose_the_whole():
    values, _ = split_run(200)
    keys = OUT[:1]

    def of(rank):
        yield Entry(-1, 0.0, start(rank, 2))
        yield Entry(-1, 0.0, Layout(1, "scalars", keys))
        steps = np.arange(20_000)
        parts = [[statistics(b[4 * rank : 4 * rank + 4])["l2"]] for b in values]
        rows = np.tile(np.array(parts, np.float32), (100, 1))
        yield Rows(1, steps, steps * 1.0, rows)

    run = Run.of({0: of(0), 1: of(1)})
    series = run.series(keys[0])
    assert 2000 < len(series) < 6000
    whole = np.tile([statistics(b)["l2"] for b in values], 100)
    np.testing.assert_allclose(series.values, whole[series.steps], rtol=1e-6)
    begin = 0
    for step, low, high in zip(series.steps, series.low, series.high, strict=True):
        inside = whole[begin : step + 1]
        assert low <= inside.min() * (1 + 1e-6)
        assert high >= inside.max() * (1 - 1e-6)
        begin = step + 1


def test_columns_and_trends_agree_with_series():
    random = np.random.default_rng(0)
    keys = tuple(
        SeriesKey(f"m{i}", "gradient", q, "weight") for i in range(20) for q in ("l2", "l1")
    )
    later = (*keys[10:], SeriesKey("new", "gradient", "l2", "weight"))

    def records():
        yield Entry(-1, 0.0, start())
        yield Entry(-1, 0.0, Layout(1, "scalars", keys))
        for step in range(50):
            values = random.standard_normal(len(keys)).astype(np.float32)
            values[random.random(len(keys)) < 0.2] = np.nan
            yield Entry(step, 0.0, Scalars(1, values))
        yield Entry(50, 0.0, Layout(2, "scalars", later))
        for step in range(50, 80):
            yield Entry(
                step, 0.0, Scalars(2, random.standard_normal(len(later)).astype(np.float32))
            )

    run = Run.of({0: records()})
    assert len(run.keys) == 41
    assert run.series(keys[0]).last_step < 50
    assert run.series(keys[12]).last_step == 79
    column = run.column("gradient", "l2")
    trends = run.trends("gradient", "l2", 16)
    assert column.keys == trends.keys
    assert len(column) == 21
    for place, key in enumerate(column.keys):
        series = run.series(key)
        assert column.steps[place] == (79 if key in later else 49)
        np.testing.assert_equal(column.values[place], run.latest(key))
        if column.steps[place] == series.last_step:
            assert column.values[place] == series.last
        else:
            assert math.isnan(column.values[place])
        for span in range(16):
            inside = (series.steps >= trends.edges[span]) & (series.steps < trends.edges[span + 1])
            wanted = series.high[inside].max() if inside.any() else np.nan
            np.testing.assert_equal(trends.values[place, span], wanted)
    parts = run.blocks("gradient", "l2")
    assert [len(part.keys) for part in parts] == [20, 16]


def test_none_is_not_a_value_but_a_logged_nan_is():
    keys = (GRAD[0], LOSS)

    def records():
        yield Entry(-1, 0.0, start())
        yield Entry(-1, 0.0, Layout(1, "scalars", keys))
        for step, values in enumerate([(1, 1), (np.nan, np.nan), (2, 3), (np.nan, np.nan)]):
            yield Entry(step, 0.0, Scalars(1, np.array(values, np.float32)))

    run = Run.of({0: records()})
    assert run.series(GRAD[0]).steps.tolist() == [0, 2]
    assert run.series(GRAD[0]).last == 2
    assert math.isnan(run.latest(GRAD[0]))
    np.testing.assert_array_equal(run.series(LOSS).values, [1, np.nan, 3, np.nan])


def test_zero_by_zero_is_nan():
    keys = tuple(SeriesKey("m", "output", q) for q in ("zeros", "count", "sum", "nan", "inf"))
    records = [
        Entry(-1, 0.0, start()),
        Entry(-1, 0.0, Layout(1, "scalars", keys)),
        Entry(0, 0.0, Scalars(1, np.array([0, 0, 0, 0, 0], np.float32))),
        Entry(1, 0.0, Scalars(1, np.array([0, 4, 0, 3, 1], np.float32))),
    ]
    run = Run.of({0: records})
    assert run.series(keys[0].of("zero_share")).steps.tolist() == [1]
    assert run.series(keys[0].of("mean")).empty
    assert math.isnan(run.latest(keys[0].of("mean")))


def test_histograms_of_ranks_add_up():
    values = tensors(40, 2)
    values[2, 0, 0] = values[3, -1, 1] = 0
    key = SeriesKey("net.a", "output", "values")

    def of(rank):
        yield Entry(-1, 0.0, start(rank, 2))
        yield Entry(-1, 0.0, Layout(1, "histograms", (key,), (0,)))
        for step in range(40 - rank):
            part = values[step, 4 * rank : 4 * rank + 4].reshape(1, -1)
            found = binned(part, 16)
            yield Entry(
                step,
                0.0,
                Histograms(1, found.counts, found.exponents, found.offsets, found.tails),
            )

    run = Run.of({0: of(0), 1: of(1)})
    together = run.histogram(key)
    assert run.histogram_keys == (key,)
    assert run.sampled(key)
    assert together.steps.tolist() == list(range(39))
    for row, batch in zip(together.counts, values, strict=False):
        wanted, _ = np.histogram(batch.astype(np.float64), together.edges)
        np.testing.assert_array_equal(row, wanted)
    assert run.histogram(key, rank=0).counts.sum() == 40 * 24
    assert run.histogram(key, rank=5).empty
    assert run.histogram(OUT[0]).empty


def test_every_derived_quantity_is_made_of_recorded_ones():
    for above, below in DERIVED.values():
        assert {above, below} <= set(MERGED_BY)


@pytest.mark.parametrize("quantity", ["l2", "mean_abs", "zero_share"])
def test_a_layout_before_its_first_numbers(quantity):
    run = Run.of({0: [Entry(-1, 0.0, start()), Entry(-1, 0.0, Layout(1, "scalars", OUT))]})
    assert run.series(OUT[0].of(quantity)).empty
    assert math.isnan(run.latest(OUT[0].of(quantity)))
    assert np.isnan(run.trends("output", quantity, 4).values).all()
    assert run.column("output", quantity).steps.tolist() == [-1]
    (block,) = run.blocks("output", quantity)
    assert block.last.shape == (0, 1)


def test_layouts_of_several_ranks_before_their_first_numbers():
    def of(rank):
        yield Entry(-1, 0.0, start(rank, 2))
        yield Entry(-1, 0.0, Layout(1, "scalars", OUT))
        yield Entry(-1, 0.0, Layout(2, "scalars", OUT[:3]))

    run = Run.of({0: of(0), 1: of(1)})
    assert run.series(OUT[0]).empty
    assert np.isnan(run.column("output", "mean").values).all()
    assert np.isnan(run.trends("output", "l2", 4).values).all()


def test_a_key_in_two_layouts_of_two_ranks_is_merged_at_the_steps_of_both():
    def of(rank):
        yield Entry(-1, 0.0, start(rank, 2))
        for number in (1, 2):
            yield Entry(-1, 0.0, Layout(number, "scalars", OUT[: 1 + number]))
        for step in range(20):
            number = 1 + step // 10
            values = np.full(1 + number, 3 + rank, np.float32)
            yield Entry(step, 0.0, Scalars(number, values))

    run = Run.of({0: of(0), 1: of(1)})
    assert run.series(OUT[0]).values.tolist() == [5.0] * 20
    assert run.series(OUT[2]).steps.tolist() == list(range(10, 20))
    assert run.trends("output", "l2", 4).values.tolist() == [[5.0] * 4]
    assert run.latest(OUT[0]) == 5.0


def test_blocks_name_their_columns_whatever_the_order_of_a_layout():
    first, second = (SeriesKey("a", "gradient", "l2", slot) for slot in ("weight", "bias"))
    entries = [
        Entry(-1, 0.0, Start("r", "Net")),
        Entry(-1, 0.0, Layout(0, "scalars", (first, second))),
        Entry(-1, 0.0, Layout(1, "scalars", (second, first))),
        Entry(0, 0.0, Scalars(0, np.array([1, 2], np.float32))),
        Entry(1, 1.0, Scalars(1, np.array([2, 1], np.float32))),
    ]
    for block in Run.of({0: entries}).blocks("gradient", "l2"):
        assert dict(zip(block.keys, block.last[0].tolist(), strict=True)) == {first: 1, second: 2}
