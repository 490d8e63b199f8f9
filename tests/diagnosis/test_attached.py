"""Tensors that were attached to a module are places of their own: what goes wrong there is named there."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from kit.trainings import cross_entropy, digits, train  # noqa: E402
from torch import nn  # noqa: E402

from gradtui.diagnosis.diagnose import diagnose  # noqa: E402
from gradtui.torch import attach  # noqa: E402


class Scores(nn.Module):
    """Products of queries and keys; at one call they are divided by 0, before or after they are attached."""

    def __init__(self, at: int, *, after: bool = False) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(64, 64), nn.Linear(64, 64)
        self.at, self.after, self.calls = at, after, 0

    def forward(self, x):
        self.calls += 1
        broken = self.calls == self.at + 1
        scores = self.query(x) * self.key(x)
        if broken and not self.after:
            scores = scores * 0 / 0
        scores = attach(scores, self, "scores")
        if broken and self.after:
            scores = scores * 0 / 0
        return 64 * scores.softmax(-1)


class Net(nn.Module):
    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block, self.head = block, nn.Linear(64, 10)

    def forward(self, x):
        return self.head(self.block(x))


def only(run):
    (found,) = diagnose(run)
    return found


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize("step", [15, 20])
def test_a_nan_that_is_born_at_one(tmp_path, step):
    """On steps that are logged (each tenth) and on others."""
    found = only(train(tmp_path, Net(Scores(step)), digits(32), steps=30))
    assert (found.rule, found.path, found.since) == ("non-finite", "block.scores", step)
    assert found.what == "NaN first in the attached tensor block.scores, on the way forward."
    assert "in the forward of block, after block.key (the last module whose" in found.why
    assert found.advice.startswith("Look for a division")
    assert "in what makes it" in found.advice


@pytest.mark.parametrize("step", [15, 20])
def test_a_nan_that_is_born_behind_one(tmp_path, step):
    found = only(train(tmp_path, Net(Scores(step, after=True)), digits(32), steps=30))
    assert (found.path, found.since) == ("block", step)
    assert "inputs were finite, and so was block.scores in it;" in found.why


def test_infinities_of_a_mask_are_no_finding(tmp_path):
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.query = nn.Linear(64, 64)

        def forward(self, x):
            masked = self.query(x).masked_fill(torch.arange(64) > 40, -torch.inf)
            return 64 * attach(masked, self, "scores").softmax(-1)

    assert diagnose(train(tmp_path, Net(Masked()), digits(32), steps=30)) == ()


def test_a_nan_that_is_born_on_the_way_back_to_one(tmp_path):
    class Root(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.query = nn.Linear(64, 64)

        def forward(self, x):
            x = self.query(x)
            return attach(x - x.detach().amin(1, keepdim=True), self, "scores").sqrt()

    found = only(train(tmp_path, Net(Root()), digits(32), steps=30))
    assert (found.path, found.since) == ("block.scores", 0)
    assert found.what == (
        "Inf first in the gradient of the attached tensor block.scores, on the way back."
    )
    assert "in what is made of it" in found.advice


def test_one_that_is_dead_is_called_what_it_is(tmp_path):
    class Dead(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(64, 64)
            nn.init.constant_(self.layer.bias, -200)

        def forward(self, x):
            return attach(self.layer(x).relu(), self, "hidden") + 0.1 * x

    found = [
        f
        for f in diagnose(train(tmp_path, Net(Dead()), digits(32), cross_entropy, steps=60))
        if f.rule == "dead units"
    ]
    assert [f.path for f in found] == ["block.hidden"]
    assert found[0].what == "All units of the attached tensor block.hidden are dead."


def test_a_dead_output_that_was_attached_is_told_once_at_its_module(tmp_path):
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.relu = nn.Linear(64, 64), nn.ReLU()
            nn.init.constant_(self.layer.bias, -200)

        def forward(self, x):
            return attach(self.relu(self.layer(x)), self, "hidden") + 0.1 * x

    run = train(tmp_path, Net(Twice()), digits(32), steps=60)
    assert [f.path for f in diagnose(run) if f.rule == "dead units"] == ["block.relu"]


def test_what_comes_back_broken_may_be_born_in_what_an_output_feeds(tmp_path):
    """A layer's own gradients are looked at on every step, and nothing of what has no parameters."""

    class Root(nn.Module):
        calls = 0

        def forward(self, x):
            self.calls += 1
            return (x - x.detach().amin(1, keepdim=True)).sqrt() if self.calls > 15 else x

    model = nn.Sequential(nn.Linear(64, 64), Root(), nn.Linear(64, 10))
    found = only(train(tmp_path, model, digits(32), steps=30))
    assert (found.path, found.since) == ("0", 15)
    assert "in it or in what its output feeds (1)" in found.advice
