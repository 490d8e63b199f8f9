# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""Layers of different precision, and of complex numbers, beside one another."""

import pytest
import torch
from torch import nn

from gradtui.folder.load import load
from gradtui.folder.location import DebugFolder
from gradtui.torch import DebugAdapter


class Cast(nn.Module):
    """Two linear layers, the second in another precision."""

    def __init__(self, first, second):
        super().__init__()
        self.a, self.b = nn.Linear(4, 5).to(first), nn.Linear(5, 3).to(second)

    def forward(self, x):
        return self.b(self.a(x.to(self.a.weight.dtype)).to(self.b.weight.dtype)).square()


class Autocast(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.norm, self.b = nn.Linear(4, 5), nn.LayerNorm(5), nn.Linear(5, 3)

    def forward(self, x):
        with torch.autocast("cpu", torch.bfloat16):
            return self.b(self.norm(self.a(x)).float()).float().square()


class Ids(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Embedding(7, 4), nn.Linear(4, 3).bfloat16()

    def forward(self, x):
        return self.b(self.a(x).bfloat16()).square()


MODELS = {
    "float to double": lambda: Cast(torch.float32, torch.float64),
    "double to float": lambda: Cast(torch.float64, torch.float32),
    "float head": lambda: Cast(torch.bfloat16, torch.float32),
    "autocast": Autocast,
    "embedding": Ids,
}


@pytest.mark.parametrize("max_links", [4_000_000, 30, 4])
@pytest.mark.parametrize("name", MODELS)
def test_mixed_precision(name, max_links, tmp_path):
    # In narrow types a row that is small beside its flow may be off by more than the bound below.
    torch.manual_seed(0)
    model = MODELS[name]()
    x = torch.tensor([[1, 2, 6]]) if name == "embedding" else torch.rand(3, 4)
    adapter = DebugAdapter(model, folder=tmp_path, inputs=x, max_links=max_links)
    adapter.run()
    session = load(DebugFolder.at(tmp_path)).session
    assert session.pairs
    for pair in session.pairs:
        scale = abs(session.layer(pair.source).gradient).max()
        assert pair.residual <= 0.05 * scale

    def rows(run, _):
        for source, target in run.snapshot.pairs:
            by_columns = run.snapshot.row_by_columns(source, target, 0, adapter.effort)
            alone = run.snapshot.row(source, target, 0)
            torch.testing.assert_close(
                alone.double(), by_columns.double(), rtol=0.05, atol=0.05 * float(abs(alone).max())
            )

    adapter.capture_array(adapter.read_folder().array, use=rows)


class Spectrum(nn.Module):
    def forward(self, x):
        return torch.fft.rfft(x)


class Size(nn.Module):
    def forward(self, x):
        return x.abs()


def test_a_complex_layer_is_left_out_and_noted(tmp_path):
    model = nn.Sequential(nn.Linear(6, 6), Spectrum(), Size(), nn.Linear(4, 2))
    adapter = DebugAdapter(
        model, folder=tmp_path, inputs=torch.rand(2, 6), layers=["input", "0", "1", "2", "3"]
    )
    _, found = adapter.capture_array(adapter.read_folder().array)
    assert found["layer_order"] == ["input", "0", "2", "3"]
    assert "complex" in found["meta"]["layers"]["1"]["note"]
    assert ("0", "2") in found["gradient_flows"]
    assert max(pair["residual"] for pair in found["meta"]["pairs"]) < 1e-5
    adapter.run()
