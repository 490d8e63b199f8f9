# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""Which layers and pairs are found, through everything that real models do."""

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from gradtui.errors import UsageError
from gradtui.torch.forward import Plan, run_once
from gradtui.torch.inputs import as_call
from gradtui.torch.record import flow_info
from gradtui.torch.selection import Selection


def capture(model, inputs, *layers, pairs=(), **options):
    """flow_info of one pass, in double precision where it is floating."""
    found = []
    plan = Plan(Selection(layers), pairs, **options)
    run_once(model, as_call(inputs), plan, use=lambda run: found.append(flow_info(run.snapshot)))
    info = found[0]
    for pair in info["meta"]["pairs"]:
        scale = abs(info["activation_gradients"][pair["source"]]).sum() + 1
        assert pair["residual"] <= 1e-9 * scale, pair
    return info


def gradient_by_hand(model, inputs, module, call=0, loss=torch.sum):
    """The activation gradient of a module's call, kept by hand."""
    seen = []

    def hook(_, __, output):
        output = output[0] if isinstance(output, tuple) else output
        number = len(seen)
        output.register_hook(lambda g: gradients.__setitem__(number, g.clone()))
        seen.append(number)

    gradients = {}
    handle = module.register_forward_hook(hook)
    inputs = inputs.clone().requires_grad_() if inputs.is_floating_point() else inputs
    loss(model(inputs)).backward()
    handle.remove()
    return gradients[call]


class Branching(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(1, 3, 3, padding=1)
        self.b = nn.Conv2d(3, 3, 3, padding=1)
        self.c = nn.Conv2d(3, 2, 3, padding=1)

    def forward(self, x):
        h = torch.relu_(self.a(x))
        g = self.b(h)
        g += h
        return self.c(g.relu_()).mul_(2)


def test_in_place_operations_and_skip_connection():
    model, x = Branching().double(), torch.randn(2, 1, 5, 5, dtype=torch.float64)
    info = capture(model, x)
    assert info["layer_order"] == ["input", "a", "b", "c"]
    assert list(info["gradient_flows"]) == [("input", "a"), ("a", "b"), ("a", "c"), ("b", "c")]
    shares = {(p["source"], p["target"]): p["bypass_share"] for p in info["meta"]["pairs"]}
    assert shares["a", "b"] > 0.1
    assert shares["a", "c"] == 0
    for name in "abc":
        expected = gradient_by_hand(model, x, getattr(model, name))[0].sum(0)
        torch.testing.assert_close(
            torch.from_numpy(info["activation_gradients"][name]), expected, rtol=1e-9, atol=1e-12
        )
        by_channel = info["channel_gradients"][name]
        torch.testing.assert_close(torch.from_numpy(by_channel.sum(0)), expected)


def test_bypass_is_the_gradient_with_the_layer_cut():
    model, x = Branching().double(), torch.randn(1, 1, 5, 5, dtype=torch.float64)
    info = capture(model, x)

    class Cut(Branching):
        def forward(self, x):
            h = self.a(x).relu()
            return self.c((self.b(h).detach() + h).relu()) * 2

    cut = Cut().double()
    cut.load_state_dict(model.state_dict())
    expected = gradient_by_hand(cut, x, cut.a)[0].sum(0).reshape(-1)
    pair = next(p for p in info["meta"]["pairs"] if (p["source"], p["target"]) == ("a", "b"))
    torch.testing.assert_close(torch.from_numpy(pair["bypass"]), expected)


class Reused(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.Linear(4, 4)
        self.unused = nn.Linear(4, 4)

    def forward(self, x):
        self.unused(x)
        first = self.cell(x)
        return self.cell(torch.tanh(first)) * first


def test_reused_module_has_a_layer_for_each_call():
    model, x = Reused().double(), torch.randn(1, 4, dtype=torch.float64)
    info = capture(model, x)
    assert info["layer_order"] == ["input", "cell", "cell#1"]
    assert info["meta"]["layers"]["unused"]["note"] == "no gradient reaches it"
    for call, name in enumerate(["cell", "cell#1"]):
        expected = gradient_by_hand(model, x, model.cell, call)
        torch.testing.assert_close(torch.from_numpy(info["activation_gradients"][name]), expected)
    only = capture(model, x, "cell#1", "input")
    assert only["layer_order"] == ["input", "cell#1"]


class Strange(nn.Module):
    """Keyword-only and None arguments, a dict output, an LSTM's tuple, a part without gradients."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.middle = self.Middle()
        self.lstm = nn.LSTM(4, 3)
        self.frozen = nn.Linear(3, 3).requires_grad_(False)

    class Middle(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(4))

        def forward(self, *, x, other=None):
            return {"nothing": other, "count": 3, "hidden": x * self.scale}

    def forward(self, x):
        h = self.middle(x=self.first(x), other=None)["hidden"]
        h, (state, _) = self.lstm(h)
        with torch.no_grad():
            self.frozen(h)
        return {"out": self.frozen(h), "state": (state, None)}


def test_odd_outputs_and_frozen_parameters():
    model, x = Strange().double(), torch.randn(5, 2, 4, dtype=torch.float64)
    info = capture(model, x)
    assert info["layer_order"] == ["input", "first", "middle", "lstm", "frozen#1"]
    assert info["activation_gradients"]["lstm"].shape == (5, 3)
    assert info["meta"]["layers"]["lstm"]["reduction"] == "[T, B, D], sample 0 of 2, T × D"
    asked = capture(model, x, "frozen", "lstm")
    assert asked["meta"]["layers"]["frozen"]["note"] == "carries no gradient"


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointing(reentrant):
    class Saving(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = (nn.Linear(4, 4) for _ in range(3))
            self.norm, self.reentrant = nn.BatchNorm1d(4), reentrant

        def forward(self, x):
            h = self.a(x)
            h = checkpoint(lambda t: self.norm(self.b(t).tanh()), h, use_reentrant=self.reentrant)
            return self.c(h) ** 2

    model, x = Saving().double(), torch.randn(3, 4, dtype=torch.float64)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    info = capture(model, x)
    assert info["layer_order"] == ["input", "a", "b", "c"]
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    model.reentrant = False
    plain = gradient_by_hand(model, x, model.b)
    torch.testing.assert_close(torch.from_numpy(info["activation_gradients"]["b"]), plain)


def test_integer_inputs_start_at_the_embedding():
    model = nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, 3)).double()
    model[0].weight.requires_grad_(False)
    info = capture(model, torch.tensor([[1, 4, 2]]))
    assert info["layer_order"] == ["0", "1"]
    assert info["activation_gradients"]["0"].shape == (3, 4)
    assert not model[0].weight.requires_grad


def test_identity_and_dropout_in_evaluation_are_one_place():
    model = (
        nn.Sequential(nn.Linear(3, 3), nn.Dropout(), nn.Identity(), nn.Linear(3, 2)).eval().double()
    )
    x = torch.randn(1, 3, dtype=torch.float64)
    assert capture(model, x)["layer_order"] == ["input", "0", "3"]
    asked = capture(model, x, "0", "1", "2", "3")
    assert list(asked["gradient_flows"]) == [("0", "1"), ("1", "2"), ("2", "3")]
    assert asked["meta"]["pairs"][0]["bypass_share"] == 0


def test_model_without_parameters_shows_its_leaves():
    info = capture(nn.Sequential(nn.Tanh(), nn.Softmax(-1)), torch.randn(2, 3, dtype=torch.float64))
    assert info["layer_order"] == ["input", "0", "1"]


def test_patterns_and_unknown_names():
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))).double()
    x = torch.randn(1, 2, dtype=torch.float64)
    assert capture(model, x, "1.*")["layer_order"] == ["1.0", "1.1"]
    assert capture(model, x, "0", "1")["layer_order"] == ["0", "1"]
    with pytest.raises(UsageError, match=r"called 'nope'; the model has: 0, 1, 1\.0, 1\.1"):
        capture(model, x, "nope")


def test_pairs_that_are_asked_for():
    model, x = Branching().double(), torch.randn(1, 1, 4, 4, dtype=torch.float64)
    info = capture(model, x, pairs=(("a", "c"), ("input", "c")))
    assert list(info["gradient_flows"]) == [("a", "c"), ("input", "c")]
    with pytest.raises(UsageError, match="no path"):
        capture(model, x, pairs=(("c", "a"),))
    with pytest.raises(UsageError, match="'d'"):
        capture(model, x, pairs=(("a", "d"),))


def test_other_samples_count_as_bypass():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Conv2d(2, 2, 2)).double()
    x = torch.randn(3, 1, 6, 6, dtype=torch.float64)
    info = capture(model, x, "0", "2", sample=1, loss=lambda out: (out**3).sum())
    (pair,) = info["meta"]["pairs"]
    assert pair["bypass_share"] > 0


class Numbered(nn.Module):
    """Modules called as other modules' calls are, as the input, and as the model."""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 4)
        for name in ("a#1", "input", "(model)"):
            self.add_module(name, nn.Linear(4, 4))
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x):
        x = self.a(self.a(x))
        for name in ("a#1", "input", "(model)"):
            x = getattr(self, name)(x)
        return x * self.scale


def test_no_two_layers_share_a_name():
    model, x = Numbered().double(), torch.randn(1, 4, dtype=torch.float64)
    names = ["(input)", "a", "(a#1)", "a#1", "input", "(model)", "((model))"]
    info = capture(model, x)
    assert info["layer_order"] == names
    for module, call, name in [(model.a, 1, "(a#1)"), (getattr(model, "a#1"), 0, "a#1")]:
        expected = gradient_by_hand(model, x, module, call)
        torch.testing.assert_close(torch.from_numpy(info["activation_gradients"][name]), expected)


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("a#1", ["a#1"]),
        ("(a#1)", ["(a#1)"]),
        ("a", ["a", "(a#1)"]),
        ("a#0", ["a"]),
        ("a*", ["a", "(a#1)", "a#1"]),
        ("(input)", ["(input)"]),
        ("(model)", ["(model)"]),
        ("((model))", ["((model))"]),
    ],
)
def test_every_layer_can_be_asked_for_by_its_name(asked, given):
    model, x = Numbered().double(), torch.randn(1, 4, dtype=torch.float64)
    assert capture(model, x, asked)["layer_order"] == given


def test_a_number_that_is_none_is_no_call():
    model, x = Numbered().double(), torch.randn(1, 4, dtype=torch.float64)
    with pytest.raises(UsageError, match="called 'a#x'"):
        capture(model, x, "a#x")
