# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""What changes in the midst of a training: what is frozen, and what the model is made of."""

import copy
import gc
import math
import pickle
import weakref

import pytest
import torch
from kit.watched import Watched, assert_same
from torch import nn
from torch.nn import functional as F
from torch.nn.modules import module as torch_modules

from gradtui.core.run.records import Start
from gradtui.torch import watch


def stack():
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 2))


def norm_of(gradients):
    return math.hypot(*(g.double().norm().item() for g in gradients))


def clipped_step(model, optimizer, watched, bound=0.01, forward=None):
    """A step with clipping: each gradient by hand before and after it."""
    optimizer.zero_grad()
    (forward or model)(torch.ones(4, 3)).square().sum().backward()
    raw = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    nn.utils.clip_grad_norm_(model.parameters(), bound)
    used = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    optimizer.step()
    return raw, used


def assert_step(watched, step, raw, used):
    numbers = watched.numbers()
    for role, gradients in (("raw gradient", raw), ("gradient", used)):
        told = {
            f"{key.path}.{key.slot}": value
            for (at, key), value in numbers.items()
            if at == step and key.role == role and key.quantity == "l2"
        }
        assert told == pytest.approx({n: g.norm().item() for n, g in gradients.items()}, rel=1e-5)
    for name, gradients in (("grad_norm_raw", raw), ("grad_norm", used)):
        total = watched.number(step, "", "run", "value", name)
        assert total == pytest.approx(norm_of(gradients.values()), rel=1e-5)


@pytest.mark.usefixtures("where")
@pytest.mark.parametrize("log_freq", [1, 4])
def test_parameters_that_are_unfrozen_later_are_as_the_others(log_freq):
    """Gradual unfreezing: from the first step on that trains them, before and after clipping."""
    model = stack()
    model[:4].requires_grad_(False)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    wanted = []
    with Watched(model, optimizer, log_freq=log_freq) as watched:
        for step in range(9):
            if step in (3, 6):
                model[2 if step == 3 else 0].requires_grad_(True)
            wanted.append(clipped_step(model, optimizer, watched))
    assert not watched.problems
    assert [len(raw) for raw, _ in wanted] == [2] * 3 + [4] * 3 + [6] * 3
    for step in range(1, 9):
        assert_step(watched, step, *wanted[step])
    assert all(info.trainable for info in watched.start.parameters)
    assert len(watched.records(Start)) == 3


def test_what_is_unfrozen_in_a_part_that_is_called_alone():
    """Only the optimizer's step can tell of it: the first of its steps knows no raw gradient, and no total of some."""
    model = stack()
    model[:4].requires_grad_(False)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)

    def forward(x):
        for layer in model:
            x = layer(x)
        return x

    with Watched(model, optimizer, log_freq=3) as watched:
        wanted = []
        for step in range(6):
            if step == 3:
                model.requires_grad_(True)
            wanted.append(clipped_step(model, optimizer, watched, forward=forward))
    assert not watched.problems
    for step in (1, 2, 4, 5):
        assert_step(watched, step, *wanted[step])
    totals = {(at, key.slot) for (at, key) in watched.numbers() if key.role == "run"}
    assert (3, "grad_norm") in totals
    assert (3, "grad_norm_raw") not in totals


def test_parameters_that_are_frozen_later_have_no_gradient_any_more():
    model = stack()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with Watched(model, optimizer, log_freq=2) as watched:
        wanted = []
        for step in range(6):
            if step == 3:
                model[0].requires_grad_(False)
            wanted.append(clipped_step(model, optimizer, watched))
    assert not watched.problems
    for step in range(1, 6):
        assert_step(watched, step, *wanted[step])
        assert bool(watched.stats(step, "0", "update", "weight")) == (step < 3)
    assert [info.trainable for info in watched.start.parameters] == [False] * 2 + [True] * 4


class Adapted(nn.Module):
    """A layer and a low rank beside it, as LoRA puts around one."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer
        self.down, self.up = nn.Linear(8, 2, bias=False), nn.Linear(2, 8, bias=False)

    def forward(self, x):
        return self.layer(x) + self.up(self.down(x))


def hooks_of(model):
    """How many hooks there are on the modules of a model and on its parameters."""
    on_modules = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())
    return on_modules + sum(len(p._post_accumulate_grad_hooks or ()) for p in model.parameters())


def step_by_hand(model, optimizer, paths, x):
    """One step; the outputs of modules and the gradients of these, as autograd tells them."""
    kept = {}
    handles = [
        model.get_submodule(path).register_forward_hook(
            lambda _m, _a, output, path=path: kept.update({path: output}) or output.retain_grad()
        )
        for path in paths
    ]
    optimizer.zero_grad()
    model(x).square().sum().backward()
    for handle in handles:
        handle.remove()
    gradients = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    optimizer.step()
    return kept, gradients


@pytest.mark.usefixtures("where")
@pytest.mark.parametrize("change", ["adapter", "head", "before the first step", "by its dict"])
def test_modules_that_are_put_in_later_are_as_the_others(change):
    model = stack()
    old = model[4] if change == "head" else model[2]
    x = torch.randn(4, 3)
    wanted, paths = [], ["0", "2", "4"]
    with Watched(model) as watched:
        for step in range(6):
            if step == (0 if change == "before the first step" else 3):
                if change == "head":
                    model[4] = nn.Linear(8, 5)
                elif change == "by its dict":
                    model._modules["2"] = Adapted(old)
                else:
                    model[2] = Adapted(old)
                if change != "head":
                    paths = [*paths, "2.layer", "2.down", "2.up"]
                optimizer = torch.optim.SGD(model.parameters(), 0.1)
            elif step == 0:
                optimizer = torch.optim.SGD(model.parameters(), 0.1)
            wanted.append(step_by_hand(model, optimizer, paths, x))
        assert len(old._forward_hooks) == (0 if change == "head" else 1)
    assert not watched.problems
    assert hooks_of(model) == 0
    for step, (kept, gradients) in enumerate(wanted):
        assert watched.number(step, "", "run", "value", "grad_norm") == pytest.approx(
            norm_of(gradients.values()), rel=1e-5
        )
        for name, gradient in gradients.items():
            path, _, slot = name.rpartition(".")
            found = watched.number(step, path, "gradient", "l2", slot)
            assert found == pytest.approx(gradient.norm().item(), rel=1e-5)
        if change == "by its dict" and step == 3:
            # Nobody tells of that: the optimizer does, at the end of the first step with it.
            continue
        for path, output in kept.items():
            assert_same(watched.stats(step, path, "output"), output)
            assert_same(watched.stats(step, path, "output gradient"), output.grad)
            assert watched.stats(step, path, "output")["units"] == output.shape[1]
    if change != "head":
        assert "2.up" in [info.path for info in watched.start.modules]
        assert watched.number(5, "2.up", "update", "l2", "weight") > 0


def test_a_module_that_left_is_let_go():
    model = stack()
    optimizer = torch.optim.SGD(model[:4].parameters(), 0.1)
    x = torch.ones(2, 3)
    with Watched(model, optimizer) as watched:
        for step in range(4):
            if step == 1:
                reference = weakref.ref(model[4])
                model[4] = nn.Linear(8, 5)
            model(x).sum().backward()
            optimizer.step()
        # What was found of it is written by another thread.
        watched.handle.flush()
        gc.collect()
        assert reference() is None
    assert not watched.problems


def test_the_training_with_other_modules_is_the_bare_one():
    def train(model):
        torch.manual_seed(0)
        losses = []
        for step in range(8):
            if step == 3:
                model[2] = Adapted(model[2].requires_grad_(False))
            if step in (0, 3):
                optimizer = torch.optim.Adam(model.parameters(), 0.01)
            if step == 6:
                model.requires_grad_(True)
            optimizer.zero_grad()
            loss = F.dropout(model(torch.randn(4, 3)), 0.2).square().sum()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses, [p.detach().clone() for p in model.parameters()]

    wanted = train(stack())
    model = stack()
    with Watched(model, log_freq=2) as watched:
        found = train(model)
    assert not watched.problems
    assert found[0] == wanted[0]
    assert all(map(torch.equal, found[1], wanted[1]))


def test_copies_and_pickles_after_a_module_was_put_in():
    model = stack()
    with Watched(model) as watched:
        model[2] = Adapted(model[2])
        model(torch.ones(2, 3)).sum().backward()
        for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            other(torch.ones(2, 3)).sum().backward()
    assert watched.stats(0, "2.up", "output", call=1) == {}
    assert watched.stats(0, "2.up", "output")["count"] == 16
    assert not torch_modules._global_module_registration_hooks


def test_a_changed_model_is_drawn_anew(tmp_path):
    from kit.waiting import until

    from gradtui.folder.graph_file import read_graph
    from gradtui.folder.location import DebugFolder

    model = stack()
    with watch(model, folder=tmp_path / "run") as handle:
        for step in range(3):
            if step == 1:
                model[2] = Adapted(model[2])
            model(torch.ones(2, 3)).sum().backward()
        assert not handle.problems
        drawn = DebugFolder.at(tmp_path / "run").graph
        until(lambda: drawn.exists() and "2.up" in str(read_graph(drawn)), "the new modules")


def test_what_is_kept_is_looked_for_again():
    """A parameter has another number among all when a module before it came."""
    model = stack()
    with Watched(model, keep=("4.weight", "2.up")) as watched:
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        for step in range(2):
            if step:
                model[2] = Adapted(model[2])
            model(torch.ones(2, 3)).sum().backward()
            optimizer.step()
    kept = {(step, each.key.path): each.values for step, each in watched.kept}
    assert kept[1, "4"].shape == (2, 8)
    assert kept[1, "2.up"].shape == (2, 8)


@pytest.mark.parametrize(
    "change", ["a module is put in", "a part is unfrozen", "hooks before ours"]
)
def test_steps_in_hooks_of_others_go_on_to_be_seen(change):
    """Those take each gradient up at once: ours must be told before them, whatever changes."""
    model = stack()
    if change == "a part is unfrozen":
        model[:2].requires_grad_(False)
    norms = {}

    def step_with(name, parameter):
        def step(_):
            norms[name] = parameter.grad.norm().item()
            with torch.no_grad():
                parameter.add_(parameter.grad, alpha=-0.01)
            parameter.grad = None

        return parameter.register_post_accumulate_grad_hook(step)

    def take_up(part):
        return [step_with(n, p) for n, p in part.named_parameters() if p.requires_grad]

    handles = take_up(model) if change == "hooks before ours" else []
    wanted = []
    with Watched(model, log_freq=5) as watched:
        handles = handles or take_up(model)
        for step in range(8):
            if step == 3 and change == "a module is put in":
                model.extra = nn.Identity()
            elif step == 3 and change == "a part is unfrozen":
                model.requires_grad_(True)
                handles += [step_with(n, p) for n, p in model.named_parameters() if n[0] == "0"]
            norms.clear()
            model(torch.ones(2, 3)).square().sum().backward()
            wanted.append(dict(norms))
    assert not watched.problems
    assert not watched.events("note")
    numbers = watched.numbers()
    for step, gradients in enumerate(wanted):
        found = {
            f"{key.path}.{key.slot}": value
            for (at, key), value in numbers.items()
            if (at, key.role, key.quantity) == (step, "gradient", "l2")
        }
        assert found == pytest.approx(gradients, rel=1e-5)
    for handle in handles:
        handle.remove()
    assert hooks_of(model) == 0
