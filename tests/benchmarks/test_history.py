"""What reading a long run costs: 100,000 steps of 200 modules, 1,600 numbers a step; and 50,000 modules.

Run by ``python -m pytest tests/benchmarks/test_history.py -s -m benchmark``.
"""

from __future__ import annotations

import time
import tracemalloc
from statistics import median

import numpy as np
import psutil
import pytest

from gradtui.core.run.growing_run import GrowingRun
from gradtui.core.run.histogram import binned
from gradtui.core.run.keys import SeriesKey
from gradtui.core.run.records import Entry, Histograms, Layout, ModuleInfo, Scalars, Start
from gradtui.core.run.track import Rows
from gradtui.folder.history.frames import frame
from gradtui.folder.history.payload import encode
from gradtui.folder.history.reader import HistoryReader
from gradtui.folder.history.segments import rank_path, segment_path
from gradtui.folder.history.writer import HistoryWriter
from gradtui.folder.location import DebugFolder

pytestmark = pytest.mark.benchmark

QUANTITIES = ("l2", "l1", "minimum", "maximum")


def said(what, value, unit="ms"):
    print(f"  {what:<64} {value:10.3f} {unit}")


def milliseconds(work, repeat=7):
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1e3 * median(times)


def keys_of(modules, tensors=2):
    return tuple(
        SeriesKey(f"layers.{module}", "gradient", quantity, slot)
        for module in range(modules)
        for slot in ("weight", "bias")[:tensors]
        for quantity in QUANTITIES
    )


def start_of(modules):
    infos = tuple(ModuleInfo(f"layers.{module}", "Linear") for module in range(modules))
    return Start("run", "Model", modules=infos)


def write_run(folder, steps, modules, segment=64 << 20):
    """Write a run without a writer's thread: 16 different records with other steps."""
    keys = keys_of(modules)
    directory = rank_path(folder.history, 0)
    directory.mkdir(parents=True)
    preamble = b"".join(
        frame(encode(record), -1, 0.0) for record in (start_of(modules), Layout(1, "scalars", keys))
    )
    random = np.random.default_rng(0)
    payloads = [
        encode(Scalars(1, random.standard_normal(len(keys), np.float32))) for _ in range(16)
    ]
    number, step = 0, 0
    while step < steps:
        number += 1
        size = len(preamble)
        with segment_path(directory, number).open("wb") as file:
            file.write(preamble)
            while size < segment and step < steps:
                size += file.write(frame(payloads[step % 16], step, 1e9 + step))
                step += 1
    return keys


@pytest.fixture(scope="module")
def long_run(tmp_path_factory):
    folder = DebugFolder.at(f"{tmp_path_factory.mktemp('long')}/")
    return folder, write_run(folder, 100_000, 200)


def test_a_run_of_100_000_steps(long_run):
    folder, keys = long_run
    before = psutil.Process().memory_info().rss
    print("\n100,000 steps of 1,600 numbers (656 MB)")
    begun = time.perf_counter()
    reader, growing = HistoryReader(folder), GrowingRun()
    for part in reader.poll():
        growing.add(part.rank, part.entries)
    run = growing.run()
    said("first poll and its run", 1e3 * (time.perf_counter() - begun))
    polls = []
    newest = 0.0
    while True:
        start = time.perf_counter()
        parts = reader.poll()
        if not parts:
            break
        for part in parts:
            growing.add(part.rank, part.entries)
        run = growing.run()
        polls.append(time.perf_counter() - start)
        newest = newest or (run.last_step == 99_999 and time.perf_counter() - begun)
    said("the newest step is there", 1e3 * newest)
    said("everything is there", 1e3 * (time.perf_counter() - begun))
    said("one poll of 4 MB, median", 1e3 * median(polls))
    said("one poll, longest", 1e3 * max(polls))
    said("memory over what was there", (psutil.Process().memory_info().rss - before) / 2**20, "MiB")
    assert run.first_step == 0
    assert len(run.series(keys[0])) > 2000
    said("an idle poll", milliseconds(reader.poll, 200))
    said("one series", milliseconds(lambda: run.series(keys[5])))
    said("column of 400", milliseconds(lambda: run.column("gradient", "l2")))
    said("trends of 400 in 20 spans", milliseconds(lambda: run.trends("gradient", "l2", 20)))
    said("blocks of 400", milliseconds(lambda: run.blocks("gradient", "l2")))
    said(
        "exact window of 1,000 steps",
        milliseconds(lambda: reader.read_window(0, keys[:4], 500, 1500)),
    )
    said(
        "exact window of 20,000 steps",
        milliseconds(lambda: reader.read_window(0, keys[:4], 50_000, 70_000), 3),
    )
    reader.close()


def test_50_000_modules():
    keys = keys_of(50_000, 1)
    print(f"\n50,000 modules, {len(keys)} series")
    growing = GrowingRun()
    growing.add(0, [Entry(-1, 0.0, start_of(50_000)), Entry(-1, 0.0, Layout(1, "scalars", keys))])
    random = np.random.default_rng(0)
    values = random.standard_normal((4, len(keys)), np.float32)
    times = []
    tracemalloc.start()
    for step in range(0, 2000, 4):
        steps = np.arange(step, step + 4)
        start = time.perf_counter()
        growing.add(0, [Rows(1, steps, steps.astype(float), values)])
        times.append(time.perf_counter() - start)
    said("memory of 2,000 steps, traced", tracemalloc.get_traced_memory()[1] / 2**20, "MiB")
    tracemalloc.stop()
    said("add 4 steps, median", 1e3 * median(times))
    said("add 4 steps, longest", 1e3 * max(times))
    said("growing.run()", milliseconds(growing.run))
    run = growing.run()
    start = time.perf_counter()
    run.column("gradient", "l2")
    said(
        "the first column of a layout (keys are looked through)",
        1e3 * (time.perf_counter() - start),
    )
    said("column", milliseconds(lambda: run.column("gradient", "l2")))
    said("derived column", milliseconds(lambda: run.column("gradient", "mean_abs")))
    said("trends in 12 spans", milliseconds(lambda: run.trends("gradient", "l2", 12)))
    said("trends in 40 spans", milliseconds(lambda: run.trends("gradient", "l2", 40)))
    said("blocks", milliseconds(lambda: run.blocks("gradient", "l2")))
    said("one series", milliseconds(lambda: run.series(keys[-1])))


def test_the_histograms_of_1_600_tensors():
    print("\n1,600 histograms of 1,000 values")
    samples = np.random.default_rng(0).standard_normal((1600, 1000), np.float32)
    said("binned", milliseconds(lambda: binned(samples)))
    said("binned, a tenth rejected", milliseconds(lambda: binned(samples, reject=0.1), 3))
    keys = tuple(SeriesKey(f"m.{i}", "output", "values") for i in range(1600))
    growing = GrowingRun()
    growing.add(0, [Entry(-1, 0, Start("r", "M")), Entry(-1, 0, Layout(1, "histograms", keys))])
    found = binned(samples)
    times = []
    for step in range(600):
        record = Histograms(1, found.counts, found.exponents, found.offsets, found.tails)
        start = time.perf_counter()
        growing.add(0, [Entry(step, 0.0, record)])
        times.append(time.perf_counter() - start)
    said("add, median", 1e3 * median(times))
    said("add, longest", 1e3 * max(times))
    said("one histogram over time", milliseconds(lambda: growing.run().histogram(keys[7])))


def test_the_writer(tmp_path):
    keys = keys_of(200)
    print("\nwriting 1,600 numbers a step")
    writer = HistoryWriter(DebugFolder.at(f"{tmp_path}/"))
    writer.write(Entry(-1, 0.0, start_of(200)))
    writer.write(Entry(-1, 0.0, Layout(1, "scalars", keys)))
    writer.flush()
    values = np.zeros(1600, np.float32)
    cpu = time.process_time()
    times = []
    for step in range(5000):
        start = time.perf_counter()
        writer.write(Entry(step, 0.0, Scalars(1, values)))
        times.append(time.perf_counter() - start)
        if step % 100 == 99:
            writer.flush()
    said("write(), median", 1e3 * median(times))
    said("processor time a record, both threads", 1e3 * (time.process_time() - cpu) / 5000)
    said("record written -> polled", 1e3 * written_to_polled(tmp_path, writer))
    assert writer.dropped == 0
    writer.close()
    directory = rank_path(DebugFolder.at(f"{tmp_path}/").history, 0)
    assert segment_path(directory, 1).stat().st_size > 5000 * 6400


def written_to_polled(tmp_path, writer):
    reader = HistoryReader(DebugFolder.at(f"{tmp_path}/"))
    while reader.poll(64 << 20):
        pass
    times = []
    for step in range(5000, 5050):
        start = time.perf_counter()
        writer.write(Entry(step, 0.0, Scalars(1, np.zeros(1600, np.float32))))
        while not reader.poll():
            pass
        times.append(time.perf_counter() - start)
    return median(times)
