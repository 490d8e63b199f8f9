# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""Outputs that are views and are changed in place afterwards: the same capture as where they are not changed."""

import numpy as np
import pytest
import torch
from torch import nn

from gradtui.torch import DebugAdapter, capture
from gradtui.torch.rewritten import UNTOLD


class Unbatched(nn.Module):
    """A convolution of an image without a batch gives a view of one with."""

    def __init__(self, inplace):
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 1, 3, padding=1)
        self.relu = nn.ReLU(inplace=inplace)

    def forward(self, x):
        return self.b(self.relu(self.a(x))).square()


class Attention(nn.Module):
    """Attention with the batch first gives a view with two steps between it and its tensor."""

    def __init__(self, inplace):
        super().__init__()
        self.a, self.b = nn.Linear(6, 8), nn.MultiheadAttention(8, 2, batch_first=True)
        self.o, self.inplace = nn.Linear(8, 3), inplace

    def forward(self, x):
        e = self.a(x)
        a = self.b(e, e, e)[0]
        before = a.sum()
        if self.inplace:
            a += e
            a.sigmoid_()
        else:
            a = a + e
            a = a.sigmoid()
        return self.o(a).square() + before


class Flattened(nn.Module):
    """A whole, a part of it that is a view, and a view of the whole."""

    class Part(nn.Module):
        def forward(self, x):
            return x[:, 1:]

    class Turned(nn.Module):
        def forward(self, x):
            return x.transpose(1, 2)

    def __init__(self, inplace):
        super().__init__()
        self.a, self.turned, self.part = nn.Conv1d(2, 3, 2), self.Turned(), self.Part()
        self.b, self.inplace = nn.Linear(3, 2), inplace

    def forward(self, x):
        part = self.part(self.turned(self.a(x)))
        part = part.tanh_() if self.inplace else part.tanh()
        return self.b(part).square()


class Shared(nn.Module):
    """What the view is of is read elsewhere too, at the same positions."""

    def __init__(self):
        super().__init__()
        self.part, self.b = self.Part(), nn.Linear(4, 2)

    class Part(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.read = nn.Linear(4, 4), []

        def forward(self, x):
            whole = self.a(x)
            self.read.append(whole.sum())
            return whole[:, :4]

    def forward(self, x):
        part = self.part(x)
        part += 1
        return self.b(part).square() + self.part.read.pop()


def rows(tensor, letters):
    """A tensor as a map shows it: channels by nodes, of the first sample."""
    tensor = tensor[0] if letters[0] == "B" else tensor
    return tensor.reshape(tensor.shape[0] if "C" in letters else 1, -1)


CASES = [
    (Unbatched, (1, 5, 4), None, [("a", "CHW", "b", "CHW")]),
    (Attention, (2, 5, 6), None, [("a", "BTD", "b", "BTD"), ("b", "BTD", "o", "BTD")]),
    (Flattened, (1, 2, 6), ["a", "part", "b"], [("a", "BCW", "part", "BTD"), ("part", "BTD", "b", "BTD")]),
    (Flattened, (1, 2, 6), ["a", "turned", "part"], [("a", "BCW", "turned", "BTD"), ("turned", "BTD", "part", "BTD")]),
]  # fmt: skip


def made(kind, inplace):
    torch.manual_seed(3)
    return kind(inplace).double()


def by_hand(kind, x, source, letters, target, target_letters):
    """The flow between two modules by autograd alone, nothing changed in place."""
    model, kept = made(kind, False), {}

    def keep(name):
        def hook(_, __, output):
            kept[name] = output[0] if isinstance(output, tuple) else output

        return hook

    for name in (source, target):
        model.get_submodule(name).register_forward_hook(keep(name))
    loss = model(x.clone().requires_grad_()).sum()
    a, b = kept[source], kept[target]
    at_a, at_b = torch.autograd.grad(loss, [a, b], retain_graph=True)
    weighted = rows(b * at_b, target_letters).sum(0)
    # Σ_c b·g_b with g_b held: its derivative by a is the column.
    columns = [torch.autograd.grad(one, a, retain_graph=True)[0] for one in weighted]
    flow = torch.stack([rows(column, letters).sum(0) for column in columns], 1)
    return rows(at_a, letters).sum(0).numpy(), flow.numpy()


def dense(info, source, target):
    flow = info["gradient_flows"][source, target]
    shapes = [info["activation_gradients"][name].shape for name in (source, target)]
    if not isinstance(flow, dict):
        return flow
    found = np.zeros([np.prod(shape) for shape in shapes])
    ends = [
        np.ravel_multi_index(flow[key], shape)
        for key, shape in zip(("indices_in", "indices_out"), shapes, strict=True)
    ]
    found[tuple(ends)] = flow["values"]
    return found


@pytest.mark.parametrize(("kind", "shape", "layers", "pairs"), CASES)
def test_in_place_and_not_are_captured_alike(kind, shape, layers, pairs, tmp_path):
    x = torch.randn(shape, dtype=torch.float64)
    changed, plain = (
        DebugAdapter(made(kind, inplace), folder=tmp_path, inputs=x, layers=layers)
        .capture_array(x.numpy())[1]
        for inplace in (True, False)
    )  # fmt: skip
    assert changed["layer_order"] == plain["layer_order"]
    assert list(changed["gradient_flows"]) == list(plain["gradient_flows"])
    for mine, other in zip(changed["meta"]["pairs"], plain["meta"]["pairs"], strict=True):
        assert mine["residual"] < 1e-12
        for key in ("bypass", "row_sums", "column_sums"):
            np.testing.assert_allclose(mine[key], other[key], atol=1e-12)
    for source, letters, target, others in pairs:
        gradient, flow = by_hand(kind, x, source, letters, target, others)
        for info in (changed, plain):
            at_source = info["activation_gradients"][source].reshape(-1)
            np.testing.assert_allclose(at_source, gradient, atol=1e-12)
            np.testing.assert_allclose(dense(info, source, target), flow, atol=1e-12)


@pytest.mark.parametrize("hooked", [False, True])
def test_in_a_training_of_one_s_own(hooked, tmp_path):
    found = []
    for inplace in (True, False):
        model, seen = made(Attention, inplace), []
        if hooked:
            model.o.register_full_backward_hook(lambda *_, seen=seen: seen.append(1))
        torch.manual_seed(5)
        x = torch.randn(2, 5, 6, dtype=torch.float64)
        with capture(model, tmp_path) as captured:
            model(x).sum().backward()
        found.append((captured.flow_info, model.a.weight.grad, seen))
    (changed, mine, seen), (plain, other, _) = found
    torch.testing.assert_close(mine, other)
    assert seen == [1] * hooked
    assert changed["layer_order"] == plain["layer_order"] == ["a", "b", "o"]
    for name, gradient in plain["activation_gradients"].items():
        np.testing.assert_allclose(changed["activation_gradients"][name], gradient, atol=1e-12)


def test_the_gradient_that_is_asked_for_has_the_activation_s_shape(tmp_path):
    x = torch.randn(1, 5, 4, dtype=torch.float64)
    adapter = DebugAdapter(made(Unbatched, True), folder=tmp_path, inputs=x)
    snapshot = adapter.capture_array(x.numpy())[0].snapshot
    assert [tuple(snapshot.activation_gradient(tap).shape) for tap in snapshot.taps] == [
        (1, 5, 4),
        (2, 5, 4),
        (1, 5, 4),
    ]
    source, target = snapshot.pair("a", "b")
    _, flow = by_hand(Unbatched, x, "a", "CHW", "b", "CHW")
    np.testing.assert_allclose(snapshot.row(source, target, 7).numpy(), flow[7], atol=1e-12)
    np.testing.assert_allclose(snapshot.column(source, target, 7).numpy(), flow[:, 7], atol=1e-12)


def test_what_the_graph_does_not_tell_is_said_and_not_guessed(tmp_path):
    model = Shared().double()
    adapter = DebugAdapter(model, folder=tmp_path, layers=["part", "part.a", "b"])
    info = adapter.capture_array(np.ones((2, 4)))[1]
    assert info["layer_order"] == ["part.a", "b"]
    assert info["meta"]["layers"]["part"]["note"] == UNTOLD
    assert all(pair["residual"] < 1e-12 for pair in info["meta"]["pairs"])
