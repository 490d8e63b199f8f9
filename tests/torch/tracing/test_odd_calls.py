"""Calls that cannot be, or only just: wrong dtypes, autocast, a model that exits, one dict for two meanings."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gradtui.torch.tracing.trace import trace


@pytest.mark.parametrize("stage", ["meta", "fake", "real", "auto"])
@pytest.mark.parametrize(
    ("module", "given"),
    [
        (nn.Linear(3, 3).half(), "2x3"),
        (nn.Linear(3, 3), "2x3:int64"),
        (nn.Conv1d(3, 4, 1), "2x3x5:float64"),
        (nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 3).double()), "2x3:int64"),
    ],
)
def test_a_wrong_dtype_fails_in_every_stage(module, given, stage):
    graph = trace(nn.ModuleDict({"x": module})["x"], given, stage=stage)
    assert graph.fault.kind == "RuntimeError"
    assert not graph.complete


def test_autocast_makes_dtypes_agree():
    class Cast(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(3, 3), nn.Conv1d(2, 2, 1)

        def forward(self, x):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                return self.b(self.a(x))

    for stage in ("fake", "real", "auto"):
        graph = trace(Cast(), "5x2x3", stage=stage)
        assert graph.complete, graph.fault
        assert graph.totals.flops == 2 * 10 * 9 + 2 * 5 * 3 * 4


def test_a_model_that_exits_is_a_fault_like_any_other():
    class Exits(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(3, 3)

        def forward(self, x):
            self.fc(x)
            raise SystemExit("enough")

    graph = trace(Exits(), "2x3")
    assert (graph.fault.kind, graph.fault.text) == ("SystemExit", "enough")
    assert [node.state for node in graph.nodes if node.label == "fc"] == ["run"]


def test_a_dict_is_what_the_forward_pass_takes_it_for():
    class Whole(nn.Module):
        def forward(self, batch):
            return batch["x"] + batch["y"]

    class Parts(nn.Module):
        def forward(self, x, y):
            return x + y

    class Either(nn.Module):
        def forward(self, batch=None, **parts):
            return parts["x"] + parts["y"]

    given = {"x": torch.ones(2), "y": torch.ones(2)}
    for model in (Whole(), Parts(), Either()):
        assert trace(model, given).complete
    assert trace(Whole(), {"batch": given}).complete
