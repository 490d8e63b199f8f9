"""Values that are lost because the network ran away, and values that are lost at once: each has its own advice."""

from __future__ import annotations

import numpy as np
import pytest
from kit.runs import Training, deep

from gradtui.core.run.keys import SeriesKey
from gradtui.diagnosis.diagnose import diagnose

NORM = SeriesKey("", "run", "value", "grad_norm")
CLIMB = (8.6, 32.0, 3482.0, 1.2e10)
GUARD = "Look for a division, log, sqrt or softmax without a guard in it, or run it in float32."


def lost(at: int = 203) -> Training:
    """A run whose outputs are NaN from a step on, with a gradient that was steady until then."""
    training = deep(4)
    training.set("", "run", "value", 6.0, 0.3, slot="grad_norm")
    training.happens(
        at, "non-finite", "", "body.2", role="output", slot="", call=0, nan=7, inf=0, order=0, inputs="all",
    )  # fmt: skip
    for key, values in training.numbers.items():
        if key.role in ("gradient", "run", "update"):
            values[at:] = np.nan
    return training


def told(training: Training):
    (found,) = (f for f in diagnose(training.run()) if f.rule == "non-finite")
    return found


def test_a_gradient_that_ran_away_is_the_reason_and_no_guard_would_have_held_it():
    training = lost()
    training.numbers[NORM][198:203] = (9.0, *CLIMB)
    found = told(training)
    assert found.why.endswith(
        "; before that, the gradient's norm rose from 8.6 (step 199) to 1.2e+10 (step 202)"
    )
    assert found.advice == (
        "Try a lower learning rate from a checkpoint before it, or clip the gradient norm."
    )
    assert found.series[0] == NORM


def test_what_was_lost_at_once_keeps_its_words():
    """Large gradients at the beginning, and one hard batch long before, are no growth."""
    training = lost()
    training.numbers[NORM][:5] = 4e3
    training.numbers[NORM][150] = 2e4
    training.numbers[NORM][202] = 40.0
    found = told(training)
    assert "before that" not in found.why
    assert found.advice == GUARD


def test_a_gradient_that_returns_to_what_it_was_once_did_not_run_away():
    training = lost()
    training.numbers[NORM][:5] = 4e3
    training.numbers[NORM][200:203] = (60.0, 600.0, 6e3)
    assert told(training).advice == GUARD


def test_a_slow_explosion_is_told_from_its_usual_size_on():
    training = lost()
    training.numbers[NORM][120:203] = 6.0 * 1.2 ** np.arange(83)
    why = told(training).why
    assert "the gradient's norm rose from " in why
    assert why.endswith("to 1.9e+07 (step 202)")


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (SeriesKey("body.1", "gradient", "l2", "weight"), "|grad|2 of body.1 rose from"),
        (SeriesKey("", "run", "value", "loss"), "the loss rose from"),
        (SeriesKey("body.1", "parameter", "l2", "weight"), "|weight|2 of body.1 rose from"),
    ],
)
def test_each_number_that_ran_away_is_told_where_no_other_did(key, said):
    training = lost()
    del training.numbers[NORM]
    training.every = 1
    training.numbers[key][199:203] = CLIMB
    training.numbers[key][199:203] *= 10.0
    assert said in told(training).why


def test_a_run_that_explodes_in_its_first_steps_has_little_past():
    training = lost(at=4)
    training.numbers[NORM][:4] = CLIMB
    assert "rose from 8.6 (step 0) to 1.2e+10 (step 3)" in told(training).why


def test_gradients_that_are_clipped_already_need_a_lower_rate():
    training = lost()
    training.set("body.0", "raw gradient", "l2", 1.0, slot="weight")
    training.set("", "run", "value", 6.0, slot="grad_norm_raw")
    raw = training.of("", "run", "value", "grad_norm_raw")
    raw[199:203] = CLIMB
    raw[203:] = np.nan
    assert told(training).advice == "Try a lower learning rate from a checkpoint before it."


def test_a_loss_that_ran_away_is_no_log_of_zero():
    training = deep(4)
    loss = training.of("", "run", "value", "loss")
    loss[199:203] = CLIMB
    loss[203:] = np.nan
    (found,) = (f for f in diagnose(training.run()) if f.rule == "non-finite")
    assert found.what == "The loss is not finite."
    assert "; before that, the loss rose from " in found.why
    assert "lower learning rate" in found.advice
