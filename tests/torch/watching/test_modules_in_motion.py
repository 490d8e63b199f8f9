# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""Models that change without end, and modules that are taken out."""

import pytest
import torch
from kit.watched import Watched, assert_same
from torch import nn

from gradtui.core.run.records import Start
from gradtui.torch import watch
from gradtui.torch.watching import starting
from gradtui.torch.watching.retelling import Retelling


class Turning(nn.Module):
    """In each forward pass another module stands at one place."""

    def __init__(self, way):
        super().__init__()
        torch.manual_seed(0)
        self.body, self.way, self.turn = nn.Linear(3, 3), way, 0
        self.heads = nn.ModuleList([nn.Linear(3, 2), nn.Linear(3, 2)])
        self.others = [nn.Identity(), nn.Tanh()]
        self.there = self.others[0]

    def forward(self, x):
        self.turn += 1
        if self.way == "an alias":
            self.head = self.heads[self.turn % 2]
        elif self.way == "another module":
            self.there = self.others[self.turn % 2]
        else:
            self.body.requires_grad_(self.turn % 2 == 0)
        return self.heads[0](self.there(self.body(x)))


WAYS = ["an alias", "another module", "frozen and not"]


@pytest.mark.parametrize("way", WAYS)
def test_what_changes_in_each_pass_is_told_ever_more_seldom(way):
    """And its numbers are those of each step."""
    bare, model = Turning(way), Turning(way)
    with Watched(model) as watched:
        for step in range(40):
            for one in (bare, model):
                optimizer = torch.optim.SGD(one.parameters(), 0.01)
                one(torch.ones(2, 3)).square().sum().backward()
                if one is bare:
                    wanted = {
                        n: p.grad.clone() for n, p in one.named_parameters() if p.grad is not None
                    }
                optimizer.step()
                optimizer.zero_grad()
            watched.handle.log(turn=step)
    assert not watched.problems
    assert len(watched.records(Start)) <= (2 if way == "an alias" else 8)
    for name, gradient in wanted.items():
        path, _, slot = name.rpartition(".")
        found = watched.number(39, path, "gradient", "l2", slot)
        assert found == pytest.approx(gradient.norm().item(), rel=1e-5)
    assert all(map(torch.equal, bare.parameters(), model.parameters()))


def test_the_last_change_is_told_at_the_end():
    model = Turning("another module")
    with Watched(model) as watched:
        for _ in range(20):
            model(torch.ones(2, 3)).sum().backward()
        model.others = [nn.Sequential(nn.ReLU())] * 2
        for _ in range(2):
            model(torch.ones(2, 3)).sum().backward()
    assert "there.0" in [info.path for info in watched.start.modules]


def test_one_drawing_waits_at_most(tmp_path, monkeypatch):
    waiting, drawn = set(), []

    class Drawing:
        def __init__(self, *_):
            waiting.add(self)
            drawn.append(self)

        def remove(self):
            waiting.discard(self)

    monkeypatch.setattr(starting, "draw_architecture", Drawing)
    model = Turning("another module")
    with watch(model, folder=tmp_path / "run"):
        optimizer = torch.optim.SGD(model.parameters(), 0.01)
        for _ in range(40):
            model(torch.ones(2, 3)).sum().backward()
            optimizer.step()
            assert len(waiting) == 1
        assert 1 < len(drawn) < 10
    assert not waiting


@pytest.mark.parametrize("way", ["del", "by its dict"])
def test_a_module_that_is_taken_out_is_told_in_the_next_logged_step(way):
    """Torch tells nobody of it."""
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Tanh())
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    with Watched(model, optimizer, log_freq=4) as watched:
        for step in range(9):
            if step == 3 and way == "del":
                del model[1]
            elif step == 3:
                model._modules["1"] = nn.Linear(3, 2)
            if step == 3:
                watched.handle.optimizer = optimizer = torch.optim.SGD(model.parameters(), 0.01)
            output = model(torch.ones(2, 3))
            output.square().sum().backward()
            optimizer.step()
            optimizer.zero_grad()
    assert not watched.problems
    names = {f"{info.path}.{info.name}" for info in watched.start.parameters}
    assert names == {name for name, _ in model.named_parameters()}
    assert {info.path for info in watched.start.modules} == dict(model.named_modules()).keys()
    assert_same(watched.stats(8, "", "output"), output)


def test_what_goes_on_changing_is_told_ever_more_seldom():
    retelling, told = Retelling(), []
    for step in (*range(20), 100, 101, 102):
        if retelling.is_due(step):
            retelling.told(step)
            told.append(step)
    assert told == [0, 1, 3, 7, 15, 100, 101]
