"""A run that grows: what it keeps, what it forgets, what it shares with the run before."""

from __future__ import annotations

import numpy as np
from kit.net_records import GRAD, LOSS, OUT, start

from gradtui.core.run.growing_run import GrowingRun
from gradtui.core.run.keys import SeriesKey
from gradtui.core.run.records import (
    Edges,
    Entry,
    Event,
    Kept,
    Layout,
    Scalars,
)
from gradtui.core.run.run import Run


def test_preamble_events_and_kept():
    kept_key = SeriesKey("net.a", "output", "")
    records = [
        Entry(-1, 5.0, start()),
        Entry(-1, 5.0, Edges(((OUT[0].of(""), OUT[0].of("")),))),
        Entry(7, 9.0, Event("note", "later")),
        Entry(3, 8.0, Event("skipped", "earlier")),
        *[Entry(i, 9.0, Kept(kept_key, np.full(3, i, np.float32))) for i in range(9)],
        Entry(4, 1.0, Scalars(77, np.zeros(3, np.float32))),
    ]
    run = Run.of({0: records})
    assert [happening.event.text for happening in run.events] == ["earlier", "later"]
    assert [kept.step for kept in run.kept] == list(range(9))
    assert run.kinds == {"net.a": "Linear", "net.b": "Conv2d"}
    info = run.parameter_info("net.b", "weight")
    assert info is not None
    assert info.shape == (8,)
    assert run.parameter_info("net.b", "bias") is None
    assert len(run.edges.pairs) == 1
    assert run.notes == ("records without a layout: 1", "later")
    assert (run.last_step, run.last_time, run.first_step) == (8, 9.0, -1)


def test_the_end_of_an_epoch_is_no_step():
    """It is told at the first step of the next epoch, and the last one has none."""
    run = Run.of(
        {
            0: [
                Entry(-1, 0.0, start()),
                Entry(-1, 0.0, Layout(1, "scalars", (LOSS,))),
                Entry(9, 1.0, Scalars(1, np.array([1], np.float32))),
                Entry(10, 2.0, Event("epoch", "epoch 0", "", {"epoch": 0})),
            ]
        }
    )
    assert (run.last_step, run.last_time) == (9, 2.0)
    assert [happening.step for happening in run.events] == [10]


def test_a_new_start_forgets_the_old_run_and_a_repeated_one_does_not():
    growing = GrowingRun()
    layout = Entry(-1, 0.0, Layout(1, "scalars", (LOSS,)))
    one = Entry(0, 0.0, Scalars(1, np.array([1], np.float32)))
    growing.add(0, [Entry(-1, 0.0, start()), layout, one])
    growing.add(0, [Entry(-1, 0.0, start()), layout, Entry(1, 0.0, one.record)])
    before = growing.run()
    assert len(before.series(LOSS)) == 2
    growing.add(0, [Entry(-1, 0.0, start(run="again")), layout, one])
    assert len(growing.run().series(LOSS)) == 1
    assert len(before.series(LOSS)) == 2


def test_what_an_earlier_run_left_is_not_shown():
    growing = GrowingRun()
    layout = Entry(-1, 0.0, Layout(1, "scalars", OUT[:1]))
    one = Entry(0, 0.0, Scalars(1, np.array([1], np.float32)))
    for rank, name, world, started in [
        (0, "new", 3, 5000.0),
        (1, "new", 3, 5900.0),
        (2, "old", 4, 100.0),
        (3, "old", 4, 100.0),
    ]:
        growing.add(rank, [Entry(-1, 0.0, start(rank, world, name, started)), layout, one])
    run = growing.run()
    assert [rank.rank for rank in run.ranks] == [0, 1]
    assert run.world == 3
    assert any("earlier run" in note and "2, 3" in note for note in run.notes)
    assert "nothing from rank 2" in run.notes


def test_snapshots_share_their_index():
    growing = GrowingRun()
    growing.add(0, [Entry(-1, 0.0, start()), Entry(-1, 0.0, Layout(1, "scalars", OUT))])
    one = growing.run()
    growing.add(0, [Entry(0, 0.0, Scalars(1, np.zeros(len(OUT), np.float32)))])
    other = growing.run()
    assert one.index is other.index
    growing.add(0, [Entry(0, 0.0, Layout(2, "scalars", GRAD))])
    assert growing.run().index is not one.index


def test_events_and_layouts_are_bounded():
    growing = GrowingRun()
    growing.add(0, [Entry(-1, 0.0, start())])
    growing.add(0, [Entry(i, 0.0, Event("note", "x")) for i in range(40_000)])
    growing.add(0, [Entry(0, 0.0, Layout(i, "scalars", (LOSS,))) for i in range(1000)])
    run = growing.run()
    assert len(run.events) <= 16_000
    assert run.events[0].step == 0
    assert run.events[-1].step == 39_999
    assert any("events left out" in note for note in run.notes)
    assert len(run.ranks[0].tracks) == 256


def test_of_many_kept_tensors_the_first_and_the_newest_and_some_between():
    key = SeriesKey("net.a", "output", "values")
    run = Run.of({0: [Entry(i, 9.0, Kept(key, np.full(3, i, np.float32))) for i in range(1000)]})
    steps = [kept.step for kept in run.kept]
    assert (steps[0], steps[-4:]) == (0, [996, 997, 998, 999])
    assert 64 <= len(steps) <= 128
    # No stretch of the training is missing.
    assert np.diff(steps).max() <= 2 * 1000 / 128 + 1
    large = np.zeros(1 << 20, np.float32)
    run = Run.of({0: [Entry(i, 9.0, Kept(key, large)) for i in range(40)]})
    assert sum(kept.kept.values.nbytes for kept in run.kept) <= 64 << 20
    assert run.kept[0].step == 0
