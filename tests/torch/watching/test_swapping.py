# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""Conversions that swap tensors: torch refuses where one is referred to weakly, whoever does so."""

import gc
import weakref

import pytest
import torch
from kit.watched import Watched
from torch import nn
from torch.nn.utils import parametrizations


@pytest.fixture(autouse=True)
def swapping():
    torch.__future__.set_swap_module_params_on_conversion(True)
    yield
    torch.__future__.set_swap_module_params_on_conversion(False)


class Handed(nn.Module):
    """Its parameter is what a module is given, and what it returns."""

    def __init__(self):
        super().__init__()
        self.weight, self.given = nn.Parameter(torch.ones(3, 3)), nn.Identity()

    def forward(self, x):
        return x @ self.given(self.weight)


def between_backward_and_step(model, optimizer):
    model(torch.ones(2, 3)).square().sum().backward()
    model.double()
    optimizer.step()


def without_a_step(model, _):
    model(torch.ones(2, 3)).square().sum().backward()
    model.double()


def after_a_step_by_hand(model, _):
    model(torch.ones(2, 3)).square().sum().backward()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter -= 0.1 * parameter.grad
    model.double()


def after_a_step_of_some(model, _):
    optimizer = torch.optim.SGD([next(model.parameters())], 0.1)
    model(torch.ones(2, 3)).square().sum().backward()
    optimizer.step()
    model.double()


def after_a_step_that_was_skipped(model, optimizer):
    scaler = torch.amp.GradScaler("cpu")
    scaler.scale(model(torch.full((2, 3), torch.inf)).square().sum()).backward()
    scaler.step(optimizer)
    scaler.update()
    model.double()


WAYS = [
    between_backward_and_step, without_a_step, after_a_step_by_hand, after_a_step_of_some,
    after_a_step_that_was_skipped,
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", [nn.Linear, nn.Sequential, Handed])
@pytest.mark.parametrize("log_freq", [1, 10])
def test_a_model_is_converted_as_without_a_watcher(way, kind, log_freq):
    def train(is_watched):
        torch.manual_seed(0)
        if kind is nn.Linear:
            model = nn.Linear(3, 2)
        elif kind is nn.Sequential:
            model = nn.Sequential(parametrizations.weight_norm(nn.Linear(3, 4)), nn.Linear(4, 2))
        else:
            model = Handed()
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        watched = Watched(model, log_freq=log_freq) if is_watched else None
        for _ in range(2):
            optimizer.zero_grad()
            model.float()
            way(model, optimizer)
        if watched is not None:
            watched.handle.close()
            assert not watched.problems
        return [p.detach() for p in model.parameters()]

    assert all(map(torch.equal, train(True), train(False)))


def test_the_step_after_a_conversion_has_the_numbers_of_what_was_converted():
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with Watched(model, optimizer) as watched:
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.ones(2, 3, dtype=model.weight.dtype)).square().sum().backward()
            if model.weight.dtype is torch.float32:
                model.double()
            norm = model.weight.grad.norm().item()
            optimizer.step()
            assert watched.handle.active
    assert not watched.problems
    assert watched.number(2, "", "gradient", "l2", "weight") == pytest.approx(norm, rel=1e-5)


@pytest.mark.parametrize("log_freq", [1, 10])
def test_gradients_that_are_replaced_twice_are_not_taken_for_the_first(log_freq):
    """What is made anew may stand where the first one stood, in Python's memory and in torch's."""
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), 1e-4)
    wanted, again = [], 0
    with Watched(model, optimizer, log_freq=log_freq) as watched:
        for _ in range(30):
            optimizer.zero_grad()
            model(torch.ones(2, 3)).square().sum().backward()
            raw = model.weight.grad.norm().item()
            places = [(id(p.grad), p.grad._version) for p in model.parameters()]
            for parameter in model.parameters():
                values = parameter.grad.detach().numpy() * 0.5
                parameter.grad = None
                parameter.grad = torch.from_numpy(values)
            again += places == [(id(p.grad), p.grad._version) for p in model.parameters()]
            wanted.append((raw, model.weight.grad.norm().item()))
            optimizer.step()
    assert again
    for step, (raw, used) in enumerate(wanted):
        for role, norm in (("raw gradient", raw), ("gradient", used)):
            found = watched.number(step, "", role, "l2", "weight")
            assert found == pytest.approx(norm, rel=1e-5)


def test_a_gradient_that_is_let_go_is_gone():
    model = nn.Linear(3, 2)
    with Watched(model, log_freq=10):
        model(torch.ones(2, 3)).sum().backward()
        reference = weakref.ref(model.weight.grad)
        model.zero_grad()
        gc.collect()
        assert reference() is None
