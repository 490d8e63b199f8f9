"""Gradients of a run by step and by epoch, against sums by hand."""

from __future__ import annotations

import numpy as np
import pytest

from gradtui.core.analysis.run_gradients import gradients_by_epoch, gradients_by_step
from gradtui.core.run.keys import SeriesKey
from gradtui.core.run.records import Entry, Event, Layout, ParameterInfo, Scalars, Start
from gradtui.core.run.run import Run

SHAPES = {
    ("conv", "weight"): (3, 2),
    ("conv", "bias"): (3,),
    ("", "scale"): (1,),
    ("off", "weight"): (4,),
}
QUANTITIES = ("l1", "l2", "minimum", "maximum", "nan", "inf")
KEYS = [SeriesKey(path, "gradient", q, name) for path, name in SHAPES for q in QUANTITIES]


def parameters(rank_shapes=SHAPES, placement="local"):
    return tuple(
        ParameterInfo(path, name, shape, count=int(np.prod(shape)), placement=placement)
        for (path, name), shape in rank_shapes.items()
    )


def statistics(gradient):
    if gradient is None:
        return [np.nan] * 6
    finite = gradient[np.isfinite(gradient)]
    return [
        np.abs(finite).sum(), np.sqrt((finite**2).sum()), finite.min(), finite.max(),
        np.isnan(gradient).sum(), np.isinf(gradient).sum(),
    ]  # fmt: skip


def drawn(steps):
    rng = np.random.default_rng(0)
    found = []
    for step in range(steps):
        one: list = [rng.normal(size=shape) for shape in SHAPES.values()]
        one[3] = None
        if step == 2:
            one[0][0, 0] = np.nan
            one[1] = None
        found.append(one)
    return found


def entries(gradients, epochs=(), start=None):
    found = [Entry(-1, 0.0, start or Start("r", "Net", parameters=parameters()))]
    found.append(Entry(-1, 0.0, Layout(1, "scalars", tuple(KEYS))))
    for step, one in enumerate(gradients):
        values = np.concatenate([statistics(g) for g in one])
        found.append(Entry(step, float(step), Scalars(1, values.astype(np.float32))))
        for number, end in epochs:
            if end == step + 1:
                found.append(Entry(end, 0.0, Event("epoch", "", fields={"epoch": number})))
    return found


def test_by_step_with_biases_root_parameters_and_none():
    gradients = drawn(5)
    found = gradients_by_step(Run.of({0: entries(gradients)}), layers=False)
    assert found.names == ("conv.weight", "conv.bias", "scale", "off.weight")
    assert found.rows.tolist() == list(range(5))
    for step, one in enumerate(gradients):
        for column, g in enumerate(one):
            row = [getattr(found, what)[step, column] for what in ("mean", "largest", "l1", "l2")]
            if g is None:
                assert np.isnan(row).all()
                continue
            g = np.abs(g[np.isfinite(g)])
            expected = [g.mean(), g.max(), g.sum(), np.sqrt((g**2).sum())]
            assert row == pytest.approx(expected, rel=1e-5)
    assert found.nonfinite[2, 0] == 1


def test_by_layer_and_by_epoch():
    gradients = drawn(7)
    run = Run.of({0: entries(gradients, [(1, 3), (2, 6)])})
    found = gradients_by_epoch(run)
    assert found.names == ("conv", "(model)", "off")
    assert found.rows.tolist() == [1, 2, 3]
    parts = [np.concatenate([g.ravel() for g in one[:2] if g is not None]) for one in gradients]
    sizes = [np.abs(part[np.isfinite(part)]) for part in parts]
    for row, steps in enumerate(([0, 1, 2], [3, 4, 5], [6])):
        own = [sizes[k] for k in steps]
        assert found.mean[row, 0] == pytest.approx(np.concatenate(own).mean(), rel=1e-5)
        assert found.largest[row, 0] == pytest.approx(np.concatenate(own).max(), rel=1e-5)
        assert found.l1[row, 0] == pytest.approx(np.mean([v.sum() for v in own]), rel=1e-5)
        norms = [np.sqrt((v**2).sum()) for v in own]
        assert found.l2[row, 0] == pytest.approx(np.mean(norms), rel=1e-5)
    assert np.isnan(found.l2[:, 2]).all()
    # An epoch that was never told is all that there is.
    assert gradients_by_epoch(Run.of({0: entries(gradients)})).rows.tolist() == [0]


def test_what_is_measured_now_and_then_is_averaged_over_what_was_measured():
    gradients = drawn(6)
    found = entries(gradients)
    for entry in found[2:]:
        if entry.step % 2:
            quantities = np.array([key.quantity for key in KEYS])
            entry.record.values[np.isin(quantities, ["l1", "minimum", "maximum"])] = np.nan
    table = gradients_by_epoch(Run.of({0: found}), layers=False)
    own = np.concatenate([one[1].ravel() for one in gradients[::2] if one[1] is not None])
    assert table.mean[0, 1] == pytest.approx(np.abs(own).mean(), rel=1e-5)
    norms = [np.linalg.norm(one[1]) for one in gradients if one[1] is not None]
    assert table.l2[0, 1] == pytest.approx(np.mean(norms), rel=1e-5)


def test_after_a_single_step_and_before_any():
    # BBDecoder raises when it saves after one iteration.
    one = gradients_by_epoch(Run.of({0: entries(drawn(1))}))
    assert one.l1.shape == (1, 3)
    for run in (Run.empty(), Run.of({0: entries([])})):
        assert gradients_by_step(run).rows.size == 0
        assert gradients_by_epoch(run).rows.size == 0


def test_shards_of_two_ranks_are_one_gradient():
    gradients = drawn(3)
    halves = [
        [[None if g is None else g.reshape(-1)[rank::2] for g in one] for one in gradients]
        for rank in (0, 1)
    ]
    start = [
        Start("r", "Net", rank=rank, world=2, parameters=parameters(placement="sharded"))
        for rank in (0, 1)
    ]
    # A scale of one value has an empty shard on the second rank.
    for one in halves[1]:
        one[2] = None
    run = Run.of({rank: entries(halves[rank], start=start[rank]) for rank in (0, 1)})
    merged, alone = gradients_by_step(run), gradients_by_step(Run.of({0: entries(gradients)}))
    assert merged.l2[[0, 1]] == pytest.approx(alone.l2[[0, 1]], rel=1e-5, nan_ok=True)
    assert merged.mean[[0, 1]] == pytest.approx(alone.mean[[0, 1]], rel=1e-5, nan_ok=True)


def test_a_long_run_stands_in_spans():
    rng = np.random.default_rng(1)
    gradients = [[rng.normal(size=shape) for shape in SHAPES.values()] for _ in range(9000)]
    gradients[17][0][0, 0] = 50.0
    found = gradients_by_epoch(Run.of({0: entries(gradients, [(0, 4500)])}))
    assert found.rows.tolist() == [0, 1]
    # The largest is exact in any span; means are of the steps that stand for theirs.
    assert found.largest[0, 0] == 50
    assert found.l2[1, 0] == pytest.approx(3.0, rel=0.1)
