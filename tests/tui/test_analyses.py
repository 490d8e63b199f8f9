"""`:analyse` and `:gif`: a page over the screen, a picture beside it."""

from __future__ import annotations

import pytest
from kit.pilot import driven
from kit.run_folders import SmallGpt, write_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "run"
    write_run(path, 60, model=SmallGpt(keep=True))
    return path


@pytest.mark.parametrize("size", [(80, 24), (40, 12), (120, 40)])
async def test_the_analyses_are_a_page(folder, size):
    async with driven(folder, size=size) as d:
        await d.opened_run()
        await d.run("analyse")
        await d.wait(lambda: "gradients by epoch" in d.seen(), "the page")
        text = d.seen()
        assert "mean" in text
        assert "any other key" in text or size[0] < 60
        await d.press("G", "x")
        await d.wait(lambda: "gradients by epoch" not in d.seen(), "the view before")
        assert d.desk.watching


async def test_a_picture_is_written_beside_the_screen(folder, tmp_path):
    pytest.importorskip("PIL")
    out = tmp_path / "attn.gif"
    async with driven(folder, size=(120, 30)) as d:
        await d.opened_run()
        name = d.desk.watch.run.kept[0].kept.key.name
        await d.run(f"gif {name} {out}")
        await d.wait(lambda: "frames, steps" in d.seen(), "the picture")
        assert out.read_bytes()[:3] == b"GIF"
        await d.run(f"gif nothing {out}")
        await d.wait(lambda: "were: " in d.seen(), "what was kept")
        await d.run("gif")
        assert "usage: gif [LAYER] FILE.gif" in d.seen()
