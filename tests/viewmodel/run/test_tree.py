"""The tree of a run's modules: order, alike siblings, sums below, folds, filters, orders."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.runs import Training as Made
from kit.runs import deep, findings_of

from gradtui.core.run.records import ModuleInfo, ParameterInfo
from gradtui.core.run.run import Run
from gradtui.diagnosis.finding import Finding
from gradtui.viewmodel.run.choice import RunChoice, next_folds, toggled
from gradtui.viewmodel.run.lines import header, row, scientific, sparkline, tsv
from gradtui.viewmodel.run.numbers import below_count, below_sum
from gradtui.viewmodel.run.training import Training, folded_nodes, shown_nodes, training_of
from gradtui.viewmodel.run.tree import module_tree
from gradtui.viewmodel.text import line_width, plain


def tree_of(*paths, kinds=None):
    infos = [ModuleInfo("", "Net")]
    infos += [ModuleInfo(path, (kinds or {}).get(path, "Linear")) for path in paths]
    return module_tree(infos)


def test_modules_come_in_their_order_each_before_what_is_below_it():
    tree = tree_of("a", "a.x", "a.y", "b")
    assert tree.paths == ("", "a", "a.x", "a.y", "b")
    assert tree.labels == ("Net", "a", "x", "y", "b")
    assert tree.depths.tolist() == [0, 0, 1, 1, 0]
    assert tree.ends.tolist() == [5, 4, 3, 4, 5]
    assert tree.above(2) == (1,)
    assert tree.children(0) == (1, 4)
    assert tree.node("a.y") == 3
    assert tree.node("nobody") == -1


def test_a_path_without_a_module_above_it_gets_one():
    tree = tree_of("a.b.c")
    assert tree.paths == ("", "a", "a.b", "a.b.c")
    assert tree.kinds == ("Net", "", "", "Linear")


def test_no_modules_give_a_root_alone():
    tree = module_tree(())
    assert len(tree) == 1
    assert tree.labels == ("(model)",)


def test_alike_siblings_stand_under_their_parent_where_it_has_no_others():
    tree = tree_of("h", *(f"h.{i}{rest}" for i in range(4) for rest in ("", ".fc")))
    assert tree.repeats.tolist() == [0, 4, *[0] * 8]
    assert tree.later.tolist() == [
        False,
        False,
        False,
        False,
        True,
        False,
        True,
        False,
        True,
        False,
    ]


def test_alike_siblings_beside_others_get_a_node_of_their_own():
    tree = tree_of("a", "0", "1", "2", kinds={"a": "Conv"})
    assert tree.paths == ("", "a", "[0…2]", "0", "1", "2")
    assert tree.repeats.tolist() == [0, 0, 3, 0, 0, 0]
    assert tree.kinds[2] == "Linear"


def test_siblings_of_other_shapes_or_classes_are_not_alike():
    infos = [ModuleInfo("", "Net"), *(ModuleInfo(f"m.{i}", "Linear") for i in range(4))]
    shapes = [(2, 2), (2, 2), (3, 2), (2, 2)]
    parameters = [ParameterInfo(f"m.{i}", "weight", shape) for i, shape in enumerate(shapes)]
    assert module_tree(infos, parameters).repeats.tolist() == [0] * 6


def test_shapes_are_those_of_the_parameter_of_most_dimensions():
    parameters = [
        ParameterInfo("a", "bias", (3,)), ParameterInfo("a", "weight", (3, 4)),
        ParameterInfo("b", "scale", ()),
    ]  # fmt: skip
    tree = module_tree([ModuleInfo("a", "Linear"), ModuleInfo("b", "Scale")], parameters)
    assert dict(zip(tree.paths, tree.shapes, strict=True)) == {"": "", "a": "3x4", "b": "scalar"}


def test_hostile_paths_are_bounded_and_printable():
    deep_path = ".".join(["x"] * 500)
    tree = tree_of(deep_path, "a\x1b[31m", "..", "")
    assert max(tree.depths) < 30
    assert all(label.isprintable() for label in tree.labels)


@given(st.lists(st.text(alphabet="abc.", max_size=8), max_size=20))
def test_any_paths_make_a_tree_whose_slices_are_subtrees(paths):
    tree = tree_of(*dict.fromkeys(paths))
    for node in range(1, len(tree)):
        parent = tree.parents[node]
        assert parent < node < tree.ends[node] <= tree.ends[parent]
    ones = np.ones(len(tree))
    sums = below_sum(tree, ones)
    assert sums.tolist() == [float(tree.ends[n] - n) for n in range(len(tree))]
    several = np.stack([ones, np.arange(len(tree)) + 0.5])
    assert np.array_equal(below_sum(tree, several), [below_sum(tree, row) for row in several])
    counts = np.arange(2 * len(tree)).reshape(2, len(tree))
    assert np.array_equal(below_count(tree, counts), below_sum(tree, counts.astype(np.float64)))
    assert np.array_equal(below_count(tree, ones > 0), sums)


def test_sums_below_keep_small_values_beside_large_ones():
    tree = tree_of("a", "a.x", "b", "b.x")
    own = np.array([np.nan, np.nan, 1e30, np.nan, 1e-30])
    assert below_sum(tree, own).tolist() == [1e30, 1e30, 1e30, 1e-30, 1e-30]


USUAL = RunChoice()


def shown(run, choice=USUAL, findings=()):
    training = training_of(run, tuple(findings), Training())
    return training, [training.tree.paths[n] for n in shown_nodes(training, choice)]


def test_group_norms_are_roots_of_sums_of_squares():
    made = Made(steps=20).layer("net.a", gradient=3.0).layer("net.b", gradient=4.0)
    run = made.run()
    training, _ = shown(run)
    numbers, tree = training.numbers, training.tree
    last = [
        made.of(f"net.{n}", "gradient", "l2", slot)[-1] for n in "ab" for slot in ("weight", "bias")
    ]
    assert numbers.gradient[tree.node("net")] == pytest.approx(
        np.sqrt(np.sum(np.square(last))), rel=1e-6
    )
    assert numbers.weight[tree.node("net.a")] == pytest.approx(np.hypot(8.0, 0.1), rel=1e-6)
    steps = [made.of(f"net.{n}", "update", "l2", s)[-1] for n in "ab" for s in ("weight", "bias")]
    assert numbers.ratio[0] == pytest.approx(
        np.sqrt(np.sum(np.square(steps))) / np.sqrt(2 * (64 + 0.01)), rel=1e-5
    )
    assert numbers.steps[tree.node("net.a")] == 19


def test_a_module_without_numbers_has_none():
    run = Made(steps=3).act("relu").run()
    training, _ = shown(run)
    node = training.tree.node("relu")
    assert np.isnan(training.numbers.gradient[node])
    assert training.numbers.zeros[node] == pytest.approx(0.55, abs=0.3)


def test_non_finite_values_are_counted_and_told_in_the_trend():
    made = Made(steps=22).layer("a").layer("b")
    made.set("a", "gradient", "nan", np.where(made.t > 17, 3.0, 0.0), slot="weight")
    training, _ = shown(made.run())
    tree = training.tree
    assert training.numbers.nonfinite[tree.node("a")] == 3
    assert training.numbers.nonfinite[0] == 3
    assert np.isinf(training.trends[tree.node("a"), -1])
    assert np.isfinite(training.trends[tree.node("b")]).all()


def test_the_empty_run_shows_nothing():
    training, paths = shown(Run.empty())
    assert training.empty
    assert paths == []


BLOCKS = [f"h.{i}" for i in range(4)]


def many():
    made = Made(steps=4)
    for block in BLOCKS:
        made.modules.append(ModuleInfo(block, "Block"))
        for name in ("q", "k", "v", "out", "up", "down"):
            made.layer(f"{block}.{name}", shape=(4, 4) if name != "up" else (8, 4))
    return made.layer("head", shape=(10, 4)).run()


def test_of_a_few_alike_blocks_the_first_is_shown_whole():
    _, paths = shown(many())
    assert paths[:4] == ["", "h", "h.0", "h.0.[q…out]"]
    assert paths[-4:] == ["h.1", "h.2", "h.3", "head"]


@pytest.mark.parametrize(
    ("choice", "first", "count"),
    [
        (RunChoice(folds="none"), ["", "h", "h.0"], 35),
        (RunChoice(folds="all"), ["", "h", "head"], 3),
        (toggled(RunChoice(folds="all"), "h"), ["", "h", "h.0"], 7),
        (toggled(RunChoice(), "h"), ["", "h", "head"], 3),
        (toggled(RunChoice(), "gone"), ["", "h", "h.0"], 14),
    ],
)
def test_folds(choice, first, count):
    _, paths = shown(many(), choice)
    assert paths[:3] == first
    assert len(paths) == count


def test_folding_everything_and_nothing_take_turns():
    training, _ = shown(many())
    choice = next_folds(RunChoice(toggled=frozenset({"h"})), any_folded=True)
    assert not folded_nodes(training.tree, choice).any()
    again = next_folds(choice, any_folded=False)
    assert folded_nodes(training.tree, again)[training.tree.node("h.2")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("h.1", ["h.1", *(f"h.1.{n}" for n in ("q", "k", "v", "out", "up", "down"))]),
        ("HEAD", ["head"]),
        ("block h.2", ["h.2"]),
        ("nobody", []),
        ("!", ["h.1.up"]),
        ("flag", ["h.1.up", "h.2.up"]),
        ("v h.2", ["h.2.up"]),
    ],
)
def test_filters_by_path_class_and_flag(text, expected):
    findings = [
        Finding("exploding", "bad", "h.1.up", "weight", 2, "what", "why", "try"),
        Finding("vanishing", "warn", "h.2.up", "weight", 2, "what", "why", "try"),
        Finding("no gradient", "note", "h.3.up", "weight", 2, "what", "why", "try"),
    ]
    _, paths = shown(many(), RunChoice(filter=text), findings)
    assert paths == expected


def test_the_worst_finding_of_what_is_folded_is_told():
    finding = Finding(
        "exploding", "bad", "h.1.up", "weight", 2, "what", "why", "try", also=("h.3.up",)
    )
    training, _ = shown(many(), findings=[finding])
    tree, worst = training.tree, training.flags.worst
    assert [int(worst[tree.node(p)]) for p in ("h", "h.1", "h.2", "h.3.up", "head")] == [
        3,
        3,
        0,
        3,
        0,
    ]
    assert training.flags.below(tree.node("h"), int(tree.ends[tree.node("h")]))[0] is finding
    lost = Finding("loss spike", "warn", "gone.module", "loss", 2, "what", "why", "try")
    assert shown(many(), findings=[lost])[0].flags.at(0) == (lost,)


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize(
    "sort", ["gradient", "weight", "ratio", "zeros", "seconds", "trend", "flag", "name"]
)
def test_orders_put_what_is_not_known_last(sort, descending):
    made = deep(3, steps=30, decay=0.5).act("relu")
    made.set("body.0", "module", "seconds", 0.5)
    choice = RunChoice(sort=sort, descending=descending)
    training, paths = shown(made.run(), choice)
    assert "" not in paths
    assert "body" not in paths
    if sort == "name":
        assert paths == sorted(paths, reverse=descending)
    if sort == "gradient":
        values = [float(training.numbers.gradient[training.tree.node(p)]) for p in paths]
        known = [v for v in values if v == v]
        assert known == sorted(known, reverse=descending)
        assert all(v != v for v in values[len(known) :])


def test_what_is_known_of_the_modules_is_used_again():
    run = many()
    first = training_of(run, (), Training())
    grown = Run.following(run, run.ranks)
    assert training_of(grown, (), first).tree is first.tree
    other = training_of(deep(2, steps=3).run(), (), first)
    assert other.tree is not first.tree


def test_a_healthy_run_has_no_flags():
    run = deep(3).run()
    training, _ = shown(run, findings=findings_of(run))
    worst = [f for f in training.flags.findings if f.severity != "note"]
    assert worst == []
    assert replace(RunChoice(), rank=2).one_rank == 2


@pytest.mark.parametrize(
    ("values", "bars"),
    [
        ([0.0] * 4, "▅▅▅▅"),
        ([0.0, 1.0, 2.0, 3.0], "▁▃▆█"),
        ([np.nan, 0.0, np.nan, np.nan, 3.0, np.nan], " ▁▁▁█ "),
        ([0.0, np.inf, np.nan, np.inf], "▅xxx"),
        ([np.nan, np.nan], "  "),
        ([0.0, 0.3], "▃▆"),
    ],
)
def test_sparklines(values, bars):
    assert sparkline(np.array(values)) == bars
    assert sparkline(np.array(values), ascii=True).isascii()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2.2e-3, "2.2e-3"),
        (1.0, "1.0e0"),
        (0.0, "0"),
        (np.inf, "inf"),
        (1e-45, "1.0e-45"),
        (-3e10, "-3.0e10"),
    ],
)
def test_norms_are_told_by_their_exponent(value, text):
    assert scientific(value) == text


@pytest.mark.parametrize("width", [8, 20, 33, 34, 59, 60, 80, 109, 200])
@pytest.mark.parametrize("flat", [True, False])
def test_rows_are_as_wide_as_they_should_be(width, flat):
    training, _ = shown(many())
    top = header(width, "gradient", True)
    assert line_width(top) == width or width < 34
    for node in range(len(training.tree)):
        made = row(training, node, width, flat=flat, folded=node % 2 == 0)
        assert line_width(made) == width, plain(made)
    assert row(training, 0, 5, flat=flat, folded=False) == ()


def test_the_table_has_a_row_for_each_module():
    training, _ = shown(many())
    nodes = shown_nodes(training, RunChoice(filter="head"))
    lines = tsv(training, nodes).splitlines()
    assert lines[0].startswith("module\tclass\tshape\tweight\tgradient")
    assert lines[1].split("\t")[:3] == ["head", "Linear", "10x4"]
    assert len(lines) == 2


def test_a_row_tells_nan_none_and_the_flag_that_it_hides():
    made = deep(2, steps=6)
    made.set("body.0", "gradient", "nan", np.where(made.t > 4, 2.0, 0.0), slot="weight")
    made.numbers[
        next(
            k
            for k in made.numbers
            if k.path == "body.1" and k.role == "gradient" and k.slot == "weight"
        )
    ][:] = np.nan
    made.numbers[
        next(
            k
            for k in made.numbers
            if k.path == "body.1" and k.role == "gradient" and k.slot == "bias"
        )
    ][:] = np.nan
    finding = Finding("non-finite", "bad", "body.0", "weight", 5, "what", "why", "try")
    training, _ = shown(made.run(), findings=[finding])
    tree = training.tree

    def text(path, *, folded=False):
        return plain(row(training, tree.node(path), 80, flat=False, folded=folded))

    assert " nan " in text("body.0")
    assert "X NAN" in text("body.0")
    assert " none " in text("body.1")
    assert "X NAN" in text("body", folded=True)
    # Open, it has the mark alone: the row below has the word.
    assert text("body").endswith(" X" + " " * 7)
