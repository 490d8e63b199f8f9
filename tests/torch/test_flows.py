# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""Exact flows of every kind of module, against the whole Jacobian."""

import pytest
import torch
from kit.jacobian import dense, flow_by_jacobian
from torch import nn

from gradtui.torch.flows import Effort, measure_flow
from gradtui.torch.forward import Plan, run_once
from gradtui.torch.inputs import as_call
from gradtui.torch.products import NoForwardProduct
from gradtui.torch.selection import Selection


class Call(nn.Module):
    """Any function as a module."""

    def __init__(self, function, *parts):
        super().__init__()
        self.function, self.parts = function, nn.ModuleList(parts)

    def forward(self, x):
        return self.function(x, *self.parts)


class Path(nn.Module):
    def __init__(self, a, *path):
        super().__init__()
        self.a, self.path = a, nn.ModuleList(path)

    def forward(self, x):
        return self.between(self.a(x))

    def between(self, h):
        for module in self.path:
            h = module(h)
            h = h[0] if isinstance(h, tuple) else h
        return h


def squares(output):
    return (output**2).sum() + output.sum()


def conv1(*path, **_):
    return Path(nn.Conv1d(2, 4, 3, padding=1), *path), (2, 2, 7), "BCW"


def conv2(*path):
    return Path(nn.Conv2d(2, 4, 3, padding=1), *path), (2, 2, 5, 6), "BCHW"


def conv3(*path):
    return Path(nn.Conv3d(1, 2, 2), *path), (1, 1, 4, 4, 5), "BCDHW"


def flat(*path):
    return Path(nn.Linear(5, 6), *path), (3, 5), "TD"


def steps(*path):
    return Path(nn.Linear(5, 6), *path), (2, 4, 5), "BTD"


def attend(x, m):
    return m(x, x, x)[0]


def sdpa(x):
    return nn.functional.scaled_dot_product_attention(x, x, x, is_causal=True)


CONVOLUTIONS = {
    "plain": conv2(nn.Conv2d(4, 3, 3)),
    "stride": conv2(nn.Conv2d(4, 3, 3, stride=2, padding=1)),
    "strides": conv2(nn.Conv2d(4, 3, (3, 2), stride=(1, 3), padding=(2, 0))),
    "dilation": conv2(nn.Conv2d(4, 3, 3, dilation=2, padding=2)),
    "groups": conv2(nn.Conv2d(4, 6, 3, groups=2, padding=1)),
    "depthwise": conv2(nn.Conv2d(4, 8, 3, groups=4, padding=1, stride=2)),
    "same": conv2(nn.Conv2d(4, 3, (3, 5), padding="same", dilation=(2, 1))),
    "circular": conv2(nn.Conv2d(4, 3, 3, padding=2, padding_mode="circular")),
    "circular all round": conv2(nn.Conv2d(4, 3, 5, padding=4, padding_mode="circular")),
    "reflect": conv2(nn.Conv2d(4, 3, 3, padding=2, padding_mode="reflect")),
    "replicate": conv2(nn.Conv2d(4, 3, 3, padding=(2, 1), padding_mode="replicate", stride=2)),
    "same circular": conv2(nn.Conv2d(4, 3, 3, padding="same", padding_mode="circular")),
    "between elementwise": conv2(
        nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1, groups=2), nn.Tanh(), nn.Sigmoid()
    ),
    "in place": conv2(nn.ReLU(inplace=True), nn.Conv2d(4, 3, 3)),
    "scaled": conv2(Call(lambda x: 2 * x + 1), nn.GELU(), nn.Conv2d(4, 3, 3)),
    "batch norm in evaluation": conv2(nn.BatchNorm2d(4).eval(), nn.Conv2d(4, 3, 3, padding=1)),
    "elementwise circular": conv2(nn.SiLU(), nn.Conv2d(4, 3, 3, padding=1, padding_mode="circular")),
    "transposed": conv2(nn.ConvTranspose2d(4, 3, 3)),
    "transposed stride": conv2(nn.ReLU(), nn.ConvTranspose2d(4, 3, 3, 2, 1, output_padding=1)),
    "transposed groups": conv2(nn.ConvTranspose2d(4, 6, (2, 3), groups=2, dilation=2), nn.Tanh()),
    "1-D": conv1(nn.Conv1d(4, 3, 3, stride=2, padding=1)),
    "1-D circular": conv1(nn.ReLU(), nn.Conv1d(4, 3, 3, padding=1, padding_mode="circular")),
    "1-D transposed": conv1(nn.ConvTranspose1d(4, 2, 3, stride=2)),
    "3-D": conv3(nn.Conv3d(2, 2, 2, padding=1, stride=(1, 2, 1))),
    "3-D groups": conv3(nn.Tanh(), nn.Conv3d(2, 4, 2, groups=2)),
    "3-D transposed": conv3(nn.ConvTranspose3d(2, 2, 2)),
}  # fmt: skip

OTHERS = {
    "two convolutions": conv2(nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3, padding=1)),
    "convolution of itself": conv2(Call(lambda x, c: c(x) + x[:, :3], nn.Conv2d(4, 3, 3, padding=1))),
    "max pool": conv2(nn.MaxPool2d(2)),
    "average pool": conv2(nn.AvgPool2d(3, stride=1, padding=1)),
    "pool and convolution": conv2(nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 3, 2)),
    "adaptive pool": conv2(nn.AdaptiveAvgPool2d(2)),
    "batch norm in training": conv2(nn.BatchNorm2d(4), nn.Conv2d(4, 3, 3)),
    "batch norm alone": conv2(nn.BatchNorm2d(4)),
    "group norm": conv2(nn.GroupNorm(2, 4)),
    "upsampling": conv2(nn.Upsample(scale_factor=2, mode="bilinear")),
    "flatten and linear": conv2(nn.Flatten(), nn.Linear(120, 5)),
    "linear": flat(nn.Linear(6, 4)),
    "linear chain": flat(nn.ReLU(), nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 3)),
    "product with itself": flat(Call(lambda x: x * x), nn.Linear(6, 3)),
    "softmax": flat(nn.Softmax(dim=-1)),
    "layer norm": steps(nn.LayerNorm(6)),
    "attention": steps(Call(attend, nn.MultiheadAttention(6, 2, batch_first=True))),
    "fused attention": steps(Call(sdpa)),
    "encoder layer": steps(
        nn.TransformerEncoderLayer(6, 2, 8, dropout=0.0, batch_first=True, norm_first=True)
    ),
    "LSTM": steps(nn.LSTM(6, 3, batch_first=True)),
    "two-way LSTM": steps(nn.LSTM(6, 3, batch_first=True, bidirectional=True, num_layers=2)),
    "GRU": steps(nn.GRU(6, 3, batch_first=True)),
    "RNN": steps(nn.RNN(6, 3, batch_first=True)),
}  # fmt: skip

LETTERS = {2: "TD", 3: "BTD", 4: "BCHW", 5: "BCDHW"}


def measured(model, shape, check):
    """Run a `Path` in double precision and hand the snapshot of its two ends to ``check``."""
    model = model.double()
    last = f"path.{len(model.path) - 1}"
    plan = Plan(Selection(("a", last)), (("a", last),), loss=squares)
    x = torch.randn(shape, dtype=torch.float64)
    run_once(
        model, as_call(x), plan, use=lambda run: check(run.snapshot, x, *run.snapshot.pairs[0])
    )


@pytest.mark.parametrize("name", [*CONVOLUTIONS, *OTHERS])
def test_flow_is_the_weighted_jacobian(name):
    model, shape, letters = (CONVOLUTIONS | OTHERS)[name]
    outcome = []

    def check(snapshot, x, source, target):
        assert source.layout.letters == letters
        a = model.a(x)
        g_b = snapshot.gradients[target.name]
        own = letters if len(g_b.shape) == len(letters) else LETTERS[g_b.dim()]
        assert target.layout.letters == own
        expected = flow_by_jacobian(model.between, a, g_b, letters, own)
        nodes = (source.layout.nodes, target.layout.nodes)
        flow = snapshot.flow(source, target)
        assert flow.way == ("closed form" if name in CONVOLUTIONS else "VJPs")
        found = dense(flow, nodes)
        torch.testing.assert_close(found, expected.detach(), rtol=1e-9, atol=1e-11)
        by_vjps = measure_flow(source, target, snapshot.node_gradients(target), closed_form=False)
        torch.testing.assert_close(dense(by_vjps, nodes), found, rtol=1e-9, atol=1e-11)
        torch.testing.assert_close(flow.row_sums, found.sum(1))
        torch.testing.assert_close(flow.column_sums, found.sum(0))
        # One row and one column alone.
        row, column = nodes[0] // 2, nodes[1] // 3
        torch.testing.assert_close(snapshot.column(source, target, column), found[:, column])
        by_columns = snapshot.row_by_columns(source, target, row, Effort())
        torch.testing.assert_close(by_columns, found[row], rtol=1e-9, atol=1e-11)
        try:
            alone = snapshot.row(source, target, row)
        except NoForwardProduct:
            assert name in (
                "fused attention",
                "LSTM",
                "two-way LSTM",
                "GRU",
                "RNN",
                "attention",
                "encoder layer",
            )
        else:
            torch.testing.assert_close(alone, found[row], rtol=1e-9, atol=1e-11)
        # The chain rule holds.
        (bypass,) = snapshot.bypasses(target, [source])
        own_gradient = snapshot.node_gradients(source).sum(0)
        residual = (own_gradient - found.sum(1) - bypass).abs().max()
        assert residual <= 1e-9 * (1 + own_gradient.abs().max())
        outcome.append(True)

    measured(model, shape, check)
    assert outcome == [True]


@pytest.mark.parametrize("name", ["LSTM", "fused attention", "attention"])
def test_row_by_kernels_with_a_second_derivative(name):
    model, shape, _ = OTHERS[name]
    last = f"path.{len(model.path) - 1}"
    plan = Plan(Selection(("a", last)), (("a", last),), loss=squares)
    rows = []

    def use(run):
        pair = run.snapshot.pairs[0]
        rows.append((run.snapshot.row(*pair, 3), run.snapshot.row_by_columns(*pair, 3, Effort())))

    run_once(model.float(), as_call(torch.randn(shape)), plan, use=use, twice=True)
    torch.testing.assert_close(*rows[0], rtol=1e-4, atol=1e-6)


def test_operation_that_refuses_batching_is_looped():
    class Stubborn(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 3 * x

        @staticmethod
        def backward(ctx, g):
            return 3 * g * float(g.abs().sum() >= 0)  # a number from data: no batch knows it

    def check(snapshot, x, source, target):
        found = dense(snapshot.flow(source, target), (18, 18))
        expected = torch.diag(3 * snapshot.gradients[target.name].reshape(-1))
        torch.testing.assert_close(found, expected)

    measured(Path(nn.Linear(5, 6), Call(Stubborn.apply)), (3, 5), check)


def test_backward_that_breaks_the_graph_is_seen_by_a_row():
    class Hidden(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 3 * x

        @staticmethod
        def backward(ctx, g):
            return 2 * g + g.detach()

    def check(snapshot, x, source, target):
        with pytest.raises(NoForwardProduct):
            snapshot.row(source, target, 0)

    measured(Path(nn.Linear(5, 6), Call(Hidden.apply)), (3, 5), check)


def test_nodes_without_gradient_have_empty_columns():
    model = Path(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 4)).double()
    plan = Plan(Selection(("a", "path.1")), loss=lambda output: output[0, 2])
    found = []
    run_once(
        model,
        as_call(torch.randn(1, 5, dtype=torch.float64)),
        plan,
        use=lambda run: found.append(dense(run.snapshot.flow(*run.snapshot.pairs[0]), (6, 4))),
    )
    assert not found[0][:, [0, 1, 3]].any()
    assert found[0][:, 2].any()


def test_nan_and_inf_are_kept():
    model = Path(nn.Linear(3, 3), Call(torch.log), nn.Linear(3, 2)).double()
    with torch.no_grad():
        model.a.weight.zero_()
        model.a.bias.copy_(torch.tensor([0.0, 1.0, -1.0]))
    plan = Plan(Selection(("a", "path.1")))
    found = []
    run_once(
        model,
        as_call(torch.ones(1, 3, dtype=torch.float64)),
        plan,
        use=lambda run: found.append(run.snapshot.flow(*run.snapshot.pairs[0])),
    )
    # The slope at 0 is infinite, and autograd's 0·∞ is NaN: what it gives stands, nothing is made finite.
    assert found[0].row_sums[0].isnan()
    assert torch.isfinite(found[0].row_sums[1])
