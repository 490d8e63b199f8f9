"""Figures of following a run: how soon the newest and all of a long history are there, memory, latency, processor."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from kit.run_records import preamble

from gradtui.core.run.keys import SeriesKey
from gradtui.core.run.records import Entry, Histograms, Layout, Scalars
from gradtui.folder.history.writer import HistoryWriter
from gradtui.folder.location import DebugFolder

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.benchmark

FOLLOW = """
import json, sys, threading, time
began, cpu = time.monotonic(), time.process_time()
from gradtui.store.keeper import Keeper
imported, imported_cpu = time.monotonic() - began, time.process_time() - cpu
seen, done = {}, threading.Event()
def look(view):
    now = time.monotonic() - began
    if view.watched is None:
        return
    run = view.run
    if "first" not in seen:
        seen.update(first=now, first_cpu=time.process_time() - cpu, first_step=run.last_step)
    if run.last_step >= int(sys.argv[2]) and "newest" not in seen:
        seen.update(newest=now, newest_cpu=time.process_time() - cpu)
    if view.reading >= 1.0 and "newest" in seen:
        seen.update(all=now, all_cpu=time.process_time() - cpu, first_kept=run.first_step)
        done.set()
keeper = Keeper(sys.argv[1], on_change=look)
keeper.start()
ended = done.wait(120)
seen.update(ended=ended, imported=imported, imported_cpu=imported_cpu, findings=len(keeper.view.findings))
# Not ru_maxrss, which begins with the parent's.
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
seen.update(rss=int(peak) / 1024, notes=keeper.view.notes)
keeper.stop()
print(json.dumps(seen))
"""

LIVE = """
import json, sys, threading, time
from gradtui.store.keeper import Keeper
late, views, begin, before = [], [0], [0.0, 0.0], [-1]
done = threading.Event()
def look(view):
    now = time.time()
    if view.watched is None or "run" not in view.changed:
        return
    run = view.run
    views[0] += 1
    if not begin[0]:
        begin[:] = [time.monotonic(), time.process_time()]
    # Each record that this view is the first to hold; they are made every 20 ms.
    late.extend(now - run.last_time + 0.02 * k for k in range(run.last_step - before[0]))
    before[0] = run.last_step
    if run.last_step >= int(sys.argv[2]):
        done.set()
keeper = Keeper(sys.argv[1], on_change=look, wait=True)
keeper.start()
print("ready", flush=True)
done.wait(120)
wall, cpu = time.monotonic() - begin[0], time.process_time() - begin[1]
keeper.stop()
print(json.dumps({"late": late, "views": views[0] / wall, "share": cpu / wall}))
"""


@pytest.fixture
def say(capsys):
    def print_it(text):
        with capsys.disabled():
            print(f"\n{text}", end="")

    return print_it


def write_run(path: Path, steps: int, modules: int, *, histograms_every: int = 0) -> None:
    """A run of ``modules`` modules with eight numbers each, and histograms of each now and then."""
    writer = HistoryWriter(DebugFolder.at(path), limit=1 << 34, queue=1 << 28)
    quantities = ("l2", "l1", "minimum", "maximum", "count", "zeros", "nan", "inf")
    for entry in preamble(modules=modules, quantities=quantities, started=time.time()):
        writer.write(entry)
    keys = tuple(SeriesKey(f"layer{k}", "gradient", "values", "weight") for k in range(modules))
    writer.write(Entry(-1, time.time(), Layout(1, "histograms", keys)))
    random = np.random.default_rng(0)
    numbers = np.abs(random.normal(size=(64, 1 + 8 * modules))).astype(np.float32) + 0.5
    for place, quantity in enumerate(quantities):
        if quantity in ("nan", "inf", "zeros"):
            numbers[:, 1 + place :: len(quantities)] = 0
    counts = random.integers(0, 60, (modules, 64)).astype(np.uint16)
    exponents, offsets = np.full(modules, -8, np.int16), np.full(modules, -32, np.int32)
    tails = np.zeros((modules, 5), np.int32)
    for step in range(steps):
        writer.write(Entry(step, time.time(), Scalars(0, numbers[step % 64])))
        if histograms_every and step % histograms_every == 0:
            record = Histograms(1, counts, exponents, offsets, tails)
            writer.write(Entry(step, time.time(), record))
        if step % 4096 == 0:
            assert writer.flush(60)
    assert writer.close(60)
    assert writer.dropped == 0


def followed(path: Path, last_step: int) -> dict:
    done = subprocess.run(
        [sys.executable, "-c", FOLLOW, str(path), str(last_step)],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict = json.loads(done.stdout.splitlines()[-1])
    return told


def told(figures: dict) -> str:
    return ", ".join(
        f"{name} {figure:.2f}" if isinstance(figure, float) else f"{name} {figure}"
        for name, figure in figures.items()
    )


def test_a_hundred_thousand_steps_of_two_hundred_modules(tmp_path, say):
    write_run(tmp_path / "run", 100_000, 200)
    figures = followed(tmp_path / "run", 99_999)
    say(f"100,000 steps x 1,600 series: {told(figures)}")
    assert figures["ended"]
    # By the processor's clock: other work on the machine is not ours.
    assert figures["newest_cpu"] <= 1.0
    assert figures["all_cpu"] <= 10.0
    assert figures["rss"] <= 400


def test_histograms_of_a_long_run(tmp_path, say):
    write_run(tmp_path / "run", 20_000, 200, histograms_every=10)
    figures = followed(tmp_path / "run", 19_999)
    say(f"20,000 steps x 200 modules with histograms every 10: {told(figures)}")
    # By the processor's clock: other work on the machine is not ours.
    assert figures["newest_cpu"] <= 1.0
    assert figures["rss"] <= 400


def test_fifty_thousand_modules(tmp_path, say):
    write_run(tmp_path / "run", 60, 50_000, histograms_every=10)
    figures = followed(tmp_path / "run", 59)
    say(f"50,000 modules, 60 steps: {told(figures)}")
    assert figures["first_cpu"] <= 1.0
    assert figures["newest_cpu"] <= 2.0
    assert figures["rss"] <= 400


@pytest.mark.parametrize("modules", [50, 200])
def test_fifty_steps_a_second(tmp_path, say, modules):
    """Latency from the record's time (made just before `write`) to the callback; processor time of the whole viewer."""
    folder = DebugFolder.at(tmp_path / "run")
    count = 500
    with subprocess.Popen(
        [sys.executable, "-c", LIVE, str(folder.root), str(count - 1)],
        stdout=subprocess.PIPE,
        text=True,
    ) as viewer:
        assert viewer.stdout is not None
        assert viewer.stdout.readline() == "ready\n"
        writer = HistoryWriter(folder)
        for entry in preamble(modules=modules, started=time.time()):
            writer.write(entry)
        begin = time.monotonic()
        for step in range(count):
            # The training's own pace; a clock is what this test is about.
            time.sleep(max(begin + step / 50 - time.monotonic(), 0))
            values = np.full(1 + 4 * modules, step, np.float32)
            writer.write(Entry(step, time.time(), Scalars(0, values)))
        assert writer.close()
        figures = json.loads(viewer.stdout.readline())
    late = sorted(figures["late"])
    median, worst = statistics.median(late), late[int(0.95 * len(late))]
    say(
        f"50 steps/s x {modules} modules: record -> callback {1e3 * median:.0f} ms median, "
        f"{1e3 * worst:.0f} ms 95 %, {figures['views']:.1f} views/s, {100 * figures['share']:.1f} % of a core"
    )
    # What is left of 150 ms is for the screen, which is drawn five times a second.
    assert median <= 0.12
    assert figures["share"] <= 0.05
