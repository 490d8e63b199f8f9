# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""The model is afterwards what it was before, bit for bit."""

import copy
import random

import numpy as np
import pytest
import torch
from torch import nn

from gradtui.errors import UsageError
from gradtui.torch import DebugAdapter
from gradtui.torch.guard import untouched


class Everything(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.utils.parametrizations.spectral_norm(nn.Conv2d(1, 3, 3, padding=1))
        self.norm = nn.BatchNorm2d(3)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(3 * 16, 4)
        self.register_buffer("calls", torch.zeros(()))
        self.register_buffer("noise", torch.zeros(3))

    def forward(self, x):
        self.calls += 1
        self.noise = torch.full((3,), random.random() + np.random.rand())  # noqa: NPY002
        h = self.drop(self.norm(self.conv(x)).relu_())
        return self.head(h.flatten(1))


def state_of(model):
    return {
        "modes": [m.training for m in model.modules()],
        "tensors": {k: v.detach().clone() for k, v in model.state_dict().items()},
        "grads": [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        "required": [p.requires_grad for p in model.parameters()],
        "hooks": [(len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks)) for m in model.modules()],
        "random": (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()),  # noqa: NPY002
    }  # fmt: skip


def same(left, right):
    assert left["modes"] == right["modes"]
    assert left["required"] == right["required"]
    assert left["hooks"] == right["hooks"]
    assert left["tensors"].keys() == right["tensors"].keys()
    for name, tensor in left["tensors"].items():
        assert torch.equal(tensor, right["tensors"][name]), name
    for one, other in zip(left["grads"], right["grads"], strict=True):
        assert (one is None) == (other is None)
        assert one is None or torch.equal(one, other)
    assert torch.equal(left["random"][0], right["random"][0])
    assert left["random"][1] == right["random"][1]
    assert (left["random"][2] == right["random"][2]).all()


@pytest.mark.parametrize("training", [True, False])
def test_capture_leaves_no_trace(training, tmp_path):
    model = Everything().train(training)
    model.drop.eval()
    model.head.bias.requires_grad_(False)
    model.head.weight.grad = torch.ones_like(model.head.weight)
    buffers = dict(model.named_buffers())
    grad = model.head.weight.grad
    adapter = DebugAdapter(model, folder=tmp_path / "d", inputs=torch.randn(2, 1, 4, 4))
    before = state_of(model)
    adapter.run()
    same(before, state_of(model))
    assert model.head.weight.grad is grad
    assert all(tensor is buffers[name] for name, tensor in model.named_buffers())


def test_training_is_bit_identical_with_and_without(tmp_path):
    def train(look):
        torch.manual_seed(3)
        random.seed(3)
        np.random.seed(3)  # noqa: NPY002
        model = Everything()
        adapter = DebugAdapter(model, folder=tmp_path / "d", inputs=torch.ones(1, 1, 4, 4))
        optimizer = torch.optim.Adam(model.parameters())
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.randn(4, 1, 4, 4)).square().mean().backward()
            if look:
                adapter.run()
            optimizer.step()
        return model.state_dict()

    bare, watched = train(False), train(True)
    assert all(torch.equal(bare[name], watched[name]) for name in bare)


def test_an_error_in_the_model_restores_too():
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 2))
    before = copy.deepcopy(model.state_dict())

    def break_it():
        with untouched(model), torch.no_grad():
            model(torch.randn(4, 3))
            model.eval()
            model[1].weight.zero_()
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        break_it()
    assert model.training
    assert model[0].training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_what_moved_is_known():
    model = nn.BatchNorm1d(3)
    with untouched(model) as restored:
        model(torch.randn(4, 3))
    assert restored.buffers
    with untouched(model.eval()) as restored:
        model(torch.randn(4, 3))
    assert not restored.buffers


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (float("inf"), torch.finfo(torch.float32).max),
        (0.0, -0.0),
        (float("nan"), 0.0),
    ],
)
def test_values_are_compared_as_bytes(before, after):
    model = nn.Module()
    model.register_buffer("state", torch.full((2,), before))
    kept = model.state.clone()
    with untouched(model) as restored:
        model.state.fill_(after)
    assert restored.buffers
    assert torch.equal(model.state.view(torch.uint8), kept.view(torch.uint8))
    with untouched(model) as restored:
        model.state.clone()
    assert not restored.buffers


class Graph(nn.Module):
    """A layer of a graph network, whose adjacency is sparse."""

    def __init__(self, adjacency):
        super().__init__()
        self.register_buffer("adjacency", adjacency)
        self.a, self.b = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.b(self.adjacency @ self.a(x))


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize("layout", ["to_sparse_coo", "to_sparse_csr", "to_sparse_csc"])
def test_sparse_buffers(layout, tmp_path):
    dense = torch.tensor([[0.0, 1.0], [2.0, 0.0]])
    model = Graph(getattr(dense, layout)())
    if layout != "to_sparse_csc":
        DebugAdapter(model, folder=tmp_path, inputs=torch.rand(2, 3)).run()
    adjacency = model.adjacency
    with untouched(model) as restored:
        values = adjacency._values() if layout == "to_sparse_coo" else adjacency.values()
        values.mul_(3)
    assert restored.buffers
    assert model.adjacency is adjacency
    assert torch.equal(model.adjacency.to_dense(), dense)


def test_lazy_modules_are_asked_for_a_call(tmp_path):
    model = nn.Sequential(nn.LazyLinear(4), nn.Linear(4, 2))
    adapter = DebugAdapter(model, folder=tmp_path, inputs=torch.rand(2, 3))
    with pytest.raises(UsageError, match="call it once"):
        adapter.run()
    model(torch.rand(2, 3))
    assert adapter.run() == 1


def test_what_a_forward_adds_and_takes_is_put_back():
    model = nn.Linear(3, 3)
    model.register_buffer("old", torch.ones(1))
    weight = model.weight
    with untouched(model) as restored:
        model.register_buffer("new", torch.ones(1))
        model.extra = nn.Parameter(torch.ones(1))
        model.weight = nn.Parameter(torch.zeros(3, 3))
        del model.old
    assert restored.buffers
    assert list(dict(model.named_parameters())) == ["weight", "bias"]
    assert list(dict(model.named_buffers())) == ["old"]
    assert model.weight is weight
