# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""Where a step begins and ends in trainings that are not the usual loop, and what it is called."""

import pytest
import torch
from kit.small_net import batch, descend, net, take_step
from kit.watched import Watched

from gradtui.errors import UsageError

pytestmark = pytest.mark.usefixtures("where")

SMALL = 1e-5


@pytest.mark.parametrize("by_hand", [False, True])
def test_half_a_step_at_the_end_is_none(by_hand):
    model = net()
    optimizer = None if by_hand else torch.optim.SGD(model.parameters(), 0.1)
    with Watched(model, optimizer) as watched:
        for step in range(3):
            model.zero_grad()
            model(batch(step)).sum().backward()
            if by_hand:
                descend(model)
            else:
                optimizer.step()
        if not by_hand:
            model(batch(3)).sum().backward()
    assert watched.handle.step == 3
    assert {step for step, _ in watched.numbers()} == {0, 1, 2}


def test_half_a_step_in_which_something_broke_is_told():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with Watched(model, optimizer, log_freq=5) as watched:
        for step in range(2):
            model(batch(step)).sum().backward()
            optimizer.step()
        model(batch(0) * float("nan"))
    assert {step for step, _ in watched.events("non-finite")} == {2}


def test_an_optimizer_that_is_made_anew_goes_on_with_its_learning_rate():
    model = net()
    with Watched(model) as watched:
        for step in range(3):
            optimizer = torch.optim.SGD(model.parameters(), 0.1 / (step + 1))
            model(batch(step)).sum().backward()
            optimizer.step()
    rates = [watched.number(step, "", "run", "value", "lr.0") for step in range(3)]
    assert rates == pytest.approx([0.1, 0.05, 0.1 / 3], rel=SMALL)
    assert not any(key.slot == "lr.1" for _, key in watched.numbers())


def test_names_that_the_run_uses_itself_are_kept_apart():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with Watched(model, optimizer) as watched:
        for step in range(2):
            model(batch(step)).sum().backward()
            optimizer.step()
            watched.handle.log(**{"grad_norm": 42.0, "lr.0": 7.0, "lr": 1.0})
    assert watched.number(1, "", "run", "value", "grad_norm.logged") == 42
    assert watched.number(1, "", "run", "value", "lr.0") == pytest.approx(0.1)
    assert watched.number(1, "", "run", "value", "lr.0.logged") == 7
    assert watched.number(1, "", "run", "value", "lr") == 1
    assert 0 < watched.number(1, "", "run", "value", "grad_norm") != 42
    assert len(watched.problems) == 2


def test_steps_with_gradients_that_autograd_returns():
    model = net()
    with Watched(model) as watched:
        for step in range(3):
            loss = model(batch(step)).square().sum()
            found = torch.autograd.grad(loss, list(model.parameters()))
            with torch.no_grad():
                for p, gradient in zip(model.parameters(), found, strict=True):
                    p -= 0.1 * gradient
            if step == 1:
                change = 0.1 * found[0].norm().item()
    assert not watched.problems
    assert watched.handle.step == 3
    assert watched.number(1, "0", "update", "l2", "weight") == pytest.approx(change, rel=1e-4)
    assert watched.number(1, "0", "output gradient", "l2") > 0
    (note,) = {event.text for _, event in watched.events("note") if ".grad" in event.text}
    assert "no gradient" in note


def test_steps_by_hand_beside_an_optimizer_that_never_steps():
    model = net()
    idle = torch.optim.SGD(model.parameters(), 0.1)
    with Watched(model) as watched:
        for step in range(6):
            idle.zero_grad()
            model(batch(step)).sum().backward()
            descend(model)
    # The first of them are waited with, for the optimizer.
    assert watched.handle.step == 4


def test_a_look_at_the_shapes_before_the_weights_are_made_is_no_step():
    model = net()
    with Watched(model) as watched:
        model(torch.ones(2, 3))
        model[0].reset_parameters()
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        for step in range(2):
            take_step(model, optimizer, step)
    assert watched.handle.step == 2


class Sharp(torch.optim.Optimizer):
    """Sharpness-aware minimisation: climbs to the worst weights nearby, and steps with the gradient of there."""

    def __init__(self, parameters, base, **defaults):
        super().__init__(parameters, {"rho": 0.05, **defaults})
        self.base = base(self.param_groups, **defaults)
        self.param_groups = self.base.param_groups

    @torch.no_grad()
    def climb(self):
        for p in self.param_groups[0]["params"]:
            self.state[p]["was"] = p.clone()
            p += 0.05 * p.grad
        self.zero_grad()

    @torch.no_grad()
    def descend(self):
        for p in self.param_groups[0]["params"]:
            p.copy_(self.state[p]["was"])
        self.base.step()
        self.zero_grad()

    @torch.no_grad()
    def step(self, closure):
        with torch.enable_grad():
            closure()
        self.climb()
        with torch.enable_grad():
            closure()
        self.descend()


@pytest.mark.parametrize("is_given", [False, True])
@pytest.mark.parametrize("with_closure", [False, True])
def test_two_backward_passes_and_one_step(is_given, with_closure):
    model = net()
    optimizer = Sharp(model.parameters(), torch.optim.SGD, lr=0.1)
    used = []

    def closure():
        model(batch(0)).square().sum().backward()
        used.append(model[0].weight.grad.norm().item())

    with Watched(model, optimizer if is_given else None) as watched:
        for _ in range(3):
            if with_closure:
                optimizer.step(closure)
                continue
            closure()
            optimizer.climb()
            closure()
            optimizer.descend()
    assert not watched.problems
    assert watched.handle.step == 3
    for step in range(3):
        found = watched.number(step, "0", "gradient", "l2", "weight")
        assert found == pytest.approx(used[2 * step + 1], rel=SMALL)


@pytest.mark.parametrize("to_none", [False, True])
@pytest.mark.parametrize("is_before", [False, True])
def test_an_optimizer_within_the_backward_pass(is_before, to_none):
    """Its hooks may stand before ours, and leave gradients of zero behind."""
    model = net()
    optimizers = {p: torch.optim.SGD([p], 0.1) for p in model.parameters()}
    norms = []

    def use(p):
        if p is model[0].weight:
            norms.append(p.grad.norm().item())
        optimizers[p].step()
        optimizers[p].zero_grad(set_to_none=to_none)

    def listen():
        for p in model.parameters():
            p.register_post_accumulate_grad_hook(use)

    if is_before:
        listen()
    with Watched(model) as watched:
        if not is_before:
            listen()
        for step in range(3):
            model(batch(step)).square().sum().backward()
    assert not watched.problems
    assert watched.handle.step == 3
    for step in range(3):
        found = watched.number(step, "0", "gradient", "l2", "weight")
        assert found == pytest.approx(norms[step], rel=SMALL)


# ---- a training that goes on


def test_a_training_that_goes_on_counts_on():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with Watched(model, optimizer, start_step=1007, log_freq=10) as watched:
        watched.handle.log(begun=1.0)
        for step in range(4):
            model(batch(step)).sum().backward()
            optimizer.step()
            watched.handle.log(loss=float(step))
        watched.handle.epoch(3)
    assert watched.handle.step == 1011
    assert watched.number(1007, "", "run", "value", "loss") == 0.0
    assert watched.number(1010, "", "run", "value", "loss") == 3.0
    # The first step is recorded in full, whatever its number.
    assert watched.stats(1007, "0", "output")
    assert watched.stats(1010, "0", "output")
    assert not watched.stats(1008, "0", "output")
    assert {step for step, _ in watched.events("epoch")} == {1011}


def test_a_first_step_that_is_none():
    with pytest.raises(UsageError, match="start_step=-1"):
        Watched(net(), start_step=-1)
