"""The Architecture under a Pilot: every key of it, on graphs made by hand."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from kit.graphs import blocks, chain_of
from kit.pilot import driven

from gradtui.core.architecture.graph import ModuleGraph, TraceFault
from gradtui.folder.graph_file import write_graph
from gradtui.folder.location import DebugFolder
from gradtui.tui.actions.graph_rows import shown
from gradtui.viewmodel.architecture.choices import COLUMNS
from gradtui.viewmodel.architecture.table import row_names


@contextlib.asynccontextmanager
async def on(tmp_path, graph, *, size=(100, 30), **options):
    """The app on a folder with a graph and nothing else."""
    path = tmp_path / "run"
    path.mkdir(exist_ok=True)
    write_graph(DebugFolder.at(path), graph)
    async with driven(path, size, view="architecture", wait=True, **options) as d:
        await d.wait(lambda: d.app.shell.workspace is not None and d.desk.planning, "the graph")
        await d.settle()
        yield d


async def another(d, tmp_path, graph):
    """Write another graph, and wait until it is shown."""
    write_graph(DebugFolder.at(tmp_path / "run"), graph)
    await d.wait(lambda: d.desk.plan.graph == graph, "the other graph")
    await d.settle()


def names(d):
    view = shown(d.desk)
    return [row_names(view, view.row(place))[0] for place in range(len(view.shown))]


def here(d):
    return names(d)[d.desk.selection.architecture.row]


def on_screen(d, word):
    return any(word in line for line in d.screen())


NAMES_OF_TWO = ["x", "blocks.0.0", "blocks.0.1", "add", "blocks.1.0", "blocks.1.1", "add"]


def unmerged(graph):
    return replace(graph, nodes=tuple(replace(n, bytes=10 * n.number) for n in graph.nodes))


async def test_fold_and_unfold(tmp_path):
    async with on(tmp_path, blocks(4)) as d:
        await d.keys("T", "minus")
        d.work.answered("merge", "-1")
        assert names(d) == ["x", "blocks.[0…3]"]
        assert on_screen(d, "Block ×4")
        # Calls alike open into calls, of which each is still folded.
        await d.keys("j ")
        assert names(d) == ["x", *(f"blocks.{k}" for k in range(4))]
        await d.keys("jj")
        assert here(d) == "blocks.2"
        await d.keys(" ")
        assert names(d)[3:6] == ["blocks.2.0", "blocks.2.1", "add"]
        assert here(d) == "blocks.2.0"
        # A leaf folds what is around it, and the cursor stays on what holds it.
        await d.keys("j ")
        assert here(d) == "blocks.2"
        await d.keys("g ")
        assert "at the top" in d.notice


async def test_fold_all_and_depth(tmp_path):
    async with on(tmp_path, blocks(2)) as d:
        await d.run("merge -1")
        assert names(d) == NAMES_OF_TWO
        await d.keys("-")
        assert d.notice == "depth 0"
        assert names(d) == ["x", "blocks.0", "blocks.1"]
        await d.keys("-")
        assert d.notice == "nothing more to fold"
        # One that was opened by itself is the deepest that stands open.
        await d.keys("j ")
        assert names(d) == ["x", *NAMES_OF_TWO[1:4], "blocks.1"]
        await d.keys("-")
        assert names(d) == ["x", "blocks.0", "blocks.1"]
        await d.keys("+")
        assert d.notice == "everything open"
        assert names(d) == NAMES_OF_TWO
        await d.keys("*")
        assert names(d) == ["x", "blocks.0", "blocks.1"]
        await d.keys("*")
        assert names(d) == NAMES_OF_TWO
        await d.run("depth 0")
        assert "depth 0" in d.text()
        assert names(d) == ["x", "blocks.0", "blocks.1"]


async def test_merging_live(tmp_path):
    async with on(tmp_path, chain_of(900, 1, 2, 97)) as d:
        assert names(d) == ["x", "m0", "m3", "output"]
        assert on_screen(d, "Class0+m1 Class1+m2 Class2")
        await d.press("T")
        await d.press(*["backspace"] * 4, "~0.2", "enter")
        assert names(d) == ["x", "m0", "output"]
        assert "merge 0.2" in d.text()
        await d.run("merge 0")
        assert names(d) == ["x", "m0", "m1", "m2", "m3", "output"]
        for nonsense in ("nonsense", "- - + d", "nan", "inf"):
            await d.press("T")
            assert on_screen(d, "merge below this share of parameters, 0 to 1 (-1: nothing): 0")
            await d.press(f"~{nonsense}", "enter")
            words = f"{nonsense!r} is no share: a number such as 0.01 is expected"
            assert d.notice.startswith(words)
            assert d.desk.selection.architecture.merge == 0


async def test_find_opens_what_hides_it(tmp_path):
    async with on(tmp_path, blocks(5, odd=3)) as d:
        await d.run("merge -1")
        await d.press("/", "~blocks.1.1", "enter")
        assert here(d) == "blocks.1.1"
        await d.press("/", "~LINEAR", "enter")
        found = [here(d)]
        for _ in range(3):
            await d.keys("n")
            found.append(here(d))
        assert len(set(found)) == 4 - found.count(found[0]) + 1
        assert all(name.endswith(".1") for name in found)
        await d.keys("N")
        assert here(d) == found[-2]
        await d.press("/", "~nowhere", "enter")
        assert "no row contains 'nowhere'" in d.notice


async def test_find_opens_calls_alike_and_stops_at_what_was_looked_for(tmp_path):
    async with on(tmp_path, blocks(5)) as d:
        await d.run("merge -1")
        assert names(d) == ["x", "blocks.[0…4]"]
        await d.press("/", "~blocks.3.0", "enter")
        assert here(d) == "blocks.3.0"
        await d.keys("*")
        await d.press("/", "~blocks.2", "enter")
        assert here(d) == "blocks.2"
        assert "blocks.2.0" not in names(d)


async def test_filter(tmp_path):
    async with on(tmp_path, blocks(2)) as d:
        await d.run("merge -1")
        await d.press("&", "~linear", "enter")
        assert names(d) == ["blocks.0.1", "blocks.1.1"]
        assert "& linear: 2 rows" in d.text()
        await d.press("&", *["backspace"] * 6, "~nothing like it", "enter")
        assert names(d) == []
        assert "nothing fits the filter" in d.text()
        # Keys about a row have none to be about.
        await d.keys(" ,.dsyYeE*+-jkGg", "enter", "tab")
        await d.run("depth -1")
        await d.press("&", *["backspace"] * len("nothing like it"), "enter")
        assert len(names(d)) == 7


async def test_the_key_that_opened_the_line_is_not_part_of_what_is_typed(tmp_path):
    async with on(tmp_path, blocks(2)) as d:
        await d.run("merge -1")
        await d.press("&", "~&linear", "enter")
        assert d.desk.selection.architecture.filter == "linear"
        assert names(d) == ["blocks.0.1", "blocks.1.1"]
        await d.press("&", "~&", "enter")
        assert names(d) == NAMES_OF_TWO
        await d.press("/", "~/blocks.1.0", "enter")
        assert here(d) == "blocks.1.0"


async def test_sort_by_every_column_and_back(tmp_path):
    graph = unmerged(chain_of(5, 90, 7))
    async with on(tmp_path, graph) as d:
        await d.run("merge -1")
        flow = names(d)
        seen = {}
        for _ in COLUMNS:
            await d.keys("s")
            seen[d.desk.selection.architecture.sort] = names(d)
        assert set(seen) == set(COLUMNS)
        assert seen["dataflow"] == flow
        assert seen["layer"] == ["x", "output", "m0", "m1", "m2"]
        for column in ("params", "FLOPs", "hot"):
            assert seen[column][:3] == ["m1", "m2", "m0"], column
        assert seen["bytes"] == ["output", "m2", "m1", "m0", "x"]
        # A count takes a column, and again turns it round; the header marks it.
        await d.keys("3s")
        assert on_screen(d, "params▾")
        await d.keys("3s")
        assert on_screen(d, "params▴")
        assert names(d)[-1] == "m1"
        assert "◆" not in "".join(d.screen())
        await d.keys("1s")
        assert on_screen(d, "layer▴")
        await d.keys("7s")
        assert d.notice == "columns 1 to 6 sort: layer, out, params, FLOPs, bytes, hot"
        assert on_screen(d, "layer▴")
        await d.keys("6ss")
        assert d.notice == "in the order of dataflow"
        assert names(d) == flow
        assert on_screen(d, "◆")


async def test_a_count_sorts_by_the_column_that_stands_there(tmp_path):
    graph = unmerged(chain_of(5, 90, 7))
    async with on(tmp_path, graph, size=(64, 24)) as d:
        # Without room for out and bytes.
        await d.keys("2s")
        assert on_screen(d, "params▾")
        await d.keys("4s")
        assert on_screen(d, "hot▾")
        await d.keys("5s")
        assert d.notice == "columns 1 to 4 sort: layer, params, FLOPs, hot"


async def test_producers_and_consumers(tmp_path):
    async with on(tmp_path, blocks(1)) as d:
        await d.run("merge -1")
        await d.keys(".")
        assert here(d) == "blocks.0.0"
        await d.keys(",")
        assert here(d) == "x"
        assert "takes from no row" not in d.notice
        await d.keys("2.")
        assert here(d) == "add"
        assert d.notice == "2 of 2: a count chooses"
        await d.keys("2,")
        assert here(d) == "blocks.0.1"
        await d.keys("G.")
        assert d.notice == "no row takes from it"
        await d.keys("g,")
        assert d.notice == "it takes from no row"


async def test_the_map_follows_and_shows_what_is_hot(tmp_path):
    sizes = [1] * 60 + [5000] + [1] * 39
    async with on(tmp_path, chain_of(*sizes), size=(80, 24)) as d:
        await d.run("merge -1")

        def rail():
            return [line.rstrip()[-1:] == "▐" for line in d.screen()]

        top = rail()
        assert any(top)
        column = max(len(line.rstrip()) for line in d.screen()) - 2
        hot = [row for row, line in enumerate(d.screen()) if line[column : column + 1] == "█"]
        assert len(hot) == 1
        await d.keys("G")
        assert rail() != top
        assert rail().index(True) > top.index(True)
        assert [
            row for row, line in enumerate(d.screen()) if line[column : column + 1] == "█"
        ] == hot
    async with on(tmp_path, chain_of(*sizes), size=(59, 24)) as d:
        await d.run("merge -1")
        assert not on_screen(d, "▐")


async def test_hot_by_what_is_chosen(tmp_path):
    graph = unmerged(chain_of(10, 20))
    async with on(tmp_path, graph) as d:
        await d.run("merge -1")
        for name in ("parameters", "activations", "flops"):
            await d.keys("", "tab")
            assert d.notice == f"hot by {name}"
        await d.run("hot activations")
        assert tuple(shown(d.desk).heat) == (0.0, 0.5, 0.75, 1.0)
        await d.run("hot colour")
        assert "nothing is hot by colour" in d.notice


@pytest.mark.parametrize(
    ("colours", "expected"),
    [
        ({}, "#e69f00"),
        ({"palette": "vivid"}, "#3cb44b"),
        ({"palette": "#010203,#040506"}, "#040506"),
        ({"fixed": {"Linear": "#123456"}}, "#123456"),
        ({"palette": "#010203,#040506,#070809", "avoid": [1]}, "#070809"),
    ],
)
async def test_palettes(tmp_path, colours, expected):
    async with on(tmp_path, blocks(1), colours=colours) as d:
        await d.run("merge -1")
        rows = d.work.views.architecture._made
        assert rows is not None
        roles = {span.text.strip(): span.role for span in rows[2]}
        assert roles["Linear"] == expected


async def test_ascii(tmp_path):
    sizes = [1] * 60 + [5000] + [1] * 39
    for graph in (blocks(5), blocks(2), chain_of(*sizes)):
        async with on(tmp_path, graph, size=(90, 24), ascii=True) as d:
            for keys in ("", "*", "d", "s", "sss", "1s", "G"):
                await d.keys(keys)
                assert all(line.isascii() or "…" in line for line in d.screen()), d.screen()
                assert not set("".join(d.screen())) & set("│◆⊕─╯├▸█▐◡╮╭▾▴")


async def test_direction(tmp_path):
    async with on(tmp_path, blocks(2)) as d:
        await d.run("merge -1")
        await d.keys("jj")
        before, place = names(d), here(d)
        await d.keys("d")
        assert names(d) == before[::-1]
        assert here(d) == place
        assert on_screen(d, "╮")
        await d.keys("4sd")
        # The other way round of the dataflow, whatever it was sorted by.
        assert names(d) == before
        assert on_screen(d, "╯")


async def test_the_difference_of_two_graphs(tmp_path):
    async with on(tmp_path, chain_of(4, 5, 6)) as d:
        await d.run("merge -1")
        await d.keys("D")
        assert "nothing to compare with yet" in d.notice
        await another(d, tmp_path, chain_of(4, 50, 6, 7))
        await d.keys("D")
        text = "\n".join(d.screen())
        assert "difference to the baseline" in text
        assert "1 added, 0 removed" in text
        assert "parameters 5 → 50" in text
        assert " + m3" in text
        # Keys about rows say why they do nothing.
        for key in (" ", ",", ".", "enter"):
            await d.keys("", "enter") if key == "enter" else await d.keys(key)
            assert d.notice == "this is a difference: D shows the graph again"
        await d.keys("sd*+-eEyYjkGg/", "escape")
        await d.keys("D")
        assert names(d) == ["x", "m0", "m1", "m2", "m3", "output"]
        # A chosen baseline stays while others arrive.
        await d.keys("b")
        await another(d, tmp_path, chain_of(4))
        await another(d, tmp_path, chain_of(4, 50, 6, 7))
        await d.keys("D")
        assert on_screen(d, "the two graphs are the same")


async def test_the_cursor_stays_within_a_graph_that_shrinks(tmp_path):
    async with on(tmp_path, chain_of(*range(1, 30))) as d:
        await d.run("merge -1")
        await d.keys("G")
        await another(d, tmp_path, chain_of(1))
        await d.keys(" ,.yYeE", "enter")
        assert d.desk.selection.architecture.row < 3
        await d.keys("k")
        assert here(d) in names(d)


async def test_a_fault_is_told_and_the_cursor_is_there(tmp_path):
    graph = chain_of(1, 2, 3)
    nodes = [replace(n, state="failed") if n.number == 3 else n for n in graph.nodes]
    fault = TraceFault(
        "ValueError", "wrong shape", "m1", "mm", ((2, 3),), "net.py:3", "y = f(x)", 3
    )
    async with on(tmp_path, replace(graph, nodes=tuple(nodes), fault=fault)) as d:
        await d.run("merge -1")
        assert here(d) == "m1"
        assert on_screen(d, "ValueError: wrong shape")
        assert on_screen(d, "at m1 in mm(2×3)   net.py:3  y = f(x)")
        await d.keys("ge")
        assert here(d) == "m1"


async def test_nothing_but_an_empty_graph(tmp_path):
    async with on(tmp_path, chain_of(1)) as d:
        write_graph(DebugFolder.at(tmp_path / "run"), ModuleGraph("Empty"))
        await d.wait(lambda: d.desk.plan.graph.model == "Empty", "the empty graph")
        await d.keys(" ,.dsyYeE*+-jkGgDb", "enter", "tab")
        assert on_screen(d, "no architecture yet")
        await d.keys("De")
        assert d.desk.notice == ("no architecture yet: nothing can have failed", "warn")


async def test_a_tree_that_nobody_ran_is_not_said_to_be_well(tmp_path):
    async with on(tmp_path, replace(chain_of(3), stage="static")) as d:
        await d.keys("e")
        assert d.desk.notice[1] == "warn"
        assert "nothing was run" in d.notice
        await another(d, tmp_path, chain_of(4))
        await d.keys("e")
        assert d.desk.notice == ("no row failed or has a finding", "good")
