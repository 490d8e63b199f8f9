# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""Full tensors: what ``keep=`` names, and what the screen asks for."""

import time

import numpy as np
import pytest
import torch
from kit.watched import Watched
from torch import nn

from gradtui.core.run.keys import SeriesKey
from gradtui.folder.load import load
from gradtui.folder.location import DebugFolder
from gradtui.folder.requests import ask, read_answer
from gradtui.torch import watch


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3, padding=1)
        self.head = nn.Linear(3 * 16, 2)

    def forward(self, x):
        self.out = self.conv(x)
        if self.out.requires_grad:
            self.out.retain_grad()
        return self.head(self.out.flatten(1))


def net():
    torch.manual_seed(0)
    return Net()


def test_kept_outputs_gradients_and_parameters():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    weights = []
    with Watched(model, optimizer, keep=["conv", "head.weight"], log_freq=2) as watched:
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.ones(2, 1, 4, 4)).sum().backward()
            weights.append(model.head.weight.detach().clone().numpy())
            optimizer.step()
    assert not watched.problems
    kept = {(step, record.key): record.values for step, record in watched.kept}
    assert sorted({step for step, _ in kept}) == [0, 2]
    found = kept[2, SeriesKey("conv", "output", "")]
    assert found.shape == (3, 4, 4)
    assert np.array_equal(found, model.out[0].detach().numpy())
    assert np.array_equal(
        kept[2, SeriesKey("conv", "output gradient", "")], model.out.grad[0].numpy()
    )
    assert np.array_equal(kept[2, SeriesKey("head", "parameter", "", "weight")], weights[2])


def test_what_names_nothing_is_told():
    watched = Watched(net(), keep="nowhere")
    watched.handle.close()
    assert "nowhere" in watched.problems[0]


def test_the_values_view_opens_the_last_kept_gradients(tmp_path):
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with watch(model, optimizer, folder=tmp_path, keep=["conv", "head"], log_freq=1) as handle:
        model(torch.ones(2, 1, 4, 4)).sum().backward()
        optimizer.step()
        wanted = model.out.grad[0].sum(0).numpy()
    assert not handle.problems
    session = load(DebugFolder.at(tmp_path)).session
    assert [layer.name for layer in session.layers] == ["conv", "head"]
    assert np.allclose(session.layer("conv").gradient, wanted)


def test_requests_are_answered_between_steps(tmp_path):
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    folder = DebugFolder.at(tmp_path)
    with watch(model, optimizer, folder=tmp_path, log_freq=1000) as handle:
        asked = {}
        ends = time.monotonic() + 20
        for step in range(100_000):
            optimizer.zero_grad()
            model(torch.ones(2, 1, 4, 4)).sum().backward()
            optimizer.step()
            handle.flush()
            if step == 3:
                asked = {
                    "gradient": ask(folder, "tensor", module="conv", call=0, what="gradient"),
                    "activation": ask(folder, "tensor", module="conv", call=0, what="activation"),
                    "bias": ask(folder, "tensor", module="conv", what="bias"),
                    "absent": ask(folder, "tensor", module="no.such", what="gradient"),
                    "second call": ask(folder, "tensor", module="conv", call=1, what="gradient"),
                    "flow": ask(folder, "flow-row", pair=["a", "b"], node=0),
                    "keep": ask(folder, "keep", module="conv"),
                }
            answers = {name: read_answer(folder, n) for name, n in asked.items()}
            if answers and all(a.status != "waiting" for a in answers.values()):
                break
            if time.monotonic() > ends:
                pytest.fail(f"{handle.problems} {handle.step} {handle._watcher.requests} {asked}")
    assert not handle.problems
    assert answers["gradient"].arrays["values"].shape == (2, 3, 4, 4)
    assert answers["activation"].arrays["values"].shape == (2, 3, 4, 4)
    assert answers["bias"].arrays["values"].shape == (3,)
    for name in ("absent", "second call", "flow"):
        assert answers[name].status == "refused", name
    assert answers["keep"].status == "done"


def test_too_much_is_left_out(monkeypatch):
    model = net()
    watched = Watched(model, keep="conv")
    monkeypatch.setattr(watched.handle._watcher.keeping, "_most", 3)
    model(torch.ones(2, 1, 4, 4)).sum().backward()
    watched.handle.close()
    assert not watched.kept
    assert "conv" in watched.problems[0]
