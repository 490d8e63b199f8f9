"""Kept tensors are read from the folder, the whole run of them, thinned where it is long."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from gradtui.core.run.keys import VALUES, SeriesKey
from gradtui.core.run.records import Entry, Kept, Start
from gradtui.errors import FolderMissing, UsageError
from gradtui.folder.history import kept
from gradtui.folder.history.kept import read_evolution, read_evolutions
from gradtui.folder.history.writer import HistoryWriter
from gradtui.folder.location import DebugFolder

CONV = SeriesKey("conv", "output", VALUES)


def write(folder, steps, run="r", size=(3, 4, 4), rank=0):
    writer = HistoryWriter(DebugFolder.at(folder), rank)
    writer.write(Entry(-1, 0.0, Start(run, "Net", rank=rank)))
    for step in steps:
        values = np.full(size, step + 1, np.float32)
        writer.write(Entry(step, float(step), Kept(CONV, values)))
    assert writer.close(10)


def test_the_whole_run_of_the_lowest_rank(tmp_path):
    write(tmp_path, range(0, 100, 10))
    write(tmp_path, range(3), rank=1)
    found = read_evolution(tmp_path, "conv")
    assert found.steps.tolist() == list(range(0, 100, 10))
    assert found.values[4, 0, 0, 0] == 41
    with pytest.raises(UsageError, match="were: conv"):
        read_evolution(tmp_path, "head")


def test_the_newest_run_alone(tmp_path):
    write(tmp_path, range(30), run="old")
    write(tmp_path, range(5), run="new")
    assert read_evolution(tmp_path, "conv").steps.tolist() == list(range(5))
    older = read_evolution(tmp_path, "conv", runs=frozenset({"old"}))
    assert older.steps.tolist() == list(range(30))


def test_a_long_run_is_thinned_and_keeps_its_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "MOST_FRAMES", 16)
    write(tmp_path, range(100))
    steps = read_evolution(tmp_path, "conv").steps.tolist()
    assert (steps[0], steps[-1]) == (0, 99)
    assert len(steps) == 16
    assert max(b - a for a, b in pairwise(steps)) <= 2 * 100 / 15 + 1
    monkeypatch.setattr(kept, "MOST_BYTES", 1000)
    assert len(read_evolution(tmp_path, "conv")) <= 5


def test_a_folder_without_a_run(tmp_path):
    with pytest.raises(FolderMissing, match="no watched run"):
        read_evolutions(tmp_path)
    write(tmp_path / "none", ())
    assert read_evolutions(tmp_path / "none") == ()
