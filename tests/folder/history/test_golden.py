"""Segments of every version of the format stay readable: these files are never written again."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from kit.histories import run_of, write_segment

from gradtui.core.run.keys import SeriesKey
from gradtui.folder.history.scan import beginning_of
from gradtui.folder.location import DebugFolder

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture
def folder(tmp_path):
    return DebugFolder.at(f"{tmp_path}/run/")


def test_version_1(folder):
    write_segment(folder, (DATA / "history-1.gtlog").read_bytes())
    run = run_of(folder)
    start = run.start
    assert start is not None
    assert (start.run, start.model, start.rank, start.world, start.host) == (
        "run",
        "Net",
        0,
        1,
        "host",
    )
    assert (start.pid, start.started, start.torch, start.device) == (7, 1e9, "2.9", "cpu")
    assert start.settings == {"log_freq": 10, "keep": ["net.a"]}
    assert run.kinds == {"": "Net", "net.a": "Linear"}
    info = run.parameter_info("net.a", "weight")
    assert info is not None
    assert (info.shape, info.count, info.shared, info.placement) == (
        (2, 3),
        6,
        ("net.c.weight",),
        "sharded",
    )
    norm = SeriesKey("net.a", "gradient", "l2", "weight")
    output = SeriesKey("net.b", "output", "l2", "0", 2, "eval")
    assert run.keys == (norm, norm.of("l1"), output)
    assert run.sampled(norm.of("l1"))
    assert run.series(norm).values.tolist() == list(range(12))
    assert run.series(output).values.tolist() == [0.5] * 12
    histogram = run.histogram(SeriesKey("net.a", "output", "values"))
    assert histogram.steps.tolist() == [0, 5, 10]
    assert histogram.counts.sum(1).tolist() == [20, 20, 20]
    assert [(each.step, each.event.kind, each.event.text) for each in run.events] == [
        (12, "note", "a line")
    ]
    assert run.events[0].event.fields == {"n": 1, "x": "nan"}
    assert run.kept[0].kept.values.dtype == np.float16
    assert run.kept[0].kept.values.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert [tuple(key.role for key in pair) for pair in run.edges.pairs] == [("output", "output")]
    assert run.last_time == 1e9 + 11


def test_version_1_thinned(folder):
    path = write_segment(folder, (DATA / "history-1-thinned.gtlog").read_bytes(), number=2)
    begin = beginning_of(path)
    assert (begin.run, begin.every, begin.covers) == ("run", 2, 1)
    norm = SeriesKey("net.a", "gradient", "l2", "weight")
    assert run_of(folder).series(norm).steps.tolist() == list(range(0, 16, 2))


def test_the_page_is_enough_to_read_a_segment():
    """A reader that knows FORMAT.md and the safetensors library alone."""
    data = (DATA / "history-1.gtlog").read_bytes()
    kinds, losses, at = [], [], 0
    while at < len(data):
        magic, length, step, _, crc, own = struct.unpack_from("<4sIqdII", data, at)
        assert magic == b"GTL1"
        assert zlib.crc32(data[at : at + 28]) == own
        payload = data[at + 32 : at + 32 + length]
        assert zlib.crc32(payload) == crc
        tensors = safetensors.numpy.load(payload)
        kinds.append(sorted(tensors))
        if sorted(tensors) == ["values"] and step < 12:
            losses.append((step, tensors["values"].tolist()))
        at += 32 + length
    assert at == len(data)
    assert losses == [(step, [step, 2 * step, 0.5]) for step in range(12)]
