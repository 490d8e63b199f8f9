# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""What the watcher records agrees with autograd by hand."""

import copy

import numpy as np
import pytest
import torch
from kit.watched import Watched, assert_same
from torch import nn
from torch.nn import functional as F

from gradtui.core.run.keys import ROW_NORMS, VALUES, SeriesKey
from gradtui.core.run.records import Layout
from gradtui.torch.watching.parameters import ALWAYS_WHOLE, LARGEST_WHOLE, largest_whole
from gradtui.torch.watching.sampling import sampled

pytestmark = pytest.mark.usefixtures("where")


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        x = self.relu(self.norm(self.conv1(x)))
        out = self.conv2(x)
        out += x
        return self.head(self.relu(out).mean((2, 3)))


class Text(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 16)
        self.lstm = nn.LSTM(16, 12, batch_first=True)
        self.attention = nn.MultiheadAttention(12, 3, batch_first=True)
        self.head = nn.Linear(12, 11)

    def forward(self, tokens):
        x, _ = self.lstm(self.embed(tokens))
        x = x + self.attention(x, x, x, need_weights=False)[0]
        return self.head(x)


class Mlp(nn.Module):
    def __init__(self, last=nn.Sigmoid):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, 7), last())

    def forward(self, x):
        return self.body(x)


ZOO = {
    "residual": (Residual, lambda: torch.randn(4, 3, 8, 8)),
    "text": (Text, lambda: torch.randint(0, 11, (3, 5))),
    "mlp": (Mlp, lambda: torch.randn(5, 6)),
    "softmax": (lambda: Mlp(lambda: nn.Softmax(-1)), lambda: torch.randn(5, 6)),
    "double": (lambda: Mlp().double(), lambda: torch.randn(5, 6).double()),
    "bfloat16": (lambda: Mlp().bfloat16(), lambda: torch.randn(5, 6).bfloat16()),
}


def built(name):
    torch.manual_seed(0)
    model, data = ZOO[name]
    return model(), data()


def loss_of(output):
    return output.float().square().mean() * 3


def test_updates_of_a_sample_are_estimates_for_the_whole_parameter():
    """So a large matrix counts for more than a bias in what is said of both."""
    torch.manual_seed(0)
    model = nn.Linear(200, 300)
    with torch.no_grad():
        model.bias.mul_(30)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with Watched(model, optimizer) as watched:
        model(torch.randn(64, 200)).square().sum().backward()
        before = {n: p.detach().double().clone() for n, p in model.named_parameters()}
        optimizer.step()
        after = {n: p.detach().double() for n, p in model.named_parameters()}
    for name, rel in (("weight", 0.15), ("bias", 1e-6)):
        update = watched.stats(0, "", "update", name)
        assert update["base_l2"] == pytest.approx(before[name].norm().item(), rel=rel)
        assert update["l2"] == pytest.approx((after[name] - before[name]).norm().item(), rel=rel)
    layouts = [record for _, record in watched.records(Layout)]
    marked = {layout.keys[k].slot for layout in layouts for k in layout.sampled}
    assert marked == {"weight"}


def test_updates_of_small_parameters_are_those_of_all_their_values():
    """A convolution of 288 values was told from 58 of them, which was off by half."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(8, 4, 3), nn.Flatten(), nn.Linear(4 * 36, 10))
    optimizer = torch.optim.SGD(model.parameters(), 1e-3, momentum=0.9)
    norms = []
    with Watched(model, optimizer) as watched:
        for step in range(3):
            optimizer.zero_grad()
            # Of one kernel alone the gradient is large: a sample may have few of its values, or many.
            loss = model(torch.randn(2, 8, 8, 8)).square().sum() + model[0].weight[1].sum() * 99
            loss.backward()
            before = {n: p.detach().double().clone() for n, p in model.named_parameters()}
            optimizer.step()
            for name, parameter in model.named_parameters():
                change = (parameter.detach().double() - before[name]).norm().item()
                norms.append((step, *name.rsplit(".", 1), change, before[name].norm().item()))
    for step, path, own, change, base in norms:
        update = watched.stats(step, path, "update", own)
        assert update["l2"] == pytest.approx(change, rel=1e-6)
        assert update["base_l2"] == pytest.approx(base, rel=1e-6)
    assert not any(record.sampled for _, record in watched.records(Layout))


def test_what_is_taken_whole_stays_within_a_bound():
    assert largest_whole([]) == LARGEST_WHOLE
    assert largest_whole([9, 288, 4096, 10**6]) == LARGEST_WHOLE
    # Of a stack of layers of one size all are whole, or none.
    assert largest_whole([1024, 32] * 100) == LARGEST_WHOLE
    assert largest_whole([4096, 700] * 100) == 700
    assert largest_whole([400] * 10_000) == ALWAYS_WHOLE


def test_an_update_of_a_small_parameter_is_exact_and_of_one_that_is_lost_none():
    model = nn.Linear(4, 4)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with Watched(model, optimizer) as watched:
        for turn in range(2):
            optimizer.zero_grad()
            (model(torch.ones(2, 4)).sum() * (float("nan") if turn else 1.0)).backward()
            before = model.weight.detach().double().clone()
            optimizer.step()
            if not turn:
                change = (model.weight.double() - before).norm().item()
    assert watched.stats(0, "", "update", "weight")["l2"] == pytest.approx(change, rel=1e-5)
    assert "l2" not in watched.stats(1, "", "update", "weight")
    assert "base_l2" in watched.stats(1, "", "update", "weight")
    assert not any(record.sampled for _, record in watched.records(Layout))


@pytest.mark.parametrize("name", ZOO)
def test_parameters_and_their_gradients(name):
    model, x = built(name)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    wanted = []
    with Watched(model, optimizer, exact_updates=True) as watched:
        for _ in range(3):
            optimizer.zero_grad()
            loss_of(model(x)).backward()
            before = copy.deepcopy(list(model.parameters()))
            grads = [p.grad.clone() for p in model.parameters()]
            optimizer.step()
            wanted.append((before, grads, copy.deepcopy(list(model.parameters()))))
    assert not watched.problems
    names = [n.rpartition(".") for n, _ in model.named_parameters()]
    for step, (before, grads, after) in enumerate(wanted):
        for (path, _, slot), b, g, a in zip(names, before, grads, after, strict=True):
            assert_same(watched.stats(step, path, "parameter", slot), b)
            found = watched.stats(step, path, "gradient", slot)
            assert {"l2", "l1", "minimum", "maximum", "nan", "inf"} <= set(found)
            assert_same(found, g)
            update = watched.stats(step, path, "update", slot)
            change = (a.double() - b.double()).norm().item()
            assert update["l2"] == pytest.approx(change, rel=1e-5)
            assert update["base_l2"] == pytest.approx(b.double().norm().item(), rel=1e-5)
        total = torch.cat([g.double().flatten() for g in grads]).norm().item()
        assert watched.number(step, "", "run", "value", "grad_norm") == pytest.approx(
            total, rel=1e-5
        )
        assert watched.number(step, "", "run", "value", "lr.0") == pytest.approx(0.1)


@pytest.mark.parametrize("name", ZOO)
def test_outputs_inputs_and_gradients(name):
    """Against hooks of the test's own: clones in the forward pass, full gradients from autograd."""
    model, x = built(name)
    seen = {}

    def keep(path):
        def hook(_, args, output):
            out = output[0] if isinstance(output, tuple) else output
            met = {"output": out.detach().clone(), "input": args[0].detach().clone()}
            seen.setdefault(path, []).append(met)
            out.register_hook(lambda g: met.update(gradient=g.clone()))

        return hook

    for path, module in model.named_modules():
        module.register_forward_hook(keep(path))
    with Watched(model) as watched:
        loss_of(model(x)).backward()
    assert not watched.problems
    for path, module in model.named_modules():
        if path == "attention.out_proj":
            continue  # attention uses its weights and never calls it
        slot = "0" if isinstance(module, (nn.LSTM, nn.MultiheadAttention)) else ""
        given = "0" if isinstance(module, nn.MultiheadAttention) else ""
        for call, met in enumerate(seen[path]):
            found = watched.stats(0, path, "output", slot, call)
            assert_same(found, met["output"])
            assert found["units"] >= found["dead"] >= 0
            assert_same(watched.stats(0, path, "output gradient", slot, call), met["gradient"])
            if not getattr(module, "inplace", False):
                assert_same(watched.stats(0, path, "input", given, call), met["input"])


def test_histograms_hold_the_sample_and_row_norms():
    model, x = built("residual")
    grads = {}
    model.conv2.register_forward_hook(
        lambda m, a, out: out.register_hook(lambda g: grads.update(conv2=g.clone())) and None
    )
    with Watched(model, sample_n=100) as watched:
        loss_of(model(x)).backward()
    histograms = watched.histograms()
    counts, low, width, tails = histograms[0, SeriesKey("conv1", "parameter", VALUES, "weight")]
    sample = sampled(model.conv1.weight.detach(), 100).numpy()
    assert counts.sum() == len(sample) <= 100
    placed, _ = np.histogram(sample, np.append(low, low[-1] + width))
    assert (placed == counts).all()
    assert not tails.any()
    counts, low, width, _ = histograms[0, SeriesKey("conv2", "output gradient", ROW_NORMS)]
    norms = grads["conv2"].flatten(1).norm(dim=1).numpy()
    placed, _ = np.histogram(norms, np.append(low, low[-1] + width))
    assert counts.sum() == 4
    assert (placed == counts).all()


def test_a_gradient_that_is_an_input_is_measured_as_one():
    """As in a penalty on gradients: of the gradient its norm is known, of the input all."""
    torch.manual_seed(3)
    inner, outer = nn.Linear(3, 3), nn.Linear(3, 3)
    seen = []
    with Watched(nn.ModuleList([inner, outer])) as watched:
        x = torch.randn(2, 3, requires_grad=True)
        out = inner(x)
        out.register_hook(lambda gradient: seen.append(gradient) or None)
        out.sum().backward()
        outer(seen[0])
    assert watched.stats(0, "0", "output gradient")["l2"] == pytest.approx(6**0.5)
    found = watched.stats(0, "1", "input")
    assert (found["l1"], found["minimum"], found["maximum"], found["zeros"]) == (6, 1, 1, 0)


def test_the_share_of_an_input_is_this_consumers_alone():
    """x feeds two branches: each one's input gradient is its own part, and x's own is their sum."""
    torch.manual_seed(1)
    model = nn.ModuleDict({"stem": nn.Linear(4, 5), "a": nn.Linear(5, 3), "b": nn.Linear(5, 3)})

    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.parts = model

        def forward(self, x):
            x = self.parts["stem"](x)
            return self.parts["a"](x) * 2 - self.parts["b"](x).tanh()

    two, x = Two(), torch.randn(6, 4)
    with Watched(two) as watched:
        loss_of(two(x)).backward()
    h = two.parts["stem"](x).detach().requires_grad_()
    a, b = h.detach().requires_grad_(), h.detach().requires_grad_()
    loss_of(two.parts["a"](a) * 2 - two.parts["b"](b).tanh()).backward()
    assert_same(watched.stats(0, "parts.a", "input gradient"), a.grad)
    assert_same(watched.stats(0, "parts.b", "input gradient"), b.grad)
    assert_same(watched.stats(0, "parts.stem", "output gradient"), a.grad + b.grad)
    assert watched.stats(0, "parts.stem", "input gradient") == {}


def test_an_input_used_twice_inside_one_module_is_summed():
    class Twice(nn.Module):
        def forward(self, x):
            return x.sin() * x

    torch.manual_seed(2)
    model = nn.Sequential(nn.Linear(3, 3), Twice(), nn.Linear(3, 1))
    x = torch.randn(4, 3)
    with Watched(model) as watched:
        model(x).sum().backward()
    h = model[0](x).detach().requires_grad_()
    model[2](model[1](h)).sum().backward()
    assert_same(watched.stats(0, "1", "input gradient"), h.grad)


def test_dead_units_zeros_and_saturation():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 4, 1)
            self.relu = nn.ReLU()
            self.squash = nn.Sigmoid()
            self.head = nn.Linear(4, 2)
            self.pick = nn.Softmax(-1)

        def forward(self, x):
            return self.pick(self.head(self.squash(self.relu(self.conv(x)) * 9).mean((2, 3))) * 40)

    torch.manual_seed(0)
    net = Net()
    with torch.no_grad():
        net.conv.bias.copy_(torch.tensor([-9.0, 0.1, 0.0, -9.0]))
    x = torch.randn(3, 1, 4, 4)
    with Watched(net) as watched:
        net(x).sum().backward()
    y = net.relu(net.conv(x))
    relu = watched.stats(0, "relu", "output")
    assert (relu["units"], relu["dead"]) == (4, 2)
    assert relu["zeros"] == int((y == 0).sum())
    s = net.squash(y * 9)
    assert watched.stats(0, "squash", "output")["saturated"] == int(((s > 0.99) | (s < 0.01)).sum())
    p = net.pick(net.head(s.mean((2, 3))) * 40)
    assert watched.stats(0, "pick", "output")["saturated"] == 2 * int((p.amax(-1) > 0.99).sum())


def test_the_learning_rate_and_the_scalars_of_the_user():
    model = nn.Linear(2, 1)
    groups = [{"params": [model.weight], "lr": 0.5}, {"params": [model.bias], "lr": 0.25}]
    optimizer = torch.optim.SGD(groups)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.1)
    with Watched(model, optimizer) as watched:
        for step in range(3):
            loss = F.mse_loss(model(torch.ones(2, 2)), torch.zeros(2, 1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            watched.handle.log(loss=loss, accuracy=step / 2)
            schedule.step()
    for step in range(3):
        assert watched.number(step, "", "run", "value", "lr.0") == pytest.approx(0.5 * 0.1**step)
        assert watched.number(step, "", "run", "value", "lr.1") == pytest.approx(0.25 * 0.1**step)
        assert watched.number(step, "", "run", "value", "accuracy") == step / 2
    assert watched.start.model == "Linear"
