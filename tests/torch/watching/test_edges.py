# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""Which output feeds which input, with and without operations in between."""

import gc
import threading
import weakref

import pytest
import torch
from kit.watched import Watched
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from gradtui.core.run.records import Edges
from gradtui.export.graph_json import graph_of
from gradtui.store.run.whole import read_run
from gradtui.torch import watch
from gradtui.torch.watching.edges import MOST_NODES


def edges_of(model, *inputs, **settings):
    """Paths of the ends of all edges: those between modules, and those through operations."""
    with Watched(model, **settings) as watched:
        for _ in range(2):
            out = model(*inputs)
            out = out if isinstance(out, torch.Tensor) else out[0]
            out.sum().backward()
    assert not watched.problems
    found = ([Edges()] + [record for _, record in watched.records(Edges)])[-1]
    return tuple(
        {(made.path, used.path) for made, used in pairs if made.path and used.path}
        for pairs in (found.pairs, found.through)
    )


class Block(nn.Module):
    """A residual block; how its sum is made is asked for."""

    def __init__(self, join):
        super().__init__()
        self.first, self.second, self.last = nn.Linear(4, 4), nn.Linear(4, 4), nn.ReLU()
        self.join = join

    def forward(self, x):
        x = self.first(x)
        return self.last(self.join(self.second(x), x))


def added_in_place(x, y):
    x += y
    return x


@pytest.mark.parametrize(
    "join",
    [
        torch.add,
        added_in_place,
        lambda x, y: torch.cat([x * 2, y.exp()], -1),
        lambda x, y: F.dropout(x.transpose(0, 1), 0.5).transpose(0, 1) * F.softmax(y, -1),
    ],
)
@pytest.mark.parametrize("shape", [(2, 4), (2, 3, 4)])
def test_a_skip_connection_is_two_edges(join, shape):
    direct, through = edges_of(Block(join), torch.randn(shape))
    assert direct == {("first", "second")}
    assert through == {("first", "last"), ("second", "last")}


def test_the_seed_s_graph_has_what_crosses_them(tmp_path):
    torch.manual_seed(2)
    model, x = Block(torch.add), torch.randn(2, 4)
    with watch(model, folder=tmp_path / "run", log_freq=1):
        model(x).sum().backward()
    graph = graph_of(read_run(tmp_path / "run").run)
    norms = {(edge.source, edge.target): edge.norm for edge in graph.edges}
    first = model.first(x)
    total = (model.second(first) + first).detach().requires_grad_()
    model.last(total).sum().backward()
    assert norms["second", "last"] == pytest.approx(total.grad.norm().item(), rel=1e-5)
    assert norms["first", "last"] == norms["second", "last"]
    assert norms["first", "second"] == pytest.approx(
        (total.grad @ model.second.weight).norm().item(), rel=1e-5
    )


def test_blocks_that_are_added_are_joined_from_outside():
    class Added(nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(4, 4), nn.Tanh()) for _ in range(3))

        def forward(self, x):
            for block in self.blocks:
                x = x + block(x)
            return x

    direct, through = edges_of(Added(), torch.randn(2, 4))
    assert direct == {(f"blocks.{k}.0", f"blocks.{k}.1") for k in range(3)}
    to_blocks = {(a, b) for a, b in through if b in ("blocks.0", "blocks.1", "blocks.2")}
    # What the third block is given was made of both others' results.
    assert to_blocks == {
        ("blocks.0", "blocks.1"),
        ("blocks.0", "blocks.2"),
        ("blocks.1", "blocks.2"),
    }


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("scale", [1, 2])
def test_through_a_checkpoint(reentrant, scale):
    """A reentrant one runs its module without a graph, and gives the tensor that came out a place in it later."""

    class Segments(nn.Module):
        def __init__(self):
            super().__init__()
            self.before, self.inside, self.after = (nn.Linear(4, 4) for _ in range(3))

        def forward(self, x):
            x = self.before(x)
            x = checkpoint(self.inside, x, use_reentrant=reentrant)
            return self.after(x if scale == 1 else x * scale)

    direct, through = edges_of(Segments(), torch.randn(2, 4))
    wanted = {("before", "inside"), ("inside", "after")}
    assert direct | through == wanted
    assert (direct == wanted) == (scale == 1)


def test_a_view_is_not_what_it_is_a_view_of():
    class Flat(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.flat = nn.Conv2d(1, 2, 3), nn.Flatten()
            self.head, self.other = nn.Linear(8, 2), nn.Conv2d(2, 1, 1)

        def forward(self, x):
            x = self.conv(x)
            return self.head(self.flat(x)).sum() + self.other(F.relu(x)).sum()

    direct, through = edges_of(Flat(), torch.randn(1, 1, 4, 4))
    assert direct == {("conv", "flat"), ("flat", "head")}
    assert through == {("conv", "other")}


def test_a_way_that_is_taken_later_is_seen():
    class Dropped(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two, self.head = (nn.Linear(4, 4) for _ in range(3))
            self.steps = 0

        def forward(self, x):
            x = self.one(x) * 1
            self.steps += 1
            return self.head(x + self.two(x) if self.steps > 1 else x)

    _, through = edges_of(Dropped(), torch.randn(2, 4))
    assert through == {("one", "head"), ("one", "two"), ("two", "head")}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_what_is_near_is_found_beside_a_long_way(order):
    class Beside(nn.Module):
        def __init__(self):
            super().__init__()
            self.far, self.near, self.head = (nn.Linear(4, 4) for _ in range(3))

        def forward(self, x):
            far, near = self.far(x), self.near(x)
            for _ in range(300):
                far = torch.tanh(far * 1.01)
            ways = (far, near)
            return self.head(ways[order[0]] + ways[order[1]])

    assert edges_of(Beside(), torch.randn(2, 4))[1] == {("near", "head")}


def test_nodes_of_two_threads_are_not_taken_for_one_another():
    class Threads(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c, self.d = (nn.Linear(4, 4) for _ in range(4))

        def forward(self, x):
            made = []
            other = threading.Thread(target=lambda: made.append(self.a(x)))
            other.start()
            other.join()
            there = self.c(x)
            return self.b(made[0] * 2) + self.d(there * 2)

    _, through = edges_of(Threads(), torch.randn(2, 4))
    assert through <= {("a", "b"), ("c", "d")}


class Cut(nn.Module):
    """Two layers; what happens between them is asked for."""

    def __init__(self, between):
        super().__init__()
        self.one, self.two, self.between = nn.Linear(4, 4), nn.Linear(4, 4), between

    def forward(self, x):
        return self.two(self.between(self.one(x)))


class Blind(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two, self.head = (nn.Linear(4, 4) for _ in range(3))

    def forward(self, x):
        with torch.no_grad():
            x = self.two(torch.relu(self.one(x)))
        return self.head(x)


def long(x):
    for _ in range(MOST_NODES + 5):
        x = x * 1.01
    return x


@pytest.mark.parametrize(
    ("model", "whole"),
    [
        (Cut(lambda x: x), True),
        (Cut(lambda x: x.detach() * 2), True),
        (Cut(long), False),
        (Blind(), False),
    ],
)
def test_it_is_said_whether_all_ways_are_known(model, whole):
    with Watched(model) as watched:
        for _ in range(3):
            model(torch.randn(2, 4)).sum().backward()
            model.eval()
            with torch.no_grad():
                model(torch.randn(2, 4))
            model.train()
    assert not watched.problems
    found = [record for _, record in watched.records(Edges)]
    assert (found[-1].whole if found else True) == whole


def test_a_view_whose_place_torch_refuses_to_tell_stops_nothing():
    class Refused(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.look, self.two = nn.Linear(4, 4), nn.Identity(), nn.Linear(4, 4)

        def forward(self, x):
            x = self.one(x)
            part, _ = x.chunk(2, 1)
            x.mul_(2)
            with torch.no_grad():
                self.look(part)
            return self.two(x)

    direct, through = edges_of(Refused(), torch.randn(2, 4))
    assert ("one", "two") in direct | through


def test_an_lstm_and_one_of_its_outputs():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm, self.head = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 2)

        def forward(self, x):
            out, _ = self.lstm(x)
            return self.head(out[:, -1])

    direct, through = edges_of(Model(), torch.randn(2, 5, 3))
    assert direct == set()
    assert through == {("lstm", "head")}


def test_what_was_detached_feeds_nothing():
    assert edges_of(Cut(lambda x: x.detach() * 2), torch.randn(2, 4)) == (set(), set())


def test_so_many_operations_are_passed_and_no_more():
    def some(x):
        for _ in range(MOST_NODES - 5):
            x = x * 1.01
        return x

    assert edges_of(Cut(some), torch.randn(2, 4))[1] == {("one", "two")}
    assert edges_of(Cut(long), torch.randn(2, 4))[1] == set()


class Token:
    """Lives as long as the node of the graph that holds it."""


TOKENS: list[weakref.ref[Token]] = []


class Held(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.token = Token()
        TOKENS.append(weakref.ref(ctx.token))
        return x * 2

    @staticmethod
    def backward(ctx, gradient):
        return gradient * 2


def test_no_part_of_the_graph_is_held():
    model = Block(lambda x, y: Held.apply(x) + y)
    with Watched(model) as watched:
        out = model(torch.randn(2, 4))
        assert TOKENS[-1]() is not None
        del out
        gc.collect()
        assert TOKENS[-1]() is None
    assert not watched.problems
