"""V11: nine channels at once and one after the other, edits of the channel shown, polyphase zoom."""

from __future__ import annotations

import numpy as np
import pytest
from kit import places
from kit.pilot import driven


def shown(d, key):
    return next(view for view in d.desk.maps if view.key == key)


@pytest.fixture
async def explicit(tmp_path):
    """vnittest's explicit case: nine channels of 8x8."""
    async with driven(places.golden(tmp_path, "c6_explicit_8x8").shown, size=(120, 40)) as d:
        await d.open()
        await d.keys("gg0")
        yield d


async def test_v11_nine_channels_at_once_and_one_after_the_other(explicit):
    d = explicit
    # Together they are too many for this screen: two by two, until Z shows them cell for cell.
    assert shown(d, "input").values.shape == (12, 12)
    await d.keys("Z")
    assert shown(d, "input").values.shape == (24, 24)
    await d.keys("z")
    assert shown(d, "input").values.shape == (12, 12)
    seen = []
    for _ in range(11):
        await d.keys("C")
        seen.append(d.desk.selection.channel)
        view = shown(d, "input")
        if seen[-1] >= 0:
            np.testing.assert_array_equal(view.values, d.desk.session.input[seen[-1]])
            assert f"channel {seen[-1]}" in d.text()
        elif seen[-1] == -2:
            total = d.desk.session.input.sum(axis=0, dtype=np.float64)
            np.testing.assert_allclose(view.values, total)
    assert seen == [*range(9), -2, -1]
    await d.keys("4C")
    assert d.desk.selection.channel == 4


async def test_v11_edits_go_to_the_channel_shown(explicit):
    d = explicit
    old = d.desk.session.input
    await d.run("channel 5")
    await d.run("set 9")
    assert dict(d.desk.edits.cells) == {(5, 0, 0): 9}
    # All nine: the tile that the cursor is in.
    await d.run("channel all")
    await d.keys("Zg0")
    await d.keys("9l9j")
    view = shown(d, "input")
    assert view.cursor == (9, 9)
    await d.run("set 8")
    assert d.desk.edits.cells[(4, 1, 1)] == 8
    await d.run("channel sum")
    await d.run("set 1")
    assert "sum over channels" in d.notice
    await d.keys("W")
    await d.wait(lambda: d.notice.startswith("written"))
    await d.wait(lambda: d.desk.edits.pending_count == 0)
    new = d.desk.session.input
    assert (new[5, 0, 0], new[4, 1, 1]) == (9, 8)
    assert (new != old).sum() <= 2


async def test_v11_polyphase_zoom_out_and_in(explicit):
    d = explicit
    await d.run("channel 3")
    whole = d.desk.session.input[3]
    await d.keys("z")
    assert d.desk.selection.polyphase == 1
    phases = shown(d, "input").values
    np.testing.assert_array_equal(phases[:4, :4], whole[0::2, 0::2])
    np.testing.assert_array_equal(phases[:4, 4:], whole[0::2, 1::2])
    await d.keys("z")
    np.testing.assert_array_equal(shown(d, "input").values[2:4, :2], whole[2::4, 0::4])
    await d.keys("9z")
    assert d.desk.selection.polyphase == 3
    # An edit at a zoomed place is an edit of the cell that is shown there.
    await d.keys("gg09l9jz")
    row, column = d.desk.selection.cursor("input")
    await d.run("set 6")
    assert d.desk.edits.cells == {(3, row, column): 6}
    await d.keys("9Z")
    assert d.desk.selection.polyphase == 0
    assert shown(d, "input").values[row, column] == 6
    await d.run("channel all")
    await d.keys("z")
    assert d.desk.selection.polyphase == 1
