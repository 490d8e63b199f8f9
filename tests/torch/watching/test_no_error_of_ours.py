# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""Nothing that goes wrong on our side is raised into a script, whatever it watches and wherever it puts the handle."""

import copy
import io
import pickle

import pytest
import torch
from kit.watched import Watched
from torch import nn
from torch.optim.optimizer import _global_optimizer_pre_hooks

from gradtui.torch import watch
from gradtui.torch.watching import starting
from gradtui.torch.watching.live import live_handles


def step(model, optimizer):
    optimizer.zero_grad()
    model(torch.ones(2, 3)).sum().backward()
    optimizer.step()


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_a_scripted_model_has_its_parameters_watched(tmp_path):
    model = torch.jit.script(nn.Sequential(nn.Linear(3, 4), nn.ReLU()))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with watch(model, optimizer, folder=tmp_path / "run") as handle:
        step(model, optimizer)
        step(model, optimizer)
        assert handle.step == 1
    assert handle.problems == [
        "scripted modules take no hooks, their calls are not seen: (root), 0, 1"
    ]
    assert not live_handles()


def test_a_model_that_cannot_be_drawn_is_watched(monkeypatch, tmp_path):
    def broken(*_):
        raise ArithmeticError("of ours")

    monkeypatch.setattr(starting, "draw_architecture", broken)
    model = nn.Linear(3, 2)
    with watch(model, folder=tmp_path / "run") as handle:
        assert handle.active
    assert not handle.problems


class Holding(nn.Module):
    """A model that keeps its handle."""

    def __init__(self, folder):
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.handle = watch(self, folder=folder)

    def forward(self, x):
        self.handle.log(mean=x.mean())
        return self.layer(x)


def pickled(model):
    return pickle.loads(pickle.dumps(model))


def saved(model):
    file = io.BytesIO()
    torch.save(model, file)
    return torch.load(io.BytesIO(file.getvalue()), weights_only=False)


@pytest.mark.parametrize("copied", [copy.deepcopy, pickled, saved])
def test_a_model_that_holds_its_handle_is_copied(copied, tmp_path):
    model = Holding(tmp_path / "run")
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    other = copied(model)
    step(model, optimizer)
    before = model.handle.step
    with other.handle as handle:
        handle.optimizer = optimizer
        handle.epoch(3)
        handle.flush(1.0)
        step(other, torch.optim.SGD(other.parameters(), 0.1))
    handle.close()
    assert (handle.active, handle.step, handle.problems, handle.folder) == (False, 0, [], "")
    assert (model.handle.step, model.handle.active) == (before, True)
    model.handle.close()
    assert not model.handle.problems


class Mute(Exception):
    def __str__(self):
        return self.args[5]


def test_an_exception_that_cannot_say_what_it_is_goes_through():
    class Failing(nn.Linear):
        def forward(self, error):
            raise error

    model = Failing(3, 2)
    watched = Watched(model)
    with pytest.raises(Mute), watched.handle:
        model(Mute("one"))
    assert not model._forward_hooks
    assert not watched.problems
    assert watched.events("note")[-1][1].fields == {"error": "Mute"}


@pytest.mark.parametrize(
    "part", ["_watcher.close", "_hooked.remove", "_steps.remove", "_recorder.close"]
)
def test_closing_goes_on_after_what_fails(monkeypatch, part):
    model = nn.Linear(3, 2)
    watched = Watched(model)
    owner, name = part.split(".")
    owner = getattr(watched.handle, owner)
    real = getattr(owner, name)

    def broken(*given):
        real(*given)
        raise ArithmeticError("of ours")

    monkeypatch.setattr(owner, name, broken)
    watched.handle.close()
    assert watched.problems == ["closing: ArithmeticError: of ours"]
    assert watched.events("closed")
    assert not model._forward_hooks
    assert not _global_optimizer_pre_hooks
    assert watched.handle not in live_handles()


def test_a_thread_that_cannot_be_started(monkeypatch):
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    watched = Watched(model, optimizer)

    def broken(*_):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(watched.handle._recorder, "put", broken)
        watched.handle.log(loss="much")
        watched.handle.epoch()
        for _ in range(3):
            step(model, optimizer)
    watched.handle.close()
    assert not watched.handle.active
    assert not model._forward_hooks
