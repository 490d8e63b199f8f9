"""The four maps: what a shown cell holds, how it is marked, and the way back to the cell it stands for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.sessions import dense_session, explicit_session, readme_session, skip_session

from gradtui.core.edit import EditHistory
from gradtui.core.layer import Layer
from gradtui.core.polyphase import phases
from gradtui.core.region import Region
from gradtui.core.session import Session
from gradtui.viewmodel import choices, moves
from gradtui.viewmodel.levels import (
    LEVEL_NAN,
    LEVEL_NEGATIVE_INF,
    LEVEL_POSITIVE_INF,
    MARK_EDITED,
    MARK_IN,
    MARK_LINKED,
    MARK_NEGATIVE,
    MARK_OUT,
    NOWHERE,
)
from gradtui.viewmodel.selection import ALL_CHANNELS, MAP_KEYS, SUMMED, Selection, reconcile
from gradtui.viewmodel.values import cell_at, value_maps


def maps(session, selection, edits=None, **options):
    views = value_maps(session, selection, edits or EditHistory.of(session.input), **options)
    return dict(zip(MAP_KEYS, views, strict=True))


def test_the_readme_case():
    session = readme_session()
    shown = maps(session, reconcile(Selection(), session))
    assert shown["source"].title == "conv1"
    np.testing.assert_array_equal(shown["source"].values, session.layer("conv1").map())
    # Node (1, 1) has four links of 1.0, at the middle of the range or above.
    assert (shown["connected"].marks & MARK_OUT).all()
    assert shown["input"].marks[1, 1] == MARK_LINKED
    assert shown["source"].cursor == (1, 1)
    assert [view.focused for view in shown.values()] == [False, True, False, False]


@pytest.mark.parametrize("side", [1, 2, 5])
def test_highlights_are_the_links_at_or_above_the_threshold(side):
    session = dense_session(side)
    flow = session.pairs[0].flow.dense()
    chosen = reconcile(Selection(direction="both"), session)
    chosen = choices.with_threshold(chosen, session, 0.7)
    for node in range(side * side):
        for far in range(side * side):
            chosen = chosen.with_cursor("layer:first", divmod(node, side))
            chosen = chosen.with_cursor("layer:second", divmod(far, side))
            shown = maps(session, chosen)
            out = (shown["connected"].marks & MARK_OUT > 0).ravel()
            np.testing.assert_array_equal(out, np.abs(flow[node]) >= 0.7)
            negative = (shown["connected"].marks & MARK_NEGATIVE > 0).ravel()
            np.testing.assert_array_equal(negative, flow[node] <= -0.7)
            back = (shown["source"].marks & MARK_IN > 0).ravel()
            np.testing.assert_array_equal(back, np.abs(flow[:, far]) >= 0.7)


def test_fan_in_marks_the_layer_before():
    session = skip_session()
    chosen = reconcile(Selection(layer="block.c", direction="in"), session)
    shown = maps(session, chosen)
    assert shown["connected"].title == "a"
    pair = session.pairs[1]
    column = pair.flow.column(chosen.node[1]).values
    least = (pair.flow.extent().smallest + pair.flow.extent().largest) / 2
    np.testing.assert_array_equal(
        (shown["connected"].marks & MARK_IN > 0).ravel(), np.abs(column) >= least
    )


@given(
    st.integers(1, 9), st.integers(1, 9), st.integers(0, 3),
    st.tuples(st.integers(0, 8), st.integers(0, 8), st.integers(0, 8), st.integers(0, 8)),
)  # fmt: skip
def test_crop_and_zoom_show_the_strongest_of_each_block(height, width, zoom, box):
    rng = np.random.default_rng(height * 10 + width)
    values = rng.normal(size=(height, width))
    session = Session(layers=(Layer("a", values),))
    row0, row1 = sorted(box[:2])
    column0, column1 = sorted(box[2:])
    region = Region(row0, row1, column0, column1).within((height, width))
    chosen = reconcile(Selection(zooms={"layer:a": zoom}), session)
    chosen = choices.with_region(chosen, "source", region)
    view = maps(session, chosen)["source"]
    crop = values[region.row0 : region.row1 + 1, region.column0 : region.column1 + 1]
    block = view.block
    assert block == min(1 << zoom, max(crop.shape))
    for i in range(view.shape[0]):
        for j in range(view.shape[1]):
            part = crop[i * block : (i + 1) * block, j * block : (j + 1) * block]
            assert abs(view.values[i, j]) == np.abs(part).max()
            assert view.values[i, j] in part
            _, row, column = cell_at(view, (i, j))
            assert (row, column) == (region.row0 + i * block, region.column0 + j * block)
            there = maps(session, chosen.with_cursor("layer:a", (row, column)))["source"]
            assert there.cursor == (i, j)


def test_a_map_that_does_not_fit_is_reduced_and_a_chosen_zoom_wins():
    session = Session(layers=(Layer("a", np.ones((100, 30))),))
    chosen = reconcile(Selection(), session)
    assert maps(session, chosen)["source"].shape == (100, 30)
    room = {"source": (20, 40)}
    fitted = maps(session, chosen, room=room)["source"]
    assert (fitted.block, fitted.shape) == (5, (20, 6))
    closer = choices.zoom(chosen, fitted, -1)
    assert maps(session, closer, room=room)["source"].block == 4
    farther = choices.zoom(chosen, fitted, 1)
    assert maps(session, farther, room=room)["source"].block == 8
    assert choices.zoom_to_fit(farther, "source").zooms == {}
    cell = moves.move(chosen, fitted, 2, -9)
    assert maps(session, cell, room=room)["source"].cursor == (2, 0)


def test_a_cursor_outside_the_crop_is_nowhere():
    session = readme_session()
    chosen = choices.with_region(reconcile(Selection(), session), "source", Region(2, 3, 0, 1))
    assert maps(session, chosen)["source"].cursor == (0, 1)
    chosen = chosen.with_cursor(chosen.place_of("source"), (1, 1))
    view = maps(session, chosen)["source"]
    assert (view.shape, view.cursor) == ((2, 2), NOWHERE)
    assert moves.move(chosen, view, 1, 1).node == (2, 0)
    assert choices.without_region(chosen, "source").regions == {}


@pytest.mark.parametrize(
    ("offset", "linked"), [((0, 0), (1, 1)), ((1, 1), (0, 0)), ((2, 0), None), ((-2, -2), (3, 3))]
)
def test_offsets_point_at_a_cell_or_at_nothing(offset, linked):
    session = readme_session()
    chosen = choices.with_offsets(reconcile(Selection(), session), session, offset, (0, 0))
    marks = maps(session, chosen)["input"].marks & MARK_LINKED
    expected = np.zeros((4, 4), bool)
    if linked:
        expected[linked] = True
    np.testing.assert_array_equal(marks > 0, expected)
    # From the input back to the layer: the inverse.
    if linked:
        back = replace(chosen, focus="input").with_cursor("map:input", linked)
        assert maps(session, back)["source"].marks[1, 1] & MARK_LINKED


def test_edits_show_and_are_marked():
    session = readme_session()
    edits = EditHistory.of(session.input).set_value((2, 3), 9.0)
    view = maps(session, reconcile(Selection(), session), edits)["input"]
    assert view.values[2, 3] == 9
    assert np.argwhere(view.marks & MARK_EDITED).tolist() == [[2, 3]]
    # Edits of an input that had another shape are not this one's.
    other = readme_session(input=np.zeros((2, 2)))
    assert not maps(other, reconcile(Selection(), other), edits)["input"].values.any()


def test_all_nine_channels_stand_side_by_side():
    session = explicit_session(4)
    chosen = reconcile(Selection(focus="input"), session)
    view = maps(session, chosen)["input"]
    assert (view.tiles, view.shape) == (3, (12, 12))
    for i in range(12):
        for j in range(12):
            channel, row, column = cell_at(view, (i, j))
            assert view.values[i, j] == session.input[channel, row, column]
            at = moves.put_cursor(chosen, view, (i, j))
            assert (at.tile, *at.cursor("input")) == (channel, row, column)
            assert maps(session, at)["input"].cursor == (i, j)


@pytest.mark.parametrize("channel", [0, 4, 8, SUMMED])
def test_one_channel_or_their_sum(channel):
    session = explicit_session(4)
    view = maps(session, reconcile(Selection(channel=channel), session))["input"]
    expected = session.input.sum(0) if channel == SUMMED else session.input[channel]
    np.testing.assert_array_equal(view.values, expected)


def test_edits_of_one_channel_are_marked_where_it_is_shown():
    session = explicit_session(4)
    edits = EditHistory.of(session.input).set_value((5, 1, 2), 7.0)
    where = {ALL_CHANNELS: [[5, 10]], 5: [[1, 2]], 4: [], SUMMED: [[1, 2]]}
    for channel, cells in where.items():
        chosen = reconcile(Selection(channel=channel), session)
        view = maps(session, chosen, edits)["input"]
        assert np.argwhere(view.marks & MARK_EDITED).tolist() == cells


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_polyphase_zoom_puts_the_phases_side_by_side(level):
    session = explicit_session(8)
    chosen = replace(reconcile(Selection(channel=3), session), polyphase=level)
    view = maps(session, chosen)["input"]
    split = phases(session.input, level)[3]
    size, side = 1 << level, 8 >> level
    for a in range(size):
        for b in range(size):
            tile = view.values[a * side : (a + 1) * side, b * side : (b + 1) * side]
            np.testing.assert_array_equal(tile, split[a * size + b])
    for i in range(8):
        for j in range(8):
            _, row, column = cell_at(view, (i, j))
            assert view.values[i, j] == session.input[3, row, column]


def test_what_is_not_finite_has_levels_of_its_own():
    values = np.array([[np.nan, np.inf, -np.inf, 0.0, -2.0, 2.0]])
    session = Session(layers=(Layer("a", values),))
    chosen = reconcile(Selection(), session)
    view = maps(session, chosen)["source"]
    assert view.levels[0].tolist() == [
        LEVEL_NAN, LEVEL_POSITIVE_INF, LEVEL_NEGATIVE_INF, 16, 0, 31,
    ]  # fmt: skip
    assert (view.low, view.high) == (-2.0, 2.0)
    turned = maps(session, choices.inverted(chosen))["source"].levels[0].tolist()
    assert turned[4:] == [31, 0]


@pytest.mark.parametrize(
    "session",
    [
        Session.empty(),
        Session(layers=(Layer("a", np.zeros((0, 4))),)),
        Session(layers=(Layer("a", np.ones((2, 2))),)),
    ],
)
def test_maps_without_cells_say_why(session):
    for view in maps(session, reconcile(Selection(), session)).values():
        assert view.levels.size or view.empty_text


def test_a_channel_that_a_layer_lacks_is_shown_as_the_sum():
    deep = Layer("deep", np.arange(24.0).reshape(6, 2, 2))
    flat = Layer("flat", np.ones((2, 2)))
    session = Session(layers=(deep, flat))
    chosen = reconcile(Selection(channel=4), session)
    np.testing.assert_array_equal(maps(session, chosen)["source"].values, deep.gradient[4])
    other = moves.with_layer(chosen, session, "flat")
    np.testing.assert_array_equal(maps(session, other)["source"].values, flat.gradient)
    whole = replace(chosen, channel=ALL_CHANNELS)
    np.testing.assert_array_equal(maps(session, whole)["source"].values, deep.gradient.sum(0))


def test_highlighted_nodes_are_stepped_through_and_round_again():
    session = dense_session(4)
    chosen = choices.with_threshold(reconcile(Selection(), session), session, 1.0)
    views = list(maps(session, chosen).values())
    marked = np.argwhere(views[2].marks & MARK_OUT).tolist()
    seen = []
    for _ in range(len(marked)):
        chosen = moves.next_highlight(chosen, list(maps(session, chosen).values()))
        assert chosen.focus == "connected"
        seen.append(list(chosen.cursor("connected")))
    assert sorted(seen) == marked
    again = moves.next_highlight(chosen, list(maps(session, chosen).values()), -1)
    assert list(again.cursor("connected")) == seen[-2]
