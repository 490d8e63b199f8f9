"""Gradients and updates of made-up trainings that are sick in one way: found at their step, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest
from kit.runs import Training, deep

from gradtui.core.run.keys import SeriesKey
from gradtui.core.run.records import ParameterInfo
from gradtui.core.run.run import Run
from gradtui.diagnosis.diagnose import diagnose


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
    (found,) = only(deep(8, "Tanh", decay=0.08).run(), "vanishing")
    assert (found.path, found.name, found.severity, found.since) == ("body.0", "weight", "warn", 0)
    assert found.ongoing
    assert set(found.also) - {"body.3"} == {"body.1", "body.2"}
    assert "1e-05" in found.why


def test_a_layer_that_stops_learning_later():
    training = deep(6)
    training.of("body.2", "gradient", "l2", "weight")[200:] *= 1e-7
    (found,) = only(training.run(), "vanishing")
    assert (found.path, found.also) == ("body.2", ())
    assert abs(found.since - 200) <= 2


@pytest.mark.parametrize("layers", [3, 4, 8])
def test_weights_that_all_stop_learning(layers):
    """The last hidden layer is dead, without a module that could tell: the bias behind it alone has a gradient."""
    training = deep(layers)
    for key in training.numbers:
        if key.role == "gradient" and key.quantity == "l2" and key.slot == "weight":
            training.numbers[key][150:] = 0.0
    found = [f for f in diagnose(training.run()) if f.rule == "vanishing"]
    assert len(found) == 1
    assert (found[0].severity, found[0].since) == ("bad", 150)
    assert {f"body.{k}" for k in range(layers)} <= set(found[0].paths)
    assert "zero" in found[0].what


@pytest.mark.parametrize(("factor", "words"), [(1e-7, "vanished"), (0.0, "was exactly zero")])
def test_a_layer_that_stopped_learning_for_a_while_is_noted_until_when(factor, words):
    training = deep(6)
    training.of("body.2", "gradient", "l2", "weight")[120:200] *= factor
    (found,) = only(training.run(), "vanishing")
    assert (found.path, found.severity, found.since, found.until) == ("body.2", "note", 120, 199)
    assert words in found.what
    assert found.what.endswith("for a while.")


def test_layers_that_vanished_at_different_times_are_apart_and_one_that_still_does_comes_first():
    training = deep(8)
    for path, part in ((1, slice(60, 100)), (2, slice(80, 120)), (3, slice(160, 200))):
        training.of(f"body.{path}", "gradient", "l2", "weight")[part] *= 1e-7
    training.of("body.4", "gradient", "l2", "weight")[250:] *= 1e-7
    found = only(training.run(), "vanishing")
    assert [(f.severity, set(f.paths), f.since, f.until) for f in found] == [
        ("warn", {"body.4"}, 250, -1),
        ("note", {"body.1", "body.2"}, 60, 119),
        ("note", {"body.3"}, 160, 199),
    ]


def test_what_was_over_sooner_than_anybody_would_notice_is_not_noted():
    training = deep(6)
    training.of("body.2", "gradient", "l2", "weight")[120:128] *= 1e-7
    assert diagnose(training.run()) == ()


def test_findings_of_several_layers_speak_of_several():
    training = deep(6)
    training.layer("rnn")
    for name in ("weight_ih", "weight_hh"):
        training.parameters.append(ParameterInfo("rnn", name, (64, 64), count=4096))
        training.set("rnn", "gradient", "l2", 1.0, 0.4, slot=name)
    for i in (1, 2):
        for name in ("weight", "bias"):
            training.of(f"body.{i}", "gradient", "l2", name)[200:] = 0
    (found,) = only(training.run(), "vanishing")
    assert found.what == "The gradients of body.1 and body.2 are exactly zero."
    # A layer is one, however many weights it has.
    assert "2 of 8 layers with a weight matrix are below it" in found.why


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
    training.of("ended", "output gradient", "l2")[200:] = np.nan
    for path in ("never", "cut"):
        training.of(path, "output gradient", "l2")[:] = np.nan
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


def test_all_that_is_frozen_is_one_note():
    """Of a large model all but a few layers may be."""
    training = deep(6)
    for path in ("stem", "neck.a", "neck.b"):
        training.layer(path, trainable=False)
    (found,) = only(training.run(), "no gradient")
    assert (found.severity, found.path, found.name) == ("note", "stem", "6 parameters")
    assert found.what == "stem and neck: 6 parameters are frozen."
    assert set(found.also) == {"neck", "neck.a", "neck.b"}


def test_what_is_frozen_later_is_a_note():
    """A head that is frozen while the body learns: the gradient still passes it."""
    training = deep(6, steps=400)
    for name in ("weight", "bias"):
        training.of("head", "gradient", "l2", name)[150:] = np.nan
    (found,) = only(training.run(), "no gradient")
    assert (found.path, found.severity, found.since) == ("head", "note", 150)
    assert found.what.startswith("head: 2 parameters are no longer trained, though a gradient")


def test_what_was_frozen_only_at_first_is_noted_until_when():
    training = deep(6).layer("stem", trainable=False).layer("neck", trainable=False)
    for path in ("stem", "neck"):
        for name in ("weight", "bias"):
            training.of(path, "gradient", "l2", name)[150:] = 0.5
    (found,) = only(training.run(), "no gradient")
    assert (found.severity, found.since, found.until) == ("note", 0, 149)
    assert found.what == "stem and neck: 4 parameters were not trained at first."


def test_what_gets_its_first_gradient_soon_is_not_noted():
    training = deep(6)
    training.of("body.2", "gradient", "l2", "bias")[:90] = np.nan
    assert diagnose(training.run()) == ()


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


def test_steps_that_were_too_large_before_all_became_nan():
    """More NaN than any rule looks back over: what was known before them is told."""
    training = deep(4)
    for key in training.numbers:
        if key.role == "update" and key.quantity == "l2":
            training.numbers[key][150:] *= 1e4
            training.numbers[key][250:] = np.nan
    found = diagnose(training.run())
    assert "update ratio" in {finding.rule for finding in found}
    assert "judging" not in {finding.rule for finding in found}


def test_a_rule_that_fails_is_told_and_the_others_judge(monkeypatch):
    def find(evidence, bounds):
        yield from ()
        raise ValueError("of two\nlines")

    from gradtui.diagnosis import diagnose as rules

    monkeypatch.setattr(rules, "RULES", (find, *rules.RULES))
    training = deep(6)
    training.of("body.2", "gradient", "l2", "weight")[200:] = 0
    found = diagnose(training.run())
    assert [f.rule for f in found] == ["vanishing", "judging"]
    assert found[1].severity == "note"
    assert found[1].why.endswith("ValueError: of two lines")


def test_a_layer_whose_bias_still_gets_a_gradient_is_not_named():
    """A weight behind dead units has a zero gradient; its bias has not: the gradient got that far."""
    training = deep(6)
    for i in (2, 3):
        training.of(f"body.{i}", "gradient", "l2", "weight")[200:] = 0
    training.of("body.2", "gradient", "l2", "bias")[200:] = 0
    (found,) = only(training.run(), "vanishing")
    assert found.paths == ("body.2",)


def test_an_explosion_that_ended_in_nan_stays_told_when_its_steps_are_joined():
    training = deep(4, steps=1000)
    for key in training.numbers:
        if key.role == "gradient" and key.quantity == "l2":
            training.numbers[key][184:] *= np.exp(1.0 * np.minimum(training.t[184:] - 183, 8))
            training.numbers[key][193:] = np.nan
    training.of("", "run", "value", "loss")[184:] *= 5
    found = {f.rule: f for f in diagnose(training.run())}
    assert found["exploding"].severity == "bad"
    assert abs(found["exploding"].since - 184) <= 4


def test_growth_at_one_layer_is_told_by_the_ratio_that_was_judged():
    training = Training().layer("first", gradient=1e5)
    for i in range(8):
        training.layer(f"after.{i}")
    # What is next to the loss is of two sizes: only the smaller, their lower median, is judged by.
    training.of("after.6", "gradient", "l2", "weight")[:] *= 1e3
    (found,) = (f for f in diagnose(training.run()) if "back" in f.what)
    assert found.path == "first"
    factor = float(found.why.split(" is x")[1].split()[0])
    assert 3e4 < factor < 3e5


def test_a_layer_that_fell_to_zero_is_told_in_plain_words():
    training = deep(6)
    training.of("head", "gradient", "l2", "weight")[200:] = 0
    (found,) = only(training.run(), "vanishing")
    assert found.why.startswith("|grad|2 is 0, usually 0.")
    assert "; the bound is 0.001 of its usual share beside the others, and 1 of" in found.why
