# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""The beginning of a run of two modules, one with a replicated weight and one with shards, and its series."""

from __future__ import annotations

from gradtui.core.run.keys import MERGED_BY, SeriesKey
from gradtui.core.run.records import ModuleInfo, ParameterInfo, Start

Q = tuple(MERGED_BY)
LOSS = SeriesKey("", "run", "value", "loss")
OUT = tuple(SeriesKey("net.a", "output", q) for q in Q if q not in ("seconds", "value", "base_l2"))
GRAD = tuple(
    SeriesKey("net.a", "gradient", q, "weight") for q in ("l2", "l1", "minimum", "maximum")
)
SHARD = tuple(SeriesKey("net.b", "gradient", q, "weight") for q in ("l2", "l1", "sum", "count"))
UPDATE = tuple(SeriesKey("net.b", "update", q, "weight") for q in ("l2", "base_l2"))


def start(rank=0, world=1, run="r", started=0.0):
    return Start(
        run,
        "Net",
        rank=rank,
        world=world,
        started=started,
        modules=(ModuleInfo("net.a", "Linear"), ModuleInfo("net.b", "Conv2d", "3, 3")),
        parameters=(
            ParameterInfo("net.a", "weight", (4, 5), count=20, placement="replicated"),
            ParameterInfo("net.b", "weight", (8,), count=4, placement="sharded"),
        ),
    )
