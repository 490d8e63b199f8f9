"""A learning rate that rose before a gradient or the loss did, and rates that have nothing to do with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from kit.runs import deep

from gradtui.core.run.keys import SeriesKey
from gradtui.diagnosis.diagnose import diagnose

if TYPE_CHECKING:
    from gradtui.core.run.run import Run


def only(run: Run, rule: str):
    found = diagnose(run)
    assert {finding.rule for finding in found} == {rule}, found
    return found


def test_a_learning_rate_without_end_is_named():
    training = deep(6)
    for i in range(3):
        values = training.of(f"body.{i}", "gradient", "l2", "weight")
        values[220:] *= np.exp(0.4 * np.arange(80))
    training.of("", "run", "value", "loss")[220:] *= 1.6
    rate = np.where(training.t < 200, 0.1, 0.1 * 1.05 ** (training.t - 200))
    training.numbers[SeriesKey("", "run", "value", "lr")] = rate
    found = [f for f in diagnose(training.run()) if f.rule == "exploding"]
    assert found[0].why.endswith(
        "; the learning rate grows all the time: lr rose from 0.1 at step 200 to 12.5 at step 299"
    )


@pytest.mark.parametrize(
    ("rise", "told"),
    [
        (lambda t: np.where(t < 300, 1.0, 60.0), "rose from 0.05 to 3 at step 300"),
        (lambda t: 1.5 ** np.clip(t - 299, 0, 10), "rose from 0.05 to 2.88 in steps 300 to 309"),
    ],
)
def test_a_jump_after_a_long_warm_up_is_named_at_the_step_where_it_happened(rise, told):
    """Half of the way to the onset lies in the warm-up, which has nothing to do with it."""
    training = deep(6, steps=420)
    for i in range(3):
        training.of(f"body.{i}", "gradient", "l2", "weight")[310:] *= 1e6
    training.of("", "run", "value", "loss")[310:] += 3
    t = training.t
    rate = 0.05 * np.minimum((t + 1) / 250, 1) * rise(t)
    training.numbers[SeriesKey("", "run", "value", "lr.0")] = rate
    (found,) = (f for f in diagnose(training.run()) if f.rule == "exploding")
    assert told in found.why


def test_a_rate_that_begins_to_grow_late_is_told_from_where_it_grew():
    training = deep(6, steps=420)
    for i in range(3):
        training.of(f"body.{i}", "gradient", "l2", "weight")[310:] *= 1e6
    training.of("", "run", "value", "loss")[310:] += 3
    t = training.t
    rate = 0.05 * np.minimum((t + 1) / 300, 1) * 1.03 ** np.maximum(t - 300, 0)
    training.numbers[SeriesKey("", "run", "value", "lr.0")] = rate
    (found,) = (f for f in diagnose(training.run()) if f.rule == "exploding")
    assert found.why.endswith(
        "grows all the time: lr.0 rose from 0.05 at step 300 to 1.68 at step 419"
    )


@pytest.mark.parametrize("rises", [False, True])
def test_a_value_that_is_lost_after_a_jump_of_the_learning_rate_names_it(rises):
    training = deep(6)
    lost = SeriesKey("body.2", "gradient", "nan", "weight")
    training.numbers[lost] = np.where(training.t < 222, 0.0, 4.0)
    training.numbers[SeriesKey("", "run", "value", "lr")] = np.where(
        (training.t < 220) | (not rises), 0.001, 0.3
    )
    (found,) = (f for f in diagnose(training.run()) if f.rule == "non-finite")
    assert found.why.endswith("; lr rose from 0.001 to 0.3 at step 220") is rises
    assert found.advice.startswith("Try a lower learning rate") is rises


@pytest.mark.parametrize("steps", [250, 300, 500, 1500])
def test_a_jump_of_the_learning_rate_is_named_as_long_as_the_explosion_stands(steps):
    training = deep(6, steps=steps)
    for i in range(3):
        values = training.of(f"body.{i}", "gradient", "l2", "weight")
        values[220:] *= 1e6
    training.of("", "run", "value", "loss")[220:] += 3
    rate = np.where(training.t < 218, 0.05, 5.0)
    training.numbers[SeriesKey("", "run", "value", "lr.0")] = rate
    (found,) = (f for f in diagnose(training.run()) if f.rule == "exploding")
    assert found.ongoing
    assert abs(found.since - 220) <= 4
    assert found.why.endswith("; lr.0 rose from 0.05 to 5 at step 218")


@pytest.mark.parametrize("quantity", ["dead", "saturated"])
def test_units_that_a_jump_of_the_learning_rate_killed_name_it(quantity):
    training = deep(6, "ReLU" if quantity == "dead" else "Sigmoid")
    training.of("body.act2", "output", quantity)[220:] = 64 if quantity == "dead" else 32 * 64
    (found,) = diagnose(training.run())
    assert "rose" not in found.why
    rate = np.where(training.t < 215, 0.05, 5.0)
    training.numbers[SeriesKey("", "run", "value", "lr.0")] = rate
    (found,) = diagnose(training.run())
    assert found.why.endswith("; lr.0 rose from 0.05 to 5 at step 215")


@pytest.mark.parametrize("back", [240, 300])
def test_a_loss_that_jumped_with_the_learning_rate_names_it(back):
    training = deep(6)
    training.of("", "run", "value", "loss")[220:back] += 3
    rate = np.where(training.t < 218, 0.05, 5.0)
    training.numbers[SeriesKey("", "run", "value", "lr.0")] = rate
    (found,) = only(training.run(), "loss spike")
    assert found.ongoing == (back == 300)
    assert found.why.endswith("; lr.0 rose from 0.05 to 5 at step 218")


@pytest.mark.parametrize("kind", ["steady", "warm-up", "long ago", "restart", "not finite"])
def test_a_learning_rate_that_did_not_rise_before_the_explosion_is_not_named(kind):
    training = deep(6)
    training.of("body.1", "gradient", "l2", "weight")[220:] *= 1e6
    training.of("", "run", "value", "loss")[220:] += 3
    t = training.t
    rate = {
        "steady": np.full(300, 0.1),
        "warm-up": 0.1 * np.minimum(t / 210, 1),
        "long ago": np.where(t < 20, 0.01, 0.1),
        "restart": np.where((t % 100 < 50), 0.1, 0.001),
        "not finite": np.where(t < 210, np.nan, 0.1),
    }[kind]
    training.numbers[SeriesKey("", "run", "value", "lr.0")] = rate
    (found,) = (f for f in diagnose(training.run()) if f.rule == "exploding")
    assert "lr.0" not in found.why
