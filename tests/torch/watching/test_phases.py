# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""What a forward pass is, in trainings that are not the usual loop."""

import copy
from contextlib import suppress

import pytest
import torch
from kit.small_net import batch, descend, net, take_step
from kit.watched import Watched
from torch import nn

pytestmark = pytest.mark.usefixtures("where")

SMALL = 1e-5


def by_autograd(model, x):
    """The norms of the first layer's output and of its gradient."""
    bare = copy.deepcopy(model)
    first = bare[0](x)
    bare[1:](first).square().sum().backward()
    (gradient,) = torch.autograd.grad(bare[1:](first).square().sum(), first)
    return first.norm().item(), gradient.norm().item()


# ---- evaluation mode


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_training_in_evaluation_mode_is_a_training(by_hand):
    model = net().eval()
    optimizer = None if by_hand else torch.optim.SGD(model.parameters(), 0.1)
    wanted = []
    with Watched(model, optimizer) as watched:
        for step in range(4):
            model.zero_grad()
            wanted.append(by_autograd(model, batch(step)))
            model(batch(step)).square().sum().backward()
            if by_hand:
                descend(model)
            else:
                optimizer.step()
    assert not watched.problems
    assert watched.handle.step == 4
    # That it is one, the first step tells.
    for step in range(1, 4):
        output = watched.number(step, "0", "output", "l2")
        gradient = watched.number(step, "0", "output gradient", "l2")
        assert (output, gradient) == pytest.approx(wanted[step], rel=SMALL)
    assert not watched.events("note")


def test_an_evaluation_that_forgets_no_grad_is_none_of_the_training():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with Watched(model, optimizer) as watched:
        for step in range(3):
            take_step(model, optimizer, step)
            model.eval()
            model(torch.ones(2, 3))
            model.train()
            watched.handle.flush()
    assert watched.handle.step == 3
    for step in range(3):
        assert watched.number(step, "0", "output", "count") == 20
        assert watched.stats(step, "0", "output", call=1) == {}
        assert watched.number(step, "0", "output", "count", phase="eval") == 8


def test_after_training_in_evaluation_mode_evaluations_are_evaluations():
    """A model that is trained in both modes, as where a head is trained before all of it."""
    model = net().eval()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)

    with Watched(model, optimizer) as watched:
        take_step(model, optimizer, 0)
        take_step(model, optimizer, 1)
        model.train()
        take_step(model, optimizer, 2)
        watched.handle.flush()
        model.eval()
        model(torch.ones(2, 3))
        model.train()
        take_step(model, optimizer, 3)
    assert watched.number(2, "0", "output", "count", phase="eval") == 8
    assert [watched.number(step, "0", "output", "count") for step in (1, 2, 3)] == [20, 20, 20]


def test_normalisation_that_is_frozen_belongs_to_the_training():
    model = net()
    model[1].eval()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with Watched(model, optimizer) as watched:
        model(batch(0)).square().sum().backward()
        optimizer.step()
    assert watched.number(0, "1", "output gradient", "l2") > 0
    assert watched.stats(0, "1", "output", phase="eval") == {}


def test_a_model_that_is_called_by_its_parts_is_seen():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with Watched(model, optimizer) as watched:
        model[3](model[2](model[1](model[0](batch(0))))).sum().backward()
        optimizer.step()
    assert not watched.events("note")
    assert watched.number(0, "0", "output gradient", "l2") > 0


class Parts(nn.Module):
    """Trained by its parts: ``model.head(model.body(x))``."""

    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(3, 4), nn.Linear(4, 1)

    def forward(self, x):
        return self.head(self.body(x))


def test_a_training_by_parts_and_an_evaluation_of_the_whole_that_forgets_no_grad():
    model = Parts()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with Watched(model, optimizer) as watched:
        for step in range(4):
            model.train()
            optimizer.zero_grad()
            model.head(model.body(batch(step))).sum().backward()
            optimizer.step()
            model.eval()
            model(torch.ones(2, 3))
            watched.handle.flush()
    assert watched.handle.step == 4
    for step in range(4):
        assert watched.number(step, "body", "output", "count") == 20
        assert watched.stats(step, "body", "output", call=1) == {}
        assert watched.number(step, "body", "output", "count", phase="eval") == 8


def test_a_part_that_is_evaluated_by_itself_with_gradients_is_no_step():
    model = Parts()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with Watched(model, optimizer) as watched:
        for step in range(3):
            model.train()
            take_step(model, optimizer, step)
            model.eval()
            model.body(torch.ones(2, 3))
    for step in range(3):
        assert watched.number(step, "body", "output", "count") == 20
        assert watched.stats(step, "body", "output", call=1) == {}


def test_a_training_by_parts_in_evaluation_mode():
    model = Parts().eval()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with Watched(model, optimizer) as watched:
        for step in range(3):
            optimizer.zero_grad()
            model.head(model.body(batch(step))).sum().backward()
            optimizer.step()
    assert watched.handle.step == 3
    for step in (1, 2):
        assert watched.number(step, "body", "output gradient", "l2") > 0


def test_an_evaluation_within_a_step_that_forgets_no_grad():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with Watched(model, optimizer) as watched:
        for step in range(4):
            optimizer.zero_grad()
            loss = model(batch(step)).sum()
            model.eval()
            model(torch.ones(2, 3))
            model.train()
            loss.backward()
            optimizer.step()
            watched.handle.flush()
    for step in range(4):
        assert watched.stats(step, "0", "output", call=1) == {}
        assert watched.number(step, "0", "output", "count", phase="eval") == 8


class Interrupted(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(3, 4), nn.Linear(4, 2)
        self.at = ()

    def forward(self, x):
        y = self.first(x)
        if self.at:
            raise self.at
        return self.last(y)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
@pytest.mark.parametrize("evaluates", [False, True])
def test_a_forward_pass_that_is_interrupted_where_a_notebook_goes_on(error, evaluates):
    torch.manual_seed(0)
    model = Interrupted()
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    norms = []
    with Watched(model, optimizer, log_freq=2) as watched:
        for step in range(8):
            if step == 3:
                model.at = error
                model.train(not evaluates)
                with pytest.raises(error), torch.set_grad_enabled(not evaluates):
                    model(torch.ones(7, 3))
                model.at = ()
                model.train()
            optimizer.zero_grad()
            out = model(batch(step))
            norms.append(out.norm().item())
            out.square().sum().backward()
            optimizer.step()
            watched.handle.flush()
    assert not watched.problems
    assert watched.handle.step == 8
    # What was interrupted before the fourth step is of that, which is not logged.
    for step in (0, 2, 4, 6):
        assert watched.number(step, "", "output", "l2") == pytest.approx(norms[step], rel=SMALL)
        assert watched.number(step, "last", "output gradient", "l2") > 0


# ---- a model that calls itself


class Tree(nn.Module):
    """A recursive network over nested tuples."""

    def __init__(self):
        super().__init__()
        self.join = nn.Linear(6, 3)

    def forward(self, tree):
        if isinstance(tree, torch.Tensor):
            return tree
        return torch.tanh(self.join(torch.cat([self(branch) for branch in tree], -1)))


@pytest.mark.parametrize("log_freq", [1, 2])
def test_a_model_that_calls_itself(log_freq):
    torch.manual_seed(0)
    model = Tree()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    leaf = torch.randn(2, 3)
    with Watched(model, optimizer, log_freq=log_freq) as watched:
        for _ in range(3):
            optimizer.zero_grad()
            with torch.no_grad():
                pair = torch.tanh(model.join(torch.cat([leaf, leaf], -1))).norm().item()
            out = model(((leaf, leaf), leaf))
            out.square().sum().backward()
            optimizer.step()
            if not watched.handle.step:
                norm, inner = out.norm().item(), pair
    assert not watched.problems
    assert watched.handle.step == 3
    assert watched.number(0, "", "output", "l2") == pytest.approx(norm, rel=SMALL)
    assert watched.number(0, "", "output", "l2", call=1) == pytest.approx(inner, rel=SMALL)
    # The calls in their order: the whole, the pair, its leaves, the leaf beside it.
    for call in (2, 3, 4):
        assert watched.number(0, "", "output", "count", call=call) == 6
    assert watched.number(0, "join", "output gradient", "l2", call=1) > 0
    assert watched.number(0, "", "output gradient", "l2") > 0


def test_a_call_of_itself_that_raises():
    class Net(nn.Linear):
        def forward(self, x):
            if x.ndim == 1:
                raise ValueError("of the user")
            with suppress(ValueError):
                self(x[0])
            return super().forward(x)

    model = Net(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with Watched(model, optimizer) as watched:
        for _ in range(2):
            model(torch.ones(4, 3)).sum().backward()
            optimizer.step()
    assert not watched.problems
    for step in range(2):
        assert watched.number(step, "", "output", "count") == 8
