"""The layer tree: rows, folds, orders, flags, and lines of the right width."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.sessions import readme_session, skip_session

from gradtui.core.layer import Layer
from gradtui.core.session import Session
from gradtui.viewmodel.choices import SORTS, next_sort, toggled_all_folds, toggled_fold
from gradtui.viewmodel.detail import histogram_bars, layer_detail
from gradtui.viewmodel.overview import (
    group_paths,
    overview_header,
    overview_line,
    overview_rows,
    overview_tsv,
    percent,
)
from gradtui.viewmodel.selection import Selection
from gradtui.viewmodel.summary import layer_numbers, summarize
from gradtui.viewmodel.text import line_width, plain


def named(*names, values=None):
    array = np.ones((2, 2)) if values is None else values
    return Session(layers=tuple(Layer(name, array) for name in names))


def tree(*names, **options):
    rows = overview_rows(summarize(named(*names), Session.empty()), **options)
    return [(row.depth, row.label, row.layer, row.children) for row in rows]


def test_module_paths_make_a_tree():
    assert tree("embed", "encoder.0.attn", "encoder.0.mlp", "encoder.1.attn", "head") == [
        (0, "embed", "embed", 0),
        (0, "encoder", "", 3),
        (1, "0", "", 2),
        (2, "attn", "encoder.0.attn", 0),
        (2, "mlp", "encoder.0.mlp", 0),
        (1, "1.attn", "encoder.1.attn", 0),
        (0, "head", "head", 0),
    ]


def test_a_module_that_is_a_layer_and_has_layers():
    assert tree("block", "block.a", "block.b") == [
        (0, "block", "block", 3), (1, "a", "block.a", 0), (1, "b", "block.b", 0),
    ]  # fmt: skip


@pytest.mark.parametrize("names", [("",), ("a..b", "a.b"), (".",), ("a" + ".b" * 500,), ()])
def test_odd_names_are_layers_too(names):
    assert [row[2] for row in tree(*names) if row[2]] == list(names) or names == ("",)
    assert len([row for row in tree(*names) if row[3] == 0]) == len(names)


def test_folding():
    session = named("a.x.0", "a.x.1", "a.y", "b")
    summary = summarize(session, Session.empty())
    assert group_paths(summary) == {"a", "a.x"}
    rows = overview_rows(summary, folds={"a"})
    assert [(row.path, row.folded, row.children) for row in rows] == [
        ("a", True, 3),
        ("b", False, 0),
    ]
    assert rows[0].numbers.nodes == 12
    assert rows[0].numbers.norm == pytest.approx(math.sqrt(12))
    assert "(3)" in plain(overview_line(rows[0], 80))
    chosen = toggled_fold(Selection(), "a")
    assert chosen.folds == {"a"}
    assert toggled_fold(chosen, "a").folds == frozenset()
    assert toggled_all_folds(Selection(), group_paths(summary)).folds == {"a", "a.x"}
    assert toggled_all_folds(chosen, group_paths(summary)).folds == frozenset()


def test_a_folded_group_shows_the_worst_below():
    bad = Layer("a.x", np.array([[np.nan, 1.0]]))
    session = Session(layers=(bad, Layer("a.y", np.ones((1, 2)))))
    (row,) = overview_rows(summarize(session, Session.empty()), folds={"a"})
    assert (row.finding.flag, row.finding.word) == ("X", "NAN 1")


def test_filter_and_sort_make_a_flat_list():
    session = Session(
        layers=tuple(
            Layer(name, np.full((1, 2), value))
            for name, value in [("a.one", 1.0), ("b.two", np.nan), ("a.Three", 3.0)]
        )
    )
    summary = summarize(session, Session.empty())
    assert [row.label for row in overview_rows(summary, filter="A.")] == ["a.one", "a.Three"]
    for descending, order in [
        (True, ["a.Three", "a.one", "b.two"]),
        (False, ["a.one", "a.Three", "b.two"]),
    ]:
        rows = overview_rows(summary, sort="norm", descending=descending)
        # What is not known comes last either way.
        assert [row.layer for row in rows] == order
    for sort in SORTS:
        assert len(overview_rows(summary, sort=sort)) == (4 if sort == "order" else 3)


def test_sort_keys():
    chosen = Selection()
    for name in (*SORTS[1:], SORTS[0]):
        chosen = next_sort(chosen)
        assert chosen.sort == name
    turned = next_sort(next_sort(chosen, 3), 3)
    assert (turned.sort, turned.descending) == ("norm", False)


@pytest.mark.parametrize(
    ("values", "before", "expected"),
    [
        ([[3.0, -4.0]], None, (5.0, -4.0, 3.0, 0, 0, math.nan)),
        ([[3.0, -4.0]], [[3.0, 0.0]], (5.0, -4.0, 3.0, 0, 0, 4 / 3)),
        ([[0.0, 0.0]], [[0.0, 0.0]], (0.0, 0.0, 0.0, 0, 2, 0.0)),
        ([[1.0, 0.0]], [[0.0, 0.0]], (1.0, 0.0, 1.0, 0, 1, math.inf)),
        ([[np.nan, np.inf]], None, (math.nan, math.nan, math.nan, 2, 0, math.nan)),
        ([[np.nan, 2.0]], [[1.0, 1.0]], (2.0, 2.0, 2.0, 1, 0, 1.0)),
        ([[1e300, 1e300]], [[1e300, 0.0]], (math.sqrt(2) * 1e300, 1e300, 1e300, 0, 0, 1.0)),
        (np.zeros((0, 3)), None, (math.nan, math.nan, math.nan, 0, 0, math.nan)),
        (np.array([[300, 400]], np.float16), None, (500.0, 300.0, 400.0, 0, 0, math.nan)),
        (np.array([[3, 4]], np.int8), [[3.0]], (5.0, 3.0, 4.0, 0, 0, math.nan)),
    ],
)  # fmt: skip
def test_the_numbers_of_a_layer(values, before, expected):
    old = None if before is None else np.asarray(before)
    one = layer_numbers(np.asarray(values), old)
    found = (one.norm, one.minimum, one.maximum, one.nonfinite, one.zeros, one.change)
    assert found == pytest.approx(expected, nan_ok=True)


def test_findings():
    layers = [Layer(f"l{i}", np.full((1, 4), 1.0)) for i in range(5)]
    layers += [
        Layer("big", np.full((1, 4), 2e3)),
        Layer("small", np.full((1, 4), 1e-4)),
        Layer("none", np.zeros((1, 4))),
        Layer("bad", np.array([[np.inf, 1.0, 1.0, 1.0]])),
    ]
    summary = summarize(Session(layers=tuple(layers)), Session.empty())
    assert {f.layer: (f.flag, f.word) for f in summary.findings} == {
        "big": ("!", "EXPL"), "small": ("v", "VAN"), "none": ("v", "ZERO"), "bad": ("X", "NAN 1"),
    }  # fmt: skip
    broken = readme_session()
    pairs = (replace(broken.pairs[0], residual=0.2), broken.pairs[1])
    summary = summarize(replace(broken, pairs=pairs), Session.empty())
    assert [(f.layer, f.word) for f in summary.findings] == [("conv1", "RULE")]
    assert "off by 0.2" in summary.findings[0].text


def test_a_line_at_80_columns():
    session = readme_session()
    summary = summarize(session, session)
    header = plain(overview_header(80, "norm"))
    row = plain(overview_line(overview_rows(summary)[0], 80))
    assert header.split() == ["layer", "shape", "|g|2▾", "min", "max", "change", "flag"]
    assert row.split() == ["conv1", "4x4", "15.9", "3.97", "4", "0", "."]


@given(st.integers(0, 200), st.text(max_size=40), st.booleans())
def test_no_line_is_wider_than_the_screen(width, name, ascii):
    session = named(f"a.{name}", f"a.b.{name}", f"a.b.c{name}")
    summary = summarize(session, Session.empty())
    for folds in (frozenset(), group_paths(summary)):
        for row in overview_rows(summary, folds=folds):
            line = overview_line(row, width, ascii=ascii)
            assert line_width(line) in (0, width)
            assert plain(line).isprintable()
    assert line_width(overview_header(width, ascii=ascii)) <= max(width, 16)
    for detail in layer_detail(session, summary, session.layers[0].name, width, ascii=ascii):
        assert line_width(detail) <= width


def test_percentages():
    shares = (0.0, 1.0, 0.5, 0.0001, 0.9999, math.nan)
    assert [percent(x) for x in shares] == ["0%", "100%", "50.0%", "<0.1%", "~100%", ""]


@pytest.mark.parametrize(
    ("values", "bars", "bounds"),
    [
        ([0.0, 1.0, 1.0, 3.0], "▄█ ▄", (0.0, 3.0)),
        ([2.0, 2.0], " █  ", (2.0, 2.0)),
        ([-1e308, 1e308], "█  █", (-1e308, 1e308)),
        ([np.nan, np.inf], "", (math.nan, math.nan)),
        ([], "", (math.nan, math.nan)),
    ],
)
def test_the_little_histogram(values, bars, bounds):
    text, low, high = histogram_bars(np.array(values), 4)
    assert text.strip() == bars.strip()
    assert (low, high) == pytest.approx(bounds, nan_ok=True)


def test_detail_of_a_layer():
    session = skip_session()
    summary = summarize(session, Session.empty())
    lines = [plain(line) for line in layer_detail(session, summary, "a", 100)]
    assert lines[0].startswith("a  float64 2x3  zero 0%  min -2.556 max 2.041")
    assert lines[1].endswith("out->block.b,block.c")
    assert lines[-1] == "-> block.c  measured  6x5, 30 links  chain rule unknown"
    assert layer_detail(session, summary, "no such", 80) == ()


def test_tsv_has_every_layer_in_full_precision():
    session = skip_session()
    rows = overview_rows(summarize(session, session))
    lines = [line.split("\t") for line in overview_tsv(rows).splitlines()]
    assert [line[0] for line in lines] == ["layer", "a", "block.b", "block.c"]
    assert float(lines[1][3]) == pytest.approx(
        np.linalg.norm(session.layers[0].gradient), rel=1e-14
    )
