"""A model that is compiled is trained as it was without us, and it is said what is not seen of it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from kit.watched import Watched
from torch import nn

from gradtui.core.run.keys import SeriesKey
from gradtui.diagnosis.diagnose import diagnose
from gradtui.store.run.whole import read_run
from gradtui.torch import watch

dynamo = pytest.importorskip("torch._dynamo", reason="torch without a compiler")
from torch._dynamo.utils import counters  # noqa: E402 - after the question whether there is one

# Tracing asks every tensor for its gradient, and hides the answer's warning from a person, not from a filter of errors.
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute")
STEPS = 6


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(8, 8)
        self.act = nn.ReLU()

    def forward(self, x):
        return x + self.act(self.linear(x))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = Block(), Block()
        self.drop = nn.Dropout(0.3)
        self.out = nn.Linear(8, 3)

    def forward(self, x):
        return self.out(self.drop(self.second(self.first(x))))


def compile_whole(model, **options):
    return torch.compile(model, **options)


def compile_in_place(model, **options):
    model.compile(**options)
    return model


def compile_part(model, **options):
    model.first = torch.compile(model.first, **options)
    return model


def compile_part_in_place(model, **options):
    model.first.compile(**options)
    return model


WAYS = (compile_whole, compile_in_place, compile_part, compile_part_in_place)
COMPILED: dict[str, Any] = {"fullgraph": True, "backend": "aot_eager"}


def train(way, folder="", when="", options=COMPILED, steps=STEPS):
    """Losses, weights, what dynamo counted, and the closed handle."""
    dynamo.reset()
    counters.clear()
    torch.manual_seed(5)
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    handle = watch(model, optimizer, folder=folder, log_freq=2) if when == "before" else None
    called = way(model, **options)
    losses = []
    for step in range(steps):
        if when == "after" and step == 0:
            handle = watch(called, optimizer, folder=folder, log_freq=2)
        if when == "late" and step == 2:
            handle = watch(called, optimizer, folder=folder, log_freq=2)
        loss = called(torch.randn(4, 8)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if handle is not None:
            handle.log(loss=loss)
    if handle is not None:
        handle.close()
    counted = {name: dict(counters[name]) for name in ("graph_break", "stats", "recompiles")}
    weights = [parameter.detach().clone() for parameter in model.parameters()]
    return losses, weights, counted, handle


@pytest.fixture(scope="module", params=WAYS, ids=lambda way: way.__name__)
def bare(request):
    return request.param, train(request.param)


@pytest.mark.parametrize("when", ["before", "after", "late"])
def test_a_compiled_training_is_what_it_was(bare, when, tmp_path):
    way, (losses, weights, counted, _) = bare
    found, theirs, recounted, handle = train(way, str(tmp_path / "run"), when)
    assert found == losses
    assert all(torch.equal(one, other) for one, other in zip(weights, theirs, strict=True))
    # Not one graph more, and none is broken.
    assert recounted == counted
    assert recounted["graph_break"] == {}
    assert handle.problems == []

    whole = read_run(str(tmp_path / "run"))
    run = whole.run
    begun = 2 if when == "late" else 0
    assert run.last_step == STEPS - begun - 1
    gradients = run.column("gradient", "l2")
    assert len(gradients.keys) == len(run.parameters) == 6
    for key in gradients.keys:
        assert len(run.series(key)) == STEPS - begun
        assert not run.series(key.of("l2")).empty
    assert len(run.column("update", "l2").keys) == 6
    assert len(run.column("parameter", "l2").keys) == 6
    assert run.series(SeriesKey("", "run", "value", "loss")).values == pytest.approx(losses[begun:])
    # It is said what is not seen, once, and that is no finding.
    (note,) = [note for note in whole.notes if "compiled" in note]
    assert "inputs and outputs are not" in note
    assert diagnose(run) == ()
    outputs = {key.path.removeprefix("_orig_mod.") for key in run.column("output", "l2").keys}
    if way in (compile_part, compile_part_in_place):
        assert "inside of first" in note
        assert {"second.linear", "out"} <= outputs
    assert not any(path.endswith("first.linear") for path in outputs)


def test_the_gradients_are_those_of_autograd(tmp_path):
    torch.manual_seed(1)
    model = Net().eval()
    model.train()
    model.drop.p = 0.0
    plain = Net()
    plain.load_state_dict(model.state_dict())
    plain.drop.p = 0.0
    x = torch.randn(4, 8)
    plain(x).square().mean().backward()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    called = compile_whole(model, **COMPILED)
    with watch(called, optimizer, folder=str(tmp_path / "run")):
        called(x).square().mean().backward()
        optimizer.step()
    run = read_run(str(tmp_path / "run")).run
    for name, parameter in plain.named_parameters():
        path, _, slot = f"_orig_mod.{name}".rpartition(".")
        found = run.latest(SeriesKey(path, "gradient", "l2", slot))
        assert parameter.grad is not None
        assert found == pytest.approx(parameter.grad.norm().item(), rel=1e-5)


def test_a_model_with_breaks_of_its_own(tmp_path):
    """Between its graphs a model runs as it always does; nothing of ours adds a break."""

    class Broken(Net):
        def forward(self, x):
            x = self.first(x)
            dynamo.graph_break()
            return self.out(self.second(x))

    def trained(folder):
        dynamo.reset()
        counters.clear()
        torch.manual_seed(0)
        model = Broken()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        handle = watch(model, optimizer, folder=folder) if folder else None
        called = torch.compile(model, backend="eager")
        for _ in range(3):
            called(torch.randn(2, 8)).sum().backward()
            optimizer.step()
        if handle is not None:
            handle.close()
            assert handle.problems == []
        breaks = sum(counters["graph_break"].values())
        return [parameter.detach().clone() for parameter in model.parameters()], breaks

    bare, breaks = trained("")
    watched, again = trained(str(tmp_path / "run"))
    assert all(torch.equal(one, other) for one, other in zip(bare, watched, strict=True))
    assert breaks == again
    assert read_run(str(tmp_path / "run")).run.last_step == 2


def test_a_compiled_function_in_a_plain_model(tmp_path):
    """A forward pass that calls something compiled, which insists on a whole graph."""
    square = torch.compile(lambda x: x * x + 1, backend="eager", fullgraph=True)

    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 4)

        def forward(self, x):
            return square(self.linear(x))

    torch.manual_seed(0)
    model = Plain()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, optimizer, folder=str(tmp_path / "run"), log_freq=1) as handle:
        for _ in range(3):
            model(torch.randn(2, 4)).sum().backward()
            optimizer.step()
    assert handle.problems == []
    whole = read_run(str(tmp_path / "run"))
    assert whole.notes == ()
    assert {key.path for key in whole.run.column("output", "l2").keys} == {"", "linear"}


# What torch says of our hooks, which it leaves to Python.
@pytest.mark.filterwarnings("ignore:Dynamo")
def test_a_backward_pass_that_is_compiled():
    """Nothing can be queued behind it: gradients are read within."""
    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    norms = []
    compiled = torch.compile(backend="eager")
    with Watched(model, optimizer, log_freq=10) as watched:
        for _ in range(3):
            optimizer.zero_grad()
            loss = model(torch.ones(2, 4)).square().sum()
            with dynamo.compiled_autograd._enable(compiled):
                loss.backward()
            gradient = model.weight.grad
            assert gradient is not None
            norms.append(gradient.norm().item())
            optimizer.step()
    assert not watched.problems
    for step, norm in enumerate(norms):
        found = watched.number(step, "", "gradient", "l2", "weight")
        assert found == pytest.approx(norm, rel=1e-5)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_a_compiled_step_has_nothing_of_ours_compiled():
    """Forward and backward pass and the optimizer's step in one function: as many graphs as without us, and all is seen."""

    def train(is_watched):
        torch.manual_seed(0)
        dynamo.reset()
        counters.clear()
        model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
        optimizer = torch.optim.Adam(model.parameters(), 0.1)
        watched = Watched(model, optimizer, log_freq=2) if is_watched else None
        log = watched.handle.log if watched else lambda **_: None

        def step(x):
            optimizer.zero_grad()
            loss = model(x).square().mean()
            loss.backward()
            optimizer.step()
            return loss

        compiled, losses = torch.compile(step, backend="eager"), []
        for _ in range(STEPS):
            losses.append(compiled(torch.randn(5, 4)))
            log(loss=losses[-1])
        if watched:
            watched.handle.close()
        return losses, list(model.parameters()), dict(counters["stats"]), watched

    bare, found = train(is_watched=False), train(is_watched=True)
    watched = found[-1]
    assert watched is not None
    assert not watched.problems
    assert all(map(torch.equal, bare[0], found[0]))
    assert all(map(torch.equal, bare[1], found[1]))
    assert bare[2] == found[2]
    assert watched.handle.step == STEPS
    for step in range(STEPS):
        assert watched.number(step, "2", "gradient", "l2", "weight") > 0
