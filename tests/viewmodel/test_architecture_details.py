"""The two lines below the Architecture: what one row is, and what it holds."""

from __future__ import annotations

from dataclasses import replace

import pytest
from kit.graphs import chain_of

from gradtui.core.architecture.categories import Colours
from gradtui.core.architecture.graph import TraceFault
from gradtui.viewmodel.architecture.choices import ArchitectureChoices
from gradtui.viewmodel.architecture.columns import columns_of
from gradtui.viewmodel.architecture.listing import architecture_view
from gradtui.viewmodel.architecture.plan import Plan
from gradtui.viewmodel.architecture.rows import Rows
from gradtui.viewmodel.architecture.table import architecture_line
from gradtui.viewmodel.architecture.words import row_detail
from gradtui.viewmodel.text import line_width, plain


def merged_chain():
    """Three modules, the last two merged into the first; the last one makes another shape."""
    graph = chain_of(900, 1, 1)
    nodes = list(graph.nodes)
    nodes[2] = replace(nodes[2], shapes=((2, 4),), dtype="float32", extra="4, 4")
    nodes[3] = replace(nodes[3], shapes=((2, 4),), dtype="float32")
    nodes[4] = replace(nodes[4], shapes=((2, 2),), dtype="float32")
    return replace(graph, nodes=tuple(nodes))


def told(graph, place, width, merge):
    view = architecture_view(Rows(graph), ArchitectureChoices(merge=merge))
    return [plain(line) for line in row_detail(view, place, width)], view


def test_of_a_row_of_several_each_is_told_and_every_new_shape():
    (first, second), view = told(merged_chain(), 1, 300, 0.02)
    assert len(view.row(1).merged) == 2
    assert "→ 2×2 float32" in first
    assert "Class0+m1 Class1+m2 Class2" in first
    # What the first was made with is said of it, and not of the last.
    assert first.endswith("Class0(4, 4)")
    assert second.endswith("holds m0 2×4, m1, m2 2×2")


@pytest.mark.parametrize(
    ("text", "places"),
    [("m0", [1]), ("CLASS2", [1]), ("m2", [1]), ("nowhere", []), ("+M1 CL", [1])],
)
def test_a_row_is_found_by_what_it_holds_and_by_what_it_is_called(text, places):
    plan = Plan()
    plan.arrived(merged_chain())
    view = plan.view(ArchitectureChoices(merge=0.02), {})
    assert plan.holding(view, text) == places


def test_rows_after_a_guess_have_a_sign():
    graph = merged_chain()
    nodes = [replace(node, guessed=node.number == 3) for node in graph.nodes]
    view = architecture_view(
        Rows(replace(graph, nodes=tuple(nodes))), ArchitectureChoices(merge=-1)
    )
    drawn = [plain(architecture_line(view, place, 80, Colours())) for place in range(4)]
    assert [" ? " in text for text in drawn] == [False, False, True, False]


def test_beside_a_run_the_flag_is_there_at_eighty_columns():
    titles = [column.title for column in columns_of(80, live=True)]
    assert titles == ["params", "FLOPs", "hot", "|g|2", "flag"]


def test_a_row_of_one_holds_nothing_more():
    (first, second), _ = told(merged_chain(), 1, 300, -1)
    assert "Class0(4, 4)" in first
    assert "Class1" not in first
    assert "holds" not in second


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120])
def test_where_there_is_no_room_whole_parts_go(width):
    view = architecture_view(Rows(merged_chain()), ArchitectureChoices(merge=0.02))
    whole = [plain(line) for line in row_detail(view, 1, 300)]
    for line, all_of_it in zip(row_detail(view, 1, width), whole, strict=True):
        assert line_width(line) <= width
        assert all(part in all_of_it for part in plain(line).split("  "))


@pytest.mark.parametrize(("number", "marked"), [(1, ["its own parameters"]), (2, ["Class0"])])
def test_own_parameters_of_a_call_failed_only_where_the_call_itself_did(number, marked):
    """The calls around a failure failed too: a row of their own parameters is not where it was."""
    graph = merged_chain()
    failed = [
        replace(node, state="failed", parameters=5) if 1 <= node.number <= number else node
        for node in graph.nodes
    ]
    fault = TraceFault("ValueError", "no", node=number)
    graph = replace(graph, nodes=tuple(failed), fault=fault)
    view = architecture_view(Rows(graph), ArchitectureChoices(merge=-1))
    rows = [plain(row_detail(view, place, 300)[0]) for place in range(len(view.shown))]
    found = [row for row in rows if "failed" in row]
    assert len(found) == 1
    assert all(words in found[0] for words in marked)
