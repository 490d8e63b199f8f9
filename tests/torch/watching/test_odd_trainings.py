# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""What real trainings also do: wrapped optimizers, scripted parts, containers and tensors of every kind."""

import json
import subprocess
import sys
from collections import deque
from copy import deepcopy

import pytest
import torch
from kit.watched import Watched
from torch import nn

from gradtui import cli
from gradtui.torch import watch
from gradtui.torch.watching.units import dead
from gradtui.torch.watching.values import Meter


def steps(model, optimizer, x, count=3):
    for _ in range(count):
        optimizer.zero_grad()
        model(x).sum().backward()
        optimizer.step()


def test_parameters_that_are_replaced_are_looked_for():
    """As by ``load_state_dict(assign=True)``, a new head, or what is put around a layer."""
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    other = nn.Linear(2, 2)
    with Watched(model, log_freq=2) as watched:
        steps(model, torch.optim.SGD(model.parameters(), 0.1), torch.ones(1, 3))
        model.load_state_dict(deepcopy(model.state_dict()), assign=True)
        steps(model, torch.optim.SGD(model.parameters(), 0.1), torch.ones(1, 3))
        model[2] = nn.Linear(4, 5)
        both = [*model.parameters(), *other.parameters()]
        steps(model, torch.optim.SGD(both, 0.1), torch.ones(1, 3))
        assert watched.handle.step == 8
    assert not watched.problems
    for step in range(9):
        assert watched.number(step, "2", "gradient", "l2", "weight") > 0
    assert watched.number(8, "2", "parameter", "count", "weight") == 20


class Wrapped(torch.optim.Optimizer):
    """As some libraries wrap an optimizer: a subclass that never calls the constructor of its class."""

    def __init__(self, optimizer):
        self.optimizer = optimizer

    @property
    def param_groups(self):
        return self.optimizer.param_groups

    def zero_grad(self, set_to_none=True):
        self.optimizer.zero_grad(set_to_none)

    def step(self, closure=None):
        return self.optimizer.step(closure)


def test_a_wrapped_optimizer_is_the_one_within():
    model = nn.Linear(3, 2)
    optimizer = Wrapped(torch.optim.SGD(model.parameters(), 0.1))
    with Watched(model, optimizer) as watched:
        steps(model, optimizer, torch.ones(1, 3))
        assert watched.handle.step == 2
    assert not watched.problems


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_scripted_part_is_left_alone_and_told():
    model = nn.Sequential(nn.Linear(3, 2), torch.jit.script(nn.ReLU()), nn.Linear(2, 1))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with Watched(model, optimizer) as watched:
        steps(model, optimizer, torch.ones(1, 3))
    (problem,) = watched.problems
    assert problem == "scripted modules take no hooks, their calls are not seen: 1"
    assert watched.number(0, "2", "input", "count") == 2


class First(nn.Module):
    """Takes a container of frames, and gives it to a module that hands it on."""

    def __init__(self):
        super().__init__()
        self.keep, self.layer = nn.Identity(), nn.Linear(3, 2)

    def forward(self, frames):
        return self.layer(self.keep(frames)[0])


class Closed(dict):
    def items(self):
        raise RuntimeError("not for you")


@pytest.mark.parametrize("given", [deque, lambda found: Closed(enumerate(found))])
def test_a_container_that_cannot_be_looked_into_is_passed_over(given):
    model = First()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with Watched(model, optimizer, log_freq=2) as watched:
        steps(model, optimizer, given([torch.ones(1, 3)]))
    assert not watched.problems
    assert watched.number(0, "layer", "output", "count") == 2


@pytest.mark.parametrize("default", [torch.bfloat16, torch.float64])
def test_the_default_dtype_is_not_ours(default):
    torch.set_default_dtype(default)
    try:
        model = nn.Linear(3, 2, dtype=torch.float32)
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        with Watched(model, optimizer) as watched:
            steps(model, optimizer, torch.ones(1, 3, dtype=torch.float32))
    finally:
        torch.set_default_dtype(torch.float32)
    assert not watched.problems
    assert watched.number(0, "", "input", "l1") == 3


class Sparse(nn.Module):
    """Returns a sparse tensor, and has a sparse parameter that is not trained."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.mask = nn.Parameter(torch.eye(3).to_sparse_csr(), requires_grad=False)

    def forward(self, x):
        return self.layer(x).to_sparse()


@pytest.mark.filterwarnings("ignore:Sparse CSR")
@pytest.mark.parametrize("log_freq", [1, 2])
def test_sparse_outputs_and_parameters(log_freq):
    model = nn.Sequential(Sparse())
    optimizer = torch.optim.SGD(model[0].layer.parameters(), 0.1)
    with Watched(model, log_freq=log_freq) as watched:
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.ones(1, 3)).to_dense().sum().backward()
            optimizer.step()
    assert not watched.problems
    assert watched.number(0, "0", "output", "count") == 2


def test_many_gradients_at_once_are_left_alone():
    model = nn.Sequential(nn.Linear(3, 2), nn.Tanh())
    with Watched(model, log_freq=1) as watched:
        jacobian = torch.autograd.functional.jacobian(model, torch.ones(1, 3), vectorize=True)
    assert jacobian.shape == (1, 2, 1, 3)
    assert not watched.problems


def test_a_gradient_beyond_all_squares():
    model = nn.Linear(3, 2, dtype=torch.float64)
    optimizer = torch.optim.SGD(model.parameters(), 0.0)
    with Watched(model, optimizer) as watched:
        steps(model, optimizer, torch.full((1, 3), 1e200, dtype=torch.float64), 1)
    assert not watched.problems
    assert watched.number(0, "", "run", "value", "grad_norm") > 1e38


def test_what_is_given_wrongly_is_told():
    model = nn.Linear(3, 2)
    with Watched(model, include=("heda",), keep=("encc",)) as watched:
        watched.handle.epoch("first")
        watched.handle.log(loss="low")
    named = " ".join(watched.problems)
    for words in ("include='heda' names no module", "keep='encc'", "epoch('first')", "log(loss="):
        assert words in named
    told = " ".join(event.text for _, event in watched.events("note"))
    assert "include='heda' names no module" in told


def test_a_leaf_that_is_waited_for_can_be_saved(tmp_path):
    x = torch.ones(1, 3, requires_grad=True)
    model = nn.Sequential(nn.Identity(), nn.Linear(3, 2))
    with Watched(model):
        model(x).sum()
        torch.save(x, tmp_path / "x.pt")


@pytest.mark.parametrize("size", [1e-25, 1e20])
def test_the_norms_of_rows_of_every_magnitude(size):
    stats, norms = Meter().gradient(torch.full((4, 9), size), 10)
    torch.testing.assert_close(norms, torch.full((4,), 3 * size), rtol=1e-5, atol=0)
    assert stats.l2 == pytest.approx(6 * size, rel=1e-5)


def test_the_smallest_integer_is_not_zero():
    values = torch.tensor([[-128, 0], [0, 0]], dtype=torch.int8)
    units, amount = dead(values, 1, Meter().measure(values))
    assert (units, int(amount)) == (2, 1)


def test_a_training_that_fails_says_of_what(tmp_path, capsys):
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)

    def train():
        with watch(model, optimizer, folder=tmp_path / "run"):
            steps(model, optimizer, torch.ones(1, 3))
            model(torch.ones(1, 4))

    with pytest.raises(RuntimeError, match="shapes"):
        train()
    assert cli.main(["show", "--json", str(tmp_path / "run")]) == 0
    notes = json.loads(capsys.readouterr().out)["run"]["notes"]
    assert any(note.startswith("the training ended with RuntimeError: mat1 and") for note in notes)


def test_a_training_that_ends_as_asked_says_nothing():
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)

    def train(watched):
        with watched.handle:
            steps(model, optimizer, torch.ones(1, 3))
            sys.exit(0)

    with Watched(model, optimizer) as watched, pytest.raises(SystemExit):
        train(watched)
    assert not [event for _, event in watched.events("note") if "ended with" in event.text]


SCRIPT = """\
import torch
from gradtui.torch import watch
model = torch.nn.Linear(3, 2)
optimizer = torch.optim.SGD(model.parameters(), 0.1)
handle = watch(model, optimizer, folder="run")
for step in range(3):
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
raise ValueError("no more data")
"""


def test_a_script_that_fails_says_of_what(tmp_path, capsys):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith("ValueError: no more data")
    assert cli.main(["show", str(tmp_path / "run")]) == 0
    assert "the training ended with ValueError: no more data" in capsys.readouterr().out
