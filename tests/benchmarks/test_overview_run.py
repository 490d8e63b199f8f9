"""Figures of the views of a run: 50,000 modules, 100,000 steps, a run that grows beside the screen."""

from __future__ import annotations

import statistics
import sys
import time

import numpy as np
import pytest
from kit.beside import beside
from kit.pty_driver import Terminal

from gradtui.core.run.growing_run import GrowingRun
from gradtui.core.run.keys import Role, SeriesKey
from gradtui.core.run.records import Entry, Layout, ModuleInfo, ParameterInfo, Scalars, Start
from gradtui.core.run.track import Rows
from gradtui.folder.history.writer import HistoryWriter
from gradtui.folder.location import DebugFolder
from gradtui.viewmodel.run.choice import RunChoice
from gradtui.viewmodel.run.curves import chart_of
from gradtui.viewmodel.run.watch import Watch
from gradtui.viewmodel.run.window import window_of

pytestmark = pytest.mark.benchmark
GRADTUI = [sys.executable, "-m", "gradtui"]


@pytest.fixture
def say(capsys):
    def print_it(text):
        with capsys.disabled():
            print(f"\n{text}", end="")

    return print_it


def experts(layers=32, count=512):
    """A mixture of experts: 49,185 modules, half of them with a weight."""
    modules, parameters = [ModuleInfo("", "MoE")], []
    for layer in range(layers):
        modules.append(ModuleInfo(f"layers.{layer}", "Block"))
        for expert in range(count):
            at = f"layers.{layer}.experts.{expert}"
            modules.append(ModuleInfo(at, "Expert"))
            for name in ("up", "down"):
                modules.append(ModuleInfo(f"{at}.{name}", "Linear"))
                parameters.append(ParameterInfo(f"{at}.{name}", "weight", (8, 8), count=64))
    return tuple(modules), tuple(parameters)


NUMBERS: tuple[tuple[Role, str], ...] = (
    ("gradient", "l2"),
    ("gradient", "nan"),
    ("parameter", "l2"),
    ("update", "l2"),
    ("update", "base_l2"),
)


def keys_of(parameters):
    return tuple(
        SeriesKey(info.path, role, quantity, info.name)
        for info in parameters
        for role, quantity in NUMBERS
    )


def numbers(rng, keys, steps):
    """Numbers of some steps, all finite."""
    values = rng.lognormal(size=(steps, len(keys))).astype(np.float32)
    values[:, [key.quantity == "nan" for key in keys]] = 0
    return values


def test_fifty_thousand_modules_as_values(say):
    """Bounds: a new picture of the run and any key within 20 ms, but for the first one."""
    modules, parameters = experts()
    keys = keys_of(parameters)
    growing = GrowingRun()
    start = Start("run", "MoE", modules=modules, parameters=parameters)
    growing.add(0, [Entry(-1, 0.0, start), Entry(-1, 0.0, Layout(0, "scalars", keys))])
    rng = np.random.default_rng(0)
    steps = np.arange(40)
    values = numbers(rng, keys, 40)
    growing.add(0, [Rows(0, steps, steps.astype(float), values)])
    watch, choice = Watch(), RunChoice()
    begin = time.perf_counter()
    watch.arrived(growing.run(), (), 1.0)
    watch.rows(choice)
    say(
        f"{len(modules):,} modules, {len(keys):,} series: first rows {time.perf_counter() - begin:.2f} s"
    )
    taken = []
    for step in range(40, 60):
        growing.add(0, [Entry(step, 0.0, Scalars(0, values[step % 40]))])
        begin = time.perf_counter()
        watch.arrived(growing.run(), (), 1.0)
        watch.rows(choice)
        taken.append(time.perf_counter() - begin)
    say(f"a step more: {1e3 * statistics.median(taken):.1f} ms, worst {1e3 * max(taken):.1f}")
    for what, other in (
        ("unfold all", RunChoice(folds="none")), ("sort", RunChoice(sort="gradient")),
        ("filter", RunChoice(filter="experts.7")), ("sort and filter", RunChoice(sort="ratio", filter="up")),
    ):  # fmt: skip
        begin = time.perf_counter()
        rows = len(watch.rows(other))
        say(f"{what}: {1e3 * (time.perf_counter() - begin):.1f} ms, {rows:,} rows")


def test_fifty_thousand_modules_on_the_screen(tmp_path, say):
    """Bounds: the tree within 1.5 s of the start, a key within 20 ms."""
    modules, parameters = experts()
    keys = keys_of(parameters)
    writer = HistoryWriter(DebugFolder.at(f"{tmp_path}/run/"), segment=1 << 30)
    rng = np.random.default_rng(0)
    for record in (
        Start("run", "MoE", modules=modules, parameters=parameters), Layout(0, "scalars", keys),
    ):  # fmt: skip
        writer.write(Entry(-1, time.time(), record))
    for step in range(20):
        writer.write(Entry(step, time.time(), Scalars(0, numbers(rng, keys, 1)[0])))
    assert writer.flush(60)
    writer.close(60)
    starts = []
    for _ in range(3):
        begin = time.monotonic()
        with Terminal([*GRADTUI, str(tmp_path / "run")], 80, 24) as terminal:
            terminal.wait_for(lambda t: "×32" in t.text, 60)
            starts.append(time.monotonic() - begin)
    say(
        f"tree on screen: {statistics.median(starts):.2f} s from the start of the process (bound 1.5)"
    )
    with Terminal([*GRADTUI, str(tmp_path / "run")], 80, 24) as terminal:
        terminal.wait_for(lambda t: "step 19" in t.text, 60)
        # The findings come by themselves: what they draw is no key's.
        terminal.wait_for(lambda t: "no findings" not in t.text, 60)
        terminal.settle(1.0)
        for what, text in (
            ("move", "jkjkj"),
            ("unfold and fold", " " * 4),
            ("all", "***"),
            ("page", "JKJK"),
            ("move among all", "jkjk"),
            ("sort", "sss"),
        ):
            taken = [terminal.cost(key).seconds for key in text]
            say(
                f"{what}: {1e3 * statistics.median(taken):.1f} ms median, worst {1e3 * max(taken):.1f} (bound 20)"
            )
        terminal.cost("&experts.7.up")
        taken = terminal.cost("\r")
        say(f"filter: {1e3 * taken.seconds:.1f} ms (bound 20)")


def test_a_chart_of_a_hundred_thousand_steps(say):
    """A curve of all steps of a long run, and of a window."""
    key = SeriesKey("a", "gradient", "l2", "weight")
    growing = GrowingRun()
    growing.add(
        0, [Entry(-1, 0.0, Start("run", "Net")), Entry(-1, 0.0, Layout(0, "scalars", (key,)))]
    )
    steps = np.arange(100_000)
    values = np.random.default_rng(0).lognormal(size=(100_000, 1)).astype(np.float32)
    growing.add(0, [Rows(0, steps, steps.astype(float), values)])
    run, choice = growing.run(), RunChoice()
    taken = []
    for _ in range(10):
        begin = time.perf_counter()
        chart_of(run, choice, (key,), window_of(run, choice), 72, 12)
        taken.append(time.perf_counter() - begin)
    say(f"curve of 100,000 steps: {1e3 * statistics.median(taken):.1f} ms")


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
@pytest.mark.parametrize("view", ["o", "t"])
def test_beside_a_run_of_fifty_steps_a_second(tmp_path, say, view, size):
    """Bounds: from the record to the bytes of the screen 150 ms median, the viewer within 5 % of a core."""
    figures = beside(tmp_path / "run", view, size)
    say(f"view {view} at {size[0]}x{size[1]}: {figures}")
