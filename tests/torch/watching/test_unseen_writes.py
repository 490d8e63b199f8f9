# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""What is done to gradients in ways that torch tells nobody of: writes through ``.data``, and passes that fail."""

import math

import pytest
import torch
from kit.watched import Watched
from torch import nn

from gradtui.torch.watching.gradients import Gradients


def stack(width=8):
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(3, width), nn.Tanh(), nn.Linear(width, 2))


def run(model, change, steps, log_freq=10):
    """A training in which gradients are changed between backward pass and step; their norms by hand, before and after."""
    optimizer, norms = torch.optim.SGD(model.parameters(), 1e-6), []
    with Watched(model, optimizer, log_freq=log_freq) as watched:
        for step in range(steps):
            optimizer.zero_grad()
            model(torch.ones(4, 3)).square().sum().backward()
            raw = [p.grad.norm().item() for p in model.parameters()]
            change(model, step)
            norms.append((raw, [p.grad.norm().item() for p in model.parameters()]))
            optimizer.step()
    assert not watched.problems
    return watched, norms


def told(watched, model, step, role):
    names = [name.rpartition(".") for name, _ in model.named_parameters()]
    return [
        watched.stats(step, path, role, slot).get("l2", math.nan) for path, _, slot in names
    ]  # fmt: skip


def halve(model, step):
    if step >= 3:
        for p in model.parameters():
            p.grad.data.mul_(0.5)


def test_a_write_to_all_gradients_is_seen_in_its_first_step():
    model = stack()
    watched, norms = run(model, halve, 8)
    for step, (raw, used) in enumerate(norms):
        assert told(watched, model, step, "gradient") == pytest.approx(used, rel=1e-5)
        if step >= 3:
            assert told(watched, model, step, "raw gradient") == pytest.approx(raw, rel=1e-5)
            total = watched.number(step, "", "run", "value", "grad_norm_raw")
            assert total == pytest.approx(math.hypot(*raw), rel=1e-5)


def cut_the_largest(model, step):
    """One value of 6,000, which no sample has: old clipping by value does so."""
    if step >= 1:
        gradient = model[0].weight.grad
        bound = gradient.abs().max().item() / 2
        gradient.data[gradient.abs() > bound] = 0


@pytest.mark.parametrize("log_freq", [1, 5])
def test_a_write_to_a_value_of_one_gradient_is_seen_when_all_are_looked_at(log_freq):
    model = stack(2000)
    watched, norms = run(model, cut_the_largest, 12, log_freq)
    for step in (10, 11):
        raw, used = norms[step]
        assert told(watched, model, step, "gradient") == pytest.approx(used, rel=1e-5)
        assert told(watched, model, step, "raw gradient") == pytest.approx(raw, rel=1e-5)


@pytest.mark.parametrize("size", [1.0, 1e-10, 1e-14, 1e-25, 0.0])
def test_gradients_that_nobody_changes_are_trusted(size):
    """However small they are: norms that are reckoned in two ways are the same."""
    model = stack(600)
    with torch.no_grad():
        model[2].weight.mul_(size)
        model[2].bias.zero_()
    watched, _ = run(model, lambda *_: None, 12, 4)
    assert watched.handle._watcher.gradients.trusting
    assert not [key for _, key in watched.numbers() if key.role == "raw gradient"]


class Refused(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        raise ValueError("of the user")


@pytest.mark.parametrize("log_freq", [1, 10])
def test_what_a_pass_that_failed_has_left_is_read_before_clipping(log_freq):
    model = stack()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    wanted = []
    with Watched(model, optimizer, log_freq=log_freq) as watched:
        for step in range(4):
            optimizer.zero_grad()
            if step < 2:
                model(torch.ones(4, 3)).square().sum().backward()
            else:
                hidden = model[1](model[0](torch.ones(4, 3)))
                with pytest.raises(ValueError, match="of the user"):
                    model[2](Refused.apply(hidden)).square().sum().backward()
            raw = model[2].weight.grad.norm().item()
            nn.utils.clip_grad_norm_(model.parameters(), 0.01)
            wanted.append((raw, model[2].weight.grad.norm().item()))
            optimizer.step()
    assert not watched.problems
    for step in (1, 2, 3):
        for role, norm in zip(("raw gradient", "gradient"), wanted[step], strict=True):
            found = watched.number(step, "2", role, "l2", "weight")
            assert found == pytest.approx(norm, rel=1e-5)


def test_passes_that_fail_for_want_of_memory_are_no_failures_of_ours(monkeypatch):
    """As when somebody looks for the largest batch: to read what they left may fail as well."""
    model = stack()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)

    def full(*_):
        raise MemoryError

    with Watched(model, optimizer) as watched:
        with monkeypatch.context() as patch:
            patch.setattr(Gradients, "read", full)
            for _ in range(4):
                loss = model[2](Refused.apply(model[0](torch.ones(4, 3)))).sum()
                with pytest.raises(ValueError, match="of the user"):
                    loss.backward()
        optimizer.zero_grad()
        model(torch.ones(4, 3)).square().sum().backward()
        norm = model[2].weight.grad.norm().item()
        optimizer.step()
        assert watched.handle.active
    assert not watched.problems
    found = watched.number(0, "2", "gradient", "l2", "weight")
    assert found == pytest.approx(norm, rel=1e-5)


class Spectrum(nn.Module):
    def forward(self, x):
        return torch.fft.rfft(x)


class Break(nn.Module):
    broken = False

    def forward(self, x):
        return x.mul_(math.nan if self.broken else 1.0)


@pytest.mark.usefixtures("where")
def test_complex_outputs_are_looked_at_on_every_step():
    model = nn.Sequential(nn.Linear(3, 4), Spectrum(), Break(), nn.Identity())
    optimizer = torch.optim.SGD(model.parameters(), 0.0)
    with Watched(model, optimizer, log_freq=10) as watched:
        for step in range(4):
            model[2].broken = step == 2
            optimizer.zero_grad()
            model(torch.ones(2, 3)).abs().sum().backward()
            optimizer.step()
    assert not watched.problems
    step, event = watched.events("non-finite")[0]
    assert (step, event.path) == (2, "2")


@pytest.mark.filterwarnings("ignore:.*nested tensors:UserWarning")
@pytest.mark.parametrize("layout", [torch.jagged, torch.strided])
def test_what_is_written_into_a_nested_tensor_did_not_come_in(layout):
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 4), Break())
    with Watched(model, log_freq=10) as watched:
        for step in range(3):
            model[2].broken = step == 2
            model(torch.nested.nested_tensor([torch.ones(2, 3), torch.ones(4, 3)], layout=layout))
            torch.optim.SGD(model.parameters(), 0.1).step()
    assert not watched.problems
    event = watched.events("non-finite")[0][1]
    assert (event.path, event.fields["role"], event.fields["after"]) == ("2", "output", "1")
