"""A graph's own sums and places, merging, repeats, comparing, and the document there and back."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.graphs import blocks, chain_of

from gradtui.core.architecture.comparing import compare
from gradtui.core.architecture.document import to_document
from gradtui.core.architecture.graph import ModuleGraph, TraceFault, counts
from gradtui.core.architecture.merging import merge
from gradtui.core.architecture.reading import from_document
from gradtui.core.architecture.repeats import repeats, signatures
from gradtui.errors import InvalidContents


def test_places_in_a_tree():
    graph = blocks(3)
    assert [node.path for node in graph.inside(2)] == ["blocks.0.0", "blocks.0.1", "blocks.0"]
    assert graph.depths[:6] == (0, 0, 1, 2, 2, 2)
    assert graph.ends[1] == len(graph.nodes)


def test_sums_of_columns_are_exact():
    assert counts([1, 2]).sum() == 3
    large = 1 << 62
    assert counts([large, large, large]).sum() == 3 * large
    graph = chain_of(large, large, 3)
    assert graph.columns.parameters.sum() == 2 * large + 3
    assert graph.columns.edges.tolist() == [list(edge) for edge in graph.edges]
    assert len(ModuleGraph().columns.edges) == 0


class TestMerging:
    def heads(self, graph, threshold):
        return [number for number, head in enumerate(merge(graph, threshold)) if head != number]

    def test_smallest_first_within_the_share(self):
        # 1000 in all: 2 + 3 fit in one per cent, 6 more do not.
        graph = chain_of(980, 3, 2, 6, 9)
        assert self.heads(graph, 0.01) == [3, 4]
        assert merge(graph, 0.01)[3:5].tolist() == [2, 2]

    def test_zero_merges_what_has_no_parameters_and_below_nothing(self):
        graph = chain_of(5, 0, 1, 0, 4)
        assert self.heads(graph, 0) == [3, 5]
        assert self.heads(graph, -1) == []
        assert self.heads(graph, math.nan) == []

    def test_one_merges_all_but_ends(self):
        # The first has the input before it, the last leads to the output: it has consumers, and merges.
        assert self.heads(chain_of(5, 4, 3), 1) == [3, 4]

    def test_several_inputs_or_a_producer_with_several_outputs_stay(self):
        edges = [(0, 2), (2, 3), (2, 4), (3, 4), (4, 5), (5, 6)]
        assert self.heads(chain_of(0, 0, 0, 0, edges=edges), 0) == [5]

    def test_without_consumers_nothing_merges(self):
        assert self.heads(chain_of(0, 0, edges=[(0, 2), (2, 3)]), 0) == []
        assert len(merge(ModuleGraph(), 1)) == 0

    def test_shared_parameters_weigh_too(self):
        graph = chain_of(100, 0)
        nodes = list(graph.nodes)
        nodes[3] = replace(nodes[3], shared=50)
        assert self.heads(replace(graph, nodes=tuple(nodes)), 0.01) == []


class TestRepeats:
    def test_equal_blocks_are_one_run(self):
        graph = blocks(5)
        (found,) = repeats(graph)
        assert found.members == (2, 6, 10, 14, 18)

    def test_a_block_of_another_size_parts_them(self):
        assert [r.members for r in repeats(blocks(6, odd=2))] == [(2, 6), (14, 18, 22)]

    def test_dataflow_inside_counts(self):
        with_skip, without = blocks(2), blocks(2, skip=False)
        # The same nodes; only an edge inside the second block is missing. (An edge from outside is no part of it.)
        cut = tuple(edge for edge in with_skip.edges if edge != (7, 8))
        assert repeats(replace(with_skip, edges=cut)) == ()
        assert len(repeats(without)) == 1

    def test_names_do_not_count_and_costs_do(self):
        graph = blocks(2)
        marks = signatures(graph)
        assert marks[2] == marks[6]
        nodes = list(graph.nodes)
        nodes[7] = replace(nodes[7], flops=1)
        assert repeats(replace(graph, nodes=tuple(nodes))) == ()


class TestComparing:
    def test_the_same_graph_has_no_difference(self):
        assert {row.change for row in compare(blocks(2), blocks(2))} == {"same"}

    def test_added_removed_changed(self):
        first, second = chain_of(1, 2, 3), chain_of(1, 2, 3)
        nodes = list(second.nodes)
        nodes[3] = replace(nodes[3], flops=99)
        nodes[4] = replace(nodes[4], path="other")
        rows = compare(first, replace(second, nodes=tuple(nodes)))
        assert [(row.change, row.before, row.after) for row in rows if row.change != "same"] == [
            ("changed", 3, 3),
            ("added", -1, 4),
            ("removed", 4, -1),
            ("changed", 5, 5),
        ]
        assert rows[3].fields == ("flops",)
        assert rows[-1].fields == ("inputs from",)

    def test_from_and_to_nothing(self):
        graph = blocks(1)
        assert {row.change for row in compare(ModuleGraph(), graph)} == {"added"}
        assert [row.before for row in compare(graph, ModuleGraph())] == list(
            range(len(graph.nodes))
        )
        assert compare(ModuleGraph(), ModuleGraph()) == ()

    @given(st.sets(st.integers(0, 7)), st.sets(st.integers(0, 7)))
    def test_every_row_is_told_once(self, first, second):
        def graph(kept):
            whole = chain_of(*range(8), edges=())
            nodes = [node for node in whole.nodes if node.kind != "module" or not node.leaf]
            nodes[2:2] = [whole.nodes[k + 2] for k in sorted(kept)]
            return ModuleGraph("M", tuple(replace(n, number=k) for k, n in enumerate(nodes)))

        a, b = graph(first), graph(second)
        rows = compare(a, b)
        assert [row.after for row in rows if row.after >= 0] == list(range(len(b.nodes)))
        assert [row.before for row in rows if row.before >= 0] == list(range(len(a.nodes)))


class TestDocument:
    def test_there_and_back(self):
        graph = replace(
            blocks(2, odd=1),
            fault=TraceFault("ValueError", "no", "a.b", "mm", ((2, 3), ()), "x.py:3", "f(x)", 4),
            notes=("one",),
        )
        for brief in (False, True):
            text = json.dumps(to_document(graph, brief=brief))
            assert from_document(json.loads(text)) == graph

    def test_edges_come_sorted_and_once(self):
        document = to_document(chain_of(1, 2, 3)) | {"edges": [[3, 4], [0, 4], [3, 4], [2, 3]]}
        assert from_document(document).edges == ((2, 3), (0, 4), (3, 4))

    def test_without_a_fault_error_is_null(self):
        assert to_document(blocks(1))["error"] is None

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            (lambda d: d.update(schema=2), "schema"),
            (lambda d: d.update(nodes={}), "nodes"),
            (lambda d: d.update(stage="dream"), "stage"),
            (lambda d: d["edges"].append([0, 99]), "leaves the graph"),
            (lambda d: d["edges"].append([0]), "ends"),
            (lambda d: d["edges"].append([0, -1]), "not a count"),
            (lambda d: d["edges"].append([0, True]), "not a count"),
            (lambda d: d["edges"].append([0, 1.0]), "not a count"),
            (lambda d: d["edges"].append([0, 1 << 70]), "not a count"),
            (lambda d: d["edges"].append("ab"), "expected a list"),
            (lambda d: d["nodes"][2].update(parent=2), "node 2: its parent"),
            (lambda d: d["nodes"][2].update(parent=-2), "parent"),
            (lambda d: d["nodes"][2].update(parent=1.0), "parent"),
            (lambda d: d["nodes"][2].update(parent=True), "parent"),
            (lambda d: d["nodes"][2].update(flops=1 << 70), "not a count"),
            (lambda d: d["nodes"][2].update(flops=1.5), "not a count"),
            (lambda d: d["nodes"][2].update(flops=True), "not a count"),
            (lambda d: d["nodes"][2].update(shared=-1), "node 2: shared: -1 is not a count"),
            (lambda d: d["nodes"][2].update(kind="spell"), "kind"),
            (lambda d: d["nodes"][2].update(kind=["module"]), "kind"),
            (lambda d: d["nodes"][2].pop("kind"), "kind"),
            (lambda d: d["nodes"][2].update(state=None), "state"),
            (lambda d: d["nodes"][2].update(path=7), "node 2: path: expected text"),
            (lambda d: d["nodes"][2].update(extra=None), "extra"),
            (lambda d: d["nodes"][2].update(out_shapes=[["a"]]), "not a count"),
            (lambda d: d["nodes"][2].update(out_shapes=[[-1]]), "not a count"),
            (lambda d: d["nodes"][2].update(out_shapes=[[True]]), "not a count"),
            (lambda d: d["nodes"][2].update(out_shapes=["ab"]), "expected a list"),
            (lambda d: d["nodes"][2].update(in_shapes={}), "expected a list"),
            (lambda d: d["nodes"].append(None), "object"),
            (lambda d: d.update(totals=[]), "totals"),
            (lambda d: d.update(notes="x"), "notes"),
        ],
    )
    def test_what_is_wrong_is_told(self, change, told):
        document = json.loads(json.dumps(to_document(blocks(1))))
        change(document)
        with pytest.raises(InvalidContents, match=told):
            from_document(document)

    @pytest.mark.parametrize("root", [None, [], 3, "x", {}])
    def test_other_roots(self, root):
        with pytest.raises(InvalidContents):
            from_document(root)
