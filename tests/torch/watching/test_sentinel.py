# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""A value that is not finite is named where and when it is born, also on steps that are not logged."""

import pytest
import torch
from kit.runs import deep
from kit.watched import Watched
from torch import nn

from gradtui.core.run.records import ModuleInfo
from gradtui.diagnosis.diagnose import diagnose


class Bomb(nn.Module):
    """Passes its input on; in forward or backward of chosen calls it makes an infinity or a NaN."""

    def __init__(self):
        super().__init__()
        self.forward_at = self.backward_at = -1
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        if self.calls - 1 == self.forward_at:
            x = x / torch.zeros(())
        if self.calls - 1 == self.backward_at:
            x.register_hook(lambda g: g * float("nan"))
        return x * 1.0


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.bomb = Bomb()
        self.second = nn.Linear(3, 3)
        self.last = nn.Linear(3, 1)

    def forward(self, x):
        return self.last(self.second(self.bomb(self.first(x))))


def trained(prepare, steps=4, log_freq=100):
    torch.manual_seed(0)
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), 1e-3)
    with Watched(net, optimizer, log_freq=log_freq) as watched:
        for step in range(steps):
            prepare(net, step)
            optimizer.zero_grad()
            net(torch.ones(2, 3)).sum().backward()
            optimizer.step()
    assert not watched.problems
    return watched


def test_born_in_the_forward_pass():
    watched = trained(lambda net, step: setattr(net.bomb, "forward_at", 2))
    found = watched.events("non-finite")
    step, first = found[0]
    assert (step, first.path, first.fields["role"], first.fields["order"]) == (
        2,
        "bomb",
        "output",
        0,
    )
    assert first.fields["inf"] == 6
    outputs = [e.path for s, e in found if s == 2 and e.fields["role"] == "output"]
    assert outputs == ["bomb", "second", "last", ""]
    # That step from there on, and the next, are recorded in full; after that no more.
    assert watched.stats(2, "last", "gradient", "weight")["nan"] > 0
    spoiled = watched.stats(3, "first", "output")
    assert spoiled["nan"] + spoiled["inf"] == 6
    assert watched.stats(1, "first", "output") == {}


def test_born_in_the_backward_pass():
    watched = trained(lambda net, step: setattr(net.bomb, "backward_at", 2))
    found = [e for s, e in watched.events("non-finite") if s == 2]
    assert found[0].path == "first"
    assert found[0].fields["order"] == 0
    assert "gradient" in found[0].fields["role"]
    assert all(e.fields["role"] != "output" for e in found)


def test_born_in_the_loss():
    torch.manual_seed(0)
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), 1e-3)
    with Watched(net, optimizer, log_freq=100) as watched:
        for step in range(3):
            optimizer.zero_grad()
            out = net(torch.ones(2, 3))
            loss = (out * 0).sqrt().sum() if step == 1 else out.sum()
            loss.backward()
            optimizer.step()
    step, first = watched.events("non-finite")[0]
    assert (step, first.path, first.fields["role"]) == (1, "", "output gradient")


def test_the_call_of_a_reused_module():
    class Reused(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 3)

        def forward(self, x, bad=False):
            y = self.layer(x)
            if bad:
                y.register_hook(lambda g: g / 0)
            return self.layer(self.layer(y))

    torch.manual_seed(0)
    net = Reused()
    optimizer = torch.optim.SGD(net.parameters(), 1e-3)
    with Watched(net, optimizer, log_freq=100) as watched:
        for step in range(4):
            optimizer.zero_grad()
            net(torch.ones(2, 3), step == 2).sum().backward()
            optimizer.step()
    step, first = watched.events("non-finite")[0]
    assert (step, first.path, first.fields["role"]) == (2, "layer", "output gradient")
    assert first.fields["call"] == 0


@pytest.mark.parametrize("log_freq", [1, 100])
def test_what_stays_bad_is_told_once_and_again_when_it_turned_good(log_freq):
    def prepare(net, step):
        net.bomb.forward_at = step if step in (1, 2, 4) else -1
        if step in (1, 3, 4):
            for p in net.parameters():
                p.data.fill_(0.1)

    torch.manual_seed(0)
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), 0.0)
    with Watched(net, optimizer, log_freq=log_freq) as watched:
        for step in range(5):
            prepare(net, step)
            optimizer.zero_grad()
            net(torch.ones(2, 3)).sum().backward()
            for p in net.parameters():
                p.grad = torch.zeros_like(p)
            optimizer.step()
    told = [
        s
        for s, e in watched.events("non-finite")
        if (e.path, e.fields["role"]) == ("bomb", "output")
    ]
    assert told == [1, 4]


def test_a_bad_weight_is_named_before_what_it_spoils():
    def prepare(net, step):
        if step == 2:
            with torch.no_grad():
                net.second.weight[0, 0] = float("nan")

    watched = trained(prepare)
    step, first = watched.events("non-finite")[0]
    assert (step, first.path) == (2, "second")


def test_born_between_modules():
    """What a function of the user's own makes is the input of the next module, before it is an output."""

    class Log(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.norm, self.second = nn.Linear(3, 3), nn.LayerNorm(3), nn.Linear(3, 1)

        def forward(self, x, bad):
            x = self.norm(self.first(x))
            return self.second(x.abs().neg().sqrt() if bad else x)

    torch.manual_seed(0)
    net = Log()
    optimizer = torch.optim.SGD(net.parameters(), 0.0)
    with Watched(net, optimizer, log_freq=100) as watched:
        for step in range(3):
            optimizer.zero_grad()
            net(torch.ones(2, 3), step == 1).sum().backward()
            optimizer.step()
    step, first = watched.events("non-finite")[0]
    assert (step, first.path, first.fields["role"]) == (1, "second", "input")


def test_half_precision_overflow_is_seen():
    net = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)).half()
    with torch.no_grad():
        for p in net.parameters():
            p.fill_(300.0)
    with Watched(net, log_freq=100) as watched:
        net(torch.ones(1, 2).half())
        net(torch.ones(1, 2).half()).float().sum().backward()
    found = watched.events("non-finite")[0][1]
    assert (found.path, found.fields["inf"]) == ("1", 2)


def test_many_large_halves_are_finite():
    net = nn.Sequential(nn.Linear(2, 400, bias=False), nn.Identity()).half()
    with torch.no_grad():
        net[0].weight.fill_(1000.0)
    with Watched(net, log_freq=100) as watched:
        for _ in range(2):
            net(torch.ones(4, 2).half())
    assert not watched.events("non-finite")


class Split(nn.Module):
    """Its own forward pass makes a NaN between two modules of its own."""

    def __init__(self, by_name=False):
        super().__init__()
        self.blocks = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
        self.head = Named() if by_name else nn.Linear(3, 1)
        self.by_name = by_name

    def forward(self, x, bad):
        x = self.blocks(x)
        x = torch.log(-x.abs() - 1) + x if bad else x
        return self.head(value=x) if self.by_name else self.head(x)


class Named(nn.Module):
    """Takes its input by keyword."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3, 1))

    def forward(self, value):
        return value @ self.weight


def split(log_freq, by_name=False):
    torch.manual_seed(0)
    net = Split(by_name)
    optimizer = torch.optim.SGD(net.parameters(), 0.0)
    with Watched(net, optimizer, log_freq=log_freq) as watched:
        for step in range(3):
            optimizer.zero_grad()
            net(torch.ones(2, 3), step == 1).sum().backward()
            optimizer.step()
    assert not watched.problems
    return watched


@pytest.mark.parametrize(("log_freq", "after"), [(1, "blocks"), (100, "blocks.1")])
def test_born_between_modules_is_the_input_on_every_step(log_freq, after):
    step, first = split(log_freq).events("non-finite")[0]
    assert (step, first.path, first.fields["role"]) == (1, "head", "input")
    assert first.fields["after"] == after
    assert first.text.endswith(f"after {after} (the last module whose output was finite)")


def test_inputs_that_were_not_looked_at_are_not_called_finite():
    step, first = split(100, by_name=True).events("non-finite")[0]
    assert (step, first.path, first.fields["role"]) == (1, "head", "output")
    assert (first.fields["inputs"], first.fields["after"]) == ("", "blocks.1")
    assert "in head or before it, after blocks.1 (the last module" in first.text
    step, first = split(1, by_name=True).events("non-finite")[0]
    assert (step, first.path, first.fields["role"]) == (1, "head", "input")


def test_inputs_that_were_looked_at_are_said_to_be():
    for log_freq, looked in ((1, "all"), (100, "positional")):
        watched = trained(lambda net, step: setattr(net.bomb, "forward_at", 2), log_freq=log_freq)
        first = watched.events("non-finite")[0][1]
        assert (first.path, first.fields["inputs"]) == ("bomb", looked)
        assert first.fields["after"] == "first"


def test_an_input_written_over_tells_nothing_of_what_came_in():
    class Over(nn.Module):
        def forward(self, x):
            return x.div_(0) if self.bad else x

    net = nn.Sequential(nn.Linear(2, 2), Over())
    optimizer = torch.optim.SGD(net.parameters(), 0.0)
    with Watched(net, optimizer, log_freq=100) as watched:
        for step in range(2):
            net[1].bad = step == 1
            net(torch.ones(1, 2)).sum().backward()
            optimizer.step()
    first = watched.events("non-finite")[0][1]
    assert (first.path, first.fields["role"], first.fields["inputs"]) == ("1", "output", "")


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_the_norm_of_all_gradients_is_not_finite_where_one_is_not(bad):
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), 0.0)
    with Watched(net, optimizer, log_freq=100) as watched:
        for step in range(2):
            optimizer.zero_grad()
            loss = net(torch.ones(2, 3)).sum()
            loss.backward()
            if step:
                net.last.bias.grad.fill_(bad)
            optimizer.step()
    assert watched.number(0, "", "run", "value", "grad_norm") > 0
    assert repr(watched.number(1, "", "run", "value", "grad_norm")) in (
        f"{bad}",
        f"np.float32({bad})",
    )


def told(event):
    """What the findings say of an event, at a step of another run."""
    made = deep(4)
    made.modules += [ModuleInfo(path, "") for path in ("first", "bomb", "blocks", "blocks.1")]
    made.happens(120, "non-finite", event.text, event.path, **{**event.fields, "nan": 6})
    (found,) = [each for each in diagnose(made.run()) if each.rule == "non-finite"]
    return f"{found.what} {found.why}"


def test_a_finding_says_where_it_came_in():
    words = told(split(1).events("non-finite")[0][1])
    assert "NaN first in the input of head" in words
    assert "came into head with its input; born between blocks and head" in words
    assert "in the forward of the model" in words
    words = told(split(100).events("non-finite")[0][1])
    assert "came into head with its input; born between blocks.1 and head" in words
    assert "in the forward of the model or at the end of blocks;" in words


def test_a_finding_calls_no_inputs_finite_that_were_not_looked_at():
    words = told(split(100, by_name=True).events("non-finite")[0][1])
    assert "in head or before it, after blocks.1 (the last module whose output was finite)" in words
    assert "were finite" not in words
    for log_freq, which in ((1, ", its inputs were finite"), (100, "its positional inputs were")):
        watched = trained(lambda net, step: setattr(net.bomb, "forward_at", 2), log_freq=log_freq)
        assert which in told(watched.events("non-finite")[0][1])


class Weighted(nn.Module):
    """Takes a batch and a mask that is added to what it makes of it."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x, mask):
        return self.second((self.first(x) + mask).softmax(-1))


@pytest.mark.usefixtures("where")
@pytest.mark.parametrize("log_freq", [1, 100])
@pytest.mark.parametrize("masked", [False, True])
def test_a_batch_that_is_not_finite_is_named_first_and_a_mask_never(log_freq, masked):
    torch.manual_seed(0)
    model = Weighted()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    mask = torch.zeros(4)
    mask[1] = float("-inf") if masked else 0.0
    with Watched(model, optimizer, log_freq=log_freq) as watched:
        for step in range(6):
            x = torch.randn(5, 3)
            if step == 4:
                x[2, 1] = float("inf")
            optimizer.zero_grad()
            model(x, mask).sum().backward()
            optimizer.step()
    assert not watched.problems
    events = [(step, event) for step, event in watched.events("non-finite") if event.path == ""]
    inputs = [(step, e.fields["slot"]) for step, e in events if e.fields["role"] == "input"]
    assert inputs == [(4, "0")]
    told = [event for step, event in watched.events("non-finite") if step == 4]
    first = min(told, key=lambda event: event.fields["order"])
    assert (first.path, first.fields["role"], first.fields["order"]) == ("", "input", -1)


def test_born_in_the_own_forward_of_a_module_that_holds_others():
    """Between its last module and its end, on a step that is not logged."""

    class Gate(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin = nn.Linear(4, 4)
            self.breaks = False

        def forward(self, x):
            p = torch.sigmoid(self.lin(x))
            return p * torch.log(p * 0 if self.breaks else p)

    model = nn.Sequential(Gate(), nn.LayerNorm(4), nn.Linear(4, 2))
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    with Watched(model, optimizer, log_freq=10) as watched:
        for step in range(5):
            model[0].breaks = step == 3
            optimizer.zero_grad()
            model(torch.ones(2, 4)).sum().backward()
            optimizer.step()
    step, first = watched.events("non-finite")[0]
    assert (step, first.path, first.fields["role"], first.fields["order"]) == (3, "0", "output", 0)
    assert first.fields["after"] == "0.lin"
