"""Values that are not finite, dead, saturated or lost at a merge, each found at its step, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from kit.runs import Training, deep

from gradtui.core.run.records import ModuleInfo
from gradtui.diagnosis.diagnose import diagnose

if TYPE_CHECKING:
    from gradtui.core.run.run import Run


def only(run: Run, rule: str):
    found = diagnose(run)
    assert {finding.rule for finding in found} == {rule}, found
    return found


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


def test_units_that_were_dead_for_a_while():
    training = deep(4)
    training.of("body.act1", "output", "dead")[100:200] = 62
    (found,) = only(training.run(), "dead units")
    assert (found.severity, found.since, found.until) == ("note", 100, 190)
    assert found.what == "Most units of body.act1 were dead for a while."
    assert "10 times in a row" in found.why
    training.of("body.act1", "output", "dead")[:] = 0
    training.of("body.act1", "output", "dead")[100:140] = 62
    assert diagnose(training.run()) == ()


def test_three_of_four_units_are_no_finding_and_four_of_four_are():
    training = Training().layer("a").act("b", units=4).layer("c")
    training.of("b", "output", "dead")[:] = 3
    assert diagnose(training.run()) == ()
    training.of("b", "output", "dead")[:] = 4
    assert only(training.run(), "dead units")


def test_as_many_dead_units_every_time_are_a_note_though_fewer_than_most():
    training = deep(4)
    training.of("body.act1", "output", "dead")[:] = 40
    (found,) = only(training.run(), "dead units")
    assert (found.severity, found.since, found.ongoing) == ("note", 0, True)
    assert found.what == "Many units of body.act1 are dead."
    assert "40 of 64 units (62 %)" in found.why
    assert found.why.endswith("30 times in a row, the same number each time; the bound is 50 %")


def test_units_that_come_and_go_are_no_note():
    training = deep(4)
    training.of("body.act1", "output", "dead")[::20] = 40
    training.of("body.act1", "output", "dead")[10::20] = 41
    training.of("body.act2", "output", "dead")[:] = 31
    training.of("body.act3", "output", "dead")[150:] = 40
    assert diagnose(training.run()) == ()


def test_many_dead_units_block_no_gradient():
    training = deep(6)
    training.of("body.act3", "output", "dead")[:] = 40
    training.of("body.2", "gradient", "l2", "weight")[200:] = 0
    found = {f.rule: f for f in diagnose(training.run())}
    assert set(found) == {"dead units", "vanishing"}
    assert found["vanishing"].follows == -1


def test_silence_of_small_batches_says_nothing():
    training = Training().layer("a").act("b", batch=4).layer("c")
    training.of("b", "output", "dead")[:] = 45
    assert diagnose(training.run()) == ()


def test_a_silence_that_was_in_the_data_is_told_where_it_enters():
    training = Training().layer("a").act("b")
    for path in ("", "a", "b"):
        training.set(path, "input", "count", 32.0 * 64)
        training.set(path, "input", "zeros", 32.0 * 64 if path else 0.0)
    training.of("b", "output", "dead")[:] = 64
    assert diagnose(training.run()) == ()
    training.of("", "input", "zeros")[:] = 32 * 64
    assert [f.path for f in only(training.run(), "dead units")] == ["b"]


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


def test_saturation_that_came_to_an_end():
    training = deep(4, "Sigmoid")
    training.of("body.act2", "output", "saturated")[100:200] = 0.9 * 32 * 64
    (found,) = only(training.run(), "saturation")
    assert (found.severity, found.since, found.until) == ("note", 100, 190)
    assert found.what == "body.act2 was saturated for a while."


def test_a_classifier_that_is_sure_is_not_saturated():
    training = Training().layer("a").act("b", "Tanh").layer("c").act("d", "Sigmoid")
    training.of("d", "output", "saturated")[:] = 32 * 64
    assert diagnose(training.run()) == ()


def test_the_last_of_each_network_is_not_saturated():
    """Generator and discriminator, watched together: what they are kept in has no way through it."""
    training = Training().layer("maker.a").act("maker.b", "Tanh").layer("judge.c").layer("judge.d")
    training.of("maker.b", "output", "saturated")[:] = 32 * 64
    training.edges = [("maker.b", "judge.c")]
    assert only(training.run(), "saturation")
    training.modules[0] = ModuleInfo("", "ModuleDict")
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


def test_what_is_not_finite_now_is_named_though_no_event_did():
    """A step names its first few tensors alone; what is no longer broken, or holds a mask, is not added."""
    training = deep(4)
    training.happens(120, "non-finite", "", "body.1", role="output", nan=7, inf=0, order=0)
    broken = training.t >= 120
    training.set("body.1", "output", "nan", np.where(broken, 7, 0))
    training.set("head", "output", "nan", np.where(broken, 7, 0))
    training.set("body.3", "gradient", "inf", np.where(broken, 7, 0), slot="weight")
    training.set("body.0", "output", "nan", np.where(broken & (training.t < 200), 7, 0))
    training.set("body.2", "input", "inf", np.full(300, 7.0))
    (found,) = only(training.run(), "non-finite")
    assert found.paths == ("body.1", "head", "body.3")
    assert "2 more modules" in found.why


def test_a_batch_that_is_not_finite_is_told_as_such():
    training = deep(4)
    training.happens(
        135, "non-finite", "", "body.1", role="input", slot="0", nan=32, inf=0, order=0
    )
    training.happens(135, "non-finite", "", "", role="input", slot="1", nan=0, inf=1, order=-1)
    (found,) = only(training.run(), "non-finite")
    assert found.what == "Inf first in the input 1 of the model, on the way forward."
    assert found.why == "step 135, 1 value; 1 more module at that step or later"
    assert found.advice == "Check the batch of that step: the data themselves are not finite."
    assert found.paths == ("", "body.1")
