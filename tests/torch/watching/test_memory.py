# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""What a bare training lets go is let go by a watched one, too, and then."""

import gc
import threading
import weakref

import pytest
import torch
from kit.watched import Watched
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.optim.optimizer import register_optimizer_step_pre_hook

from gradtui.torch import watch
from gradtui.torch.watching.handle import GONE
from gradtui.torch.watching.live import live_handles


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))


def step(model, optimizer, dtype=torch.float32):
    optimizer.zero_grad()
    model(torch.ones(5, 4, dtype=dtype)).square().mean().backward()
    optimizer.step()


def memory_of(tensor):
    return StorageWeakRef(tensor.untyped_storage())


class Falls(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(8, 3)

    def forward(self, x):
        raise RuntimeError("out of memory")


@pytest.mark.parametrize("log_freq", [1, 1000])
def test_a_part_that_raises_holds_nothing_of_what_it_was_given(log_freq):
    model = nn.ModuleDict({"first": nn.Sequential(nn.Linear(4, 8), nn.Sigmoid()), "falls": Falls()})
    watched = Watched(model, torch.optim.SGD(model.parameters(), 0.1), log_freq=log_freq)
    held = []
    for _ in range(5):
        given = model["first"](torch.ones(5, 4))
        held.append(memory_of(given))
        with pytest.raises(RuntimeError, match="out of memory"):
            model["falls"](given)
        del given
        assert all(memory.expired() for memory in held)
    watched.handle.close()
    assert not watched.problems


class Branching(nn.Module):
    """Something waits until the step's end: a gradient of two parts, a parameter that is an input, one kept."""

    def __init__(self):
        super().__init__()
        self.norm, self.layer, self.scale = nn.LayerNorm(4), nn.Linear(4, 4), nn.Identity()
        self.factor = nn.Parameter(torch.ones(4))

    def forward(self, x):
        x = self.norm(x)
        return x + self.layer(x) * self.scale(self.factor)


@pytest.mark.parametrize("settings", [{}, {"keep": "layer"}, {"exact_updates": True}])
@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_a_closed_handle_holds_nothing_of_the_model(settings, given, steps):
    model = Branching()
    optimizer = torch.optim.Adam(model.parameters(), 0.1)
    watched = Watched(model, optimizer if given else None, **settings)
    for _ in range(steps):
        step(model, optimizer)
    model(torch.ones(2, 4))
    gone = [weakref.ref(model), weakref.ref(optimizer)]
    memory = [memory_of(p) for p in model.parameters()]
    watched.handle.close()
    assert watched.handle.optimizer == ()
    del model, optimizer
    gc.collect()
    assert all(reference() is None for reference in gone)
    assert all(each.expired() for each in memory)
    assert not watched.problems


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_a_model_that_is_gone_is_watched_no_more(tmp_path, given, steps):
    """Trials: each with a model, none closed. The next one closes what is left, in the run's folder as elsewhere."""
    for _ in range(3):
        model = Branching()
        optimizer = torch.optim.Adam(model.parameters(), 0.1)
        handle = watch(model, optimizer if given else None, folder=tmp_path)
        assert handle.folder == str(tmp_path)
        for _ in range(steps):
            step(model, optimizer)
        wait_for_drawing()
        gone = [weakref.ref(model), weakref.ref(optimizer)]
        memory = [memory_of(p) for p in model.parameters()]
        del model, optimizer
        gc.collect()
        assert all(reference() is None for reference in gone)
        assert all(each.expired() for each in memory)
        assert handle.is_gone
        assert not handle.active
        assert handle.problems == [GONE]
        before = handle
    threads = {thread.name for thread in threading.enumerate()}
    handle = watch(nn.Linear(1, 1), folder=tmp_path)
    handle.close()
    assert before not in live_handles()
    assert not {thread.name for thread in threading.enumerate()} - threads
    assert handle.problems in ([], [GONE])


def wait_for_drawing():
    for thread in threading.enumerate():
        if thread.name == "gradtui-architecture":
            thread.join()


def test_what_the_last_step_found_is_told_though_the_model_is_gone():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    watched = Watched(model, optimizer)
    for _ in range(2):
        step(model, optimizer)
    watched.handle.log(loss=3.0)
    del model, optimizer
    gc.collect()
    watched.handle.close()
    assert watched.stats(1, "0", "output")["count"] == 40
    assert watched.number(1, "0", "gradient", "l2", "weight") > 0
    assert watched.number(1, "", "run", "value", "loss") == 3.0
    assert [event.text for _, event in watched.events("closed")] == [GONE]
    assert watched.problems == [GONE]


def test_what_was_taken_out_of_a_model_is_watched_on():
    parts = net(), nn.Linear(3, 2)
    optimizer = torch.optim.SGD([p for part in parts for p in part.parameters()], 0.1)
    watched = Watched(nn.ModuleList(parts), optimizer)
    gc.collect()
    for _ in range(2):
        optimizer.zero_grad()
        parts[1](parts[0](torch.ones(5, 4))).square().mean().backward()
        optimizer.step()
    assert not watched.handle.is_gone
    del parts
    gc.collect()
    assert watched.handle.is_gone
    watched.handle.close()
    assert watched.number(1, "1", "gradient", "l2", "weight") > 0


def test_a_model_may_go_while_torch_goes_through_our_hooks():
    """An optimizer's hook of another's drops the last of a model: nothing is taken off the dict that torch goes through."""
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    held = [model]
    first = register_optimizer_step_pre_hook(lambda *_: held.clear())
    watched = Watched(model, optimizer)
    step(model, optimizer)
    held.append(model)
    del model
    optimizer.step()
    optimizer.step()
    first.remove()
    assert watched.handle.is_gone
    watched.handle.close()
    assert watched.problems == [GONE]
