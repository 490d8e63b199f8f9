"""What is chosen survives reloads, restarts and damaged state files."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.sessions import explicit_session, readme_session, skip_session

from gradtui.core.layer import Layer
from gradtui.core.region import Region
from gradtui.core.session import Session
from gradtui.viewmodel import choices, moves
from gradtui.viewmodel.selection import (
    ALL_CHANNELS,
    SUMMED,
    Selection,
    Visit,
    connections,
    reconcile,
    shown_direction,
    shown_pairs,
)
from gradtui.viewmodel.state import from_state, to_state


def test_a_fresh_selection_starts_at_the_strongest_node_of_the_first_layer_with_a_pair():
    chosen = reconcile(Selection(), readme_session())
    assert (chosen.layer, chosen.connected, chosen.node) == ("conv1", "conv2", (1, 1))
    assert chosen.cursor("connected") == (1, 1)
    assert chosen.cursor("input") == (0, 0)


def test_nothing_is_chosen_in_an_empty_session():
    assert reconcile(Selection(layer="x"), Session.empty()) == Selection(layer="x")


def test_an_all_nan_layer_starts_at_its_first_node():
    session = Session(layers=(Layer("a", np.full((2, 3), np.nan)),))
    chosen = reconcile(Selection(), session)
    assert (chosen.layer, chosen.connected, chosen.node) == ("a", "", (0, 0))


def test_a_layer_without_cells_has_no_focus():
    session = Session(layers=(Layer("a", np.zeros((0, 3))),))
    assert reconcile(Selection(), session).node == (0, 0)


def test_what_still_exists_is_kept_and_the_rest_gives_way():
    session = readme_session()
    chosen = replace(
        reconcile(Selection(), session), layer="conv2", direction="in", focus="input", channel=7
    )
    kept = reconcile(chosen, session)
    assert (kept.layer, kept.connected, kept.focus, kept.channel) == (
        "conv2", "conv1", "input", ALL_CHANNELS,
    )  # fmt: skip
    smaller = replace(session, layers=session.layers[:1], pairs=(), input=np.zeros((0, 0)))
    gone = reconcile(kept, smaller)
    assert (gone.layer, gone.connected, gone.focus) == ("conv1", "", "source")


def test_cursors_are_clamped_to_a_smaller_map():
    chosen = reconcile(Selection(), readme_session()).with_cursor("map:input", (3, 3))
    small = reconcile(chosen, readme_session(input=np.zeros((2, 3))))
    assert small.cursor("input") == (1, 2)


@pytest.mark.parametrize(
    ("layer", "direction", "others", "shown"),
    [
        ("a", "out", ("block.b", "block.c"), "out"),
        ("a", "both", ("block.b", "block.c"), "both"),
        ("a", "in", ("block.b", "block.c"), "out"),
        ("block.b", "in", ("a",), "in"),
        ("block.c", "out", ("a", "block.b"), "in"),
        ("block.c", "both", ("a", "block.b"), "in"),
    ],
)
def test_every_pair_of_a_layer_can_be_reached(layer, direction, others, shown):
    session = skip_session()
    chosen = reconcile(Selection(layer=layer, direction=direction), session)
    assert connections(session, chosen) == others
    assert shown_direction(session, chosen) == shown
    seen = []
    for _ in others:
        (pair,) = shown_pairs(session, chosen)
        seen.append((pair.source, pair.target))
        chosen = moves.next_pair(chosen, session)
    assert len(set(seen)) == len(others)
    assert reconcile(chosen, session).connected == others[0]


def test_layers_step_and_stop_at_the_ends():
    session = readme_session()
    chosen = reconcile(Selection(), session)
    assert moves.next_layer(chosen, session, 1).layer == "conv2"
    assert moves.next_layer(chosen, session, 9).layer == "conv3"
    assert moves.next_layer(chosen, session, -1).layer == "conv1"
    assert moves.with_layer(chosen, session, "no such") == chosen


def test_following_a_link_and_going_back():
    session = readme_session()
    chosen = replace(reconcile(Selection(), session), focus="connected")
    there = moves.follow(chosen, session)
    assert (there.layer, there.node, there.connected) == ("conv2", (1, 1), "conv3")
    end = moves.follow(there, session)
    # conv3 has no layer after it: what feeds it is shown.
    assert (end.layer, end.connected, shown_direction(session, end)) == ("conv3", "conv2", "in")
    assert moves.back(moves.back(end, session), session).layer == "conv1"
    assert moves.back(chosen, session) == chosen


def test_marks():
    session = readme_session()
    chosen = moves.set_mark(reconcile(Selection(), session), "a")
    away = moves.with_layer(chosen, session, "conv3")
    home = moves.jump_mark(away, session, "a")
    assert (home.layer, home.node) == ("conv1", (1, 1))
    assert moves.back(home, session).layer == "conv3"
    assert moves.jump_mark(away, session, "b") == away
    lost = replace(away, marks={"a": Visit("gone", "", "out", (0, 0))})
    assert moves.jump_mark(lost, session, "a").layer == "conv3"


def test_focus_skips_maps_without_cells():
    session = readme_session(target=np.zeros((0, 0)))
    chosen = reconcile(Selection(), session)
    seen = [chosen.focus]
    for _ in range(3):
        chosen = moves.next_focus(chosen, session)
        seen.append(chosen.focus)
    assert seen == ["source", "connected", "input", "source"]
    assert moves.with_focus(chosen, session, "target") == chosen
    assert moves.next_focus(chosen, session, -2).focus == "connected"


def test_channels_of_explicit_mode():
    session = explicit_session()
    chosen = reconcile(Selection(), session)
    seen = []
    for _ in range(11):
        seen.append(chosen.channel)
        chosen = choices.next_channel(chosen, session)
    assert seen == [ALL_CHANNELS, *range(9), SUMMED]
    assert chosen.channel == ALL_CHANNELS
    levels = []
    for _ in range(6):
        levels.append(chosen.polyphase)
        chosen = choices.polyphase_step(chosen, session, 1)
    assert levels == [0, 1, 2, 3, 3, 3]
    with pytest.raises(Exception, match="channel 9"):
        choices.with_channel(chosen, session, 9)


def test_z_must_be_something_to_toggle_to():
    chosen = choices.with_z(Selection(), -0.25)
    assert chosen.z == -0.25
    for bad in (0.0, -0.0, float("nan")):
        with pytest.raises(Exception, match="z must"):
            choices.with_z(chosen, bad)


def busy_selection() -> Selection:
    session = skip_session()
    chosen = reconcile(Selection(layer="block.b"), session)
    return replace(
        moves.set_mark(chosen, "q"),
        view="values",
        direction="both",
        focus="connected",
        scale="percentile",
        inverted=True,
        zooms={"layer:a": 2},
        regions={"map:input": Region(1, 2, 0, 3)},
        z=-1.5,
        threshold_mode="quantile",
        thresholds={("a", "block.b", "quantile"): 0.0, ("a", "block.c", "top-k"): 7.0},
        offsets={("a", "block.b"): ((1, -1), (0, 2))},
        folds=frozenset({"block"}),
        sort="norm",
        filter="b",
    )


def test_state_goes_to_json_and_back():
    chosen = busy_selection()
    again = from_state(json.loads(json.dumps(to_state(chosen), allow_nan=False)))
    assert again == replace(chosen, trail=(), row=0)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_state_at_all_is_taken(state):
    reconcile(from_state(state), skip_session())


@given(st.sampled_from(sorted(to_state(busy_selection()))), JSON)
def test_one_damaged_entry_is_left_at_its_default(name, value):
    state = to_state(busy_selection()) | {name: value}
    chosen = from_state(json.loads(json.dumps(state)))
    assert reconcile(chosen, skip_session()).layer in ("a", "block.b", "block.c")
    json.dumps(to_state(chosen), allow_nan=False)
