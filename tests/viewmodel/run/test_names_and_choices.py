"""Names of series, the order of tab, what is found, and what is kept for the next start."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.run_folders import SmallGpt
from kit.runs import Training as Made

from gradtui.core.run.keys import VALUES, SeriesKey
from gradtui.core.run.run import Run
from gradtui.viewmodel.run.choice import (
    NO_KEY,
    RunChoice,
    Spot,
    from_state,
    pinned,
    to_state,
)
from gradtui.viewmodel.run.history import histogram_key, input_keys
from gradtui.viewmodel.run.quantities import find_keys, same_number, series_name, with_derived
from gradtui.viewmodel.run.watch import Watch
from gradtui.viewmodel.selection import Selection
from gradtui.viewmodel.state import from_state as selection_from
from gradtui.viewmodel.state import to_state as selection_to

WEIGHT = SeriesKey("fc", "gradient", "l2", "weight")


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (WEIGHT, "|dW|2 fc.weight"),
        (SeriesKey("fc", "parameter", "l2", "bias"), "|W|2 fc.bias"),
        (SeriesKey("fc", "update", "ratio", "weight"), "upd/W fc.weight"),
        (SeriesKey("", "run", "value", "loss"), "loss"),
        (SeriesKey("a.b", "output", "zero_share", "", 1), "zeros of y a.b#1"),
        (SeriesKey("a", "output gradient", "l2", "", 0, "eval"), "|dy|2 a eval"),
        (SeriesKey("a", "module", "seconds"), "seconds a"),
        (SeriesKey("a\x1b[2J", "gradient", VALUES, "w"), "values of dW a\\x1b[2J.w"),
        (SeriesKey("", "output", "mean"), "mean y (root)"),
    ],
)
def test_names(key, name):
    assert series_name(key) == name


def test_tab_goes_through_what_matters_first_and_makes_the_shares():
    made = Made(steps=2).layer("fc").act("relu")
    names = [series_name(key) for key in with_derived(k for k in made.numbers if k.path == "fc")]
    assert names[:3] == ["|dW|2 fc.weight", "|dW|2 fc.bias", "|W|2 fc.weight"]
    assert "upd/W fc.weight" in names
    assert "zeros of y fc" in names
    assert not any("count" in name for name in names)
    assert len(set(names)) == len(names)


def test_the_same_number_of_another_module():
    keys = [WEIGHT, SeriesKey("fc", "parameter", "l2", "weight")]
    assert same_number(keys, SeriesKey("other", "gradient", "l2", "kernel")) == WEIGHT
    assert same_number(keys, SeriesKey("other", "output", "l2")) is None


@pytest.fixture(scope="module")
def watch():
    model = SmallGpt(keep=True)
    entries = [*model.preamble(), *(e for step in range(31) for e in model.step(step, 0.0))]
    watch = Watch()
    watch.arrived(Run.of({0: entries}), (), 1.0)
    return watch


def test_series_are_found_by_words_of_their_names(watch):
    found = [series_name(key) for key in find_keys(watch.run, "upd fc1 weight")]
    assert found == [f"upd/W h.{i}.mlp.fc1.weight" for i in range(4)]
    assert find_keys(watch.run, "no such thing") == []
    assert series_name(find_keys(watch.run, "VALUES of y")[0]) == "values of y h.0.mlp.act"
    assert len(find_keys(watch.run, "", most=7)) == 7


def test_what_was_logged_is_found_before_modules_however_many():
    made = Made(steps=5)
    for n in range(40):
        made.set(f"values.{n}", "output", "l2", 1.0)
    made.set("", "run", "value", 1.0, slot="val_loss_of_all_that_there_is")
    run = made.run()
    for most in (3, 200):
        assert find_keys(run, "val", most=most)[0].slot == "val_loss_of_all_that_there_is"
    found = find_keys(run, "val")
    assert len(set(found)) == len(found) == 41


def test_the_selected_module_shows_the_same_number_as_the_one_before(watch):
    assert watch.key(RunChoice(path="h.0.mlp.fc1")) == SeriesKey(
        "h.0.mlp.fc1", "gradient", "l2", "weight"
    )
    chosen = RunChoice(
        path="h.1.attn.qkv", key=SeriesKey("h.0.mlp.fc1", "update", "ratio", "weight")
    )
    assert watch.key(chosen) == SeriesKey("h.1.attn.qkv", "update", "ratio", "weight")
    assert watch.key(RunChoice(path="")) == SeriesKey("", "run", "value", "loss")


def test_a_group_shows_the_first_below_it_that_has_numbers(watch):
    assert watch.recorded(RunChoice(path="h.2.attn")) == "h.2.attn.qkv"
    assert watch.recorded(RunChoice(path="gone")) == ""


def test_histograms_go_with_the_series(watch):
    chosen = RunChoice(path="h.0.mlp.fc1", key=SeriesKey("h.0.mlp.fc1", "parameter", "l2", "bias"))
    assert watch.histogram(chosen) == SeriesKey("h.0.mlp.fc1", "parameter", VALUES, "bias")
    ratio = RunChoice(path="h.0.mlp.fc1", key=SeriesKey("h.0.mlp.fc1", "update", "ratio", "bias"))
    assert watch.histogram(ratio) == SeriesKey("h.0.mlp.fc1", "gradient", VALUES, "bias")
    assert watch.histogram(RunChoice(path="h.0.ln1")) is None
    assert histogram_key([], WEIGHT) is None


def test_the_inputs_of_a_module(watch):
    (norms,) = watch.inputs(RunChoice(path="h.1.attn.proj"))
    assert [key.slot for key in norms] == ["0", "mask"]
    assert input_keys([WEIGHT]) == ()


def test_the_inputs_of_a_module_are_their_values_and_their_gradients_by_name_of_one_call():
    def key(role, quantity, slot, call, phase="train"):
        return SeriesKey("add", role, quantity, slot, call, phase)

    there = [
        *(key("input gradient", "row norms", slot, call) for call in (1, 0) for slot in "10"),
        *(key("input", "values", slot, call) for call in (0, 1) for slot in "01"),
        key("input", "values", "mask", 1),
        key("input", "values", "late", 0, "eval"),
        key("output", "values", "", 0),
    ]
    values, norms = input_keys(there)
    assert [(each.slot, each.call) for each in values] == [("0", 0), ("1", 0), ("mask", 1)]
    assert [(each.slot, each.call) for each in norms] == [("0", 0), ("1", 0)]
    assert {each.call for each in input_keys(there, 1)[1]} == {1}


def test_a_held_run_stays_while_newer_ones_arrive(watch):
    one, other = Made(steps=3).run(), Made(steps=9).run()
    held = Watch()
    held.arrived(one, (), 1.0)
    held.pause()
    held.arrived(other, (), 0.5)
    assert held.run is one
    assert held.behind == 6
    assert held.reading == 0.5
    held.pause()
    assert held.run is other
    assert held.behind == -1


def test_another_training_is_shown_though_one_was_held(watch):
    held = Watch()
    held.arrived(watch.run, (), 1.0)
    held.pause()
    made = Made(steps=3)
    entries = made.entries()
    object.__setattr__(entries[0].record, "run", "a later one")
    later = Run.of({0: entries})
    held.arrived(later, (), 1.0)
    assert held.run is later
    assert not held.held


CHOICE = RunChoice(
    path="h.1", folds="all", toggled=frozenset({"h", "a.b"}), sort="ratio", descending=False,
    filter="fc !", key=WEIGHT, pins=(WEIGHT, SeriesKey("x", "output", "l2", "0", 2, "eval")),
    mode="histogram", span=400, end=900, cursor=850, baseline=3, comparing=True, axis="linear",
    rank=-2, alone=True, marks={"a": Spot("history", "h.1", 7)},
)  # fmt: skip


def test_a_choice_survives_a_restart():
    state = json.loads(json.dumps(to_state(CHOICE)))
    assert from_state(state) == CHOICE
    whole = selection_from(json.loads(json.dumps(selection_to(Selection(run=CHOICE)))))
    assert whole.run == CHOICE


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from([*to_state(CHOICE), "x"]), JSON))
def test_any_state_is_taken(state):
    choice = from_state(state)
    assert from_state(to_state(choice)) == choice


def test_state_that_is_none_at_all():
    assert from_state(None) == RunChoice()
    assert from_state([1, 2]).key == NO_KEY


def test_pins_are_any_number():
    choice = RunChoice()
    for place in range(50):
        choice = pinned(choice, SeriesKey(f"m{place}", "gradient", "l2"))
    assert len(choice.pins) == 50
