"""Calls alike as rows: what one key opens of very many, and how merging goes with it."""

from __future__ import annotations

from dataclasses import replace

from kit.graphs import blocks, chain_of

from gradtui.viewmodel.architecture.choices import ArchitectureChoices
from gradtui.viewmodel.architecture.listing import architecture_view
from gradtui.viewmodel.architecture.rows import Rows

KEEP = ArchitectureChoices(merge=-1)


def listed(graph, choices=KEEP):
    view = architecture_view(Rows(graph), choices)
    return [view.graph.nodes[view.row(k).number].label for k in range(len(view.shown))], view


def test_all_alike_can_be_open_at_once():
    rows = Rows(blocks(5))
    view = architecture_view(rows, rows.with_alike_open(ArchitectureChoices(merge=-1)))
    names = [view.graph.nodes[view.row(place).number].label for place in range(len(view.shown))]
    inside = ["blocks.0.0", "blocks.0.1", "add"]
    assert names == ["x", *inside, "blocks.1", "blocks.2", "blocks.3", "blocks.4"]


def test_of_very_many_alike_one_key_opens_some_and_the_rest_is_a_row():
    graph = blocks(1203)
    first = KEEP.unfolded(listed(graph)[1].row(1).key)
    names, view = listed(graph, first)
    assert names[1:3] + names[500:] == ["blocks.0", "blocks.1", "blocks.499", "blocks.500"]
    rest = view.row(501)
    assert (rest.role, len(rest.members), rest.number) == ("repeat", 703, rest.members[0])
    assert view.layout.row_of[rest.members[-1]] == 501
    names, view = listed(graph, first.unfolded(rest.key))
    assert len(names) == 1 + 500 + 500 + 1
    assert len(view.row(1001).members) == 203
    assert sum(view.row(k).parameters for k in range(len(names))) == 16 * 1203
    # Folded again, and the first are one row with them.
    assert listed(graph)[0] == ["x", "blocks.0"]


def test_leaves_alike_that_are_merged_into_one_another_are_still_one_row():
    chain = chain_of(*[16] * 300)
    nodes = (replace(node, name="Linear") if "m" in node.path else node for node in chain.nodes)
    graph = replace(chain, nodes=tuple(nodes))
    names, view = listed(graph, ArchitectureChoices(merge=0.1))
    assert names == listed(graph)[0] == ["x", "m0", "output"]
    assert (len(view.row(1).members), view.row(1).parameters) == (300, 4800)
    # A tenth of the parameters merges: it stands in one row with the first of them, once they are opened.
    opened, view = listed(graph, ArchitectureChoices(merge=0.1).unfolded(view.row(1).key))
    assert (len(opened), len(view.row(1).merged)) == (2 + 270, 30)
