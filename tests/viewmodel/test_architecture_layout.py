"""Rows laid out as columns, against a walk from node to node; their order, heat and flags."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.architectures import edges_of, heads_of, parts_of, random_graph, rows_of
from kit.graphs import blocks, chain_of

from gradtui.core.architecture.graph import TraceFault
from gradtui.core.architecture.merging import merge
from gradtui.viewmodel.architecture import rows as module
from gradtui.viewmodel.architecture.choices import COLUMNS, HOTS, ArchitectureChoices
from gradtui.viewmodel.architecture.gradients import gradient_of
from gradtui.viewmodel.architecture.layout import key_of
from gradtui.viewmodel.architecture.listing import Live, architecture_view
from gradtui.viewmodel.architecture.order import natural_ranks
from gradtui.viewmodel.architecture.rows import Rows
from gradtui.viewmodel.architecture.table import flagged

MOST = 4


def pressed(random, choices, rows, graph):
    """The choices after a key or two that fold, open or merge."""
    for _ in range(random.choice([1, 1, 3])):
        folded = [row.key for row in rows if row.role in ("folded", "repeat")]
        parents = [graph.nodes[row.number].parent for row in rows]
        around = [parent for parent in parents if parent > 0]
        what = random.random()
        if what < 0.5 and folded:
            choices = choices.unfolded(random.choice(folded))
        elif what < 0.7 and around:
            choices = choices.folded(key_of(graph.nodes[random.choice(around)]))
        elif what < 0.8:
            choices = choices.at_depth(random.choice([-1, 0, 1, 2]))
        elif what < 0.9:
            choices = replace(choices, merge=random.choice([-1, 0, 0.01, 0.4, 1]))
    return choices


@pytest.mark.parametrize("seed", range(80))
def test_rows_are_those_of_a_walk(seed, monkeypatch):
    monkeypatch.setattr(module, "MOST_OPENED", MOST)
    random = Random(seed)
    graph = random_graph(random)
    rows = Rows(graph)
    choices = ArchitectureChoices(merge=random.choice([-1, 0, 0.01, 0.4, 1]))
    for _ in range(6):
        layout = rows.layout(choices)
        expected, row_of = rows_of(graph, choices, MOST)
        assert [layout.row(place) for place in range(len(layout))] == expected
        assert layout.row_of.tolist() == row_of
        assert layout.edges == edges_of(graph, row_of)
        open_calls = [row.depth - (row.role != "own") for row in expected]
        assert layout.deepest_open == max(open_calls, default=-1)
        choices = pressed(random, choices, expected, graph)


@pytest.mark.parametrize("seed", range(40))
def test_merging_is_the_rule_node_by_node(seed):
    graph = random_graph(Random(seed))
    for threshold in (-1, 0, 0.01, 0.3, 1, 2):
        assert merge(graph, threshold).tolist() == heads_of(graph, threshold)


def test_the_same_rows_are_laid_out_once():
    rows = Rows(chain_of(1, 2, 3))
    first = rows.layout(ArchitectureChoices(merge=-1))
    # No call but the model's own: at any depth the rows are the same, and so are their lanes.
    assert rows.layout(ArchitectureChoices(merge=-1).at_depth(0)) is first
    assert rows.layout(ArchitectureChoices(merge=1)) is not first
    assert first.row(1) is first.row(1)
    assert rows.layout(ArchitectureChoices(merge=-1)) is first


@pytest.mark.parametrize("seed", range(20))
def test_order_filter_and_heat_are_those_of_the_rows_one_by_one(seed):
    random = Random(seed)
    graph = random_graph(random)
    nodes, rows = graph.nodes, Rows(graph)
    live = {
        node.path: Live(random.choice([0.5, float("inf"), float("nan")]), random.random())
        for node in nodes[::3]
    }
    for sort in COLUMNS:
        choices = ArchitectureChoices(
            sort=sort,
            descending=random.random() < 0.5,
            filter=random.choice(["", "", "relu", "3"]),
            hot=random.choice(HOTS),
            upward=random.random() < 0.5,
        )
        view = architecture_view(rows, choices, live=live)
        made = [view.layout.row(place) for place in range(len(view.layout))]

        def cost(row, hot=choices.hot):
            if hot in ("time", "gradient"):
                node = nodes[row.number]
                known = live.get(node.path, Live()) if node.kind == "module" else Live()
                value = known.seconds if hot == "time" else gradient_of(graph, row, live)[0]
                return value if 0 < value < float("inf") else 0.0
            return getattr(row, {"activations": "bytes"}.get(hot, hot))

        def key(row, sort=sort):
            last = nodes[row.last]
            size = int(np.prod(last.shape)) if last.dtype else 0
            told = {"params": row.parameters, "FLOPs": row.flops, "bytes": row.bytes, "out": size}
            told |= {"layer": parts_of(nodes[row.number].path), "hot": cost(row)}
            return told[sort]

        largest = max(map(cost, made))
        kept = [
            place
            for place, row in enumerate(made)
            if any(
                choices.filter in f"{nodes[n].path} {nodes[n].name}".lower()
                for n in (row.number, *row.merged)
            )
        ]
        if sort != "dataflow":
            kept.sort(key=lambda place: key(made[place]), reverse=choices.descending)
        elif choices.upward:
            kept.reverse()
        assert view.shown.tolist() == kept
        shares = [cost(made[place]) / largest if largest else 0.0 for place in kept]
        assert view.heat.tolist() == shares
        assert [view.place_of(place) for place in kept] == list(range(len(kept)))


@given(st.lists(st.text("a.-01\x31923 ", max_size=12), max_size=12))
def test_paths_are_in_the_order_that_people_count_in(paths):
    ranks = natural_ranks(paths)
    for a, one in enumerate(paths):
        for b, other in enumerate(paths):
            assert (ranks[a] < ranks[b]) == (parts_of(one) < parts_of(other))


def test_flags_are_told_of_the_rows_that_stand_for_them():
    graph = blocks(5)
    failed = (1, 2, 6, 10, 14, 18)
    nodes = [
        replace(node, state="failed") if node.number in failed else node for node in graph.nodes
    ]
    nodes[0] = replace(nodes[0], guessed=True)
    graph = replace(graph, nodes=tuple(nodes), fault=TraceFault("ValueError", "no", node=12))
    rows, live = Rows(graph), {"blocks.4.0": Live(word="VANISH"), "blocks.4": Live(0.5)}
    folded = ArchitectureChoices(merge=-1)
    assert flagged(architecture_view(rows, folded, live=live)) == [0, 1]
    opened = folded.unfolded("×blocks.0#0")
    assert flagged(architecture_view(rows, opened, live=live)) == [0, 1, 2, 3, 4, 5]
    apart = opened.unfolded("blocks.4#0").unfolded("blocks.2#0")
    view = architecture_view(rows, apart, live=live)
    assert [view.row(place).number for place in flagged(view)] == [0, 2, 6, 14, 19]
    upward = replace(apart, upward=True)
    assert flagged(architecture_view(rows, upward, live=live)) == [2, 3, 7, 8, 9]
