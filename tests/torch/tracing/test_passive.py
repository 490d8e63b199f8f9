"""The architecture of a training that goes by: the same graph as a trace, and the training none the wiser."""

from __future__ import annotations

import copy
import pickle
import threading
from typing import TYPE_CHECKING

import pytest
import torch
from kit import zoo
from kit.waiting import until
from torch import nn
from torch.utils._python_dispatch import _get_current_dispatch_mode

from gradtui.store.architecture import load_graph
from gradtui.torch import watch
from gradtui.torch.tracing.passive import FirstPass, architecture_of
from gradtui.torch.tracing.trace import trace

if TYPE_CHECKING:
    from gradtui.core.architecture.graph import ModuleGraph


def seen(model, *given):
    found: list[ModuleGraph] = []
    first = FirstPass(model, found.append)
    model(*given)
    until(lambda: found, "the graph")
    assert not first._hooks
    return found[0]


def rows(graph):
    return [(n.label, n.name, n.shapes, n.flops, n.parameters, n.parent) for n in graph.nodes]


@pytest.mark.parametrize("name", ["small_cnn", "resnet18", "unet", "lstm"])
def test_it_is_what_a_trace_finds(name):
    model, given = zoo.golden(name)
    model.train()
    if name == "resnet18":
        given = torch.zeros(2, 3, 64, 64)
    expected = trace(model, given, stage="meta")
    graph = seen(model, given)
    assert rows(graph) == rows(expected)
    assert graph.edges == expected.edges
    assert graph.totals == expected.totals
    assert graph.complete


def test_the_tree_alone_before_a_pass():
    graph = architecture_of(zoo.SmallCNN())
    assert graph.stage == "static"
    assert graph.totals.parameters == 5514


def test_only_a_training_pass_that_ends():
    found: list[ModuleGraph] = []
    model = zoo.Masked()
    FirstPass(model, found.append)
    model.eval()(torch.ones(2, 4))
    with torch.no_grad():
        model.train()(torch.ones(2, 4))
    assert not found
    with pytest.raises(RuntimeError):
        model(torch.ones(2, 3))
    assert not torch.nn.modules.module._global_forward_hooks
    assert not model._forward_hooks
    assert not model._forward_pre_hooks
    assert not found


def test_copies_are_silent():
    found: list[ModuleGraph] = []
    model = nn.Sequential(nn.Linear(2, 2))
    first = FirstPass(model, found.append)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        other(torch.ones(1, 2))
        assert first._recorder is None
    assert first._hooks


def train(folder, **named):
    torch.manual_seed(1)
    model = nn.Sequential(
        nn.Linear(4, 8), nn.Dropout(0.5), nn.ReLU(inplace=True), nn.Sequential(nn.Linear(8, 2))
    )
    optimizer = torch.optim.Adam(model.parameters())
    handle = watch(model, optimizer, folder=folder, **named) if folder else None
    losses = []
    for _ in range(4):
        loss = model(torch.rand(5, 4)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    if handle is not None:
        until(lambda: load_graph(str(folder)).stage == "real", "the graph")
        handle.close()
    return losses, [parameter.detach().clone() for parameter in model.parameters()]


@pytest.mark.parametrize("log_freq", [1, 3])
def test_a_watched_run_has_its_graph_and_the_same_numbers(tmp_path, log_freq):
    bare, watched = train(""), train(tmp_path / "run", log_freq=log_freq, keep=("0", "3"))
    assert watched[0] == bare[0]
    assert all(torch.equal(a, b) for a, b in zip(watched[1], bare[1], strict=True))
    graph = load_graph(str(tmp_path / "run"))
    # No statistic of the watcher's is a row.
    assert [node.label for node in graph.nodes] == [
        "input",
        "(model)",
        "0",
        "1",
        "2",
        "3",
        "3.0",
        "output",
    ]
    assert graph.totals.flops == 2 * 5 * (4 * 8 + 8 * 2)


@pytest.mark.filterwarnings("ignore:The .grad attribute")
def test_where_something_is_compiled_nothing_is_looked_at():
    found: list[ModuleGraph] = []
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    first = FirstPass(model, found.append)
    assert first._hooks
    # A part of the model that is compiled later, and must be compiled whole.
    model.register_module("1", torch.compile(model[1], backend="eager", fullgraph=True))  # type: ignore[arg-type]
    assert model(torch.ones(1, 2)).shape == (1, 2)
    assert not first._hooks
    assert not FirstPass(model, found.append)._hooks
    assert not found


def test_passes_of_several_threads():
    """One is seen, by its own thread alone, also where the hooks are taken off in its midst."""
    found: list[ModuleGraph] = []
    begun, go_on = threading.Event(), threading.Event()
    after: list[object] = []

    class Slow(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(2, 2)

        def forward(self, x):
            if threading.current_thread() is slow:
                begun.set()
                go_on.wait(60)
            return self.inner(x)

    def work():
        model(torch.ones(1, 2))
        after.append(_get_current_dispatch_mode())

    slow, model = threading.Thread(target=work), Slow()
    first = FirstPass(model, found.append)
    slow.start()
    assert begun.wait(60)
    model(torch.ones(1, 2))
    first.remove()
    go_on.set()
    slow.join(60)
    assert after == [None]
    assert not torch.nn.modules.module._global_forward_hooks
    assert not model._forward_hooks
    assert not found
