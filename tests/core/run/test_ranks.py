"""Several ranks together: scalars of the run, shards that are held twice, ranks that hold nothing."""

from __future__ import annotations

import numpy as np
import pytest

from gradtui.core.run.keys import SeriesKey
from gradtui.core.run.records import Entry, Layout, ParameterInfo, Scalars, Start
from gradtui.core.run.run import Run

LOSS = SeriesKey("", "run", "value", "loss")
NORM = SeriesKey("", "run", "value", "grad_norm")
WEIGHT = SeriesKey("a", "gradient", "l2", "weight")
SUM = SeriesKey("a", "gradient", "l1", "weight")


def entries(rank, world, keys, rows, parameters=()):
    yield Entry(-1, 0.0, Start("r", "Net", rank, world, parameters=tuple(parameters)))
    yield Entry(-1, 0.0, Layout(0, "scalars", tuple(keys)))
    for step, row in enumerate(rows):
        yield Entry(step, float(step), Scalars(0, np.array(row, np.float32)))


def weight(placement, count):
    return ParameterInfo("a", "weight", (8,), count=count, placement=placement)


def run(keys, rows_by_rank, parameters):
    world = len(rows_by_rank)
    return Run.of(
        {
            rank: entries(rank, world, keys, rows, [parameters[rank]])
            for rank, rows in enumerate(rows_by_rank)
        }
    )


def test_a_loss_together_is_the_mean_of_the_ranks():
    made = run((LOSS,), [[[1.0], [2.0]], [[3.0], [np.nan]]], [weight("replicated", 8)] * 2)
    np.testing.assert_array_equal(made.series(LOSS).values, [2.0, np.nan])
    np.testing.assert_array_equal(made.series(LOSS, rank=0).values, [1.0, 2.0])
    assert np.isnan(made.latest(LOSS))


def test_the_gradient_norm_of_replicas_is_that_of_each():
    made = run((NORM, LOSS), [[[5.0, 1.0]], [[5.0, 2.0]]], [weight("replicated", 8)] * 2)
    assert made.latest(NORM) == 5.0
    assert made.latest(LOSS) == 1.5


def test_gradient_norms_of_shards_add_up_in_squares():
    made = run((NORM, LOSS), [[[3.0, 1.0]], [[4.0, 2.0]]], [weight("sharded", 4)] * 2)
    assert made.latest(NORM) == 5.0
    assert made.latest(LOSS) == 1.5
    assert made.column("run", "value").values.tolist() == [5.0, 1.5]


def test_a_shard_that_two_ranks_hold_counts_once():
    """Hybrid sharding: ranks 0 and 1 hold the halves, ranks 2 and 3 copies of them."""
    shards, copies = weight("sharded", 4), weight("replicated", 4)
    rows = [[[3.0, 6.0]], [[4.0, 8.0]], [[3.0, 6.0]], [[4.0, 8.0]]]
    made = run((WEIGHT, SUM), rows, [shards, shards, copies, copies])
    assert made.latest(WEIGHT) == 5.0
    assert made.latest(SUM) == 14.0
    assert made.latest(WEIGHT, rank=3) == 4.0
    assert made.latest(WEIGHT.of("mean_abs")) == pytest.approx(14 / 8)
    assert made.column("gradient", "l1").values.tolist() == [14.0]


def test_a_rank_whose_shard_is_empty_counts_for_nothing():
    made = run((SUM,), [[[6.0]], [[0.0]]], [weight("sharded", 8), weight("sharded", 0)])
    assert made.latest(SUM.of("mean_abs")) == pytest.approx(6 / 8)
