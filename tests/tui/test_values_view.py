"""V2, V7, V8 and V9 in the Values view: maps, links, thresholds, offsets, crops, zoom."""

from __future__ import annotations

import numpy as np
import pytest
from kit import places
from kit.folders import write_foreign
from kit.pilot import driven

from gradtui.core.region import Region
from gradtui.core.threshold import MODES
from gradtui.folder.location import DebugFolder
from gradtui.viewmodel.levels import MARK_IN, MARK_OUT, NOWHERE


def shown(d, key):
    return next(view for view in d.desk.maps if view.key == key)


@pytest.fixture
async def plain(tmp_path):
    """The branched network, its layer net.a with the keys."""
    async with driven(places.branched_folder(tmp_path).shown, size=(120, 40)) as d:
        await d.open()
        await d.keys("", "tab")
        assert (d.desk.selection.layer, d.desk.selection.focus) == ("net.a", "source")
        yield d


async def test_v2_all_four_maps_stand_beside_each_other(plain):
    rows = "\n".join(plain.screen())
    for title in ("INPUT 4x6", ">net.a 4x6", "net.b 3x3", "TARGET 4x6"):
        assert title in rows, title


async def test_v2_every_pair_of_a_layer_is_reached(plain):
    d = plain
    assert d.desk.selection.connected == "net.b"
    seen = []
    for _ in range(3):
        await d.keys("P")
        seen.append(d.desk.selection.connected)
    assert seen == ["net.c", "head.d", "net.b"]
    await d.keys("2P")
    assert d.desk.selection.connected == "head.d"
    assert "head.d 1x4" in "\n".join(d.screen())
    # The last layer is fed by three.
    await d.run("layer head.d")
    feeding = {d.desk.selection.connected}
    for _ in range(2):
        await d.keys("P")
        feeding.add(d.desk.selection.connected)
    assert feeding == {"net.a", "net.b", "net.c"}


async def test_v2_highlights_are_the_links_above_the_threshold(plain):
    d = plain
    await d.run("node 1 1")
    await d.run("threshold 0.5")
    flow = places.branched()["gradient_flows"]["net.a", "net.b"]
    expected = np.abs(flow[7]).reshape(3, 3) >= 0.5
    np.testing.assert_array_equal((shown(d, "connected").marks & MARK_OUT) > 0, expected)
    assert f"({expected.sum()} of 9)" in d.text()
    cells = [tuple(cell) for cell in np.argwhere(expected)]
    await d.run("direction both")
    seen = []
    d.desk.selection = d.desk.selection.with_cursor("layer:net.b", (0, 0))
    await d.keys("", "tab")
    for _ in cells:
        await d.keys(".")
        seen.append(shown(d, "connected").cursor)
    assert set(seen) >= set(cells) - {(0, 0)}
    await d.keys(",")
    assert shown(d, "connected").cursor in cells
    # In both directions the selected layer shows the fan-in of the connected map's cursor.
    row, column = d.desk.selection.cursor("connected")
    sources = np.abs(flow[:, row * 3 + column]).reshape(4, 6) >= 0.5
    np.testing.assert_array_equal((shown(d, "source").marks & MARK_IN) > 0, sources)


async def test_v2_directions(plain):
    d = plain
    await d.run("layer net.b")
    seen = []
    for _ in range(3):
        await d.keys("d")
        seen.append((d.desk.selection.direction, d.desk.selection.connected))
    assert seen == [("in", "net.a"), ("both", "head.d"), ("out", "head.d")]
    await d.keys("d")
    assert (shown(d, "connected").marks & MARK_IN).any()


async def test_v2_enter_follows_and_backspace_returns(plain):
    d = plain
    await d.run("node 2 4")
    await d.keys("", "enter")
    assert "tab to the connected map" in d.notice
    while d.desk.selection.focus != "connected":
        await d.keys("", "tab")
    await d.keys("gg0jl")
    await d.keys("", "enter")
    assert (d.desk.selection.layer, d.desk.selection.node) == ("net.b", (1, 1))
    await d.keys("ma")
    await d.keys("", "backspace")
    assert (d.desk.selection.layer, d.desk.selection.node) == ("net.a", (2, 4))
    await d.keys("'a")
    assert (d.desk.selection.layer, d.desk.selection.node) == ("net.b", (1, 1))
    await d.keys("'z")
    assert "no mark z" in d.notice
    await d.keys("", "backspace", "backspace", "backspace", "backspace")
    assert "nothing to go back to" in d.notice


async def test_v7_layers_nodes_and_counts(plain):
    d = plain
    names = [layer.name for layer in d.desk.session.layers]
    for name in names[1:]:
        await d.keys(")")
        assert d.desk.selection.layer == name
    await d.keys("9(")
    assert d.desk.selection.layer == names[0]
    await d.run("node 0 0")
    for keys, cell in [
        ("3l", (0, 3)), ("2j", (2, 3)), ("h", (2, 2)), ("k", (1, 2)), ("$", (1, 5)), ("0", (1, 0)),
        ("G", (3, 0)), ("g", (0, 0)), ("2G", (2, 0)), ("99l", (2, 5)), ("H", (2, 0)), ("L", (2, 5)),
        ("K", (0, 5)), ("J", (3, 5)),
    ]:  # fmt: skip
        await d.keys(keys)
        assert d.desk.selection.node == cell, keys
    await d.keys("", "left", "up", "home", "pageup", "end", "pagedown", "right", "down")
    assert d.desk.selection.node == (3, 5)


async def test_v7_thresholds_step_are_typed_and_change_their_mode(plain):
    d = plain
    await d.run("threshold default")

    def passed():
        return int(((shown(d, "connected").marks & MARK_OUT) > 0).sum())

    counts = [passed()]
    for _ in range(6):
        await d.keys("-")
        counts.append(passed())
    assert counts == sorted(counts)
    await d.keys("99+")
    assert passed() <= counts[0]
    seen = []
    for _ in MODES:
        await d.keys("M")
        seen.append(d.desk.selection.threshold_mode)
        await d.keys("+-")
    assert sorted(seen) == sorted(MODES)
    await d.run("mode top-k")
    await d.keys("T")
    await d.press("~216", "enter")
    assert passed() == 9, "the pair's links are 24 times 9"
    await d.keys("+")
    assert d.desk.selection.thresholds[("net.a", "net.b", "top-k")] < 216
    await d.run("mode quantile")
    await d.run("threshold 0")
    assert passed() == 9
    await d.keys("T")
    await d.press("~much", "enter")
    assert "not a number" in d.notice
    # A threshold belongs to its pair and mode.
    await d.keys("P")
    assert d.desk.selection.thresholds[("net.a", "net.b", "quantile")] == 0
    await d.run("range")
    assert d.desk.selection.threshold_scope == "global"


async def test_v8_offsets_point_at_other_cells_and_at_nothing_outside(plain):
    d = plain
    await d.keys("O")
    await d.press(*["backspace"] * 7, "~1 2 0 -1", "enter")
    await d.run("node 3 5")
    assert "INPUT (2,3)" in d.text()
    assert "target" not in d.text().splitlines()[-3], "column 6 of the target is outside"
    await d.run("node 0 0")
    assert "INPUT (" not in d.text()
    assert "TARGET (0,1)" in d.text()
    # From the input's cell back to the node.
    await d.keys("", "shift+tab")
    assert d.desk.selection.focus == "input"
    await d.keys("gg0jj")
    assert "net.a (3,2)" in d.text()
    # Offsets belong to the pair.
    await d.run("pair net.c")
    await d.run("node 3 5")
    assert "INPUT (2,3)" not in d.text()
    await d.run("offsets 99999 99999")
    await d.keys("hjkl")


async def test_v9_a_box_crops_the_map_and_the_links(plain):
    d = plain
    await d.run("node 3 4")
    await d.keys("X")
    assert "box (3,4) to (3,4)" in d.text()
    await d.keys("kkh")
    assert "box (3,4) to (1,3)" in d.text()
    await d.keys("", "enter")
    assert d.desk.selection.region("source") == Region(1, 3, 3, 4)
    assert shown(d, "source").values.shape == (3, 2)
    assert shown(d, "source").row0 == 1
    assert "cropped" in d.text()
    await d.keys("9h9k")
    assert d.desk.selection.node == (1, 3)
    await d.keys("X")
    assert shown(d, "source").values.shape == (4, 6)
    # A region of the connected layer leaves its other nodes out of the links.
    await d.run("node 1 1")
    await d.run("threshold 0")
    while d.desk.selection.focus != "connected":
        await d.keys("", "tab")
    await d.run("region 1 2 0 1")
    assert shown(d, "connected").values.shape == (2, 2)
    await d.keys("f")
    assert "4 of 4" in d.text() or "of 9" in d.text()
    assert all(cell[0] <= 1 and cell[1] >= 1 for _, cell in ends(d))
    await d.keys("X")
    assert len(ends(d)) == 9
    assert not d.desk.selection.regions


def ends(d):
    from gradtui.viewmodel.flow_table import flow_rows

    return flow_rows(d.desk.session, d.desk.selection)


async def test_v9_a_box_is_left_by_x_backspace_cancel_and_another_map(plain):
    d = plain
    for keys in (["X"], ["backspace"], ["escape"], ["tab"], [")"], ["o", "v"]):
        await d.keys("X")
        assert d.desk.box
        await d.keys("", *keys)
        assert not d.desk.box, keys
        assert not d.desk.selection.regions
        await d.run("layer net.a")


async def test_v9_a_cursor_goes_inside_a_region_that_is_typed(plain):
    d = plain
    await d.run("node 0 0")
    await d.run("region 2 4 1 2")
    assert d.desk.selection.node == (1, 2)
    assert shown(d, "source").cursor == (0, 0)
    await d.run("region 90 95 90 99")
    await d.keys("hjkl")
    assert shown(d, "source").cursor != NOWHERE


async def test_v9_large_maps_are_reduced_to_fit_and_zoomed(tmp_path):
    folder = DebugFolder.at(tmp_path / "large")
    values = np.zeros((300, 500))
    values[299, 499] = -7
    write_foreign(
        folder,
        {"activation_gradients": {"a": values}, "gradient_flows": {}},
        input_=np.eye(300, 500),
    )
    async with driven(folder.shown, size=(80, 24)) as d:
        await d.open()
        await d.run("layer a")
        await d.keys("", "tab")
        assert d.desk.selection.node == (299, 499)
        fit = shown(d, "source")
        assert fit.block > 1
        assert fit.values.min() == -7
        await d.keys("Z")
        assert shown(d, "source").block < fit.block
        await d.keys("9Z")
        assert shown(d, "source").block == 1
        assert "-7" in d.text()
        await d.keys("hh9kl")
        assert d.desk.selection.node == (290, 498)
        await d.keys("9z")
        assert shown(d, "source").block == 500
        await d.keys("hjkl")
        await d.run("fit")
        assert shown(d, "source").block == fit.block


async def test_scales_colours_and_panes(plain):
    d = plain
    levels = shown(d, "source").levels.copy()
    await d.keys("i")
    assert not np.array_equal(shown(d, "source").levels, levels)
    await d.keys("i")
    seen = []
    for _ in range(3):
        await d.keys("s")
        seen.append(d.desk.selection.scale)
    assert sorted(seen) == ["linear", "percentile", "symlog"]
    await d.keys("F")
    assert sum(heatmap.display for heatmap in d.work.views.values.maps.values()) == 1
    await d.keys("F")
    width = d.work.views.rail.size.width
    await d.keys(">>")
    assert d.work.views.rail.size.width > width
    await d.keys("|")
    assert not d.work.views.rail.display
    await d.keys("c")
    await d.keys("c")


async def test_copies_and_pictures(plain, tmp_path, monkeypatch):
    d = plain
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TMUX", raising=False)
    await d.run("node 1 2")
    await d.keys("y")
    value = places.branched()["activation_gradients"]["net.a"][1, 2]
    assert d.app.clipboard == f"{value!r}\tnet.a (1,2)".replace("np.float64(", "").replace(
        ")\t", "\t"
    )
    await d.keys("Y")
    rows = d.app.clipboard.splitlines()
    assert len(rows) == 4
    assert float(rows[1].split("\t")[2]) == value
    await d.keys("S")
    assert len(list(tmp_path.glob("gradtui-*.svg"))) == 1
    await d.run("svg shot.svg")
    assert "net.a" in (tmp_path / "shot.svg").read_text("utf-8")
    for wrong in ("svg /no/such/place.svg", "svg ~nobody-here/x.svg", "svg a\0b"):
        await d.run(wrong)
        assert d.desk.notice[1] == "bad"
