"""What a diagnosis costs: it runs beside the screen, a few times a second at most."""

from __future__ import annotations

import statistics
import time
from itertools import pairwise

import numpy as np
import pytest

from gradtui.core.run.growing_run import GrowingRun
from gradtui.core.run.keys import SeriesKey
from gradtui.core.run.records import Edges, Entry, Layout, ModuleInfo, ParameterInfo, Record, Start
from gradtui.core.run.track import Rows
from gradtui.diagnosis.diagnose import diagnose

pytestmark = pytest.mark.benchmark

STATISTICS = ("l2", "l1", "sum", "minimum", "maximum", "count", "zeros", "nan", "inf")


def layouts(modules: int) -> tuple[list[Entry], list[SeriesKey], list[SeriesKey]]:
    """The records before the numbers, with as many series as a watcher writes by default."""
    infos, parameters, often, seldom = [ModuleInfo("", "Net")], [], [], []
    paths = [f"layers.{i // 4}.m{i % 4}" for i in range(modules)]
    for i, path in enumerate(paths):
        infos.append(ModuleInfo(path, "ReLU" if i % 2 else "Linear"))
        if not i % 2:
            for name, shape in (("weight", (64, 64)), ("bias", (64,))):
                parameters.append(ParameterInfo(path, name, shape, count=int(np.prod(shape))))
                often += [
                    SeriesKey(path, "gradient", q, name)
                    for q in ("l2", "minimum", "maximum", "nan", "inf")
                ]
                often += [SeriesKey(path, "raw gradient", q, name) for q in ("l2", "nan", "inf")]
                often += [SeriesKey(path, "update", q, name) for q in ("l2", "base_l2")]
                seldom += [SeriesKey(path, "parameter", q, name) for q in STATISTICS]
        for role in ("input", "output", "input gradient", "output gradient"):
            seldom += [SeriesKey(path, role, q) for q in STATISTICS]
        seldom += [SeriesKey(path, "output", q) for q in ("units", "dead", "saturated")]
    often.append(SeriesKey("", "run", "value", "loss"))
    edges = Edges(
        tuple((SeriesKey(a, "output", ""), SeriesKey(b, "input", "")) for a, b in pairwise(paths))
    )
    start = Start("run", "Net", modules=tuple(infos), parameters=tuple(parameters))
    records: list[Record] = [
        start,
        Layout(0, "scalars", tuple(often)),
        Layout(1, "scalars", tuple(seldom)),
        edges,
    ]
    return [Entry(-1, 0.0, record) for record in records], often, seldom


def numbers(keys: list[SeriesKey], rows: int) -> np.ndarray:
    dice = np.random.default_rng(0)
    values = np.exp(0.3 * dice.normal(size=(rows, len(keys)))).astype(np.float32)
    fixed = {"nan": 0, "inf": 0, "dead": 0, "saturated": 0, "units": 64, "count": 2048, "zeros": 0}
    for column, key in enumerate(keys):
        if key.quantity in fixed:
            values[:, column] = fixed[key.quantity]
        elif key.role == "update" and key.quantity == "l2":
            values[:, column] *= 1e-3
    return values


@pytest.mark.parametrize(
    ("modules", "steps", "chunk", "bound"), [(200, 100_000, 2000, 0.2), (50_000, 60, 20, 1.0)]
)
def test_a_diagnosis(modules, steps, chunk, bound):
    records, often, seldom = layouts(modules)
    growing = GrowingRun()
    growing.add(0, records)
    every_step, every_tenth = numbers(often, chunk), numbers(seldom, chunk // 10)
    for begin in range(0, steps, chunk):
        at = np.arange(begin, begin + chunk)
        growing.add(0, [Rows(0, at, at.astype(float), every_step)])
        growing.add(0, [Rows(1, at[::10], at[::10].astype(float), every_tenth)])
    taken = []
    for _ in range(6):
        run = growing.run()
        began = time.thread_time()
        findings = diagnose(run)
        taken.append(time.thread_time() - began)
        assert findings == ()
    first, later = taken[0], statistics.median(taken[1:])
    print(
        f"\n{modules:,} modules x {steps:,} steps: first {first:.2f} s, then {later:.3f} s (bound {bound} s)"
    )
    assert later <= bound
