"""Every view at every size, and names that mean harm: no exception, no line wider than the screen."""

from __future__ import annotations

import unicodedata

import pytest
from kit import places
from kit.pilot import driven

from gradtui.tui.actions.commands import complete
from gradtui.tui.widgets.table import Table
from gradtui.viewmodel.text import cell_width, line_width

SIZES = [
    (120, 40),
    (80, 24),
    (59, 20),
    (40, 10),
    (20, 5),
    (5, 3),
    (1, 1),
    (200, 60),
    (2, 30),
    (110, 6),
]
KEYS = "jl.)dz"


def check(d) -> None:
    """No line is wider than the screen, and nothing on it is for the terminal to act on."""
    width, height = d.app.size
    rows = d.screen()
    assert len(rows) <= height
    for row in rows:
        assert cell_width(row) <= width, (d.app.size, row)
        assert not any(unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp") for c in row), repr(row)
    shell = d.app.shell
    for view in (shell.header, shell.headline, shell.detail, shell.keys):
        for line in view.lines:
            assert line_width(line) <= width, (d.app.size, line)
    for table in d.app.screen.query(Table):
        if table.display and table.size.width:
            for row in table._rows:
                assert line_width(row) <= max(table.size.width, 1) or table.id == "log", (
                    d.app.size,
                    row,
                )


@pytest.mark.parametrize(
    "make", [places.branched_folder, places.unfinished, places.hollow, places.barren]
)
async def test_every_view_at_every_size(tmp_path, make):
    folder = make(tmp_path)
    async with driven(folder.shown, size=(80, 24)) as d:
        await d.wait(lambda: d.app.shell.workspace is not None and d.work.views.is_attached)
        await d.wait(lambda: d.work.view is not None and d.work.view.status.kind == "live")
        for size in SIZES:
            await d.pilot.resize_terminal(*size)
            for view in "ovf":
                await d.keys(view)
                check(d)
                await d.keys(KEYS)
                check(d)
            await d.run("log")
            check(d)
            await d.keys("?")
            await d.settle()
            check(d)
            await d.pilot.press("z")


async def test_explicit_mode_at_every_size(tmp_path):
    async with driven(places.golden(tmp_path, "c6_explicit_8x8").shown, size=(80, 24)) as d:
        await d.open()
        for size in SIZES:
            await d.pilot.resize_terminal(*size)
            for keys in ("v", "z", "Z", "C", "F", "jl", "f", "o"):
                await d.keys(keys)
                check(d)


async def test_prompts_and_questions_at_every_size(tmp_path):
    async with driven(places.branched_folder(tmp_path).shown, size=(80, 24)) as d:
        await d.open()
        await d.keys(" ")
        for size in SIZES:
            await d.pilot.resize_terminal(*size)
            await d.keys("q")
            check(d)
            await d.keys("k")
            await d.keys(":")
            await d.press("tab")
            check(d)
            await d.press("escape")
            await d.keys("X")
            check(d)
            await d.keys("X")
        assert d.desk.edits.pending_count == 1


async def test_resizing_while_keys_are_pressed(tmp_path):
    async with driven(places.branched_folder(tmp_path).shown, size=(80, 24)) as d:
        await d.open()
        for size in SIZES * 2:
            await d.work.pressed("v")
            await d.pilot.resize_terminal(*size)
            await d.work.pressed("l")
            await d.work.pressed("f")
            await d.pilot.press("j")
        await d.pilot.resize_terminal(80, 24)
        await d.keys("v")
        check(d)
        assert "INPUT" in "\n".join(d.screen())


async def test_names_that_mean_harm_do_none(tmp_path, monkeypatch):
    monkeypatch.delenv("TMUX", raising=False)
    folder = places.hostile_names(tmp_path)
    async with driven(folder.shown, size=(120, 40)) as d:
        await d.open()
        layers = len(places.HOSTILE_NAMES)
        assert len(d.desk.session.layers) == layers
        for size in [(120, 40), (80, 24), (40, 10)]:
            await d.pilot.resize_terminal(*size)
            for view in "ovf":
                await d.keys(view + "99(")
                for _ in range(layers):
                    check(d)
                    await d.keys("j" if view == "o" else ")")
                await d.keys("yY")
                assert not any(c in d.app.clipboard for c in "\x1b\x07\u202e\u2066")
        await d.keys("*s")
        check(d)
        for layer in d.desk.session.layers:
            await d.run("filter " + layer.name[:40])
            check(d)
            await d.run("find " + layer.name[:40])
            await d.run("no such " + layer.name)
            await d.run("layer " + layer.name + "x")
            check(d)
        await d.run("filter")
        await d.keys("ma'a?")
        await d.settle()
        check(d)
        await d.pilot.press("z")


async def test_layers_with_such_names_are_reached_by_what_is_seen(tmp_path):
    async with driven(places.hostile_names(tmp_path).shown, size=(80, 24)) as d:
        await d.open()
        await d.press(":", "~layer l", "tab")
        check(d)
        await d.press("enter")
        assert d.desk.selection.layer == "long" * 2500
        offers = complete(d.desk, "layer ")
        seen = set()
        for offer in offers:
            assert offer.isprintable()
            await d.run(offer)
            seen.add(d.desk.selection.layer)
        assert seen == set(places.HOSTILE_NAMES)
        await d.run("layer \\x1b]52;c;aGk=\\x07clip\\x1b[2J")
        assert d.desk.selection.layer == places.HOSTILE_NAMES[0]


async def test_ascii_alone(tmp_path):
    async with driven(places.branched_folder(tmp_path).shown, size=(120, 40), ascii=True) as d:
        await d.open()
        await d.run("direction both")
        await d.keys("l ")
        for view in "ovf":
            await d.keys(view)
            rows = d.screen()
            odd = {c for row in rows for c in row if ord(c) > 126}
            assert odd == set(), (view, odd)
