# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""Nothing that goes wrong on our side is raised into a script, whatever it watches and wherever it puts the handle."""

import copy
import io
import pickle
import sys

import numpy as np
import pytest
import torch
from kit.watched import Watched
from torch import nn
from torch.optim.optimizer import _global_optimizer_pre_hooks

from gradtui.torch import watch
from gradtui.torch.watching import starting
from gradtui.torch.watching.columns import Columns, Numbers
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
    "part", ["_watcher.close", "_hooked.close", "_steps.remove", "_recorder.close"]
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


@pytest.mark.usefixtures("where")
def test_what_we_make_does_not_lie_where_the_users_tensors_are_made():
    """Also what tells of no unit at all, and of an empty tensor."""
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Sigmoid(), nn.Softmax(-1))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    given = [torch.ones(2, 3), torch.ones(2, 3), torch.ones(0, 3)]
    with Watched(model, optimizer) as watched, torch.device("meta"):
        for x in given:
            optimizer.zero_grad()
            model(x).sum().backward()
            optimizer.step()
    assert not watched.problems
    assert watched.stats(1, "1", "output")["units"] == 4


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
def test_to_begin_where_no_gradients_are_made(mode):
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh())
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with mode():
        watched = Watched(model, optimizer)
        model.eval()(torch.ones(2, 3))
    model.train()
    for _ in range(3):
        step(model, optimizer)
    watched.handle.close()
    assert not watched.problems
    assert watched.stats(2, "1", "output")["l1"] > 0


class Interrupt:
    """Interrupts a call before one of its lines, as somebody at a notebook may."""

    def __init__(self, line):
        self.left = line

    def __call__(self, frame, event, _):
        if event == "line" and frame.f_code is Columns.entry.__code__:
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
        return self

    def calls(self, what, *given):
        before = sys.gettrace()
        sys.settrace(self)
        try:
            what(*given)
        except KeyboardInterrupt:
            return True
        finally:
            sys.settrace(before)
        return False


def test_an_interrupt_leaves_no_half_of_an_entry():
    names = [(path, "output", "", 0, "train") for path in "abc"]
    line = 0
    while True:
        line += 1
        columns = Columns(Numbers())
        columns.entry(names[0], ("l2", "sum"))
        if not Interrupt(line).calls(columns.entry, names[1], ("l2", "sum")):
            break
        entries = [columns.entry(name, ("l2", "sum")) for name in names]
        columns.layout()
        values = columns.place(entries, [0, 1, 2], np.arange(36.0).reshape(3, 12))
        firsts = [columns.first(entry) for entry in entries]
        assert len({*firsts}) == 3
        # Norm and sum of each, from its own row.
        assert [values[first] for first in firsts] == [0.0, 12.0, 24.0]
        assert [values[first + 1] for first in firsts] == [2.0, 14.0, 26.0]
    assert line > 5
