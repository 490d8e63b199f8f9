# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""Several optimizers, optimizers that fail, that skip, and steps that give parameters other memory."""

import pytest
import torch
from kit.watched import Watched
from torch import nn

from gradtui.torch.watching.late import Late
from gradtui.torch.watching.looks import FIRST_LOOKS, PATIENCE

pytestmark = pytest.mark.usefixtures("where")


class Two(nn.Module):
    """Two halves, each with a loss and an optimizer of its own."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(2, 1), nn.Linear(2, 1)

    def forward(self, x, y):
        return self.a(x).sum() + self.b(y).sum()


def test_learning_rates_of_several_optimizers_have_names_of_their_own():
    model = Two()
    first = torch.optim.SGD([{"params": model.a.weight}, {"params": model.a.bias, "lr": 0.25}], 0.5)
    second = torch.optim.SGD([model.b.weight], 0.125)
    with Watched(model, [first, second]) as watched:
        for step in range(2):
            model(torch.ones(1, 2), torch.ones(1, 2)).backward()
            first.step()
            second.step()
            if not step:
                second.add_param_group({"params": [model.b.bias], "lr": 0.0625})
    rates = {
        key.slot: value for (step, key), value in watched.numbers().items()
        if step == 1 and key.slot.startswith("lr.")
    }  # fmt: skip
    assert rates == {"lr.0": 0.5, "lr.1": 0.25, "lr.2": 0.125, "lr.3": 0.0625}


@pytest.mark.parametrize("is_given", [False, True])
def test_exact_updates(is_given):
    torch.manual_seed(0)
    model = nn.Linear(100, 100, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    wanted = []
    with Watched(model, optimizer if is_given else None, exact_updates=True) as watched:
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.randn(1, 100)).square().sum().backward()
            before = model.weight.detach().double().clone()
            optimizer.step()
            wanted.append(((model.weight - before).norm().item(), before.norm().item()))
    for step, (change, size) in enumerate(wanted):
        update = watched.stats(step, "", "update", "weight")
        assert update["l2"] == pytest.approx(change, rel=1e-5)
        assert update["base_l2"] == pytest.approx(size, rel=1e-5)


@pytest.mark.parametrize("exact", [False, True])
def test_a_step_by_hand_that_gives_parameters_other_memory(exact):
    """``p.data = p.data - rate * p.grad``, as in many a lesson."""
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    norms = []
    with Watched(model, exact_updates=exact) as watched:
        for _ in range(3):
            model.zero_grad()
            model(torch.randn(4, 3)).square().sum().backward()
            norms.append(model.weight.grad.double().norm().item())
            for p in model.parameters():
                p.data = p.data - 0.1 * p.grad
    assert watched.handle.step == 3
    for step, norm in enumerate(norms):
        assert watched.number(step, "", "gradient", "l2", "weight") == pytest.approx(norm, rel=1e-5)
        update = watched.stats(step, "", "update", "weight")
        assert update["l2"] == pytest.approx(0.1 * norm, rel=1e-4)


def test_a_parameter_that_is_no_one_stretch_of_memory():
    model = nn.Linear(4, 8, bias=False)
    model.weight = nn.Parameter(torch.randn(8, 8)[:, :4])
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with Watched(model, optimizer) as watched:
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.ones(1, 4)).sum().backward()
            before = model.weight.detach().clone()
            optimizer.step()
            change = (model.weight - before).norm().item()
    assert watched.stats(2, "", "update", "weight")["l2"] == pytest.approx(change, rel=1e-4)
    assert watched.stats(2, "", "update", "weight")["base_l2"] == pytest.approx(
        before.norm().item(), rel=1e-5
    )


def test_an_optimizer_that_fails_and_is_called_again():
    """The step goes on; the norm of all gradients counts each once."""

    class Fails(torch.optim.SGD):
        fails = False

        @torch.no_grad()
        def step(self, closure=None):
            if self.fails:
                raise MemoryError
            return super().step(closure)

    model = nn.Linear(3, 2)
    optimizer = Fails(model.parameters(), 0.1)
    with Watched(model, optimizer) as watched:
        for turn in range(3):
            optimizer.zero_grad()
            model(torch.ones(1, 3)).sum().backward()
            norm = torch.stack([p.grad.norm() for p in model.parameters()]).norm().item()
            optimizer.fails = turn == 1
            try:
                optimizer.step()
            except MemoryError:
                assert turn == 1
    assert watched.handle.step == 2
    for step in range(2):
        found = watched.number(step, "", "run", "value", "grad_norm")
        assert found == pytest.approx(norm, rel=1e-5)


@pytest.mark.parametrize("is_given", [False, True])
@pytest.mark.parametrize("log_freq", [1, 10])
def test_a_scaler_that_skips_one_of_two_optimizers(is_given, log_freq):
    model = Two()
    both = [torch.optim.SGD(half.parameters(), 0.0) for half in (model.a, model.b)]
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    with Watched(model, both if is_given else None, scaler=scaler, log_freq=log_freq) as watched:
        for step in range(4):
            for each in both:
                each.zero_grad()
            x = torch.ones(1, 2) * (float("inf") if step == 1 else 1.0)
            scaler.scale(model(x, torch.ones(1, 2))).backward()
            for each in both:
                scaler.step(each)
            scaler.update()
    assert not watched.problems
    assert watched.handle.step == 4
    assert [step for step, _ in watched.events("skipped")] == [1]
    # The gradient that was not used is no gradient of the step, and was infinite; its bias's was not.
    assert watched.stats(1, "a", "gradient", "weight") == {}
    assert watched.stats(1, "a", "raw gradient", "weight")["inf"] > 0
    assert watched.stats(1, "a", "raw gradient", "bias")["l2"] == pytest.approx(1.0)
    assert watched.stats(1, "b", "gradient", "weight")["l2"] == pytest.approx(2**0.5)
    assert watched.stats(1, "b", "update", "weight")["l2"] == 0
    assert watched.stats(1, "a", "update", "weight") == {}


@pytest.mark.parametrize("is_given", [False, True])
def test_the_step_of_another_models_optimizer_is_not_a_skipped_one(is_given):
    """The critic of a generator has gradients of the generator's loss, and its own optimizer does not step."""
    makes, judges = nn.Linear(2, 2), nn.Linear(2, 1)
    first, second = (torch.optim.SGD(net.parameters(), 0.01) for net in (makes, judges))
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    with Watched(judges, second if is_given else None, scaler=scaler) as watched:
        for _ in range(3):
            for optimizer in (first, second):
                first.zero_grad()
                second.zero_grad()
                scaler.scale(judges(makes(torch.ones(1, 2))).sum()).backward()
                scaler.step(optimizer)
                scaler.update()
    assert not watched.events("skipped")
    assert watched.handle.step == 3


def test_a_skipped_step_that_is_recorded_in_full_has_the_gradients_as_they_were():
    """The scaler has unscaled them in place by the time that is known."""
    model = Two()
    optimizer = torch.optim.SGD(model.parameters(), 0.0)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    with Watched(model, optimizer, scaler=scaler) as watched:
        for step in range(2):
            optimizer.zero_grad(set_to_none=False)
            x = torch.ones(1, 2) * (1.0 if step else float("inf"))
            scaler.scale(model(x, torch.ones(1, 2))).backward()
            scaler.step(optimizer)
            scaler.update()
    assert [step for step, _ in watched.events("skipped")] == [0]
    assert watched.stats(0, "b", "raw gradient", "weight")["l2"] == pytest.approx(2**0.5)


@pytest.mark.parametrize("log_freq", [1, 10])
def test_a_gradient_that_is_used_up_within_the_backward_pass(log_freq):
    """A step of each parameter as soon as its gradient is there, which is given back at once."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    norms = []

    def use(parameter):
        norms[-1][id(parameter)] = parameter.grad.norm().item()
        with torch.no_grad():
            parameter -= 0.1 * parameter.grad
        parameter.grad = None

    with Watched(model, log_freq=log_freq) as watched:
        for parameter in model.parameters():
            parameter.register_post_accumulate_grad_hook(use)
        for _ in range(5):
            norms.append({})
            model(torch.ones(1, 3)).sum().backward()
    for step, wanted in enumerate(norms):
        for path, part in enumerate(model):
            found = watched.number(step, str(path), "gradient", "l2", "weight")
            assert found == pytest.approx(wanted[id(part.weight)], rel=1e-5)


@pytest.mark.parametrize("log_freq", [1, 10])
def test_a_gradient_that_is_clipped_within_the_backward_pass(log_freq):
    """What our hook met is the raw gradient, whatever hooks behind it do."""
    model = nn.Linear(3, 2, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)

    def halve(parameter):
        parameter.grad.mul_(0.5)

    with Watched(model, optimizer, log_freq=log_freq) as watched:
        model.weight.register_post_accumulate_grad_hook(halve)
        for _ in range(4):
            optimizer.zero_grad()
            model(torch.ones(1, 3)).sum().backward()
            optimizer.step()
    whole = 6**0.5
    for step in range(4):
        assert watched.number(step, "", "gradient", "l2", "weight") == pytest.approx(whole / 2)
        assert watched.number(step, "", "raw gradient", "l2", "weight") == pytest.approx(whole)


@pytest.mark.parametrize("log_freq", [1, 10])
@pytest.mark.parametrize("unseen", [False, True])
def test_a_hook_that_clips_only_in_the_last_pass(log_freq, unseen):
    """Also through ``.data``, which no version tells: a device, which is not asked, gives no raw gradient then."""
    model = nn.Linear(3, 2, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    passes = []

    def halve(parameter):
        passes.append(parameter)
        if len(passes) % 3 == 0:
            gradient = parameter.grad.data if unseen else parameter.grad
            gradient.mul_(0.5)

    with Watched(model, optimizer, log_freq=log_freq) as watched:
        model.weight.register_post_accumulate_grad_hook(halve)
        for _ in range(4):
            optimizer.zero_grad()
            for _ in range(3):
                model(torch.ones(1, 3)).sum().backward()
            optimizer.step()
    for step in range(4):
        used = watched.number(step, "", "gradient", "l2", "weight")
        assert used == pytest.approx(1.5 * 6**0.5)
        if not (unseen and Late.is_remote(torch.ones(1))):
            raw = watched.number(step, "", "raw gradient", "l2", "weight")
            assert raw == pytest.approx(3 * 6**0.5)


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_a_backward_pass_that_fails_among_others(failing):
    """The passes behind it are read at their end: clipping comes after that."""

    class Fails(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            raise MemoryError

    first, second = nn.Linear(3, 3), nn.Linear(3, 2)
    model = nn.Sequential(first, second)
    optimizer = torch.optim.SGD(model.parameters(), 0.0)
    norms = []
    with Watched(model, optimizer, log_freq=10) as watched:
        for step in range(3):
            optimizer.zero_grad()
            for part in range(3):
                x = torch.full((1, 3), 1.0 + part)
                if step == 1 and part == failing:
                    with pytest.raises(MemoryError):
                        second(Fails.apply(first(x))).sum().backward()
                else:
                    model(x).sum().backward()
            norm = first.weight.grad.norm().item()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
            optimizer.step()
            norms.append(norm)
    assert not watched.problems
    for step, norm in enumerate(norms):
        raw = watched.number(step, "0", "raw gradient", "l2", "weight")
        assert raw == pytest.approx(norm, rel=1e-5)


def test_an_optimizer_of_another_model_is_told():
    model, other = nn.Linear(2, 1), nn.Linear(2, 1)
    optimizer = torch.optim.SGD(other.parameters(), 0.1)
    with Watched(model, optimizer) as watched:
        for _ in range(3):
            (model(torch.ones(1, 2)) + other(torch.ones(1, 2))).sum().backward()
            optimizer.step()
    (problem,) = watched.problems
    assert "holds no parameter of the model" in problem
    assert [event.text for _, event in watched.events("note")] == [problem]
    with Watched(nn.ModuleList([model, other]), [optimizer]) as watched:
        other(torch.ones(1, 2)).sum().backward()
        optimizer.step()
    assert not watched.problems


def test_an_optimizer_made_anew_at_each_step_for_the_inputs_costs_no_look_at_the_model(monkeypatch):
    """Adversarial inputs: each step has an optimizer of its own for them, and they are no parameters of the model."""
    model = nn.Linear(4, 4)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    watched = Watched(model, log_freq=50)
    looks, kept = [], []
    look = watched.handle._watcher.on_first_step
    monkeypatch.setattr(
        watched.handle._watcher, "on_first_step", lambda *a: looks.append(a) or look(*a)
    )
    for _ in range(100):
        inputs = torch.zeros(2, 4, requires_grad=True)
        kept.append(inputs)
        inputs.grad = torch.ones(2, 4)
        torch.optim.SGD([inputs], 0.1).step()
        optimizer.zero_grad()
        model(inputs.detach()).square().sum().backward()
        optimizer.step()
    assert len(looks) < 2 * FIRST_LOOKS + PATIENCE
    # What the model has instead of another parameter is found all the same, on a logged step if not before.
    model._parameters["bias"] = nn.Parameter(torch.ones(4))
    other = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(51):
        other.zero_grad()
        model(torch.ones(2, 4)).square().sum().backward()
        other.step()
    watched.handle.close()
    assert watched.number(150, "", "update", "l2", "bias") > 0
    assert not watched.problems
