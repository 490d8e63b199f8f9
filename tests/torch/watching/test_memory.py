# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""What a bare training lets go is let go by a watched one, too, and then."""

import pytest
import torch
from kit.watched import Watched
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef


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
