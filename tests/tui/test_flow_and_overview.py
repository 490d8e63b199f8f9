"""V1, V2 and V10 in the Flow view; the Overview's tree, flags, order, filter and search; prompts."""

from __future__ import annotations

import numpy as np
import pytest
from kit import places
from kit.pilot import driven
from textual.events import Key

from gradtui.core.estimate import ESTIMATES
from gradtui.viewmodel.flow_table import flow_rows
from gradtui.viewmodel.text import plain as text_of


@pytest.fixture
async def flow(tmp_path):
    """The branched network in the Flow view, at net.a (1, 1)."""
    async with driven(places.branched_folder(tmp_path).shown, size=(100, 30)) as d:
        await d.open()
        await d.keys("f")
        await d.run("node 1 1")
        yield d


@pytest.fixture
async def overview(tmp_path):
    """Layers full of NaN in the Overview."""
    async with driven(places.unfinished(tmp_path).shown, size=(100, 30)) as d:
        await d.open()
        await d.keys("o")
        yield d


def ends(d):
    return flow_rows(d.desk.session, d.desk.selection)


async def test_v1_links_of_a_node_above_the_threshold_through_several_layers(flow):
    d = flow
    screen = "\n".join(d.screen())
    assert "net.a" in screen
    assert "net.b" in screen
    assert "head.d" in screen
    assert "(1,1)" in screen
    await d.run("threshold 0")
    assert len(ends(d)) == 9
    await d.run("top 4")
    assert len(ends(d)) == 4
    values = places.branched()["gradient_flows"]["net.a", "net.b"][7]
    strongest = np.argsort(-np.abs(values))[:4]
    assert {cell for _, cell in ends(d)} == {(int(n) // 3, int(n) % 3) for n in strongest}
    # Both signs are drawn, and none is dropped.
    assert "╍" in "\n".join(d.screen())
    assert "━" in "\n".join(d.screen())


async def test_v1_directions_and_the_next_pair(flow):
    d = flow
    await d.run("layer net.b")
    await d.keys("d")
    assert "fan-in" in d.text()
    assert {layer for layer, _ in ends(d)} == {"net.a"}
    await d.keys("d")
    assert "fan-out and fan-in" in d.text()
    await d.keys("d")
    await d.run("layer net.a")
    seen = set()
    for _ in range(3):
        await d.keys("P")
        await d.run("threshold 0")
        seen |= {layer for layer, _ in ends(d)}
    assert seen == {"net.b", "net.c", "head.d"}


async def test_v1_rows_are_walked_followed_and_left_again(flow):
    d = flow
    await d.run("threshold 0")
    await d.keys("2j")
    assert d.desk.selection.row == 2
    layer, cell = ends(d)[2]
    await d.keys("", "enter")
    assert (d.desk.selection.layer, d.desk.selection.node) == (layer, cell)
    await d.keys("", "backspace")
    assert (d.desk.selection.layer, d.desk.selection.node) == ("net.a", (1, 1))
    await d.keys("G")
    assert d.desk.selection.row == len(ends(d)) - 1
    await d.keys(".")
    assert d.desk.selection.row == 0
    await d.keys(",")
    assert d.desk.selection.row == len(ends(d)) - 1
    await d.keys("g")
    assert d.desk.selection.row == 0


async def test_v7_every_node_is_reached_from_the_flow_view(flow):
    d = flow
    seen = set()
    await d.keys("99h")
    for _ in range(24):
        seen.add(d.desk.selection.node)
        await d.keys("l")
    assert len(seen) == 24
    await d.keys("h0")
    assert d.desk.selection.node == (3, 0)
    await d.keys("$")
    assert d.desk.selection.node == (3, 5)


async def test_v10_estimates_by_name_stay_after_a_restart(tmp_path):
    folder = places.branched_folder(tmp_path)
    async with driven(folder.shown, size=(100, 30)) as d:
        await d.open()
        await d.run("layer net.c")
        await d.keys("f")
        gradients = d.desk.session
        for name in ESTIMATES:
            await d.run(f"estimate {name}")
            await d.wait(lambda name=name: pair(d).estimate == name, name)
            assert f"estimated ({name})" in d.text()
            flow_ = pair(d).flow.dense()
            if name != "vnittest":
                np.testing.assert_allclose(
                    flow_.sum(axis=1), gradients.layer("net.c").map().ravel(), rtol=1e-9
                )
        await d.run("estimate equal")
        await d.wait(lambda: pair(d).estimate == "equal")
        await d.keys("q")
    async with driven(folder.shown, size=(100, 30)) as d:
        await d.open()
        await d.wait(lambda: pair(d).estimate == "equal", "the estimate that was chosen last time")
        # The command line's word counts more.
    async with driven(folder.shown, size=(100, 30), estimate="minimum-norm") as d:
        await d.open()
        await d.wait(lambda: pair(d).estimate == "minimum-norm")


def pair(d):
    return next(p for p in d.desk.session.pairs if (p.source, p.target) == ("net.c", "head.d"))


async def test_v10_measured_and_estimated_are_told_apart(flow):
    d = flow
    assert "measured" in d.text()
    await d.run("layer net.c")
    assert "estimated (proportional)" in d.text()
    await d.keys("v")
    assert "estimated (proportional)" in d.text()


async def test_copies_of_flow_and_layers(flow, monkeypatch):
    monkeypatch.delenv("TMUX", raising=False)
    d = flow
    await d.run("threshold 0")
    await d.keys("gy")
    layer, cell = ends(d)[0]
    value = places.branched()["gradient_flows"]["net.a", "net.b"][7, cell[0] * 3 + cell[1]]
    number, _, place = d.app.clipboard.partition("\t")
    assert float(number) == pytest.approx(value)
    assert place == f"net.a (1,1) {layer} ({cell[0]},{cell[1]})"
    await d.keys("Y")
    assert len(d.app.clipboard.splitlines()) > 9
    assert "copied links" in d.notice
    await d.keys("oY")
    assert d.app.clipboard.splitlines()[0].startswith("layer\t")
    assert len(d.app.clipboard.splitlines()) == 5
    await d.keys("y")
    assert d.app.clipboard.endswith("net.a")


async def test_flags_are_visited_in_every_view(overview):
    d = overview
    assert "flagged" in d.text()
    seen = []
    for _ in range(3):
        await d.keys("e")
        seen.append(d.desk.selection.layer)
    assert seen == ["part.b", "dead", "part.a"]
    await d.keys("E")
    assert d.desk.selection.layer == "dead"
    assert "every cell is 0" in "\n".join(d.screen())
    for view in "vf":
        await d.keys(view)
        await d.keys("e")
        assert d.desk.selection.layer == "part.a"
        assert "NaN" in d.notice
        await d.keys("2e")
        assert d.desk.selection.layer == "dead"


async def test_no_flags_is_said(tmp_path):
    async with driven(places.branched_folder(tmp_path).shown, size=(80, 24)) as d:
        await d.open()
        for view in "ovf":
            await d.keys(view + "e")
            assert "no layer has a flag" in d.notice


async def test_folds_and_the_cursor(overview):
    d = overview
    names = [row.label for row in d.desk.rows]
    assert names == ["part", "a", "b", "fine", "dead"]
    await d.keys("g ")
    assert [row.label for row in d.desk.rows] == ["part", "fine", "dead"]
    assert "(2)" in "\n".join(d.screen())
    await d.keys("*")
    assert len(d.desk.rows) == 5
    await d.keys("*")
    assert len(d.desk.rows) == 3
    await d.keys("", "enter")
    assert len(d.desk.rows) == 5
    await d.keys("G")
    assert d.desk.selection.layer == "dead"
    await d.keys("2k")
    assert d.desk.selection.layer == "part.b"
    await d.keys("", "enter")
    assert (d.desk.selection.view, d.desk.selection.layer) == ("values", "part.b")


async def test_sorting_by_the_next_column_and_by_number(overview):
    d = overview
    for _ in range(9):
        await d.keys("s")
        assert d.desk.selection.sort in d.notice
    assert d.desk.selection.sort == "order"
    await d.keys("2s")
    assert [row.layer for row in d.desk.rows] == ["part.b", "part.a", "fine", "dead"]
    await d.keys("2s")
    assert [row.layer for row in d.desk.rows] == ["dead", "fine", "part.a", "part.b"]
    await d.keys("1s")
    assert len(d.desk.rows) == 5


async def test_filter_and_find(overview):
    d = overview
    await d.keys("&")
    await d.press("~PART", "enter")
    assert [row.layer for row in d.desk.rows] == ["part.a", "part.b"]
    assert "only PART" in d.text()
    await d.run("filter nobody")
    assert not d.desk.rows
    await d.keys("jkgG *s", "enter", "y", "Y", "e")
    await d.run("overview")
    await d.run("filter")
    assert len(d.desk.rows) >= 4
    await d.run("layer part.a")
    await d.keys("n")
    assert "nothing to find yet" in d.notice
    await d.keys("/")
    await d.press("~A", "enter")
    found = [d.desk.selection.layer]
    for key in ("n", "n", "N", "2n"):
        await d.keys(key)
        found.append(d.desk.selection.layer)
    # part.a, part.b and dead have an a.
    assert found == ["part.b", "dead", "part.a", "dead", "part.b"]
    await d.run("find nobody")
    assert "no layer contains 'nobody'" in d.notice


async def test_prompts_are_left_accepted_completed_and_recalled(overview):
    d = overview
    for leave in ("escape", "ctrl+c", "backspace"):
        await d.keys(":")
        assert d.work.is_typing
        await d.press(leave)
        assert not d.work.is_typing
        assert d.app.shell.keys.display
    await d.press(":")
    await d.press("~x", "backspace")
    assert d.work.is_typing, "backspace on a line with text takes a character"
    await d.press("backspace")
    assert not d.work.is_typing
    await d.press(":", "~la", "tab")
    line = d.work.prompt.query_one("PromptInput")
    assert line.value == "layer"
    await d.press("~ fi", "tab", "enter")
    assert d.desk.selection.layer == "fine"
    await d.press(":", "up")
    assert line.value == "layer fine"
    await d.press("down")
    assert line.value == ""
    await d.press("tab", "tab", "shift+tab", "enter")
    await d.press("/", "tab")
    assert line.value == "part.a"
    await d.press("escape")
    # A key that comes with the one that opens the prompt is not lost.
    await d.pilot.press("colon", "t", "o", "p", "space", "3", "enter")
    await d.settle()
    assert d.desk.selection.top == 3


async def test_a_value_on_the_line_is_replaced_by_typing_and_edited_by_other_keys(overview):
    d = overview
    await d.run("filter fine")
    await d.press("&")
    line = d.work.prompt.query_one("PromptInput")
    assert line.selected_text == "fine"
    await d.press("~pa")
    assert line.value == "pa"
    await d.press("escape")
    for key, value in (
        ("backspace", "finx"),
        ("left", "finxe"),
        ("home", "xfine"),
        ("end", "finex"),
    ):
        await d.press("&", key, "x")
        assert line.value == value, key
        assert not line.selected_text
        await d.press("escape")
    # A character that comes before the line has the focus does the same.
    await d.press("&")
    await d.work.prompt.take(Key("d", "d"))
    await d.work.prompt.take(Key("e", "e"))
    assert line.value == "de"
    await d.press("escape")
    await d.press("&", "enter")
    assert d.desk.selection.filter == "fine"
    await d.run("filter")


async def test_help_scrolls_and_is_left_by_any_key(overview):
    d = overview
    for view in "ovf":
        await d.keys(view + "?")
        await d.settle()
        assert "gradtui: keys of" in d.screen()[0]
        for key in ("j", "k", "J", "K", "G", "g", "pagedown", "up"):
            await d.pilot.press(key)
        assert len(d.app.screen_stack) == 2
        await d.pilot.press("z")
        assert len(d.app.screen_stack) == 1


async def test_v1_the_flow_says_why_there_is_nothing(tmp_path):
    async with driven(places.unfinished(tmp_path).shown, size=(100, 30)) as d:
        await d.open()
        await d.keys("f")
        for layer in ("part.a", "part.b", "fine", "dead"):
            await d.run(f"layer {layer}")
            await d.keys("dd")
            await d.keys("hljk.,", "enter", "backspace")
            assert text_of(d.work.views.flow.headline)
        await d.run("layer dead")
        await d.run("direction in")
        assert "no gradient" in "\n".join(d.screen()) or "links" in "\n".join(d.screen())


async def test_the_log_has_its_own_keys_and_q_leaves_it(overview):
    d = overview
    await d.keys("v")
    await d.run("log")
    keys = text_of(d.app.shell.keys.lines[0])
    assert "j k scroll" in keys
    assert "q back" in keys
    assert "quit" not in keys
    assert "enter open" not in keys
    await d.keys("q")
    assert d.app.is_running
    assert d.desk.selection.view == "values"


async def test_a_filter_is_named_wherever_the_rail_obeys_it(overview):
    d = overview
    await d.run("filter o")
    for view in "ovf":
        await d.keys(view)
        assert "only o" in text_of(d.app.shell.headline.lines[0]), view
