"""Real trainings: healthy ones stay silent, sick ones are found out, each at its step."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

torch = pytest.importorskip("torch")

from kit.trainings import (  # noqa: E402
    Gpt,
    Reader,
    convolutions,
    cross_entropy,
    digits,
    mlp,
    resnet,
    train,
    words,
)
from torch import nn  # noqa: E402

from gradtui.diagnosis.diagnose import diagnose  # noqa: E402
from gradtui.store.run.whole import read_run  # noqa: E402
from gradtui.torch import watch  # noqa: E402

if TYPE_CHECKING:
    from gradtui.diagnosis.finding import Finding


@pytest.fixture(autouse=True)
def seeded():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


def warm_up(step: int) -> float:
    return min((step + 1) / 80, 1.0)


def cosine(step: int) -> float:
    return 0.5 * (1 + math.cos(math.pi * min(step / 150, 1)))


def restarts(step: int) -> float:
    return cosine(step % 150)


def in_bfloat16(model, inputs, targets):
    with torch.autocast("cpu", torch.bfloat16):
        return cross_entropy(model, inputs, targets)


def to_itself(model, inputs, _targets):
    return (model(inputs) - inputs).square().mean()


def autoencoder():
    return nn.Sequential(
        nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 8), nn.ReLU(), nn.Linear(8, 32), nn.ReLU(),
        nn.Linear(32, 64), nn.Sigmoid(),
    )  # fmt: skip


HEALTHY = {
    "convolutions, Adam": lambda f: train(f, convolutions(), digits(32, flat=False)),
    "convolutions, momentum-free SGD": lambda f: train(
        f, convolutions(), digits(32, flat=False), sgd=True, lr=0.2
    ),
    "one image a batch": lambda f: train(f, convolutions(), digits(1, flat=False), steps=250),
    "GPT, warm-up and clipping": lambda f: train(
        f, Gpt(), words(8), steps=120, clip=1.0, schedule=warm_up
    ),
    "GPT, accumulation and cosine": lambda f: train(
        f, Gpt(), words(2), steps=100, lr=2e-3, clip=1.0, schedule=cosine, accumulate=2
    ),
    "LSTM": lambda f: train(f, Reader(), words(8), lr=3e-3),
    "ResNet in bfloat16": lambda f: train(
        f, resnet(), digits(32, flat=False), in_bfloat16, steps=80
    ),
    "ResNet, SGD": lambda f: train(
        f, resnet(), digits(32, flat=False), sgd=True, lr=0.1, steps=120
    ),
    "converged": lambda f: train(f, mlp(3, nn.ReLU), digits(64, among=64), steps=900, lr=3e-3),
    "restarts": lambda f: train(
        f, mlp(3, nn.ReLU), digits(64, among=64), steps=450, lr=3e-3, schedule=restarts
    ),
    "four images": lambda f: train(f, mlp(3, nn.ReLU, 16), digits(4, among=4), steps=400, lr=1e-2),
    "tanh": lambda f: train(f, mlp(4, nn.Tanh), digits(32), steps=200),
    "autoencoder": lambda f: train(f, autoencoder(), digits(32), to_itself, steps=300, lr=3e-3),
    "three steps": lambda f: train(f, convolutions(), digits(8, flat=False), steps=3),
    "parameters alone": lambda f: train(
        f, mlp(3, nn.ReLU), digits(32), log=("params", "params_grad")
    ),
    "inputs and outputs alone": lambda f: train(
        f, mlp(3, nn.ReLU), digits(32), log=("io", "io_grad")
    ),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_training_is_silent(name, tmp_path):
    assert diagnose(HEALTHY[name](tmp_path)) == ()


def one(run, rule: str) -> Finding:
    found = [finding for finding in diagnose(run) if finding.rule == rule]
    assert len(found) == 1, found
    return found[0]


def test_a_deep_sigmoid_network_vanishes(tmp_path):
    found = one(train(tmp_path, mlp(8, nn.Sigmoid), digits(32), steps=60), "vanishing")
    assert (found.name, found.since, found.ongoing) == ("weight", 0, True)
    assert set(found.paths) >= {"0", "2", "4"}


def test_a_network_that_is_dead(tmp_path):
    model = mlp(3, nn.ReLU)
    nn.init.constant_(model[2].bias, -20)
    run = train(tmp_path, model, digits(32), steps=80)
    found = one(run, "dead units")
    assert (found.path, found.severity, found.since) == ("3", "bad", 0)
    assert one(run, "vanishing").path in {"0", "2"}


def test_a_learning_rate_that_kills(tmp_path):
    """A peak of the learning rate: the loss jumps, and which units it cost is told since then."""
    run = train(
        tmp_path, convolutions(), digits(32, flat=False), steps=200,
        schedule=lambda step: 300.0 if step == 100 else 1.0,
    )  # fmt: skip
    found = one(run, "loss spike")
    assert 100 <= found.since <= 102


def test_large_weights_saturate(tmp_path):
    model = mlp(4, nn.Tanh)
    for layer in model:
        if isinstance(layer, nn.Linear):
            layer.weight.data *= 40
    found = [
        f for f in diagnose(train(tmp_path, model, digits(32), steps=80)) if f.rule == "saturation"
    ]
    assert {f.path for f in found} >= {"3", "5", "7"}
    assert all(f.since == 0 for f in found)


class Broken(nn.Module):
    """Divides 0 by 0 in one call."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.linear, self.at, self.calls = nn.Linear(64, 64), at, 0

    def forward(self, x):
        self.calls += 1
        y = self.linear(x)
        return y * 0 / 0 if self.calls == self.at + 1 else y


def test_a_nan_that_is_born_forward(tmp_path):
    model = nn.Sequential(Broken(60), nn.ReLU(), nn.Linear(64, 10))
    found = one(train(tmp_path, model, digits(32), steps=90), "non-finite")
    assert (found.path, found.name, found.since) == ("0", "output", 60)
    assert "forward" in found.what
    assert {"1", "2"} <= set(found.also)


class Root(nn.Module):
    """A square root that is 0 somewhere: finite, and its derivative is not."""

    def forward(self, x):
        return (x - x.detach().amin(1, keepdim=True)).sqrt()


@pytest.mark.parametrize("step", [16, 20])
def test_a_nan_that_is_born_in_the_loss(tmp_path, step):
    """A division by the number of valid targets: the model's outputs are finite, and what comes back to them is not."""
    taken = []

    def masked(model, inputs, targets):
        taken.append(targets)
        valid = targets < (0 if len(taken) == step + 1 else 5)
        losses = nn.functional.cross_entropy(model(inputs), targets, reduction="none")
        return (losses * valid).sum() / valid.sum()

    found = one(train(tmp_path, mlp(2, nn.ReLU), digits(32), masked, steps=30), "non-finite")
    assert (found.path, found.name, found.since) == ("", "loss", step)
    assert found.advice.startswith("Look at what computes the loss")
    assert set(found.also) >= {"0", "2", "4"}


def test_weights_that_never_had_a_finite_gradient_are_not_told_to_learn_faster(tmp_path):
    def lost(model, inputs, targets):
        return cross_entropy(model, inputs, targets) * float("nan")

    run = train(tmp_path, mlp(2, nn.ReLU), digits(32), lost, steps=50)
    assert [(f.rule, f.name) for f in diagnose(run)] == [("non-finite", "loss")]


def test_what_hands_on_the_silence_of_dead_units_is_not_dead(tmp_path):
    layers = [nn.Conv2d(1 if not i else 16, 16, 3, padding=1, bias=False) for i in range(3)]
    nn.init.constant_(layers[0].weight, -1.0)
    model = nn.Sequential(
        *(part for layer in layers for part in (layer, nn.ReLU())),
        nn.Flatten(),
        nn.Linear(1024, 10),
    )
    found = one(train(tmp_path, model, digits(32, flat=False), steps=60), "dead units")
    assert found.path == "1"


def test_a_nan_that_is_born_on_the_way_back(tmp_path):
    model = nn.Sequential(nn.Linear(64, 64), Root(), nn.Linear(64, 10))
    found = one(train(tmp_path, model, digits(32), steps=40), "non-finite")
    assert (found.path, found.since) == ("1", 0)
    assert "back" in found.what


class Cell(nn.Module):
    """A linear recurrence over the rows of an image."""

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.inward, self.again, self.head = nn.Linear(8, 64), nn.Linear(64, 64), nn.Linear(64, 10)
        nn.init.orthogonal_(self.again.weight, gain)

    def forward(self, x):
        state = x.new_zeros(len(x), 64)
        for row in x.unbind(1):
            state = torch.relu(self.again(state)) + self.inward(row)
        return self.head(state)


def test_a_recurrence_that_explodes(tmp_path):
    """Its weight grows from step 80 on, a little at each step, and its gradient with the eighth power of it."""
    model, steps = Cell(1.0), []

    def grows(net, inputs, targets):
        loss = cross_entropy(net, inputs, targets)
        steps.append(loss.item())
        if len(steps) > 80:
            net.again.weight.data *= 1.02
        return loss

    run = train(tmp_path, model, digits(32, rows=True), grows, steps=200)
    found = one(run, "exploding")
    assert "again" in found.paths
    assert 80 <= found.since <= 150
    assert found.severity == "bad"


def test_a_learning_rate_that_moves_nothing(tmp_path):
    found = one(train(tmp_path, mlp(3, nn.ReLU), digits(32), lr=1e-10, steps=60), "update ratio")
    assert (found.path, found.name) == ("", "all weights")


def test_steps_that_bfloat16_cannot_hold(tmp_path):
    def cast(model, inputs, targets):
        return cross_entropy(model, inputs.bfloat16(), targets)

    run = train(tmp_path, mlp(3, nn.ReLU).bfloat16(), digits(32), cast, sgd=True, lr=1e-6, steps=60)
    assert one(run, "update ratio").path == ""


def test_a_learning_rate_that_replaces_the_weights(tmp_path):
    run = train(tmp_path, mlp(3, nn.Tanh), digits(32), sgd=True, lr=300.0, steps=60)
    assert one(run, "update ratio").since <= 5


class Parted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cut, self.fixed, self.head = nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 10)
        self.unused = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
        self.fixed.requires_grad_(False)

    def forward(self, x):
        return self.head(torch.relu(self.fixed(self.cut(x).detach())))


def test_what_gets_no_gradient_and_why(tmp_path):
    run = train(tmp_path, Parted(), digits(32), steps=40)
    found = {f.path: f for f in diagnose(run)}
    assert set(found) == {"cut", "fixed", "unused"}
    assert {f.rule for f in found.values()} == {"no gradient"}
    assert "cut off" in found["cut"].what
    assert "frozen" in found["fixed"].what
    assert "never used" in found["unused"].what
    assert (found["fixed"].severity, found["cut"].severity) == ("note", "warn")


@pytest.mark.parametrize(
    ("options", "unused", "cut"),
    [
        ({"include": ["head"]}, "not used, or", "not used, or"),
        ({"include": ["cut", "head"]}, "not used, or", "cut off from the loss: the module is"),
        ({"exclude": ["cut"]}, "never used", "not used, or"),
        ({"exclude": ["Linear"]}, "not used, or", "not used, or"),
        ({"log": ("params", "params_grad")}, "never used", "cut off from the loss: the module is"),
        (
            {"log": ("params", "params_grad"), "time_log": False},
            "not used, or",
            "not used, or",
        ),
    ],
)
def test_what_is_not_watched_is_not_said_to_be_never_called(options, unused, cut, tmp_path):
    run = train(tmp_path, Parted(), digits(32), steps=24, **options)
    found = {f.path: f for f in diagnose(run) if f.path != "fixed"}
    assert set(found) == {"cut", "unused"}
    assert unused in found["unused"].what
    assert cut in found["cut"].what


class Attending(nn.Module):
    """Attention that is cut off from the loss: its last layer is not called, its weight is used by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.attend, self.head = nn.MultiheadAttention(8, 2, batch_first=True), nn.Linear(64, 10)

    def forward(self, x):
        return self.head((x + self.attend(x, x, x)[0].detach()).flatten(1))


def test_what_its_holder_uses_by_hand_is_cut_off_with_it(tmp_path):
    found = one(train(tmp_path, Attending(), digits(32, rows=True), steps=24), "no gradient")
    assert (found.path, found.name) == ("attend", "4 parameters")
    assert "cut off from the loss" in found.what


def test_a_new_head_that_the_optimizer_does_not_hold(tmp_path):
    """It is put in after the optimizer was made, as fine-tuning goes wrong."""
    model, batch = mlp(3, nn.ReLU), digits(32)
    optimizer = torch.optim.Adam(model.parameters())
    model[-1] = nn.Linear(64, 10)
    with watch(model, optimizer, folder=tmp_path):
        for step in range(40):
            optimizer.zero_grad()
            cross_entropy(model, *batch(step)).backward()
            optimizer.step()
    found = one(read_run(tmp_path).run, "no gradient")
    assert (found.path, found.severity) == ("6", "warn")
    assert "not trained, though a gradient comes back" in found.what
    assert "Check that the optimizer holds it" in found.advice


class Sum(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(32))

    def forward(self, a, b):
        return a * self.scale + 1e-6 * b


class Joined(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.sum, self.head = (
            nn.Linear(64, 32),
            nn.Linear(64, 32),
            Sum(),
            nn.Linear(32, 10),
        )

    def forward(self, x):
        return self.head(self.sum(self.left(x).relu(), self.right(x).relu()))


def test_a_merge_with_one_path(tmp_path):
    run = train(tmp_path, Joined(), digits(32), steps=80)
    found = one(run, "dominated merge")
    assert (found.path, found.name, found.since) == ("sum", "input gradient 0", 0)
    assert one(run, "vanishing").path == "right"


def test_every_step_is_clipped(tmp_path):
    def large(model, inputs, targets):
        return 100 * cross_entropy(model, inputs, targets)

    found = one(
        train(tmp_path, convolutions(), digits(32, flat=False), large, clip=0.1), "clipping"
    )
    assert (found.severity, found.since) == ("note", 0)
