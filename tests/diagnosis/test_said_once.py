"""Findings say each fact once, with the step at which it was so."""

from __future__ import annotations

import numpy as np
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
