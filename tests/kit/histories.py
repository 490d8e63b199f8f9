"""Histories for tests: a small run's records, folders with them, and everything that can be read back."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from gradtui.core.run.growing_run import GrowingRun
from gradtui.core.run.histogram import binned
from gradtui.core.run.keys import SeriesKey
from gradtui.core.run.records import (
    Edges,
    Entry,
    Event,
    Histograms,
    Kept,
    Layout,
    ModuleInfo,
    ParameterInfo,
    Scalars,
    Start,
)
from gradtui.core.run.track import Rows
from gradtui.folder.history.frames import frame
from gradtui.folder.history.payload import encode
from gradtui.folder.history.reader import HistoryReader
from gradtui.folder.history.segments import rank_path, segment_path

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from gradtui.core.run.run import Run
    from gradtui.folder.location import DebugFolder

KEYS = (
    SeriesKey("net.a", "gradient", "l2", "weight"),
    SeriesKey("net.a", "gradient", "l1", "weight"),
    SeriesKey("net.b", "output", "l2", "0", 2, "eval"),
)
LOSS = SeriesKey("", "run", "value", "loss")
VALUES = SeriesKey("net.a", "output", "values")


def start(run: str = "run", rank: int = 0, world: int = 1, started: float = 1e9) -> Start:
    return Start(
        run,
        "Net",
        rank=rank,
        world=world,
        host="host",
        pid=7,
        started=started,
        torch="2.9",
        device="cpu",
        settings={"log_freq": 10, "keep": ["net.a"]},
        modules=(ModuleInfo("", "Net"), ModuleInfo("net.a", "Linear", "in_features=3")),
        parameters=(
            ParameterInfo(
                "net.a", "weight", (2, 3), "float32", True, 6, ("net.c.weight",), "sharded"
            ),
        ),
    )


def preamble(run: str = "run", **more: Any) -> list[Entry]:
    return [
        Entry(-1, 1e9, start(run, **more)),
        Entry(-1, 1e9, Layout(1, "scalars", KEYS, (1,))),
        Entry(-1, 1e9, Layout(2, "histograms", (VALUES,))),
        Entry(-1, 1e9, Edges(((KEYS[2].of(""), VALUES.of("")),))),
    ]


def scalars(step: int) -> Entry:
    """Numbers by which a record's step can be told."""
    return Entry(step, 1e9 + step, Scalars(1, np.array([step, 2 * step, 0.5], np.float32)))


def histograms(step: int) -> Entry:
    sample = np.linspace(-1, step + 1, 20, dtype=np.float32)[None, :]
    found = binned(sample, 8)
    return Entry(
        step, 1e9 + step, Histograms(2, found.counts, found.exponents, found.offsets, found.tails)
    )


def small_run(steps: int = 12, run: str = "run") -> list[Entry]:
    """A record of each kind, and scalars of each step."""
    entries = preamble(run)
    for step in range(steps):
        entries.append(scalars(step))
        if step % 5 == 0:
            entries.append(histograms(step))
    entries.append(Entry(steps, 1e9, Event("note", "a line", "net.a", {"n": 1, "x": "nan"})))
    entries.append(
        Entry(steps, 1e9, Kept(VALUES.of(""), np.arange(6, dtype=np.float16).reshape(2, 3)))
    )
    return entries


def encoded(entries: Iterable[Entry]) -> list[bytes]:
    return [frame(encode(entry.record), entry.step, entry.time) for entry in entries]


def write_segment(folder: DebugFolder, data: bytes, number: int = 1, rank: int = 0) -> Path:
    """Put bytes where a segment is."""
    directory = rank_path(folder.history, rank)
    directory.mkdir(parents=True, exist_ok=True)
    path = segment_path(directory, number)
    path.write_bytes(data)
    return path


def read_all(folder: DebugFolder, limit: int = 4 << 20) -> tuple[HistoryReader, list[Entry | Rows]]:
    """Everything that a reader gives until it has nothing more."""
    reader = HistoryReader(folder)
    return reader, drain(reader, limit)


def drain(reader: HistoryReader, limit: int = 4 << 20) -> list[Entry | Rows]:
    found: list[Entry | Rows] = []
    idle = 0
    while idle < 2:
        parts = reader.poll(limit)
        idle = 0 if parts else idle + 1
        for part in parts:
            found += part.entries
    return found


def run_of(folder: DebugFolder, limit: int = 4 << 20) -> Run:
    """The run that a folder's history gives."""
    reader, growing = HistoryReader(folder), GrowingRun()
    idle = 0
    while idle < 2:
        parts = reader.poll(limit)
        idle = 0 if parts else idle + 1
        for part in parts:
            growing.add(part.rank, part.entries)
    reader.close()
    return growing.run()


def steps_of(entries: Iterable[Entry | Rows]) -> list[int]:
    """The steps of the scalars, in the order in which they came; the values are checked."""
    steps: list[int] = []
    for entry in entries:
        if isinstance(entry, Rows):
            for step, values in zip(entry.steps.tolist(), entry.values, strict=True):
                assert values.tolist() == [step, 2 * step, 0.5]
                steps.append(step)
    return steps


def same(one: object, other: object) -> bool:
    """Whether two records are equal, arrays by shape, dtype and bits."""
    if type(one) is not type(other):
        return False
    for field in dataclasses.fields(one):  # type: ignore[arg-type]
        name = field.name
        a, b = getattr(one, name), getattr(other, name)
        if isinstance(a, np.ndarray):
            if a.dtype != b.dtype or a.shape != b.shape or a.tobytes() != b.tobytes():
                return False
        elif a != b:
            return False
    return True
