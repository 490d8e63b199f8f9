"""Rows of a run's Overview that are no modules: attached tensors, and second names."""

from __future__ import annotations

from kit.attached import tied, with_tensors, written
from kit.pilot import driven


async def test_enter_on_an_attached_tensor_shows_its_history_and_space_pins_it(tmp_path):
    async with driven(written(tmp_path / "run", with_tensors()), size=(80, 24)) as d:
        await d.opened_run()
        await d.run("find block.hidden")
        assert "block.hidden  attached tensor" in d.seen()
        await d.keys("v")
        assert "modules alone are kept whole" in d.notice
        await d.keys("", "enter")
        assert d.desk.selection.view == "history"
        assert "|dy|2 block.hidden" in d.seen()
        await d.keys(" ")
        assert [key.path for key in d.desk.selection.run.pins] == ["block.hidden"]


async def test_enter_on_a_second_name_goes_to_the_module(tmp_path):
    async with driven(written(tmp_path / "run", tied()), size=(80, 24)) as d:
        await d.opened_run()
        await d.run("find block.inner")
        assert "is the same module as fc" in d.seen()
        await d.keys("", "enter")
        assert d.desk.selection.run.path == "fc"
