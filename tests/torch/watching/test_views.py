# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""Gradients of outputs that are views, and of what is written to in place; several backward passes through a graph."""

import weakref

import pytest
import torch
from kit.watched import Watched, assert_same
from torch import nn

pytestmark = pytest.mark.usefixtures("where")


class Gated(nn.Module):
    """A layer, an operation on what it returned, and a layer behind it."""

    def __init__(self, first, between, last):
        super().__init__()
        self.first, self.last = first, last
        self.between = between

    def forward(self, x):
        y = self.first(x)
        y = y[0] if isinstance(y, tuple) else y
        return self.last(self.between(y))


def through_a_view(y):
    y.view(-1).mul_(2.0)
    return y


def a_part_alone(y):
    y[:, 1:].mul_(5.0)
    y.select(1, 0).mul_(3.0)
    return y


def twice(y):
    y.add_(1.0)
    y.sigmoid_()
    return y


def into_the_owner(y):
    y._base.mul_(2.0)
    return y


def used_before(y):
    z = y * 3.0
    y.mul_(0.5)
    return y + z


# By hand: the same without writing in place.
CASES = {
    "relu": (lambda: nn.Linear(4, 5), nn.ReLU(inplace=True), nn.ReLU(), (2, 3, 4)),
    "flatten": (
        lambda: nn.Sequential(nn.Linear(4, 5), nn.Flatten(2)),
        lambda y: y.mul_(2.0), lambda y: y * 2.0, (2, 3, 4),
    ),
    "through a view": (lambda: nn.Linear(4, 5), through_a_view, lambda y: y * 2.0, (2, 4)),
    "part": (
        lambda: nn.Linear(4, 5), a_part_alone,
        lambda y: torch.cat([y[:, :1] * 3.0, y[:, 1:] * 5.0], 1), (2, 3, 4),
    ),
    "twice": (lambda: nn.Linear(4, 5), twice, lambda y: (y + 1.0).sigmoid(), (2, 3, 4)),
    "owner": (lambda: nn.Linear(4, 5), into_the_owner, lambda y: y * 2.0, (2, 3, 4)),
    "used before": (lambda: nn.Linear(4, 5), used_before, lambda y: y * 3.5, (2, 3, 4)),
    "batch first": (
        lambda: nn.GRU(4, 5, batch_first=True),
        lambda y: y.mul_(2.0), lambda y: y * 2.0, (2, 3, 4),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_gradient_of_an_output_that_is_written_to_later(case):
    torch.manual_seed(0)
    make, between, apart, shape = CASES[case]
    model = Gated(make(), between, nn.Linear(5, 2))
    x = torch.randn(shape)
    with Watched(model, torch.optim.SGD(model.parameters(), 0.1)) as watched:
        model(x).square().sum().backward()
    assert not watched.problems
    wanted = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    y = model.first(x)
    y = y[0] if isinstance(y, tuple) else y
    y.retain_grad()
    model.last(apart(y)).square().sum().backward()
    for name, p in model.named_parameters():
        torch.testing.assert_close(p.grad, wanted[name])
    slot = "0" if isinstance(model.first, nn.GRU) else ""
    assert_same(watched.stats(0, "first", "output gradient", slot), y.grad)


def test_the_share_of_a_module_that_works_in_place_on_a_view():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(inplace=True), nn.Linear(5, 2))
    x = torch.randn(2, 3, 4)
    with Watched(model, torch.optim.SGD(model.parameters(), 0.1)) as watched:
        model(x).square().sum().backward()
    y = model[0](x)
    y.retain_grad()
    z = torch.relu(y)
    z.retain_grad()
    model[2](z).square().sum().backward()
    assert_same(watched.stats(0, "0", "output gradient"), y.grad)
    assert_same(watched.stats(0, "1", "input gradient"), y.grad)
    assert_same(watched.stats(0, "1", "output gradient"), z.grad)
    assert_same(watched.stats(0, "2", "input gradient"), z.grad)


def test_a_view_that_nobody_uses_has_no_gradient():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.flat, self.last = nn.Linear(4, 5), nn.Flatten(), nn.Linear(5, 2)

        def forward(self, x):
            y = self.first(x)
            self.flat(y)
            return self.last(y)

    model = Net()
    with Watched(model, torch.optim.SGD(model.parameters(), 0.1)) as watched:
        model(torch.randn(2, 3, 4)).sum().backward()
    assert watched.stats(0, "flat", "output gradient") == {}
    assert watched.stats(0, "first", "output gradient") != {}


def test_no_memory_is_held_for_a_view():
    model = nn.Sequential(nn.Linear(4, 5), nn.Flatten(0))
    kept = []
    model[1].register_forward_hook(
        lambda _, __, output: kept.append(weakref.ref(output.untyped_storage()))
    )
    with Watched(model, torch.optim.SGD(model.parameters(), 0.1)):
        out = model(torch.randn(2, 3, 4))
        loss = out.sum()
        del out
        assert kept[0]() is None
        loss.backward()


def test_of_two_backward_passes_through_one_graph_the_last_is_told():
    """Everywhere the same one: of outputs, of inputs that one operation takes and of those that several take."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(3, 3), Both()

        def forward(self, x):
            return self.b(self.a(x))

    class Both(nn.Module):
        def forward(self, x):
            return x * x.sin()

    model = Net()
    x = torch.randn(2, 3, requires_grad=True)
    with Watched(model, torch.optim.SGD(model.parameters(), 0.1)) as watched:
        y = model(x)
        (10 * y.sum()).backward(retain_graph=True)
        y.sum().backward(retain_graph=True)
        (2 * y.sum()).backward()
    middle = model.a(x)
    given, between = torch.autograd.grad(2 * (middle * middle.sin()).sum(), (x, middle))
    assert_same(watched.stats(0, "", "output gradient"), torch.full((2, 3), 2.0))
    assert_same(watched.stats(0, "a", "output gradient"), between)
    assert_same(watched.stats(0, "b", "input gradient"), between)
    assert_same(watched.stats(0, "a", "input gradient"), given)
    assert_same(watched.stats(0, "", "input gradient"), given)
