"""What is about a run as a whole: clipping, its loss, its ranks, the way through its modules."""

from __future__ import annotations

import numpy as np
from kit.runs import deep, findings_of

from gradtui.core.run.keys import SeriesKey
from gradtui.core.run.records import Edges, ParameterInfo
from gradtui.core.run.run import Run
from gradtui.diagnosis.diagnose import diagnose
from gradtui.diagnosis.structure import forward_order


def only(run: Run, rule: str):
    found = diagnose(run)
    assert {finding.rule for finding in found} == {rule}, found
    return found


def clipped(factor, steps=300):
    training = deep(4, steps=steps)
    for key, values in list(training.numbers.items()):
        if key.role == "gradient":
            training.numbers[SeriesKey(key.path, "raw gradient", key.quantity, key.slot)] = (
                values * factor
            )
    return training


def test_clipping_by_a_little_is_silent_and_by_a_lot_is_a_note():
    assert diagnose(clipped(3.0).run()) == ()
    (found,) = only(clipped(50.0).run(), "clipping")
    assert (found.severity, found.since) == ("note", 0)


def test_clipping_that_has_nothing_to_do():
    steps = 600
    training = clipped(np.where(np.arange(steps) < 30, 2.0, 1.0), steps)
    for key in training.numbers:
        if key.role in ("gradient", "raw gradient"):
            training.numbers[key] *= np.where(training.t < 30, 1, 0.02)
    (found,) = only(training.run(), "clipping")
    assert (found.severity, found.since) == ("note", 30)


def test_an_explosion_before_clipping_is_a_warning():
    training = clipped(np.where(np.arange(300) < 200, 1.0, 1000.0))
    training.of("", "run", "value", "loss")[200:] *= 1.6
    found = [f for f in diagnose(training.run()) if f.rule == "exploding"]
    assert [f.severity for f in found] == ["warn"]
    assert found[0].since == 200


def test_a_loss_that_jumps():
    training = deep(4)
    loss = training.of("", "run", "value", "loss")
    loss[200:240] += 1.5
    (found,) = only(training.run(), "loss spike")
    assert (found.severity, found.since, found.until) == ("note", 200, 239)
    loss[240:] += 1.5
    (found,) = only(training.run(), "loss spike")
    assert (found.severity, found.since) == ("warn", 200)
    loss[210:] += 20
    (found,) = only(training.run(), "loss spike")
    assert (found.severity, found.since) == ("bad", 200)


def test_the_noise_of_single_samples_is_no_spike():
    for seed in range(10):
        training = deep(3, steps=2000)
        loss = np.random.default_rng(seed).exponential(0.3 + 2 * np.exp(-training.t / 80))
        training.set("", "run", "value", loss, slot="loss")
        assert findings_of(training.run()) == []


def test_validation_losses_and_restarts_are_no_spike():
    training = deep(3, steps=800)
    training.set("", "run", "value", np.where(training.t < 500, 0.1, 5), 0.1, slot="val_loss")
    loss = 2 * np.exp(-training.t / 20) + np.where(training.t % 200 < 30, 0.01, 1e-5)
    training.set("", "run", "value", loss, 0.2, slot="loss")
    assert diagnose(training.run()) == ()


def ranks(world=3, **options):
    made = [deep(3, seed=0, **options) for _ in range(world)]
    for training in made:
        training.parameters = [
            ParameterInfo(p.path, p.name, p.shape, count=p.count, placement="replicated")
            for p in training.parameters
        ]
        training.set("", "module", "seconds", 0.02, 0.1)
    return made


def together(made):
    return Run.of({rank: training.entries(rank, len(made)) for rank, training in enumerate(made)})


def test_ranks_that_agree_are_silent():
    assert diagnose(together(ranks())) == ()


def test_a_rank_whose_gradient_differs():
    made = ranks()
    made[2].of("body.1", "gradient", "l2", "weight")[150:] *= 1.01
    (found,) = only(together(made), "rank disagreement")
    assert (found.path, found.name, found.rank, found.since) == ("body.1", "weight", 2, 150)
    assert found.severity == "bad"


def test_a_rank_that_is_missing():
    made = ranks()
    run = Run.of({rank: made[rank].entries(rank, 3) for rank in (0, 2)})
    (found,) = only(run, "rank disagreement")
    assert (found.rank, found.name) == (1, "rank 1")


def test_a_rank_that_stopped():
    made = ranks()
    run = Run.of(
        {rank: made[rank].entries(rank, 3)[: 150 if rank == 1 else None] for rank in range(3)}
    )
    (found,) = only(run, "rank disagreement")
    assert found.rank == 1
    assert "stopped" in found.what


def test_a_slow_rank():
    made = ranks()
    made[1].of("", "module", "seconds")[100:] *= 2
    (found,) = only(together(made), "rank disagreement")
    assert found.rank == 1
    assert abs(found.since - 100) <= 2


def test_the_way_forward():
    def edges(*pairs):
        return Edges(
            tuple(
                (SeriesKey(a, "output", "", call=i), SeriesKey(b, "input", "", call=j))
                for a, i, b, j in pairs
            )
        )

    registered = ("", "head", "block", "block.conv1", "block.conv2", "block.relu", "stem")
    assert forward_order(registered, Edges(())) == registered
    found = forward_order(
        registered,
        edges(
            ("stem", 0, "block", 0), ("stem", 0, "block.conv1", 0), ("block.conv1", 0, "block.relu", 0),
            ("block.relu", 0, "block.conv2", 0), ("block.conv2", 0, "block.relu", 1), ("block", 0, "head", 0),
            ("elsewhere", 0, "head", 0), ("block", 0, "block.conv1", 0),
        ),
    )  # fmt: skip
    assert sorted(found) == sorted(registered)
    way = [path for path in found if path not in ("", "block")]
    assert (
        way.index("stem")
        < way.index("block.conv1")
        < way.index("block.relu")
        < way.index("block.conv2")
    )
    assert way[-1] == "head"


def test_a_long_run_is_judged_in_spans():
    """Of 12,000 steps the older ones are seen in spans: what is found begins within the span of its step."""
    assert diagnose(deep(4, steps=12_000).run()) == ()
    training = deep(4, steps=12_000)
    training.of("body.2", "gradient", "l2", "weight")[7000:] *= 1e-8
    training.of("body.act1", "output", "dead")[9000:] = 64
    found = {finding.rule: finding for finding in diagnose(training.run())}
    assert set(found) == {"vanishing", "dead units"}
    assert abs(found["vanishing"].since - 7000) <= 60
    assert abs(found["dead units"].since - 9000) <= 200
