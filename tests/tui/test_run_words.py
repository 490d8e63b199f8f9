"""What a watched run's screens say to a newcomer: columns, findings, keys that act, and why others do not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from kit.pilot import driven
from kit.run_folders import SmallGpt, write_run

from gradtui.tui.actions.commands import complete
from gradtui.tui.keymap import Keymap
from gradtui.tui.screens.help import help_lines
from gradtui.viewmodel.text import plain


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run that explodes at step 300 of 400, without kept tensors."""
    path = tmp_path_factory.mktemp("run") / "run"
    write_run(path, 400, model=SmallGpt(explode_at=300, keep=False))
    return path


async def test_all_columns_can_be_reached_at_eighty_columns_and_sorted_by(folder):
    async with driven(folder, size=(80, 24)) as d:
        await d.opened_run(399)
        assert "tab columns" in d.text()
        assert "|W|2" in d.seen()
        assert "|dy|2" not in d.seen()
        await d.keys("", "tab")
        assert "columns 2 of 2" in d.notice
        for title in ("zero", "dead", "|dy|2", "ms"):
            assert title in d.screen()[2]
        await d.keys("s" * 5)
        assert d.desk.selection.run.sort == "dead"
        assert "dead▾" in d.screen()[2]
        assert d.notice == "sorted by dead, greatest first"
        await d.keys("L")
        assert "|W|2" in d.screen()[2]
        await d.run("sort seconds")
        assert "ms▾" in d.screen()[2]
        await d.keys("0")
        assert "|W|2" in d.screen()[2]
        await d.keys("$")
        assert "|dy|2" in d.screen()[2]
        await d.pilot.resize_terminal(120, 40)
        await d.settle()
        assert "|W|2" in d.screen()[2]
        await d.keys("", "tab")
        assert "all columns are shown" in d.notice


async def test_a_finding_is_read_whole_on_a_page(folder):
    async with driven(folder, size=(80, 24)) as d:
        await d.opened_run(399)
        finding = d.desk.watch.findings[0]
        long = "The gradient of h.1.mlp.fc1 explodes, and this sentence goes on for more than a row has room for"
        why = "numbers, " * 40 + "and the last of them"
        first = replace(finding, what=long, why=why)
        d.desk.watch.findings = (first, replace(finding, path="h.0.mlp.fc1", name="bias"))
        await d.keys("e")
        told = [row for row in d.screen() if "since step" in row]
        assert f"since step {finding.since}" in told[0]
        assert told[0].rstrip().endswith("1 of 2")
        assert "…" in told[0]
        assert "i findings" in d.text()
        await d.keys("i")
        page = " ".join(" ".join(d.screen()).split())
        assert f"{long} since step {finding.since} to now why" in page
        assert "and the last of them" in page
        assert page.index("1 of 2") < page.index("2 of 2")
        await d.pilot.press("q")
        await d.settle()
        await d.keys("ei")
        page = d.seen()
        assert page.index("2 of 2") < page.index("1 of 2")


async def test_keys_that_cannot_act_are_not_offered_and_say_why(folder):
    async with driven(folder, size=(80, 24)) as d:
        await d.opened_run(399)
        for keys, why in (
            ("R", "this run has one rank"),
            ("[", "the run keeps no tensors"),
            ("<", "the layer rail stands beside Values and Flow"),
            ("!", "no process was started here"),
            ("x", "x is a key of Values"),
            ("f,", "no flow between layers"),
            ("h", "no flow between layers"),
        ):
            await d.keys(keys)
            assert why in d.notice, keys
        await d.keys("o", "escape")
        assert d.notice == "nothing to cancel; q quits"
        await d.keys("?")
        shown = d.seen()
        assert "fold or unfold" in shown
        for words in ("ranks together", "layer rail", "start it again", "generation back"):
            assert words not in shown


async def test_commands_that_cannot_act_are_not_offered_and_say_why(folder):
    async with driven(folder, size=(80, 140)) as d:
        await d.opened_run(399)
        for typed, why in (
            ("w", "a watched training has no input to edit"),
            ("threshold 3", "no flow between layers"),
            ("merge 0.1", "no architecture in this folder"),
            ("ranks apart", "this run has one rank"),
        ):
            await d.run(typed)
            assert why in d.notice, typed
        assert complete(d.desk, "w") == ("window",)
        assert complete(d.desk, "thr") == ()
        await d.keys("?")
        shown = d.seen()
        assert ":window" in shown
        assert ":threshold" not in shown
    lines = help_lines(Keymap(), "overview", 80)
    assert ":threshold" in "".join(plain(text) for text in lines)


async def test_values_of_a_run_offer_no_editing(tmp_path):
    place = write_run(tmp_path / "run", 400, model=SmallGpt(explode_at=300))
    async with driven(place.root, size=(80, 24)) as d:
        await d.opened_run(399)
        await d.run("find h.1.mlp.fc1")
        await d.keys("v")
        assert d.desk.selection.view == "values"
        assert ") layer" in d.text()
        for words in ("toggle", "set", "W write", "threshold", "pair"):
            assert words not in plain(d.app.shell.keys.lines[0])
        await d.keys("W")
        assert d.notice == "a watched training has no input to edit"
        await d.keys("", "enter")
        assert "no flow" in d.notice
        await d.keys("", "tab")
        assert d.notice == "there is one map"


async def test_a_difference_is_told_of_where_no_curve_shows_it(folder):
    async with driven(folder, size=(80, 24)) as d:
        await d.opened_run(399)
        await d.keys("bD")
        assert d.notice == "History shows the difference to step 399; D again: as they are"
        await d.keys("D")
        assert d.notice == "History shows the curves as they are"


async def test_no_findings_is_said_of_what_was_read(folder):
    async with driven(folder, size=(80, 24)) as d:
        await d.opened_run(399)
        d.desk.watch.findings, d.desk.watch.reading = (), 0.4
        await d.keys("e")
        assert d.desk.notice == ("no findings in the 40% that was read so far", "")
        d.desk.watch.reading = 1.0
        await d.keys("e")
        assert d.desk.notice == ("no findings", "good")


async def test_pausing_holds_the_run_beside_its_architecture_too(folder):
    async with driven(folder, size=(80, 24)) as d:
        await d.opened_run(399)
        await d.keys("ap")
        assert d.desk.watch.held


async def test_words_of_a_run_are_completed_first_and_those_of_maps_not_at_all(tmp_path):
    write_run(tmp_path / "run", 20, model=SmallGpt(keep=False))
    async with driven(tmp_path / "run", size=(80, 24)) as d:
        await d.opened_run()
        offered = complete(d.desk, "")
        assert offered[:4] == ("find", "filter", "series", "pin")
        assert not {"w", "set", "region", "fit", "polyphase", "threshold"} & set(offered)
        await d.run("fit")
        assert d.notice == "the run keeps no tensors: :keep asks for them"
        await d.run("layer h.2.attn.proj")
        assert d.desk.selection.run.path == "h.2.attn.proj"


async def test_the_detail_is_about_a_row_that_a_filter_leaves(folder):
    async with driven(folder, size=(80, 24)) as d:
        await d.opened_run(399)
        await d.run("find h.0.ln1")
        await d.run("filter flag")
        assert d.desk.selection.run.path == "h.1.mlp.fc1"
        await d.run("filter h.")
        assert d.desk.selection.run.path == "h.1.mlp.fc1"


async def test_what_a_notice_takes_from_a_finding_is_marked(folder):
    """The advice has two rows: under a notice it ends with three dots."""
    async with driven(folder, size=(80, 24)) as d:
        await d.opened_run(399)
        long = replace(d.desk.watch.findings[0], why="why " * 30, advice="try this " * 15)
        d.desk.watch.findings = (long,)
        d.desk.finding = long
        await d.keys("e")
        d.desk.say("a notice")
        d.work.draw()
        await d.settle()
        *_, advice, notice, _keys = d.screen()
        assert "a notice" in notice
        assert advice.rstrip().endswith("…")


def test_the_help_says_of_which_gradient_the_norm_is():
    text = " ".join(plain(each) for each in help_lines(Keymap(), "overview", 100, watched=True))
    assert "after clipping" in text


async def test_a_finding_has_the_rows_that_the_list_leaves_blank(folder):
    async with driven(folder, size=(80, 24)) as d:
        await d.opened_run(399)
        await d.keys("e")
        long = " ".join(f"word{n}" for n in range(60))
        d.desk.watch.findings = (replace(d.desk.finding, why=long, advice=long),)
        await d.run("filter fc2")
        detail = d.app.shell.detail
        assert detail.size.height == 5, "the finding is of another module"
        await d.run("filter fc1")
        await d.keys("e")
        await d.wait(lambda: "word59" in d.seen(), "the reasons")
        assert d.seen().count("word59") == 2
        assert "h.3.mlp.fc1" in d.seen()
        await d.keys("t")
        await d.wait(lambda: detail.size.height == 5, "the rows of the chart")
        await d.keys("o")
        await d.run("filter")
        await d.wait(lambda: detail.size.height < 15, "the rows of the list")
        for size in ((80, 12), (40, 8), (120, 40), (80, 24)):
            await d.pilot.resize_terminal(*size)
            await d.settle()
