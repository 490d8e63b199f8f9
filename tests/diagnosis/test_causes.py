"""What follows from another finding comes after it, says so, or is left out; and why weights do not move."""

from __future__ import annotations

import numpy as np
import pytest
from kit.runs import Training, deep

from gradtui.core.run.records import ModuleInfo
from gradtui.diagnosis.diagnose import diagnose

WEIGHTS = ("weight", "bias")


def dead_from(step: int, *, at: int = 2) -> Training:
    """A network in which all units of one nonlinearity die, and what lies before it gets no gradient any more."""
    training = deep(6)
    training.of(f"body.act{at}", "output", "dead")[step:] = 64
    for i in range(at + 1):
        for name in WEIGHTS:
            training.of(f"body.{i}", "gradient", "l2", name)[step:] = 0
    return training


def told(training: Training):
    return [(f.rule, f.path) for f in diagnose(training.run())]


def test_dead_units_come_before_the_gradients_that_they_stop():
    """Outputs are measured at each tenth step, gradients at each one."""
    dead, vanishing = diagnose(dead_from(201).run())
    assert (dead.rule, dead.path, dead.since) == ("dead units", "body.act2", 210)
    assert (vanishing.rule, vanishing.since) == ("vanishing", 201)
    assert vanishing.advice == "See the dead units of body.act2: hardly any gradient passes them."


def test_saturation_comes_before_the_gradients_that_it_stops():
    training = deep(6, "Sigmoid")
    for i in (2, 3):
        training.of(f"body.act{i}", "output", "saturated")[205:] = 32 * 64
    for i in range(3):
        training.of(f"body.{i}", "gradient", "l2", "weight")[205:] *= 1e-9
    found = diagnose(training.run())
    assert [f.rule for f in found] == ["saturation", "saturation", "vanishing"]
    assert found[2].advice.startswith("See the saturated values of body.act2 and body.act3:")


def test_units_that_died_later_or_elsewhere_are_not_to_blame():
    training = dead_from(200)
    training.of("body.act2", "output", "dead")[:250] = 5
    vanishing, dead = diagnose(training.run())
    assert (vanishing.rule, vanishing.since, dead.since) == ("vanishing", 200, 250)
    assert vanishing.advice.startswith("Look for what multiplies by zero")
    training = deep(6)
    training.of("body.act1", "output", "dead")[200:] = 64
    for name in WEIGHTS:
        training.of("body.4", "gradient", "l2", name)[201:] = 0
    assert "See" not in " ".join(f.advice for f in diagnose(training.run()))


def without_steps(training: Training, factor: float = 0.0) -> Training:
    for key in training.numbers:
        if key.role == "update" and key.quantity == "l2":
            training.numbers[key] *= factor
    return training


def scaled(training: Training, factor: float) -> Training:
    """Of all gradients."""
    for key in training.numbers:
        if key.role == "gradient":
            training.numbers[key] *= factor
    return training


def test_weights_that_do_not_move_for_want_of_a_gradient_are_not_told_beside_the_cause():
    training = scaled(without_steps(deep(4)), 0)
    assert {rule for rule, _ in told(training)} == {"vanishing"}
    (found,) = diagnose(training.run())
    assert set(found.paths) == {"body.0", "body.1", "body.2", "body.3", "head"}
    # Too few weights for a rule that compares them: dead units are cause enough.
    training = scaled(without_steps(Training().layer("a").act("b").layer("c")), 0)
    (found,) = diagnose(training.run())
    assert (found.rule, found.what) == (
        "update ratio",
        "No gradient arrives at any weight, and none moves.",
    )
    assert "learning rate" not in found.advice
    training.of("b", "output", "dead")[:] = 64
    assert told(training) == [("dead units", "b")]


@pytest.mark.parametrize(
    ("steps", "gradients", "advice"),
    [
        (1e-6, 1.0, "Try a learning rate that is a thousand times larger"),
        (0.0, 1.0, "Check that the optimizer holds these very parameters"),
        (1e-6, 1e-9, "Look why the gradients are so small before the learning rate"),
        (0.0, 1e-12, "Look why the gradients are so small before the learning rate"),
    ],
)
def test_the_advice_for_weights_that_do_not_move_follows_the_cause(steps, gradients, advice):
    (found,) = diagnose(scaled(without_steps(deep(4), steps), gradients).run())
    assert (found.rule, found.name) == ("update ratio", "all weights")
    assert found.advice.startswith(advice)
    assert "|grad|2" in found.why


def test_a_branch_before_dead_units_makes_no_steps_and_is_not_told_twice():
    training = deep(4).layer("side")
    training.modules.append(ModuleInfo("gate", "ReLU"))
    training.output("gate", 32)
    training.edges = [("side", "gate")]
    training.of("side", "gradient", "l2", "weight")[:] = 0
    training.of("side", "update", "l2", "weight")[:] = 0
    assert ("update ratio", "side") in told(training)
    training.of("gate", "output", "dead")[:] = 64
    assert ("update ratio", "side") not in told(training)
    assert ("dead units", "gate") in told(training)


def test_without_any_gradient_on_record_the_learning_rate_is_what_is_left():
    training = without_steps(deep(4), 1e-6)
    for key in [key for key in training.numbers if key.role == "gradient"]:
        training.numbers[key] = np.full(training.steps, np.nan)
    found = [f for f in diagnose(training.run()) if f.rule == "update ratio"]
    assert found[0].advice.startswith("Try a learning rate")


def with_rare_rewards(stops: int) -> Training:
    """A loss that is zero at six of seven steps, and always from one step on."""
    training = deep(6, steps=400)
    without = (training.noise.random(400) < 6 / 7) | (training.t >= stops)
    for key in training.numbers:
        if key.role == "gradient":
            training.numbers[key][without] = 0
    return training


def test_a_reward_that_seldom_comes_is_no_gradient_that_vanishes():
    assert diagnose(with_rare_rewards(400).run()) == ()
    assert diagnose(with_rare_rewards(385).run()) == ()


def test_a_loss_that_gives_nothing_any_more_is_found():
    (found,) = diagnose(with_rare_rewards(250).run())
    assert (found.rule, found.severity) == ("vanishing", "bad")
    assert 225 <= found.since <= 250
    assert found.what.endswith("are exactly zero.")
