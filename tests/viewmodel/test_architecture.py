"""The Architecture as rows and lines: folds, repeats, merging, order, heat, words, difference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.graphs import blocks, chain_of

from gradtui.core.architecture.categories import Colours, category_of
from gradtui.core.architecture.graph import ModuleGraph, TraceFault
from gradtui.errors import UsageError
from gradtui.export.graph_table import graph_text
from gradtui.viewmodel.architecture.choices import (
    COLUMNS,
    ArchitectureChoices,
    from_state,
    to_state,
)
from gradtui.viewmodel.architecture.differences import difference_lines, difference_words
from gradtui.viewmodel.architecture.figures import bar, short
from gradtui.viewmodel.architecture.listing import Live, architecture_view
from gradtui.viewmodel.architecture.plan import Plan
from gradtui.viewmodel.architecture.rows import Rows
from gradtui.viewmodel.architecture.table import (
    architecture_header,
    architecture_line,
    architecture_tsv,
)
from gradtui.viewmodel.architecture.words import (
    fault_lines,
    graph_headline,
    minimap,
    row_detail,
)
from gradtui.viewmodel.text import cell_width, plain

KEEP = ArchitectureChoices(merge=-1)


def listed(graph, choices=KEEP, **named):
    view = architecture_view(Rows(graph), choices, **named)
    return [view.graph.nodes[view.row(k).number].label for k in range(len(view.shown))], view


def lines(graph, choices=KEEP, width=80, **named):
    view = architecture_view(Rows(graph), choices, **named)
    return [plain(architecture_line(view, k, width, Colours())) for k in range(len(view.shown))]


def failing(graph, *numbers):
    """The graph with these nodes failed; the last of them is the innermost."""
    nodes = tuple(
        replace(node, state="failed") if node.number in numbers else node for node in graph.nodes
    )
    return replace(graph, nodes=nodes, fault=TraceFault("ValueError", "no", node=numbers[-1]))


class TestRowsThatFailed:
    """Where the forward pass ended is marked on every row that stands for it."""

    def marked(self, graph, choices=KEEP, width=80, **named):
        view = architecture_view(Rows(graph), choices)
        drawn = [
            architecture_line(view, place, width, Colours(), **named)
            for place in range(len(view.shown))
        ]
        assert all(cell_width(plain(line)) == width for line in drawn)
        spans = [
            (k, span.text) for k, line in enumerate(drawn) for span in line if span.role == "bad"
        ]
        return [k for k, text in spans if text.strip() in ("✗ failed", "x failed")], spans

    def test_a_leaf_the_one_it_merged_into_and_a_folded_call(self):
        chain = failing(chain_of(900, 1, 97), 1, 3)
        assert self.marked(chain)[0] == [2]
        assert (2, "m1") in self.marked(chain)[1]
        assert self.marked(chain, ArchitectureChoices(merge=0.02))[0] == [1]
        assert self.marked(failing(blocks(2), 1, 6, 8), KEEP.at_depth(0))[0] == [2]

    def test_in_ascii_and_where_there_is_no_room_by_its_colour_alone(self):
        chain = failing(chain_of(900, 1, 97), 1, 3)
        assert (2, " x failed") in self.marked(chain, ascii=True)[1]
        assert self.marked(chain, width=20)[1] == [(2, "m1")]

    def test_the_table_of_text_says_it(self):
        table = graph_text(failing(chain_of(900, 1, 97), 1, 3), KEEP, 80)
        marked = next(line for line in table.splitlines() if "✗" in line)
        assert marked.split()[1:5] == ["m1", "Class1", "✗", "failed"]
        assert table.count("✗") == 1
        assert "failed" not in graph_text(chain_of(900, 1, 97), KEEP, 80)


class TestRows:
    def test_calls_alike_are_one_row_until_they_are_opened(self):
        names, view = listed(blocks(5))
        assert names == ["x", "blocks.0"]
        row = view.row(1)
        assert (row.role, len(row.members), row.parameters, row.flops) == ("repeat", 5, 80, 160)
        opened, _ = listed(blocks(5), KEEP.unfolded(row.key))
        assert opened == ["x", *(f"blocks.{k}" for k in range(5))]
        first, _ = listed(blocks(5), KEEP.unfolded(row.key).unfolded("blocks.0#0"))
        assert first[:4] == ["x", "blocks.0.0", "blocks.0.1", "add"]

    def test_two_alike_are_shown_apart(self):
        assert len(listed(blocks(2))[0]) == 7

    def test_depth_folds_and_single_folds_win(self):
        graph = blocks(2)
        assert listed(graph, KEEP.at_depth(0))[0] == ["x", "blocks.0", "blocks.1"]
        assert listed(graph, KEEP.at_depth(0).unfolded("blocks.1#0"))[0][2:] == [
            "blocks.1.0",
            "blocks.1.1",
            "add",
        ]
        assert listed(graph, KEEP.folded("blocks.0#0"))[0][1] == "blocks.0"

    def test_edges_go_between_what_is_shown(self):
        _, view = listed(blocks(5))
        assert view.layout.edges == ((0, 1),)
        _, view = listed(blocks(1))
        assert view.layout.edges == ((0, 1), (0, 3), (1, 2), (2, 3))
        assert view.layout.inputs(3) == (0, 2)
        assert view.layout.outputs(0) == (1, 3)

    def test_merged_leaves_go_to_their_head_with_their_costs(self):
        _, view = listed(chain_of(90, 4, 6), ArchitectureChoices(merge=0.1))
        head = view.row(1)
        named = [view.graph.nodes[number].name for number in (head.number, *head.merged)]
        assert named == ["Class0", "Class1", "Class2"]
        assert (head.parameters, head.flops, head.last) == (100, 1000, 4)

    def test_an_open_calls_own_parameters_have_a_row(self):
        graph = blocks(1)
        nodes = list(graph.nodes)
        nodes[1] = replace(nodes[1], parameters=7)
        names, view = listed(replace(graph, nodes=tuple(nodes)))
        assert names[1] == "(model)"
        assert view.row(1).role == "own"
        assert view.row(1).parameters == 7

    def test_nothing(self):
        names, view = listed(ModuleGraph())
        assert names == []
        assert len(view.layout.lanes) == 0

    @given(
        st.integers(0, 6),
        st.integers(-1, 3),
        st.floats(-1, 1),
        st.sets(st.integers(0, 30)),
    )
    def test_every_cost_is_in_one_row(self, count, depth, threshold, odd):
        graph = blocks(count, odd=min(odd, default=-1))
        layout = Rows(graph).layout(ArchitectureChoices(depth=depth, merge=threshold))
        assert layout.parameters.sum() == sum(n.parameters for n in graph.nodes)
        assert layout.flops.sum() == sum(n.flops for n in graph.nodes)


class TestTable:
    def test_lines_have_the_width_and_the_lanes(self):
        found = lines(blocks(1))
        assert {cell_width(one) for one in found} == {80}
        assert [one[:4].rstrip() for one in found] == [" ◆", " ├─◆", " │ ◆", " ⊕─╯"]

    @pytest.mark.parametrize("width", [8, 20, 40, 60, 80, 120, 200])
    @pytest.mark.parametrize("live", [{}, {"blocks.0.0": Live(1.5, 0.01, "!", "EXPL")}])
    def test_every_width(self, width, live):
        view = architecture_view(Rows(blocks(4)), ArchitectureChoices(), live=live)
        assert cell_width(plain(architecture_header(view, width))) == width
        for place in range(len(view.shown)):
            line = plain(architecture_line(view, place, width, Colours()))
            assert cell_width(line) == width

    def test_sorting_and_back(self):
        graph = chain_of(5, 90, 7)
        for column in COLUMNS:
            names, view = listed(graph, replace(KEEP, sort=column))
            assert sorted(names) == sorted(listed(graph)[0])
            assert bool(view.gutter(0)) == (column == "dataflow")
        assert listed(graph, replace(KEEP, sort="params"))[0][:3] == ["m1", "m2", "m0"]
        assert listed(graph, replace(KEEP, sort="params", descending=False))[0][-1] == "m1"

    def test_layers_sort_by_their_numbers_and_equal_ones_stay_in_order(self):
        graph = chain_of(*([1] * 12))
        names = listed(graph, replace(KEEP, sort="layer", descending=False))[0]
        assert names == ["x", "output", *(f"m{k}" for k in range(12))]
        for descending in (False, True):
            choices = replace(KEEP, sort="params", descending=descending)
            equal = [name for name in listed(graph, choices)[0] if name.startswith("m")]
            assert equal == [f"m{k}" for k in range(12)]

    def test_filter_keeps_lanes_of_what_is_left(self):
        names, view = listed(blocks(2), replace(KEEP, filter="linear"))
        assert names == ["blocks.0.1", "blocks.1.1"]
        assert view.place_of(0) == -1

    def test_upward_turns_it_round(self):
        names, view = listed(blocks(1), replace(KEEP, upward=True))
        assert names == ["add", "blocks.0.1", "blocks.0.0", "x"]
        assert [view.gutter(k).rstrip() for k in range(len(view.shown))] == [
            "⊕",
            "├─◆",
            "│ ◆",
            "◆─╮",
        ]

    def test_heat_by_what_is_chosen(self):
        graph = chain_of(10, 20)
        view = architecture_view(Rows(graph), replace(KEEP, hot="parameters"))
        assert tuple(view.heat) == (0.0, 0.5, 1.0, 0.0)
        live = {"m0": Live(gradient=4.0), "m1": Live(gradient=float("nan"))}
        view = architecture_view(Rows(graph), replace(KEEP, hot="gradient"), live=live)
        assert tuple(view.heat) == (0.0, 1.0, 0.0, 0.0)

    def test_a_runs_numbers_stand_in_the_rows(self):
        live = {"m0": Live(0.25, 0.01, "v", "VAN")}
        (line,) = [one for one in lines(chain_of(9), width=120, live=live) if "m0" in one]
        assert "2.5e-01" in line
        assert "v VAN" in line

    def test_short_numbers(self):
        assert [short(n) for n in (0, 37, 999, 1000, 9536, 36928, 236027904, 10**18)] == [
            "0", "37", "999", "1.00K", "9.54K", "36.9K", "236M", "1.00E",
        ]  # fmt: skip

    def test_bars(self):
        assert (bar(0, 6), bar(1, 6), bar(1e-9, 6), bar(0.5, 6)) == ("", "██████", "▏", "███")
        assert (bar(1e-9, 6, ascii=True), bar(0.5, 6, ascii=True)) == ("#", "###")

    def test_tsv_has_every_row(self):
        view = architecture_view(Rows(blocks(2)), KEEP)
        rows = architecture_tsv(view).splitlines()
        assert len(rows) == 1 + len(view.shown)
        assert all(row.count("\t") == 9 for row in rows)

    def test_hostile_names_are_harmless(self):
        graph = chain_of(1)
        nodes = list(graph.nodes)
        nodes[2] = replace(nodes[2], path="a\x1b]0;x\x07", name="[/]\u202e", extra="\x1b[2J")
        graph = replace(graph, nodes=tuple(nodes), model="\x1b[31m")
        view = architecture_view(Rows(graph), KEEP)
        told = [plain(line) for line in row_detail(view, 1, 200)]
        told += [plain(architecture_line(view, 1, 80, Colours())), architecture_tsv(view)]
        told.append(plain(graph_headline(view, 100)))
        assert not any(c in text for text in told for c in "\x1b\x07\u202e")


class TestWords:
    def test_a_fault_is_two_lines(self):
        fault = TraceFault("ValueError", "no\nmore", "a.b", "mm", ((2, 3),), "net.py:3", "y = f(x)")
        assert [plain(line).strip() for line in fault_lines(fault, 0)] == [
            "ValueError: no",
            "at a.b in mm(2×3)   net.py:3  y = f(x)",
        ]
        assert fault_lines(TraceFault(), 80) == ()

    def test_of_a_tree_that_had_no_inputs_the_headline_says_how_to_give_some(self):
        tree = replace(chain_of(1), stage="static")
        view = architecture_view(Rows(tree), KEEP)
        assert "the tree alone, nothing was run" in plain(graph_headline(view, 100))
        view = architecture_view(Rows(replace(tree, notes=("no inputs",))), KEEP)
        assert "give --input 1x3x224x224 or like" in plain(graph_headline(view, 100))

    def test_minimap_of_a_long_list(self):
        heat = np.zeros(100)
        heat[57] = 1.0
        cells = minimap(heat, 10, 20, 10)
        assert [share for share, _ in cells] == [0, 0, 0, 0, 0, 1.0, 0, 0, 0, 0]
        assert [on for _, on in cells] == [k == 2 for k in range(10)]
        assert minimap(np.zeros(0), 5, 0, 5) == ()
        assert len(minimap(np.array([0.5]), 5, 0, 5)) == 1

    def test_a_unet_turns_inside_its_skips(self):
        edges = [(0, 2), (2, 3), (3, 4), (4, 5), (5, 6), (6, 7), (2, 6), (3, 5)]
        graph = chain_of(1, 1, 1, 1, 1, edges=edges)
        sizes = {2: 8, 3: 4, 4: 2, 5: 4, 6: 8}
        nodes = [replace(n, shapes=((1, 3, *(sizes.get(n.number, 8),) * 2),)) for n in graph.nodes]
        _, view = listed(replace(graph, nodes=tuple(nodes)))
        assert view.layout.turn == 3
        assert "◡" in view.gutter(3)
        # Without maps that shrink they are skips like any other.
        assert listed(graph)[1].layout.turn == -1
        assert listed(chain_of(1, 1))[1].layout.turn == -1

    def test_a_guess_is_told_before_how_it_was_traced(self):
        graph = chain_of(1)
        nodes = [replace(node, guessed=True) for node in graph.nodes]
        _, view = listed(replace(graph, nodes=tuple(nodes)))
        assert plain(graph_headline(view, 64)).split("  ")[-1].strip() == "guessed ?"

    def test_of_a_long_operation_the_beginning_is_shown(self):
        graph = chain_of(1, 1)
        node = replace(graph.nodes[3], kind="operation", name="zeros_like" + "x" * 80, path="a.b")
        nodes = (*graph.nodes[:3], node, *graph.nodes[4:])
        (line,) = [one for one in lines(replace(graph, nodes=nodes)) if "zeros" in one]
        assert "◆ zeros_likex" in line


class TestPlan:
    def test_the_graph_before_is_the_baseline_until_one_is_chosen(self):
        plan = Plan()
        assert plan.empty
        plan.arrived(blocks(1))
        assert plan.difference() == ()
        plan.arrived(blocks(2))
        assert {row.change for row in plan.difference()} == {"added"}
        plan.choose_baseline()
        plan.arrived(blocks(1))
        plan.arrived(blocks(2, odd=0))
        changed = plan.difference()
        assert {row.change for row in changed} == {"changed"}
        text = [plain(line) for line in difference_lines(plan.baseline, plan.graph, changed, 100)]
        assert "parameters 8 → 9" in text[0]
        assert "parameters +2" not in text[0]
        words = difference_words(plan.baseline, plan.graph, changed)
        assert words.startswith("0 added, 0 removed, 2 changed")

    def test_a_key_that_changes_nothing_makes_nothing(self):
        plan = Plan()
        plan.arrived(blocks(3))
        live: dict[str, Live] = {}
        first = plan.view(KEEP, live)
        assert plan.view(replace(KEEP, row=2), live) is first
        assert plan.view(replace(KEEP, sort="params"), live) is not first

    def test_what_encloses_a_node(self):
        plan = Plan()
        plan.arrived(blocks(2))
        assert plan.enclosing(3) == "blocks.0#0"
        assert plan.enclosing(2) == ""


class TestChoices:
    def test_state_there_and_back(self):
        choices = ArchitectureChoices(
            frozenset({"a"}), frozenset({"b"}), 3, 0.5, "params", False, "x", "parameters", True, 9
        )
        assert from_state(to_state(choices)) == replace(choices, row=0)

    @pytest.mark.parametrize(
        "state",
        [None, 3, {"depth": "x", "merge": float("nan"), "sort": 1, "hot": [], "opened": [1, "a"]}],
    )
    def test_any_state_is_taken(self, state):
        read = from_state(state)
        assert read.depth == -1
        assert read.merge == 0.01

    def test_the_same_column_again_turns_it(self):
        once = ArchitectureChoices().sorted_by("params")
        assert once.descending
        assert not once.sorted_by("params").descending
        assert not ArchitectureChoices().sorted_by("layer").descending


class TestColours:
    def test_categories(self):
        told = {
            "Conv2d": "Convolution", "BatchNorm2d": "Normalization", "add_": "Arithmetic", "GELU": "Activation",
            "LSTM": "Recurrent", "MultiheadAttention": "Attention", "flatten": "Shape", "Linear": "Linear",
            "Dropout": "Dropout", "MaxPool2d": "Pooling", "Embedding": "Embedding", "CrossEntropyLoss": "Loss",
            "ResidualBlock": "Other", "scaled_dot_product_attention": "Attention", "einsum": "Linear",
        }  # fmt: skip
        assert {name: category_of(name) for name in told} == told
        assert category_of("x", "input") == "Input and output"

    def test_fixed_and_avoided(self):
        plain_colours = Colours()
        first = plain_colours.of("Conv2d")
        assert Colours(avoid=[0]).of("Conv2d") != first
        assert Colours(fixed={"Convolution": "#ABCDEF"}).of("Conv2d") == "#abcdef"
        assert Colours(fixed={"Convolution": "#abcdef", "Conv2d": "3"}).of("Conv2d") != "#abcdef"
        by = Colours(by="operation")
        assert by.of("Conv1d") != by.of("Conv2d")
        assert by.of("Conv1d") == by.of("Conv1d")

    @pytest.mark.parametrize("palette", ["dark", "#12345", "", "#123456,red"])
    def test_no_such_palette(self, palette):
        with pytest.raises(UsageError):
            Colours(palette)

    def test_no_such_colour(self):
        with pytest.raises(UsageError):
            Colours(fixed={"Conv2d": "99"})
