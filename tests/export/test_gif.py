"""The GIF: as many frames as were kept, in the screen's colours, and errors that say what to do."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from gradtui.cli import main
from gradtui.core.analysis.evolution import Evolution
from gradtui.core.run.keys import SeriesKey
from gradtui.core.run.records import Entry, Kept, Start
from gradtui.errors import UnreadableFile, UsageError
from gradtui.export.gif import write_gif
from gradtui.folder.history.writer import HistoryWriter
from gradtui.folder.location import DebugFolder

Image = pytest.importorskip("PIL.Image")


def evolution(values):
    values = np.asarray(values, np.float32)
    return Evolution(SeriesKey("conv", "output", "values"), np.arange(len(values)) * 10, values)


def frames(path):
    with Image.open(path) as picture:
        found = []
        for k in range(picture.n_frames):
            picture.seek(k)
            found.append((np.asarray(picture.convert("RGB")), picture.info["duration"]))
        return found, picture.info.get("loop")


def test_frames_have_the_colours_of_the_screen(tmp_path):
    values = np.zeros((3, 2, 4), np.float32)
    values[:, 0, 0], values[2, 1, 1] = 1, -1
    values[1, 1, 3] = np.nan
    out = tmp_path / "conv.gif"
    assert write_gif(evolution(values), out, fps=10) == 3
    found, loop = frames(out)
    assert ([duration for _, duration in found], loop) == ([100] * 3, 0)
    assert found[0][0].shape == (160 + 14 + 3, 320, 3)
    colours = {k: found[k][0][120, 120].tolist() for k in range(3)}
    assert found[0][0][40, 40].tolist() == [0x8C, 0x3E, 0x08]
    assert colours[0] == [0xEF, 0xE4, 0xD6]
    assert colours[2] == [0x14, 0x3A, 0x78]
    assert found[1][0][120, 300].tolist() == [0x87, 0, 0x87]
    assert not list(tmp_path.glob("*.writing"))


def test_a_map_that_stands_still_keeps_its_frames(tmp_path):
    # Captions differ, so each step is seen; the first kept step alone is a GIF too.
    assert write_gif(evolution(np.zeros((4, 3, 3))), tmp_path / "a.gif") == 4
    assert len(frames(tmp_path / "a.gif")[0]) == 4
    assert write_gif(evolution(np.zeros((1, 5))), tmp_path / "b.gif") == 1
    assert len(frames(tmp_path / "b.gif")[0]) == 1


def test_channels_side_by_side_or_one(tmp_path):
    values = np.random.default_rng(0).normal(size=(2, 9, 4, 4))
    write_gif(evolution(values), tmp_path / "all.gif")
    write_gif(evolution(values), tmp_path / "one.gif", channel=8, scale="percentile")
    assert frames(tmp_path / "all.gif")[0][0][0].shape[1] == 14 * (320 // 14)
    assert frames(tmp_path / "one.gif")[0][0][0].shape[1] == 320


def test_a_name_of_any_characters(tmp_path):
    key = SeriesKey("schicht\x1b]0;x\x07.überall\n", "output", "values")
    odd = Evolution(key, np.arange(1), np.zeros((1, 2, 2), np.float32))
    assert write_gif(odd, tmp_path / "x.gif") == 1


def test_what_is_refused(tmp_path, monkeypatch):
    one = evolution(np.zeros((1, 2, 2)))
    with pytest.raises(UsageError, match="fps"):
        write_gif(one, tmp_path / "x.gif", fps=0)
    with pytest.raises(UsageError, match="empty"):
        write_gif(evolution(np.zeros((1, 0, 3))), tmp_path / "x.gif")
    with pytest.raises(UsageError, match="too large"):
        write_gif(evolution(np.zeros((1, 1, 9000))), tmp_path / "x.gif")
    with pytest.raises(UnreadableFile, match="cannot be written"):
        write_gif(one, tmp_path / "no" / "x.gif")
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(UsageError, match=r"install gradtui\[gif\]"):
        write_gif(one, tmp_path / "x.gif")
    assert not list(tmp_path.iterdir())


def test_the_command(tmp_path, capsys):
    writer = HistoryWriter(DebugFolder.at(tmp_path))
    writer.write(Entry(-1, 0.0, Start("r", "Net")))
    for step in range(0, 30, 10):
        values = np.full((3, 4, 4), step, np.float32)
        writer.write(Entry(step, 0.0, Kept(SeriesKey("conv", "output", "values"), values)))
    assert writer.close(10)
    out = tmp_path / "conv.gif"
    arguments = ["export", str(tmp_path), "--gif", "conv", str(out)]
    assert main([*arguments, "--channel", "1", "--fps", "10"]) == 0
    assert out.read_bytes()[:6] in (b"GIF87a", b"GIF89a")
    assert "3 frames, steps 0 to 20" in capsys.readouterr().err
    assert main([*arguments, "--channel", "9"]) == 2
    assert "conv has 3" in capsys.readouterr().err
    assert main(["export", str(tmp_path / "no"), "--gif", "conv", str(out)]) == 2
