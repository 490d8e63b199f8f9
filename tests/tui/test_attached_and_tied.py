"""Rows of a run's Overview that are no modules: attached tensors, and second names."""

from __future__ import annotations

import pytest
from kit.attached import tied, with_tensors, written
from kit.pilot import driven
from kit.run_records import kept

from gradtui.folder.generation import AdapterWriter
from gradtui.folder.location import DebugFolder
from gradtui.folder.requests import pending_requests
from gradtui.viewmodel.run.lines import KEPT_MARK


async def test_the_history_of_an_attached_tensor_is_shown_and_space_pins_it(tmp_path):
    async with driven(written(tmp_path / "run", with_tensors()), size=(80, 24)) as d:
        await d.opened_run()
        await d.run("find block.hidden")
        assert "block.hidden  attached tensor" in d.seen()
        await d.keys("v")
        assert "no tensor of block.hidden is kept, and no training runs" in d.notice
        await d.keys("", "t")
        assert d.desk.selection.view == "history"
        assert "|dy|2 block.hidden" in d.seen()
        await d.keys(" ")
        assert [key.path for key in d.desk.selection.run.pins] == ["block.hidden"]


@pytest.mark.parametrize("key", ["v", "enter"])
async def test_a_kept_attached_tensor_is_opened_from_its_row(tmp_path, key):
    folder = written(tmp_path / "run", with_tensors(), [kept(290, "block.hidden")])
    async with driven(folder, size=(80, 24)) as d:
        await d.opened_run()
        await d.wait(lambda: d.desk.generations.kept, "what is kept")
        await d.run("find block.hidden")
        assert f"hidden{KEPT_MARK}" in d.seen()
        await d.keys("" if key == "enter" else key, *["enter"][: key == "enter"])
        assert d.desk.selection.view == "values"
        assert "kept at step 290" in d.seen()
        assert d.desk.selection.layer == "block.hidden y"


async def test_a_training_is_asked_to_keep_an_attached_tensor_from_its_row(tmp_path):
    folder = written(tmp_path / "run", with_tensors())
    with AdapterWriter(DebugFolder.at(folder)) as adapter:
        adapter.set_state("training")
        async with driven(folder, size=(80, 24)) as d:
            await d.opened_run()
            await d.wait(lambda: d.work.view.adapter.alive, "the training")
            await d.run("find block.hidden")
            await d.keys("v")
            assert "no tensor of block.hidden is kept" in d.seen()
            await d.keys("k")
            assert "asked the run to keep block.hidden" in d.notice
            await d.wait(lambda: pending_requests(DebugFolder.at(folder)), "the request")
            pending = pending_requests(DebugFolder.at(folder))
            assert [(r.kind, r.fields["module"]) for r in pending] == [("keep", "block.hidden")]


async def test_enter_on_a_second_name_goes_to_the_module(tmp_path):
    async with driven(written(tmp_path / "run", tied()), size=(80, 24)) as d:
        await d.opened_run()
        await d.run("find block.inner")
        assert "is the same module as fc" in d.seen()
        await d.keys("", "enter")
        assert d.desk.selection.run.path == "fc"
