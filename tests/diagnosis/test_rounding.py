"""Which gradient norms are only what float32 leaves of a zero, and what is told of layers that have one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from kit.runs import Training, deep

from gradtui.diagnosis.bounds import USUAL
from gradtui.diagnosis.diagnose import diagnose
from gradtui.diagnosis.rounding import is_rounding

if TYPE_CHECKING:
    from gradtui.core.run.run import Run


def only(run: Run, rule: str):
    found = diagnose(run)
    assert {finding.rule for finding in found} == {rule}, found
    return found


@pytest.mark.parametrize(
    ("norms", "expected"),
    [
        ([], []),
        ([0.5], [False]),
        ([1e-9], [False]),
        ([0.0, 0.5], [True, False]),
        ([0.5, 1e-9, 0.03, 4e-11], [False, True, False, True]),
        # A recurrent layer that explodes before its head, and one that vanishes behind it, layer by layer.
        ([1e9, 1e8, 0.5], [False, False, False]),
        ([1e-12, 1e-10, 1e-8, 1e-6, 1e-4, 1e-2, 1.0], [False] * 7),
        # All of a training that has converged.
        ([1e-9, 2e-9, 1e-10], [False, False, False]),
        ([np.nan, np.inf, 1e-9, 0.5], [False, False, True, False]),
    ],
)
def test_only_what_is_tiny_and_far_below_all_others_is(norms, expected):
    assert is_rounding(np.array(norms, np.float64), USUAL).tolist() == expected


def with_a_head_that_has_no_gradient(zero_from: int = 300) -> Training:
    """A linear layer whose output is added equally to all logits: rounding is all that comes back, or not even that."""
    training = deep(6).layer("conf", gradient=1e-9, shape=(1, 32))
    training.of("conf", "gradient", "l2", "weight")[zero_from:] = 0
    training.of("conf", "update", "l2", "weight")[:] = 0
    return training


@pytest.mark.parametrize("zero_from", [300, 200, 0])
def test_a_head_whose_gradient_is_zero_by_mathematics_is_told_once_and_why(zero_from):
    (found,) = only(with_a_head_that_has_no_gradient(zero_from).run(), "update ratio")
    assert (found.path, found.severity, found.also) == ("conf", "warn", ())
    assert "its |grad|2 is" in found.why
    assert "No gradient arrives" in found.advice
    assert "optimizer" not in found.advice


def test_steps_that_are_lost_with_and_without_a_gradient_are_apart():
    training = with_a_head_that_has_no_gradient()
    training.of("body.1", "update", "l2", "weight")[100:] = 0
    found = only(training.run(), "update ratio")
    assert {(f.path, "optimizer" in f.advice) for f in found} == {("conf", False), ("body.1", True)}


def test_a_gradient_that_grows_from_layer_to_layer_is_told_beside_a_head_without_one():
    training = deep(8, decay=20.0).layer("conf", gradient=1e-9, shape=(1, 32))
    (found,) = (f for f in diagnose(training.run()) if f.rule == "exploding")
    assert found.path == "body.0"
    factor = float(found.why.split(" is x")[1].split()[0])
    assert 20**7 / 3 < factor < 20**8 * 3
