# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""What TorchExplorer and BBDecoder get wrong, each tried here; the others of the list stand beside their subject."""

import numpy as np
import pytest
import torch
from kit.watched import Watched, assert_same
from torch import nn

from gradtui.core.run.keys import VALUES, SeriesKey


def train(model, inputs, steps=3, lr=0.1, **settings):
    optimizer = torch.optim.SGD(model.parameters(), lr)
    grads = []
    with Watched(model, optimizer, **settings) as watched:
        for _ in range(steps):
            optimizer.zero_grad()
            model(inputs).float().square().sum().backward()
            grads.append({n: p.grad.clone() for n, p in model.named_parameters()})
            optimizer.step()
    assert not watched.problems
    return watched, grads


def test_integer_inputs_have_histograms_of_their_own_steps_gradients():
    """A language model's had none, or those of the step before."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 9))
    watched, grads = train(model, torch.tensor([[1, 2, 3]]), log_freq=2, lr=0.01)
    histograms = watched.histograms()
    for step in (0, 2):
        for path in ("0", "1"):
            gradient = grads[step][f"{path}.weight"]
            counts, low, width, _ = histograms[step, SeriesKey(path, "gradient", VALUES, "weight")]
            placed, _ = np.histogram(gradient.numpy(), np.append(low, low[-1] + width))
            assert (counts == placed).all()
            assert_same(watched.stats(step, path, "gradient", "weight"), gradient)
    assert watched.stats(0, "0", "input")["count"] == 3
    assert watched.stats(0, "0", "input gradient") == {}


@pytest.mark.parametrize("first", [0, 2])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_nan_and_infinity_at_the_first_step_and_later(first, bad):
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.0)
    with Watched(model, optimizer) as watched:
        for step in range(4):
            x = torch.ones(2, 3)
            if step == first:
                x[0, 0] = bad
            optimizer.zero_grad()
            model(x).sum().backward()
            optimizer.step()
            optimizer.zero_grad()
    assert not watched.problems
    key = "nan" if np.isnan(bad) else "inf"
    assert watched.stats(first, "", "input")[key] == 1
    assert watched.stats(first, "", "gradient", "weight")[key] == 2
    tails = watched.histograms()[first, SeriesKey("", "input", VALUES)][3]
    assert tails[:3].sum() == 1


def test_extreme_values_are_kept_by_default():
    model = nn.Linear(3, 1)
    x = torch.zeros(400, 3)
    x[7, 1] = 1e6
    with Watched(model) as watched:
        model(x).sum().backward()
    counts, low, width, tails = watched.histograms()[0, SeriesKey("", "input", VALUES)]
    assert watched.stats(0, "", "input")["maximum"] == 1e6
    assert tails.sum() == 0
    assert low[0] <= 0 < low[-1] + width
    with Watched(model, reject_outlier_proportion=0.1, sample_n=None) as watched:
        model(x).sum().backward()
    counts, *_, tails = watched.histograms()[0, SeriesKey("", "input", VALUES)]
    assert counts.sum() + tails.sum() == 1200
    assert tails[4] >= 1
    assert watched.stats(0, "", "input")["maximum"] == 1e6


def test_leaving_out_a_container_leaves_its_children_in():
    model = nn.Sequential(nn.Sequential(nn.Linear(3, 3), nn.ReLU()), nn.Linear(3, 1))
    with Watched(model, exclude="Sequential") as watched:
        model(torch.ones(2, 3)).sum().backward()
    paths = {key.path for _, key in watched.numbers() if key.role == "output gradient"}
    assert paths == {"", "0.0", "0.1", "1"}


def test_names_of_every_kind_of_model():
    """Lists, one module under two names, parameters and biases of the root itself, keyword-only children."""

    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(3))
            self.layers = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])
            self.alias = self.layers[0]
            self.table = nn.ParameterDict({"a": nn.Parameter(torch.ones(3))})

        def forward(self, x):
            for layer in self.layers:
                x = layer(input=x * self.scale)
            return self.alias(x) * self.table["a"]

    torch.manual_seed(0)
    watched, grads = train(Odd(), torch.randn(2, 3), steps=1)
    for name in ("scale", "layers.0.weight", "layers.0.bias", "layers.1.weight", "table.a"):
        path, _, slot = name.rpartition(".")
        assert_same(watched.stats(0, path, "gradient", slot), grads[0][name])
    assert watched.stats(0, "layers.0", "output", call=1)["count"] == 6
    assert watched.stats(0, "layers.1", "input", "input")["count"] == 6


@pytest.mark.parametrize("size", [1e-4, 300.0])
def test_norms_of_half_precision_gradients(size):
    """In float16 the square of 1e-4 is lost and that of 300 infinite."""
    model = nn.Linear(2, 2, bias=False).half()
    optimizer = torch.optim.SGD(model.parameters(), 0.0)
    with Watched(model, optimizer) as watched:
        model.weight.grad = torch.full((2, 2), size).half()
        optimizer.step()
    assert_same(watched.stats(0, "", "gradient", "weight"), model.weight.grad)


def test_the_mode_of_the_model_stays():
    for training in (True, False):
        model = nn.Sequential(nn.Linear(2, 2), nn.Dropout()).train(training)
        with Watched(model):
            model(torch.ones(1, 2)).sum().backward()
        assert all(module.training is training for module in model.modules())


def test_a_run_of_one_step():
    watched, grads = train(nn.Linear(3, 2), torch.ones(1, 3), steps=1)
    assert_same(watched.stats(0, "", "gradient", "weight"), grads[0]["weight"])


def test_a_sparse_gradient():
    model = nn.Embedding(50, 4, sparse=True)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with Watched(model, optimizer) as watched:
        model(torch.tensor([3, 3, 7])).square().sum().backward()
        gradient = model.weight.grad.to_dense()
        optimizer.step()
    assert not watched.problems
    found = watched.stats(0, "", "gradient", "weight")
    assert found["l2"] == pytest.approx(gradient.double().norm().item(), rel=1e-5)
