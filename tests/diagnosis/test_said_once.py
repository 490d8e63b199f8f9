"""Findings say each fact once, with the step at which it was so."""

from __future__ import annotations

import numpy as np
import pytest
from kit.runs import deep, findings_of

from gradtui.core.run.records import ModuleInfo, ParameterInfo


def test_a_module_stands_in_one_finding_of_those_that_vanish():
    """Layers that were frozen at first, one that fell to zero, and a normalisation that did with both of them."""
    training = deep(6)
    training.modules.append(ModuleInfo("norm", "BatchNorm2d"))
    training.parameters.append(ParameterInfo("norm", "weight", (64,), count=64))
    training.set("norm", "gradient", "l2", 1.0, 0.4, slot="weight")
    for i in (1, 2):
        for name in ("weight", "bias"):
            training.of(f"body.{i}", "gradient", "l2", name)[:150] = np.nan
    for path in ("body.1", "body.2", "body.5", "norm"):
        for name in ("weight", "bias") if path != "norm" else ("weight",):
            training.of(path, "gradient", "l2", name)[200:] = 0.0
    found = findings_of(training.run(), "vanishing")
    assert len(found) == 2
    paths = [path for finding in found for path in finding.paths]
    assert sorted(paths) == ["body.1", "body.2", "body.5", "norm"]


def test_an_explosion_names_the_step_of_its_peak():
    training = deep(6)
    for i in range(3):
        training.of(f"body.{i}", "gradient", "l2", "weight")[220:] *= 1e4
    training.of("body.1", "gradient", "l2", "weight")[240] = 98765.0
    training.of("", "run", "value", "loss")[220:] += 3
    (found,) = findings_of(training.run(), "exploding")
    assert found.why.startswith("|grad|2 reached 9.9e+04 at step 240, x")


def test_an_explosion_of_long_ago_names_the_steps_of_its_peak():
    """Older steps are known in spans."""
    training = deep(6, steps=1200)
    training.of("body.1", "gradient", "l2", "weight")[400:500] *= 1e5
    training.of("", "run", "value", "loss")[400:500] += 3
    (found,) = findings_of(training.run(), "exploding")
    assert " in steps 4" in found.why


def test_units_that_died_one_after_another_are_all_dead_since_the_last_did():
    """What is told of a time holds for all of it; what led to it is told with a step of its own."""
    training = deep(4)
    dead = training.of("body.act1", "output", "dead")
    dead[50:], dead[100:], dead[200:] = 48, 60, 64
    (found,) = findings_of(training.run(), "dead units")
    assert (found.what, found.severity, found.since) == (
        "All units of body.act1 are dead.",
        "bad",
        200,
    )
    assert "64 of 64 units (100 %) are 0" in found.why
    assert "10 times in a row (48 or more since step 50);" in found.why


def test_a_share_that_changes_is_told_by_its_least():
    training = deep(4)
    dead = training.of("body.act1", "output", "dead")
    dead[100:], dead[290:] = 50, 64
    (found,) = findings_of(training.run(), "dead units")
    assert (found.what, found.severity) == ("Most units of body.act1 are dead.", "warn")
    assert "50 of 64 units (78 %) or more are 0 over a whole batch, 20 times in a row;" in found.why


def test_a_batch_that_passes_is_no_part_of_what_is_told():
    training = deep(4)
    dead = training.of("body.act1", "output", "dead")
    dead[100:], dead[250], dead[290] = 64, 50, 20
    (found,) = findings_of(training.run(), "dead units")
    assert (found.severity, found.since) == ("bad", 100)
    assert "64 of 64 units (100 %) are 0 over a whole batch, 18 times in a row;" in found.why


def test_saturation_that_became_complete_is_told_since_then():
    training = deep(4, "Sigmoid")
    flat = training.of("body.act1", "output", "saturated")
    flat[100:], flat[200:] = 0.85 * 2048, 2048.0
    (found,) = findings_of(training.run(), "saturation")
    assert (found.severity, found.since) == ("bad", 200)
    assert (
        "100 % of its values are in the flat part, 10 times in a row (85 % or more since step 100)"
        in (found.why)
    )


@pytest.mark.parametrize(
    ("begins", "words"),
    [
        ((150,), ""),
        ((150, 300), "; it did so once before, in steps 150 to 159"),
        (
            (150, 300, 450, 600, 750),
            "; it did so 4 times before, the last ones in steps 300 to 309, 450 to 459 and 600 to 609",
        ),
    ],
)
def test_the_latest_spike_names_those_before_it(begins, words):
    training = deep(3, steps=900)
    loss = training.of("", "run", "value", "loss")
    for begin in begins:
        loss[begin : begin + 10] += 3
    (found,) = findings_of(training.run(), "loss spike")
    assert (found.severity, found.since, found.until) == ("note", begins[-1], begins[-1] + 9)
    assert found.why.endswith(f"of what was gained){words}")
