"""The text Sankey: rows, lines that split and merge, and why a path ends."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.sessions import dense_session, explicit_session, readme_session, skip_session

from gradtui.core.edit import EditHistory
from gradtui.core.flow_forms import DenseFlow, SummedFlow
from gradtui.core.layer import Layer
from gradtui.core.region import Region
from gradtui.core.session import Pair, Session
from gradtui.viewmodel import choices
from gradtui.viewmodel.flow_paths import fans
from gradtui.viewmodel.flow_table import flow_rows, flow_table, tsv
from gradtui.viewmodel.readout import readout
from gradtui.viewmodel.selection import Selection, reconcile
from gradtui.viewmodel.text import line_width, plain


def picture(session, selection=None, width=80, **options):
    chosen = reconcile(selection or Selection(), session)
    table = flow_table(session, chosen, width=width, **options)
    parts = [table.header, table.columns, *table.lines, *table.footer]
    return [plain(part) for part in parts]


def unit_chain():
    """One unit a node: g_a = 3, of which b0 has 2 and b1 has 1; both come from c0."""
    layers = (
        Layer("a", np.array([[3.0]])),
        Layer("b", np.array([[4.0, -2.0]])),
        Layer("c", np.array([[1.0, 0.5]])),
    )
    pairs = (
        Pair("a", "b", "measured", DenseFlow(np.array([[2.0, 1.0]])), residual=0.0),
        Pair("b", "c", "measured", DenseFlow(np.array([[4.0, 0.0], [-2.0, 0.0]])), residual=0.0),
    )
    return Session(layers=layers, pairs=pairs)


def test_the_picture_of_a_small_network():
    chosen = choices.with_threshold(reconcile(Selection(), unit_chain()), unit_chain(), 0.5)
    assert picture(unit_chain(), chosen) == [
        "fan-out of a (0,0)  |flow| ≥ 0.5  2 of 2  measured  chain rule ✓ (0e+00)",
        "a gradient                       b flow                           c flow",
        "(0,0)        3 ━┳━━━━━━━━━━━━━━▸ (0,0)        2 ━━━━━━━━━━━━━━━┳▸ (0,0)        3",
        "                ┗━━━━━━━───────▸ (0,1)        1 ━━━━━━━━───────┛",
        "layers Σ|g|  a ▇▇▇▇ 3  b ▇▇▇▇▇▇▇▇ 6  c ▇▇ 1.5",
    ]


def test_without_box_characters_everything_is_ascii():
    for line in picture(unit_chain(), ascii=True) + picture(skip_session(), ascii=True):
        assert line.isascii(), line


def test_sign_is_in_the_line_itself():
    session = dense_session(4)
    chosen = choices.with_threshold(reconcile(Selection(), session), session, 0.0)
    table = flow_table(session, chosen, width=80)
    for line in table.lines:
        text = plain(line)
        assert ("╍" in text) == ("-" in text[45:]), text


def test_parts_are_flows_over_gradients():
    session = dense_session(3)
    rng = np.random.default_rng(1)
    third = Layer("third", rng.normal(size=(2, 2)))
    on = Pair("second", "third", "measured", DenseFlow(rng.normal(size=(9, 4))))
    session = replace(session, layers=(*session.layers, third), pairs=(*session.pairs, on))
    thresholds = {("first", "second", "magnitude"): 0.0, ("second", "third", "magnitude"): 0.0}
    chosen = replace(reconcile(Selection(), session), top=100, thresholds=thresholds)
    into, onward = (pair.flow.dense() for pair in session.pairs)
    gradient = session.layer("second").map().ravel()
    (fan,) = fans(session, chosen)
    assert len(fan.paths) == 9
    for path in fan.paths:
        layers = {layer.name: layer.shape[1] for layer in session.layers}
        key = tuple(n.cell[0] * layers[n.layer] + n.cell[1] for n in path)
        i, j, k = key
        assert path[-1].flow == pytest.approx(into[i, j] * onward[j, k] / gradient[j])
        # The way on is the strongest link of that node.
        links = session.pairs[1].flow.row(key[1])
        assert abs(path[-1].link) == np.abs(links.values).max()


def test_the_strongest_links_come_first_and_no_more_than_asked():
    session = dense_session(16)
    chosen = replace(reconcile(Selection(), session), top=5)
    chosen = choices.with_threshold(chosen, session, 0.0)
    (fan,) = fans(session, chosen)
    node = chosen.node[0] * 16 + chosen.node[1]
    row = np.abs(session.pairs[0].flow.dense()[node])
    assert [abs(path[1].flow) for path in fan.paths] == sorted(row, reverse=True)[:5]
    assert (fan.above, fan.total) == (256, 256)
    assert "top 5 of 256" in picture(session, chosen)[0]


def test_why_a_path_ends():
    session = unit_chain()
    chosen = choices.with_threshold(reconcile(Selection(), session), session, 0.5)
    weak = replace(chosen, thresholds={**chosen.thresholds, ("b", "c", "magnitude"): 3.0})
    ends = {path[1].cell: path[1].end for path in fans(session, weak)[0].paths}
    assert ends == {(0, 0): "", (0, 1): "below threshold"}
    assert any("╸ below threshold" in line for line in picture(session, weak))
    dead = replace(
        session.pairs[1], flow=DenseFlow(np.array([[4.0, 0.0], [0.0, 0.0]]))
    )  # fmt: skip
    words = [
        p[1].end for p in fans(replace(session, pairs=(session.pairs[0], dead)), chosen)[0].paths
    ]
    assert words == ["", "dies here: no gradient"]
    asked = replace(session.pairs[1], flow=SummedFlow(np.ones(2), np.ones(2)))
    words = [
        p[1].end for p in fans(replace(session, pairs=(session.pairs[0], asked)), chosen)[0].paths
    ]
    assert words == ["links not in the folder"] * 2


def test_why_there_are_no_rows():
    session = unit_chain()
    high = choices.with_threshold(reconcile(Selection(), session), session, 99.0)
    assert picture(session, high)[2] == "none of 2 links reaches the threshold"
    alone = Session(layers=session.layers[:1])
    assert "no flow from or to this layer" in picture(alone)
    assert "nothing to show yet" in picture(Session.empty())
    zero = (Layer("a", np.zeros((1, 1))), *session.layers[1:])
    none = Pair("a", "b", "measured", DenseFlow(np.zeros((1, 2))))
    lost = replace(session, layers=zero, pairs=(none, session.pairs[1]))
    chosen = choices.with_threshold(reconcile(Selection(), lost), lost, 0.1)
    assert picture(lost, chosen)[2] == "no gradient: lost between b and a"
    asked = replace(session, pairs=(Pair("a", "b", "measured", SummedFlow([1.0], [1.0, 1.0])),))
    assert picture(asked)[2] == "links not in the folder"


def test_fan_in_is_drawn_from_the_layers_before():
    session = unit_chain()
    chosen = reconcile(Selection(layer="c", direction="in"), session)
    chosen = choices.with_threshold(chosen, session, 0.5)
    lines = picture(session, chosen)
    assert lines[1].split()[::2] == ["a", "b", "c"]
    assert lines[2].rstrip().endswith("▸ (0,0)        1")
    assert flow_rows(session, chosen) == (("b", (0, 0)), ("b", (0, 1)))


def test_a_fan_in_that_ends_early_says_so_at_its_left():
    session = unit_chain()
    chosen = reconcile(Selection(layer="c", direction="in"), session)
    thresholds = {("b", "c", "magnitude"): 0.5, ("a", "b", "magnitude"): 1.5}
    assert picture(session, replace(chosen, thresholds=thresholds))[1:4] == [
        "a flow                           b flow                           c gradient",
        "(0,0)        2 ━━━━━━━━━━━━━━━━▸ (0,0)        4 ━━━━━━━━━━━━━━━┳▸ (0,0)        1",
        "               below threshold ╺ (0,1)       -2 ╍╍╍╍╍╍╍╍┄┄┄┄┄┄┄┛",
    ]


def test_in_the_flow_view_the_readout_is_about_the_row():
    session = unit_chain()
    thresholds = {("a", "b", "magnitude"): 0.1, ("b", "c", "magnitude"): 0.1}
    chosen = reconcile(Selection(view="flow", focus="input", thresholds=thresholds), session)
    for row, words in enumerate(["→ b (0,0) flow +2", "→ b (0,1) flow +1"]):
        lines = readout(
            session, Session.empty(), replace(chosen, row=row), EditHistory.of(session.input)
        )
        assert plain(lines[0]).startswith("(0,0)  +3")
        assert plain(lines[1]).startswith(words)


def test_both_directions_at_once():
    session = unit_chain()
    chosen = reconcile(Selection(layer="b", direction="both"), session)
    chosen = replace(
        chosen, thresholds={("b", "c", "magnitude"): 0.1, ("a", "b", "magnitude"): 0.1}
    )
    assert picture(session, chosen)[1:3] == [
        "a flow                           b gradient                       c flow",
        "(0,0)        2 ━━━━━━━━━━━━━━━━▸ (0,0)        4 ━━━━━━━━━━━━━━━━▸ (0,0)        4",
    ]


def test_other_pairs_of_the_layer_are_named():
    assert picture(skip_session())[-1] == "other pairs block.c  P"


def test_a_crop_of_the_far_layer_crops_the_table():
    session = dense_session(4)
    chosen = choices.with_threshold(reconcile(Selection(), session), session, 0.0)
    crop = choices.with_region(chosen, "connected", Region(1, 2, 3, 3))
    assert {path[1].cell for path in fans(session, crop)[0].paths} == {(1, 3), (2, 3)}


@settings(max_examples=60)
@given(
    st.integers(1, 200), st.sampled_from(["out", "in", "both"]), st.booleans(), st.integers(0, 4),
    st.sampled_from(["magnitude", "value", "quantile", "top-k", "vnittest"]),
)  # fmt: skip
def test_nothing_is_wider_than_the_screen(width, direction, ascii, which, mode):
    sessions = (
        readme_session(),
        skip_session(),
        dense_session(12),
        explicit_session(4),
        unit_chain(),
    )
    session = sessions[which]
    for layer in session.layers:
        chosen = reconcile(
            Selection(layer=layer.name, direction=direction, threshold_mode=mode), session
        )
        table = flow_table(session, chosen, width=width, ascii=ascii)
        for line in (table.header, table.columns, *table.lines, *table.footer):
            assert line_width(line) <= width
        assert len(table.ends) in (0, len(table.lines))
        assert table.ends == flow_rows(session, chosen)
        assert len(tsv(session, chosen).splitlines()) >= 1


def test_a_merge_has_one_line_on():
    """Rows that share a node share its way on: one line leaves it, and its numbers add up."""
    session = dense_session(6)
    rng = np.random.default_rng(2)
    layers = [*session.layers, Layer("t", rng.normal(size=(2, 2))), Layer("u", np.ones((1, 1)))]
    pairs = [
        *session.pairs,
        Pair("second", "t", "measured", DenseFlow(rng.normal(size=(36, 4)))),
        Pair("t", "u", "measured", DenseFlow(rng.normal(size=(4, 1)))),
    ]
    session = replace(session, layers=tuple(layers), pairs=tuple(pairs))
    chosen = choices.with_threshold(reconcile(Selection(), session), session, 0.0)
    thresholds = {("second", "t", "magnitude"): 0.0, ("t", "u", "magnitude"): 0.0}
    chosen = replace(chosen, thresholds={**chosen.thresholds, **thresholds})
    lines = picture(session, chosen, width=140)[2:-1]
    assert len(lines) == 12
    # Four columns; each place of the last two stands once.
    last = [line[120:].strip() for line in lines]
    assert sum(bool(text) for text in last) <= 4


def test_names_are_harmless_and_cut():
    session = unit_chain()
    evil = "\x1b[31m" + "n" * 300
    renamed = replace(
        session,
        layers=(Layer(evil, session.layers[0].gradient), *session.layers[1:]),
        pairs=(replace(session.pairs[0], source=evil), session.pairs[1]),
    )
    for line in picture(renamed):
        assert line.isprintable()
    assert (
        tsv(renamed, reconcile(Selection(), renamed))
        .replace("\t", "")
        .replace("\n", "")
        .isprintable()
    )
