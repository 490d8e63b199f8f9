"""Modules that are called several times a step: one finding for each, with the calls that it is about."""

from __future__ import annotations

import numpy as np
import pytest
from kit.runs import Training, deep, findings_of

from gradtui.core.run.records import ModuleInfo


def called_again(training: Training, path: str, quantity: str, values, call: int) -> None:
    """Another call of a module: like the first one, but for one quantity."""
    for key, numbers in list(training.numbers.items()):
        if (key.path, key.role, key.call) == (path, "output", 0):
            training.set(path, "output", key.quantity, numbers, call=call)
    training.set(path, "output", quantity, values, call=call)


def test_units_that_are_dead_in_every_micro_batch_are_one_finding():
    training = deep(4)
    training.of("body.act1", "output", "dead")[150:] = 62
    for call in (1, 2, 3):
        called_again(training, "body.act1", "dead", np.where(training.t < 130, 3, 62), call)
    (found,) = findings_of(training.run())
    assert (found.path, found.name, found.since) == ("body.act1", "output", 130)
    assert found.what == "Most units of body.act1 are dead."
    assert "62 of 64" in found.why
    assert "in all 4 calls of a step" in found.why


def test_units_that_are_dead_in_one_call_alone_are_found_and_the_call_named():
    training = deep(4)
    called_again(training, "body.act1", "dead", 64, 1)
    (found,) = findings_of(training.run())
    assert (found.path, found.name, found.severity) == ("body.act1", "output (call 1)", "bad")
    assert found.what == "All units of body.act1 are dead in one of its calls."
    assert "in 1 of 2 calls of a step (call 1)" in found.why
    assert [key.call for key in found.series] == [1, 1]


def test_what_goes_on_in_one_call_is_told_before_what_is_over_in_another():
    training = deep(4)
    training.of("body.act1", "output", "dead")[:100] = 64
    for call in (1, 2):
        called_again(training, "body.act1", "dead", np.where(training.t < 200, 3, 62), call)
    (found,) = findings_of(training.run())
    assert (found.name, found.since, found.ongoing) == ("output (call 1)", 200, True)
    assert found.what == "Most units of body.act1 are dead in some of its calls."
    assert "in 2 of 3 calls of a step (call 1, 2)" in found.why


def test_the_worst_call_says_how_bad_it_is():
    training = deep(4)
    training.of("body.act1", "output", "dead")[:] = 62
    called_again(training, "body.act1", "dead", 64, 1)
    (found,) = findings_of(training.run())
    assert (found.name, found.severity) == ("output (call 1)", "bad")
    assert "64 of 64" in found.why
    assert "in 1 of 2 calls of a step (call 1)" in found.why


def test_a_call_that_is_seldom_made_counts_as_one():
    training = deep(4)
    training.of("body.act1", "output", "dead")[:] = 62
    never = np.full(training.steps, np.nan)
    called_again(training, "body.act1", "dead", never, 1)
    (found,) = findings_of(training.run())
    assert found.name == "output"
    assert "calls" not in found.why


def test_saturation_in_every_micro_batch_is_one_finding():
    training = deep(4, "Sigmoid")
    training.of("body.act2", "output", "saturated")[100:] = 0.9 * 32 * 64
    called_again(
        training, "body.act2", "saturated", np.where(training.t < 100, 99, 0.9 * 32 * 64), 1
    )
    (found,) = findings_of(training.run())
    assert (found.path, found.name, found.since) == ("body.act2", "output", 100)
    assert "in all 2 calls of a step" in found.why


@pytest.mark.parametrize(("weak", "name"), [(1e-5, "0"), (0.3, "0 (call 1)")])
def test_a_merge_that_is_made_several_times_is_one_finding(weak, name):
    training = deep(4)
    training.modules.append(ModuleInfo("fuse", "Fuse"))
    for call, other in ((0, weak), (1, 1e-5)):
        training.set("fuse", "input gradient", "l2", 1.0, 0.2, slot="0", call=call)
        training.set("fuse", "input gradient", "l2", other, 0.2, slot="1", call=call)
    (found,) = findings_of(training.run())
    assert (found.rule, found.name) == ("dominated merge", f"input gradient {name}")
    assert ("in all 2" if weak < 0.1 else "in 1 of 2") in found.why
