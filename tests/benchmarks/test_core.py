"""What the core costs: printed, not judged, since a machine may be busy with other things.

Run by ``python -m pytest tests/benchmarks/test_core.py -s -m benchmark``.
"""

from __future__ import annotations

import time
import tracemalloc
from statistics import median

import numpy as np
import pytest

from gradtui.core.assemble import assemble
from gradtui.core.flow import DenseFlow, OuterFlow, SparseFlow
from gradtui.core.reduce import signed_max
from gradtui.core.scale import scaling
from gradtui.core.threshold import MODES, Threshold, default_threshold, select, threshold_range

pytestmark = pytest.mark.benchmark


def milliseconds(work, repeat=5):
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1e3 * median(times)


def said(what, value, unit="ms"):
    print(f"  {what:<58} {value:10.3f} {unit}")


@pytest.fixture(scope="module")
def large():
    return np.random.default_rng(0).standard_normal((4096, 4096), dtype=np.float32)


def test_a_dense_flow_of_4096_by_4096(large):
    print("\n4096x4096 float32, dense (64 MB)")
    said("extent, once", milliseconds(lambda: DenseFlow(large).extent()))
    said(
        "row and column sums, once",
        milliseconds(lambda: [DenseFlow(large).row_sums(), DenseFlow(large).column_sums()], 3),
    )
    said(
        "a plain float64 sum of the same, for comparison",
        milliseconds(lambda: large.sum(dtype=np.float64)),
    )
    said("top 12 of the pair, once", milliseconds(lambda: DenseFlow(large).kth_magnitude(12), 3))
    said(
        "quantile 0.95 of the pair, once",
        milliseconds(lambda: DenseFlow(large).kth_magnitude(838_861), 1),
    )
    flow = DenseFlow(large)
    for mode in MODES:
        threshold = default_threshold(flow, mode)
        select(flow, 0, "out", threshold)

        def table(threshold=threshold):
            select(flow, 99, "out", threshold).strongest(12)
            select(flow, 99, "in", threshold).strongest(12)

        said(f"a node's rows both ways, threshold by {mode}", milliseconds(table))

    def shown():
        values = signed_max(large, 43)
        scaling("symlog", values).levels(values)

    said("its map in blocks of 43, and levels", milliseconds(shown, 3))


def test_memory_beside_the_matrix(large):
    def peak(work):
        tracemalloc.start()
        work()
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found / 1e6

    print("\n4096x4096 float32, memory beside the 64 MB")
    for what, work in {
        "extent": lambda: DenseFlow(large).extent(),
        "sums": lambda: [DenseFlow(large).row_sums(), DenseFlow(large).column_sums()],
        "row and column": lambda: [DenseFlow(large).row(5), DenseFlow(large).column(5)],
        "top 12": lambda: DenseFlow(large).kth_magnitude(12),
        "quantile": lambda: DenseFlow(large).kth_magnitude(838_861),
    }.items():
        said(what, peak(work), "MB")
    gradients = {"a": np.ones((64, 64)), "b": np.ones((64, 64))}
    info = {"activation_gradients": gradients, "gradient_flows": {("a", "b"): large}}
    nothing = np.zeros((0, 0))
    said("a session of it", peak(lambda: assemble(info, nothing, nothing)), "MB")


def test_an_interaction_on_65_536_links():
    matrix = np.random.default_rng(0).standard_normal((256, 256))
    flow = DenseFlow(matrix)

    def interaction(mode):
        low, high = threshold_range(flow, mode)
        threshold = default_threshold(flow, mode)
        out = select(flow, 17, "out", threshold).strongest(12)
        into = select(flow, 17, "in", threshold).strongest(12)
        return low, high, out, into

    print("\n16x16 nodes to 16x16 nodes, dense, 65,536 links")
    for mode in MODES:
        said(
            f"first interaction, threshold by {mode}",
            milliseconds(lambda mode=mode: [DenseFlow(matrix).extent(), interaction(mode)]),
        )
        said(
            f"each one after, threshold by {mode}",
            milliseconds(lambda mode=mode: interaction(mode)),
        )


def test_other_forms():
    rng = np.random.default_rng(0)
    side = 64 * 64
    sources = np.repeat(np.arange(side), 9)
    targets = np.clip(sources + np.tile([-65, -64, -63, -1, 0, 1, 63, 64, 65], side), 0, side - 1)
    values = rng.standard_normal(sources.size).astype(np.float32)
    print("\n64x64 to 64x64, 36,864 listed links")
    said("made", milliseconds(lambda: SparseFlow((side, side), sources, targets, values)))
    flow = SparseFlow((side, side), sources, targets, values)
    flow.column(0)
    said("a row and a column", milliseconds(lambda: [flow.row(2000), flow.column(2000)]))
    print("\n65,536 to 65,536 nodes, estimated (4.3e9 links)")
    outer = OuterFlow(rng.standard_normal(65_536), rng.random(65_536))
    said(
        "extent and top 12, once",
        milliseconds(
            lambda: [
                OuterFlow(outer.left, outer.right).extent(),
                OuterFlow(outer.left, outer.right).kth_magnitude(12),
            ]
        ),
    )
    said(
        "a row above the quantile 0.95, once",
        milliseconds(
            lambda: select(
                OuterFlow(outer.left, outer.right), 5, "out", Threshold("quantile", 0.95)
            ),
            1,
        ),
    )
    said(
        "a row above the midpoint",
        milliseconds(lambda: select(outer, 5, "out", default_threshold(outer))),
    )
