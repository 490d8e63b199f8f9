"""The two lines under the maps, as text."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.sessions import dense_session, explicit_session, readme_session, skip_session

from gradtui.core.edit import EditHistory
from gradtui.core.flow_forms import DenseFlow, SummedFlow
from gradtui.core.layer import Layer
from gradtui.core.session import Pair, Session
from gradtui.viewmodel.links import wanted
from gradtui.viewmodel.readout import cell_value, readout
from gradtui.viewmodel.selection import MAP_KEYS, Selection, reconcile
from gradtui.viewmodel.text import line_width, plain


def text(session, selection=None, previous=None, edits=None, width=80):
    chosen = reconcile(selection or Selection(), session)
    lines = readout(
        session, previous or Session.empty(), chosen, edits or EditHistory.of(session.input),
        width=width,
    )  # fmt: skip
    # Numbers keep their columns; here only the words count.
    return tuple(" ".join(plain(line).split()) for line in lines)


def one_pair(gradient, flow, **changes):
    gradient, flow = np.asarray(gradient, float), np.asarray(flow, float)
    pair = Pair("a", "b", changes.pop("kind", "measured"), DenseFlow(flow), **changes)
    target = Layer("b", np.ones((1, flow.shape[1])))
    return Session(layers=(Layer("a", gradient), target), pairs=(pair,))


def test_the_number_its_rank_and_whether_it_adds_up():
    first, second = text(readme_session(), previous=readme_session())
    assert first == "(1,1) +4 +3.9σ was 4 Σ flow 4 = gradient ✓ bypass 0"
    assert second == "→ conv2 (1,1) flow +1 25.0% INPUT 2 TARGET 1 measured"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "Σ flow 3 = gradient ✓"),
        ({"bypass": np.array([0.0])}, "Σ flow 3 = gradient ✓ bypass 0"),
        ({"gradient": [[5.0]], "bypass": np.array([2.0])}, "3 + bypass = gradient ✓ bypass 2"),
        ({"gradient": [[5.0]], "bypass": np.array([1.0])}, "≠ gradient ✗ off 1 bypass 1"),
        ({"gradient": [[5.0]]}, "Σ flow 3 2 unexplained"),
        ({"gradient": [[5.0]], "kind": "estimated", "estimate": "vnittest"}, "≠ gradient ✗ (est"),
        ({"kind": "explicit"}, "Σ flow 3 over 2 links"),
        ({"gradient": [[0.0]], "flow": [[0.0, 0.0]]}, "Σ flow 0 = gradient ✓"),
        ({"flow": [[np.nan, 1.0]]}, "Σ flow nan"),
    ],
)
def test_sums_and_what_is_missing_from_them(changes, words):
    changes = dict(changes)
    session = one_pair(
        changes.pop("gradient", [[3.0]]), changes.pop("flow", [[1.0, 2.0]]), **changes
    )
    assert words in text(session, width=200)[0]


def test_what_it_was():
    before = readme_session()
    conv1 = before.layer("conv1").gradient.copy()
    conv1[1, 1] = 0.5
    old = replace(before, layers=(Layer("conv1", conv1), *before.layers[1:]))
    assert "was 0.5" in text(before, previous=old)[0]
    # A layer of another shape, or none, was nothing.
    other = replace(before, layers=(Layer("conv1", np.zeros((2, 2))), *before.layers[1:]))
    assert "was" not in text(before, previous=other)[0]


def test_an_edited_cell_says_what_is_on_disk():
    session = readme_session()
    edits = EditHistory.of(session.input).set_value((2, 2), 7.5)
    chosen = reconcile(Selection(focus="input"), session).with_cursor("map:input", (2, 2))
    first, second = text(session, chosen, edits=edits)
    assert first.startswith("INPUT (2,2) +7.5 +3.4σ edited from 1")
    assert second == "conv1 (2,2) 3.97 TARGET 1"


def test_the_connected_map_has_its_own_words():
    session = readme_session()
    first, second = text(session, Selection(focus="connected"))
    assert first.startswith("(1,1) +15.93 +1.5σ feeds 15.85 into conv1")
    assert second.startswith("← conv1 (1,1) flow +1")


def test_links_that_are_not_in_the_folder_are_said_and_wanted():
    flow = SummedFlow(np.ones(4), np.ones(4))
    layers = (Layer("a", np.ones((2, 2))), Layer("b", np.ones((2, 2))))
    session = Session(layers=layers, pairs=(Pair("a", "b", "measured", flow),))
    chosen = reconcile(Selection(direction="both"), session)
    assert "row of links not in the folder" in text(session, chosen)[0]
    assert [(w.kind, w.node) for w in wanted(session, chosen)] == [
        ("flow-row", 0), ("flow-column", 0),
    ]  # fmt: skip
    known = replace(session, pairs=(Pair("a", "b", "measured", flow.with_row(0, np.ones(4))),))
    assert [w.kind for w in wanted(known, chosen)] == ["flow-column"]
    back = reconcile(replace(chosen, direction="in", layer="b"), session)
    assert [w.kind for w in wanted(session, back)] == ["flow-column"]


def test_values_that_are_not_finite():
    session = one_pair([[np.nan, np.inf]], [[1.0], [1.0]])
    assert text(session)[0].startswith("(0,0) nan")
    there = reconcile(Selection(), session).with_cursor("layer:a", (0, 1))
    assert text(session, there)[0].startswith("(0,1) +inf")


def test_nothing_is_said_of_nothing():
    assert text(Session.empty()) == ("nothing here", "")


def test_a_name_cannot_reach_the_terminal():
    session = one_pair([[3.0]], [[1.0, 2.0]])
    evil = "\x1b]52;c;aGk=\x07"
    layers = (Layer(evil, session.layers[0].gradient), session.layers[1])
    hostile = replace(session, layers=layers, pairs=(replace(session.pairs[0], source=evil),))
    for line in text(hostile, width=200):
        assert line.isprintable()


@given(st.integers(0, 130), st.sampled_from(MAP_KEYS), st.sampled_from(["out", "in", "both"]))
def test_no_line_is_wider_than_the_screen(width, key, direction):
    for session in (readme_session(), skip_session(), explicit_session(4), dense_session(3)):
        chosen = reconcile(Selection(focus=key, direction=direction), session)
        lines = readout(session, session, chosen, EditHistory.of(session.input), width=width)
        assert all(line_width(line) <= width for line in lines)


def test_a_cell_outside_the_map_has_no_value():
    session = readme_session()
    assert np.isnan(cell_value(session, reconcile(Selection(), session), "input", (9, 9)))


def test_numbers_keep_their_columns_while_the_cursor_moves():
    session = dense_session(12)
    chosen = reconcile(Selection(), session)
    columns = set()
    for row in range(12):
        moved = chosen.with_cursor("layer:first", (row, 11 - row))
        lines = readout(session, session, moved, EditHistory.of(session.input), width=120)
        first, second = (plain(line) for line in lines)
        columns.add(
            (first.index("σ") < 24, first.index("was"), first.index("Σ"), second.index("INPUT"))
        )
    assert len(columns) == 1


def test_everything_fits_80_columns():
    session = readme_session()
    chosen = reconcile(Selection(), session)
    lines = readout(session, session, chosen, EditHistory.of(session.input), width=80)
    text = plain(lines[0]) + plain(lines[1])
    for words in ("+4", "σ", "was 4", "gradient ✓", "bypass 0", "flow +1", "INPUT 2", "TARGET 1"):
        assert words in text


def test_without_other_characters():
    session = readme_session()
    for key in MAP_KEYS:
        chosen = reconcile(Selection(focus=key), session)
        lines = readout(
            session, session, chosen, EditHistory.of(session.input), width=100, ascii=True
        )
        assert all(plain(line).isascii() for line in lines)
