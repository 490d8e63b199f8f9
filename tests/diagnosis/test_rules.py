"""Each rule on a made-up training that is sick in one way: found at its step, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest
from kit.runs import Training, deep, findings_of

from gradtui.core.run.keys import SeriesKey
from gradtui.core.run.records import Edges, ModuleInfo, ParameterInfo
from gradtui.core.run.run import Run
from gradtui.diagnosis.diagnose import diagnose
from gradtui.diagnosis.structure import forward_order


def only(run: Run, rule: str):
    found = diagnose(run)
    assert {finding.rule for finding in found} == {rule}, found
    return found


def test_an_empty_run_has_no_findings():
    assert diagnose(Run.empty()) == ()
    assert diagnose(Run.of({0: Training().entries()[:4]})) == ()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("steps", [1, 3, 30, 300, 1500])
def test_a_healthy_training_is_silent(steps, seed):
    assert diagnose(deep(steps=steps, seed=seed).run()) == ()


def test_a_training_that_converges_is_silent():
    training = deep(steps=1000)
    for key in training.numbers:
        if key.role in ("gradient", "update") and key.quantity == "l2":
            training.numbers[key] *= np.exp(-training.t / 60)
    training.numbers[SeriesKey("", "run", "value", "loss")] *= np.exp(-training.t / 60)
    assert diagnose(training.run()) == ()


def test_gradients_that_vanish_from_the_beginning():
    (found,) = only(deep(8, "Tanh", decay=0.1).run(), "vanishing")
    assert (found.path, found.name, found.severity, found.since) == ("body.0", "weight", "warn", 0)
    assert found.ongoing
    assert set(found.also) - {"body.3"} == {"body.1", "body.2"}
    assert "1e-4" in found.why or "0.0001" in found.why


def test_a_layer_that_stops_learning_later():
    training = deep(6)
    training.of("body.2", "gradient", "l2", "weight")[200:] *= 1e-7
    (found,) = only(training.run(), "vanishing")
    assert (found.path, found.also) == ("body.2", ())
    assert abs(found.since - 200) <= 2


def test_what_stays_while_others_explode_does_not_vanish():
    training = deep(6)
    for key in training.numbers:
        if key.role == "gradient" and key.path.startswith("body"):
            training.numbers[key][200:] *= 1e6
    training.of("", "run", "value", "loss")[200:] *= 3
    assert {f.rule for f in diagnose(training.run())} <= {"exploding", "loss spike"}


def test_a_gradient_that_becomes_zero():
    training = deep(6)
    training.of("body.2", "gradient", "l2", "weight")[200:] = 0
    (found,) = only(training.run(), "vanishing")
    assert "exactly zero" in found.what
    assert found.severity == "bad"


def test_small_gradients_that_are_large_on_the_way_back_do_not_vanish():
    """What is small next to the loss while all before it is large: it grows on its way back."""
    training = deep(8, decay=20.0)
    found = only(training.run(), "exploding")
    assert found[0].path == "body.0"
    assert found[0].since == 0


def test_gradients_that_explode():
    training = deep(6)
    for i in range(3):
        values = training.of(f"body.{i}", "gradient", "l2", "weight")
        values[220:] *= np.exp(0.4 * np.arange(80))
    training.of("", "run", "value", "loss")[220:] *= 1.6
    (found,) = only(training.run(), "exploding")
    assert found.severity == "bad"
    assert {found.path, *found.also} >= {"body.0", "body.1", "body.2"}
    assert 220 <= found.since <= 234
    assert found.ongoing


def test_an_explosion_that_came_back():
    training = deep(6)
    training.of("body.1", "gradient", "l2", "weight")[200:230] *= 3000
    training.of("", "run", "value", "loss")[200:230] *= 1.6
    (found,) = only(training.run(), "exploding")
    assert (found.severity, found.path) == ("note", "body.1")
    assert abs(found.since - 200) <= 1
    assert abs(found.until - 229) <= 3


def test_a_network_that_leaves_its_plateau_does_not_explode():
    training = deep(6)
    for key in training.numbers:
        if key.role == "gradient":
            training.numbers[key] *= np.where(training.t < 60, 0.02, 1)
    assert diagnose(training.run()) == ()
    # Where nobody logs the loss it takes more to be sure.
    del training.numbers[SeriesKey("", "run", "value", "loss")]
    assert diagnose(training.run()) == ()
    training.of("body.1", "gradient", "l2", "weight")[200:] *= 1000
    assert [f.rule for f in diagnose(training.run())] == ["exploding"]


def test_one_hard_batch_is_no_explosion():
    training = deep(6)
    training.of("body.1", "gradient", "l2", "weight")[200:202] *= 3000
    assert diagnose(training.run()) == ()


def test_a_layer_that_begins_at_zero_may_grow():
    training = deep(6)
    training.of("body.1", "gradient", "l2", "weight")[:] *= np.clip(training.t / 50, 1e-6, 1)
    assert diagnose(training.run()) == ()


def test_a_restart_of_the_learning_rate_is_no_explosion():
    training = deep(6, steps=600)
    for key in training.numbers:
        if key.role == "gradient":
            training.numbers[key] *= np.where(training.t % 200 < 20, 1, 1e-3)
    assert diagnose(training.run()) == ()


def test_the_first_nan_names_module_call_and_way():
    training = deep(4)
    training.happens(
        120,
        "non-finite",
        "",
        "body.2",
        role="output",
        slot="",
        call=1,
        phase="train",
        nan=7,
        inf=0,
        order=0,
    )
    training.happens(
        120,
        "non-finite",
        "",
        "body.3",
        role="input",
        slot="",
        call=0,
        phase="train",
        nan=64,
        inf=0,
        order=1,
    )
    training.happens(
        120, "non-finite", "", "head", role="gradient", slot="weight", nan=64, inf=0, order=2
    )
    (found,) = only(training.run(), "non-finite")
    assert (found.path, found.name, found.since, found.severity) == (
        "body.2",
        "output (call 1)",
        120,
        "bad",
    )
    assert found.also == ("body.3", "head")
    assert "forward" in found.what


def test_a_nan_that_is_born_on_the_way_back():
    training = deep(4)
    training.happens(
        50,
        "non-finite",
        "",
        "body.1",
        role="output gradient",
        slot="",
        call=0,
        nan=3,
        inf=0,
        order=0,
    )
    training.happens(
        50, "non-finite", "", "body.0", role="gradient", slot="weight", nan=3, inf=0, order=1
    )
    (found,) = only(training.run(), "non-finite")
    assert (found.path, found.name) == ("body.1", "output gradient")
    assert "back" in found.what


def test_without_events_the_counts_tell():
    training = deep(4)
    for path, since in (("body.2", 100), ("body.3", 100), ("head", 100), ("body.0", 110)):
        training.set(path, "output", "nan", np.where(training.t >= since, 5.0, 0.0))
    (found,) = only(training.run(), "non-finite")
    assert (found.path, found.since, found.name) == ("body.2", 100, "output")


def test_a_mask_of_infinities_is_no_finding():
    training = deep(4)
    training.happens(
        0, "non-finite", "", "body.2", role="input", slot="mask", nan=0, inf=100, order=0
    )
    assert diagnose(training.run()) == ()


def test_an_infinity_that_becomes_a_nan_is_where_it_was_born():
    training = deep(4)
    training.happens(99, "non-finite", "", "body.1", role="output", slot="", nan=0, inf=1, order=0)
    training.happens(99, "non-finite", "", "body.2", role="output", slot="", nan=4, inf=0, order=1)
    (found,) = only(training.run(), "non-finite")
    assert (found.path, found.since) == ("body.1", 99)


def test_an_explosion_that_ends_in_nan_is_told_with_it():
    training = deep(4)
    values = training.of("body.1", "gradient", "l2", "weight")
    values[200:] *= np.exp(0.5 * np.arange(100))
    training.of("", "run", "value", "loss")[200:] *= 3
    training.set("body.1", "gradient", "nan", np.where(training.t > 260, 9, 0), slot="weight")
    values[261:] = 0
    assert {(f.rule, f.path) for f in diagnose(training.run())} >= {
        ("exploding", "body.1"),
        ("non-finite", "body.1"),
    }
    values[261:] = np.nan
    assert {(f.rule, f.path) for f in diagnose(training.run())} >= {
        ("exploding", "body.1"),
        ("non-finite", "body.1"),
    }


def test_a_loss_of_nan():
    training = deep(4)
    training.of("", "run", "value", "loss")[210:] = np.nan
    (found,) = only(training.run(), "non-finite")
    assert (found.path, found.name, found.since) == ("", "loss", 210)


def test_a_scaler_that_finds_its_scale_is_silent_and_one_that_never_does_is_not():
    training = deep(4)
    for step in (0, 1, 2, 150):
        training.happens(step, "skipped")
        training.happens(
            step, "non-finite", "", "head", role="gradient", slot="weight", nan=0, inf=4, order=0
        )
    assert diagnose(training.run()) == ()
    for step in range(200, 300, 3):
        training.happens(step, "skipped")
    (found,) = only(training.run(), "non-finite")
    assert (found.severity, found.name, found.since) == ("warn", "gradient scaler", 150)


def test_dead_units():
    training = deep(4)
    training.of("body.act1", "output", "dead")[150:] = 62
    (found,) = only(training.run(), "dead units")
    assert (found.path, found.severity, found.since) == ("body.act1", "warn", 150)
    assert "62 of 64" in found.why
    training.of("body.act1", "output", "dead")[150:] = 64
    (found,) = only(training.run(), "dead units")
    assert found.severity == "bad"


def test_silence_of_small_batches_says_nothing():
    training = Training().layer("a").act("b", batch=4).layer("c")
    training.of("b", "output", "dead")[:] = 45
    assert diagnose(training.run()) == ()


def test_a_block_and_what_follows_are_not_blamed_for_a_dead_unit():
    training = Training().layer("block.fc").act("block.relu").layer("head")
    training.modules.append(ModuleInfo("block", "Sequential"))
    training.output("block", 32)
    training.modules.append(ModuleInfo("pool", "MaxPool2d"))
    training.output("pool", 32)
    for path in ("block.relu", "block", "pool"):
        training.of(path, "output", "dead")[:] = 64
    (found,) = only(training.run(), "dead units")
    assert found.path == "block.relu"


def test_saturation():
    training = deep(4, "Sigmoid")
    training.of("body.act2", "output", "saturated")[100:] = 0.9 * 32 * 64
    (found,) = only(training.run(), "saturation")
    assert (found.path, found.since, found.severity) == ("body.act2", 100, "warn")


def test_a_classifier_that_is_sure_is_not_saturated():
    training = Training().layer("a").act("b", "Tanh").layer("c").act("d", "Sigmoid")
    training.of("d", "output", "saturated")[:] = 32 * 64
    assert diagnose(training.run()) == ()


def test_steps_that_are_too_large():
    training = deep(4)
    training.of("body.1", "update", "l2", "weight")[150:] = 4.0
    (found,) = only(training.run(), "update ratio")
    assert (found.path, found.name, found.since, found.severity) == (
        "body.1",
        "weight",
        150,
        "warn",
    )


def test_a_large_first_step_and_a_bias_are_silent():
    training = deep(4)
    training.of("body.1", "update", "l2", "weight")[:10] = 4.0
    training.of("body.2", "update", "l2", "bias")[:] = 4.0
    assert diagnose(training.run()) == ()


def test_steps_that_do_not_reach_a_layer():
    training = deep(4)
    training.of("body.1", "update", "l2", "weight")[100:] = 0
    (found,) = only(training.run(), "update ratio")
    assert (found.path, found.since) == ("body.1", 100)
    assert "change nothing" in found.what


def test_a_run_that_does_not_move():
    training = deep(4)
    for key in training.numbers:
        if key.role == "update" and key.quantity == "l2":
            training.numbers[key] *= 1e-6
    (found,) = only(training.run(), "update ratio")
    assert (found.path, found.name) == ("", "all weights")
    training.set("", "run", "value", training.t / 1e9, slot="lr.0")
    assert diagnose(training.run()) == ()


def test_a_learning_rate_that_ends_at_zero_is_silent():
    training = deep(4, steps=400)
    for key in training.numbers:
        if key.role == "update" and key.quantity == "l2":
            training.numbers[key] *= np.maximum(1 - training.t / 390, 0)
    assert diagnose(training.run()) == ()


def test_frozen_unused_detached_and_stopped_are_told_apart():
    training = deep(4, steps=400).layer("old.a", trainable=False).layer("old.b", trainable=False)
    for path in ("never", "cut", "ended"):
        training.layer(path)
    for name in ("weight", "bias"):
        training.of("never", "gradient", "l2", name)[:] = np.nan
        training.of("cut", "gradient", "l2", name)[:] = np.nan
        training.of("ended", "gradient", "l2", name)[200:] = np.nan
    for quantity in ("count", "units", "dead", "zeros", "l2"):
        training.of("never", "output", quantity)[:] = np.nan
    found = {finding.path: finding for finding in only(training.run(), "no gradient")}
    assert set(found) == {"old", "never", "cut", "ended"}
    assert [found[path].severity for path in ("old", "never", "cut", "ended")] == [
        "note",
        "warn",
        "warn",
        "warn",
    ]
    assert "frozen" in found["old"].what
    assert set(found["old"].also) == {"old.a", "old.b"}
    assert "not called" in found["never"].what
    assert "cut off" in found["cut"].what
    assert found["ended"].since == 200


def test_an_expert_that_is_seldom_asked_is_not_without_a_gradient():
    training = deep(4, steps=400)
    for name in ("weight", "bias"):
        values = training.of("body.1", "gradient", "l2", name)
        values[np.arange(400) % 37 != 5] = np.nan
    assert diagnose(training.run()) == ()


def test_parameters_that_are_not_watched_are_not_judged():
    training = deep(4)
    training.parameters.append(ParameterInfo("elsewhere", "weight", (4, 4)))
    assert diagnose(training.run()) == ()


def test_inputs_of_which_one_counts():
    training = deep(4)
    training.modules.append(ModuleInfo("fuse", "Fuse"))
    training.set("fuse", "input gradient", "l2", 1.0, 0.2, slot="0")
    training.set(
        "fuse", "input gradient", "l2", np.where(training.t < 100, 0.3, 1e-5), 0.2, slot="1"
    )
    (found,) = only(training.run(), "dominated merge")
    assert (found.path, found.since) == ("fuse", 100)
    assert found.name == "input gradient 0"


def test_ways_on_of_which_one_counts():
    training = deep(4).layer("left").layer("right")
    training.edges = [("body.act0", "left"), ("body.act0", "right")]
    assert diagnose(training.run()) == ()
    training.of("right", "input gradient", "l2")[:] *= 1e-5
    (found,) = only(training.run(), "dominated merge")
    assert found.path == "body.act0"
    assert "left" in found.name


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
