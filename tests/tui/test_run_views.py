"""A training run on the screen: Overview, History, kept tensors, findings, held and resumed."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
from kit.pilot import driven
from kit.run_folders import SmallGpt, write_run

from gradtui.core.run.keys import VALUES, SeriesKey
from gradtui.core.run.records import Entry, Kept
from gradtui.folder.generation import AdapterWriter
from gradtui.folder.history.writer import HistoryWriter
from gradtui.folder.location import DebugFolder
from gradtui.tui.actions.of_runs import HISTORY, OVERVIEW
from gradtui.viewmodel.run.choice import NEWEST, RunChoice


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run that explodes at step 300 of 400."""
    path = tmp_path_factory.mktemp("run") / "run"
    write_run(path, 400, model=SmallGpt(explode_at=300))
    return path


async def test_the_overview_shows_the_tree_with_numbers_and_flags(folder):
    async with driven(folder, size=(80, 24)) as d:
        await d.opened_run(399)
        text = d.seen()
        assert "step 399" in text
        assert "|dW|2" in text
        assert "grad trend" in text
        assert "embed" in text
        assert "65x384" in text
        assert "! EXPL" in text
        assert "~upd/W" in text
        assert d.desk.selection.view == "overview"
        await d.keys("e")
        assert d.desk.selection.run.path == "h.1.mlp.fc1"
        text = d.seen()
        assert "explodes" in text
        assert "why" in text
        assert "try" in text


async def test_folds_filters_orders_and_finds(folder):
    async with driven(folder, size=(120, 40)) as d:
        await d.opened_run(399)
        rows = len(d.desk.watch.rows(d.desk.selection.run))
        await d.keys("*")
        assert len(d.desk.watch.rows(d.desk.selection.run)) > rows
        await d.keys("*")
        assert len(d.desk.watch.rows(d.desk.selection.run)) == 4
        await d.run("filter fc2")
        assert len(d.desk.watch.rows(d.desk.selection.run)) == 4
        assert "h.3.mlp.fc2" in d.seen()
        await d.run("filter flag")
        assert "h.1.mlp.fc1" in d.seen()
        assert "h.1.mlp.fc2" not in d.seen()
        await d.run("filter")
        await d.run("sort gradient")
        nodes = d.desk.watch.rows(d.desk.selection.run)
        tree = d.desk.watch.training(d.desk.selection.run).tree
        assert tree.paths[nodes[0]] == "h.1.mlp.fc1"
        await d.keys("", "g")
        assert d.desk.selection.run.path == "h.1.mlp.fc1"
        await d.run("sort order")
        await d.run("find h.2.attn.proj")
        assert d.desk.selection.run.path == "h.2.attn.proj"
        assert "proj" in d.seen()
        await d.keys("Y")
        assert "h.2.attn.proj\tLinear\t384x384" in d.app.clipboard


async def test_the_history_of_the_finding_and_its_cursor(folder):
    async with driven(folder, size=(80, 24)) as d:
        await d.opened_run(399)
        await d.keys("et")
        assert d.desk.watch.key(d.desk.selection.run) == SeriesKey(
            "h.1.mlp.fc1", "gradient", "l2", "weight"
        )
        assert "|dW|2" in d.seen()
        assert "1e" in d.seen()
        await d.keys("e")
        since = d.desk.finding.since
        assert d.desk.selection.run.cursor == since
        await d.keys(".")
        assert d.desk.selection.run.cursor == since + 1
        await d.keys("3,")
        assert d.desk.selection.run.cursor == since - 2
        await d.keys("120G")
        assert d.desk.selection.run.cursor == 120
        assert "cursor 120" in d.seen()
        await d.keys("y")
        value, step, name = d.app.clipboard.split("\t")
        assert (step, name) == ("120", "|dW|2 h.1.mlp.fc1.weight")
        assert 0 < float(value) < 1
        await d.keys("G")
        assert d.desk.selection.run.cursor == NEWEST


async def test_pins_window_axis_and_the_distribution(folder):
    async with driven(folder, size=(120, 40)) as d:
        await d.opened_run(399)
        await d.run("find h.1.mlp.fc1")
        await d.keys("t ")
        await d.run("series loss")
        await d.keys(" ")
        assert [key.slot for key in d.desk.selection.run.pins] == ["weight", "loss"]
        await d.run("series upd h.0.mlp.fc2.weight")
        assert len(d.work.views.history.chart.curves) == 3
        assert d.seen().count("●") == 3
        await d.run("window 100..200")
        assert d.work.views.history.window.first == 100
        await d.keys("s")
        assert not d.work.views.history.chart.log
        await d.keys("Y")
        lines = d.app.clipboard.splitlines()
        assert lines[0].split("\t") == [
            "step",
            "upd/W h.0.mlp.fc2.weight",
            "|dW|2 h.1.mlp.fc1.weight",
            "loss",
        ]
        assert len(lines) == 102
        await d.run("find h.1.mlp.fc1.weight values dW")
        await d.keys("M")
        assert d.desk.selection.run.mode == "series"
        await d.keys("M")
        assert d.desk.selection.run.mode == "histogram"
        assert "┄" in d.seen()
        await d.keys("", "tab")
        assert "values of" in d.seen()
        await d.run("unpin")
        assert d.desk.selection.run.pins == ()


async def test_inputs_side_by_side(folder):
    async with driven(folder, size=(120, 40)) as d:
        await d.opened_run(399)
        await d.run("find h.0.attn.proj")
        await d.keys("tI")
        assert "row norms of dx h.0.attn.proj.0 " in d.seen()
        assert "row norms of dx h.0.attn.proj.mask " in d.seen()
        assert "inputs of h.0.attn.proj side by side" in d.seen()
        await d.keys("I")
        assert d.desk.selection.run.mode == "series"
        await d.run("find h.0.ln1")
        await d.run("inputs")
        assert "no histograms" in d.notice


async def test_a_baseline_and_the_difference_to_it(folder):
    async with driven(folder, size=(120, 40)) as d:
        await d.opened_run(399)
        await d.run("find h.1.mlp.fc1")
        await d.keys("t100Gb")
        assert d.desk.selection.run.baseline == 100
        await d.keys("GD")
        assert "minus step 100" in d.seen()
        assert "×" in d.seen()
        await d.keys("100Gb")
        assert d.desk.selection.run.baseline == NEWEST
        await d.keys("D")
        assert "no baseline" in d.notice


async def test_kept_tensors_open_in_values_and_step(folder):
    async with driven(folder, size=(120, 40)) as d:
        await d.opened_run(399)
        await d.run("find h.1.mlp.fc1")
        await d.keys("", "enter")
        assert d.desk.selection.view == "values"
        assert "h.1.mlp.fc1 dy" in d.seen()
        assert "kept at step 350" in d.seen()
        await d.keys("[")
        assert "kept at step 300" in d.seen()
        await d.keys("{")
        first = d.desk.generations.shown.meta["step"]
        await d.keys("A")
        await d.wait(lambda: d.desk.generations.shown.meta["step"] != first, "the next snapshot")
        await d.keys("}")
        assert not d.work.following.is_playing
        await d.keys("{]t")
        assert d.desk.selection.run.cursor == 50
        assert d.desk.selection.run.path == "h.1.mlp.fc1"
        await d.keys("v")
        assert "kept at step 50" in d.seen()
        await d.keys("t[")
        assert d.desk.selection.run.cursor == 0
        await d.keys("G[")
        assert d.desk.selection.run.cursor == 350
        await d.keys("v")
        assert d.desk.selection.view == "values"


async def test_kept_tensors_have_the_word_of_what_they_are_and_are_played_on_one_scale(tmp_path):
    place = write_run(tmp_path / "run", 60, model=SmallGpt(keep=False))
    writer = HistoryWriter(place)
    key = SeriesKey("h.1.mlp.fc1", "output", VALUES)
    for entry in SmallGpt().preamble():
        writer.write(entry)
    for step in (10, 20, 30):
        values = np.full((4, 6), 10.0 ** -(step / 10), np.float32)
        writer.write(Entry(step, 1.0, Kept(key, values)))
    writer.flush(30)
    writer.close(30)
    async with driven(place.root, size=(120, 40)) as d:
        await d.wait(lambda: d.app.shell.workspace is not None and d.desk.watching, "the run")
        await d.wait(lambda: len(d.desk.generations.kept) == 3, "what is kept")
        await d.run("find h.1.mlp.fc1")
        await d.keys("v")
        shown = d.work.views.values.maps["source"]
        assert "output" in shown.view.subtitle
        assert "gradient" not in shown.view.subtitle
        assert "|y|2" in d.seen()
        assert "vanish" not in d.seen()
        own = float(shown.view.high)
        assert own == pytest.approx(1e-3)
        await d.keys("A")
        assert "one scale for all steps" in d.notice
        for frame in (20, 30):
            assert shown.view.high == pytest.approx(0.1)
            await d.wait(lambda f=frame: d.desk.generations.shown.generation == f, "a frame")
        await d.wait(lambda: not d.work.following.is_playing, "the end")
        await d.settle()
        assert shown.view.high == pytest.approx(own)
        await d.keys("A")
        await d.keys("j")
        assert d.desk.scalings == {}


async def test_where_nothing_is_kept_and_nobody_could_keep_it_it_says_so(folder):
    async with driven(folder, size=(80, 24)) as d:
        await d.opened_run(399)
        await d.run("find embed")
        for key in ("v", "enter"):
            await d.keys("", key)
            assert not d.work.asking.text
            assert "no tensor of embed is kept, and no training runs" in d.seen()
        # The next key is no answer, and acts.
        await d.keys("k")
        assert d.desk.selection.run.path != "embed"
        await d.keys("t")
        assert d.desk.selection.view == "history"
        await d.run("keep")
        assert "no training runs" in d.notice


async def test_a_training_has_no_flow_and_it_says_so(folder):
    async with driven(folder, size=(80, 24)) as d:
        await d.opened_run(399)
        await d.keys("f")
        assert "a watched training has no flow; gradtui debug and gradtui demo have" in d.seen()
        assert "nothing to show yet" not in d.seen()


async def test_the_model_opens_the_tensors_that_are_kept_in_it(folder):
    """So does a snapshot that was gone to; stepping back keeps to the tensor, and the header to run and step."""
    async with driven(folder, size=(80, 24)) as d:
        await d.opened_run(399)
        await d.keys("v")
        assert d.desk.selection.view == "values"
        assert d.desk.selection.layer == "h.1.mlp.fc1 dy"
        assert "this is h.1.mlp.fc1 dy" in d.notice
        await d.keys("[")
        assert "kept at step 300, 1 newer" in d.screen()[0]
        await d.keys("b")
        assert "baseline: step 300" in d.notice
        await d.keys("t[")
        assert "snapshot at step 250" in d.notice
        await d.keys("v")
        assert "kept at step 250" in d.seen()


async def test_where_nothing_is_kept_it_offers_to_ask_the_training_for_it(folder, tmp_path):
    place = tmp_path / "run"
    shutil.copytree(folder, place)
    async with driven(place, size=(80, 24)) as d:
        with AdapterWriter(DebugFolder.at(f"{place}/")) as writer:
            writer.set_state("training", message="watching GPT")
            await d.opened_run(399)
            await d.wait(lambda: d.work.view.adapter.alive, "the training")
            await d.run("find embed")
            await d.keys("v")
            assert "no tensor of embed is kept" in d.work.asking.text
            await d.keys("x")
            # A list of modules is never called: there is nothing of it to keep.
            await d.run("find h.0")
            assert d.desk.selection.run.path == "h.0"
            await d.keys("v")
            assert not d.work.asking.text
            assert "h.0 is not called itself" in d.notice
            await d.run("find embed")
            await d.keys("v")
            await d.keys("k")
            assert "asked the run to keep embed" in d.notice
            await d.wait(lambda: "bad 1  training" in d.text(), "the status")
        await d.wait(lambda: "training ended" in d.text(), "the end")


async def test_what_was_chosen_stays_for_the_next_start(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    async with driven(folder, size=(120, 40)) as d:
        await d.opened_run(399)
        await d.run("find h.2.mlp.fc1")
        await d.keys("t ")
        await d.run("window 50..90")
        d.work.remember()
        chosen = d.desk.selection.run
    async with driven(folder, size=(120, 40)) as d:
        await d.opened_run(399)
        assert d.desk.selection.view == "history"
        assert d.desk.selection.run == chosen
        assert d.work.views.history.window.first == 50


async def test_every_key_of_a_run_has_an_effect(folder):
    silent = set()
    async with driven(folder, size=(120, 40)) as d:
        await d.opened_run(399)
        for view, actions in (("overview", OVERVIEW), ("history", HISTORY)):
            for name in actions:
                d.desk.selection = replace(
                    d.desk.selection, view=view,
                    run=RunChoice(path="h.1", span=100, end=300, cursor=250, baseline=20,
                                  key=SeriesKey("h.1.attn.qkv", "gradient", "l2", "weight")),
                )  # fmt: skip
                d.desk.notice, d.desk.found = ("", ""), "fc1"
                d.work.asking = type(d.work.asking)()
                d.work.draw()
                await d.settle()
                before = (d.desk.selection, d.screen(), d.desk.watch.held, d.app.clipboard)
                for key in {"find": "/", "filter": "&"}.get(name, "") or [
                    b.keys[0] for b in d.work.keys.keymap.of_view(view) if b.id == name
                ]:
                    await d.keys("", key)
                after = (d.desk.selection, d.screen(), d.desk.watch.held, d.app.clipboard)
                if before == after and not (d.notice or d.work.is_typing or d.work.asking.text):
                    silent.add((view, name))
                if d.work.is_typing:
                    await d.press("escape")
                d.work.following.stop()
    assert silent == set()


async def test_random_keys_leave_it_standing(folder):
    import random

    chance = random.Random(5)
    async with driven(folder, size=(100, 30)) as d:
        await d.opened_run(399)
        keys = [
            key
            for view in ("overview", "history")
            for b in d.work.keys.keymap.of_view(view)
            if b.id
            not in ("quit", "suspend", "save.svg", "adapter", "command", "view.architecture")
            for key in b.keys
        ]
        for _ in range(600):
            await d.work.pressed(chance.choice([*keys, *"123456789"]))
            if d.work.ask is not None:
                d.work.ask = None
            while len(d.app.screen_stack) > 1:
                await d.pilot.press("q")
            if d.desk.selection.view not in ("overview", "history"):
                d.desk.selection = replace(
                    d.desk.selection, view=chance.choice(("overview", "history"))
                )
        for size in ((120, 40), (59, 18), (40, 10), (20, 5), (5, 3), (1, 1), (80, 24)):
            for view in ("overview", "history"):
                d.desk.selection = replace(d.desk.selection, view=view)
                await d.pilot.resize_terminal(*size)
                d.work.draw()
                await d.settle()
        assert d.app.is_running


async def test_ascii_alone_is_ascii(folder):
    async with driven(folder, size=(80, 24), ascii=True) as d:
        await d.opened_run(399)
        for keys in ("e", "t", "M", "M", "F"):
            await d.keys(keys)
            assert all(line.isascii() for line in d.screen()), (
                keys,
                [x for x in d.screen() if not x.isascii()],
            )
