# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""Calls of modules: which they are, what they take and return, and which gradient is whose."""

import dataclasses

import numpy as np
import pytest
import torch
from kit.watched import Watched, assert_same
from torch import nn
from torch.utils.checkpoint import checkpoint

pytestmark = pytest.mark.usefixtures("where")


def test_only_the_used_calls_have_gradients():
    """TorchExplorer gives the gradient of a result that is used to the call whose result is not."""

    class Reused(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 3)

        def forward(self, x):
            first = self.layer(x)
            self.layer(x * 2)
            return first

    model = Reused()
    with Watched(model) as watched:
        model(torch.ones(2, 3)).sum().backward()
    assert watched.stats(0, "layer", "output gradient", call=0)["l2"] == pytest.approx(6**0.5)
    assert watched.stats(0, "layer", "output gradient", call=1) == {}
    assert watched.stats(0, "layer", "output", call=1)["count"] == 6


@pytest.mark.parametrize("reentrant", [False, True])
def test_calls_under_checkpointing_have_their_own_gradients(reentrant):
    class Segments(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(3, 3)
            self.shared = nn.Linear(3, 3)

        def forward(self, x):
            x = self.first(x)
            a = checkpoint(lambda t: self.shared(t).tanh(), x, use_reentrant=reentrant)
            return checkpoint(lambda t: self.shared(t) * 2, a, use_reentrant=reentrant)

    torch.manual_seed(0)
    model, x = Segments(), torch.randn(4, 3)
    with Watched(model) as watched:
        model(x).square().sum().backward()
    assert not watched.problems
    h = model.first(x)
    s0 = model.shared(h)
    s0.retain_grad()
    s1 = model.shared(s0.tanh())
    s1.retain_grad()
    (s1 * 2).square().sum().backward()
    for call, tensor in enumerate((s0, s1)):
        found = watched.stats(0, "shared", "output gradient", call=call)
        assert found["l2"] == pytest.approx(tensor.grad.double().norm().item(), rel=1e-5)
        values = watched.stats(0, "shared", "output", call=call)
        assert values["l2"] == pytest.approx(tensor.detach().double().norm().item(), rel=1e-5)
    assert watched.stats(0, "shared", "output", call=2) == {}


def test_tied_weights_are_one_parameter():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(7, 4)
            self.head = nn.Linear(4, 7, bias=False)
            self.head.weight = self.embed.weight

        def forward(self, x):
            return self.head(self.embed(x))

    model = Tied()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with Watched(model, optimizer) as watched:
        model(torch.tensor([[1, 2]])).sum().backward()
        norm = model.embed.weight.grad.double().norm().item()
        optimizer.step()
    assert watched.number(0, "embed", "gradient", "l2", "weight") == pytest.approx(norm, rel=1e-5)
    (info,) = watched.start.parameters
    assert info.shared == ("head.weight",)


def test_arguments_and_outputs_of_every_kind():
    @dataclasses.dataclass
    class Out:
        hidden: torch.Tensor
        more: list

    class Inner(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 3)

        def forward(self, x, nothing, count, pair, *, mask, options):
            return Out(self.layer(x) * count * mask, [pair[1][0] + 1, None, options["b"] * 1.0])

    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = Inner()
            self.lstm = nn.LSTM(3, 2)

        def forward(self, x, names=("a", 1)):
            out = self.inner(
                x, None, 2, (names, [x * 3]), mask=torch.ones(3), options={"b": x, "c": "text"}
            )
            packed = nn.utils.rnn.pack_padded_sequence(out.hidden, [4, 2])
            result, (h, c) = self.lstm(packed)
            return {"packed": result, "state": (h, c), "n": 3}

    torch.manual_seed(0)
    model, x = Outer(), torch.randn(4, 2, 3)
    with Watched(model) as watched:
        out = model(x)
        (out["packed"].data.sum() + out["state"][1].sum()).backward()
    assert not watched.problems
    assert watched.number(0, "inner", "input", "l1", "0") == pytest.approx(
        x.double().abs().sum().item(), rel=1e-5
    )
    assert watched.number(0, "inner", "input", "l1", "3.1.0") == pytest.approx(
        3 * x.double().abs().sum().item(), rel=1e-5
    )
    assert watched.number(0, "inner", "input", "count", "mask") == 3
    assert watched.number(0, "inner", "input", "count", "options.b") == 24
    assert {"hidden", "more.0", "more.2"} == {
        key.slot for _, key in watched.numbers() if (key.path, key.role) == ("inner", "output")
    }
    slots = {key.slot for _, key in watched.numbers() if (key.path, key.role) == ("", "output")}
    assert slots == {"packed.data", "state.0", "state.1"}
    assert watched.stats(0, "", "output gradient", "state.1")["l2"] == 2


def test_an_empty_batch():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with Watched(model, optimizer) as watched:
        model(torch.zeros(0, 3)).sum().backward()
        optimizer.step()
    assert not watched.problems
    assert watched.stats(0, "0", "output")["count"] == 0
    assert watched.stats(0, "0", "gradient", "weight")["l2"] == 0


def test_branches_that_are_taken_later_appear():
    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(2, 1), nn.Linear(2, 1)
            self.which = 0

        def forward(self, x):
            return (self.b if self.which else self.a)(x)

    model = Branches()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with Watched(model, optimizer) as watched:
        for step in range(4):
            model.which = step // 2
            optimizer.zero_grad()
            model(torch.ones(2, 2)).sum().backward()
            optimizer.step()
    assert watched.stats(0, "b", "output") == {}
    assert watched.stats(3, "b", "output")["count"] == 2
    assert watched.stats(3, "a", "output") == {}
    assert watched.stats(3, "a", "gradient", "weight") == {}


def test_large_values_do_not_count_as_infinite():
    model = nn.Sequential(nn.Linear(2, 4, bias=False), nn.Identity())
    with torch.no_grad():
        model[0].weight.fill_(1e38)
    with Watched(model, log_freq=100) as watched:
        model(torch.ones(3, 2)).mul(1e-30).sum().backward()
        model(torch.ones(3, 2)).mul(1e-30).sum().backward()
    assert not watched.events("non-finite")
    assert np.isfinite(watched.number(0, "0", "output", "l2"))


def test_parameters_that_get_their_shape_at_the_first_step():
    model = nn.Sequential(nn.LazyLinear(4), nn.ReLU(), nn.Linear(4, 1))
    with Watched(model) as watched:
        model(torch.ones(2, 3))
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        for _ in range(2):
            optimizer.zero_grad()
            model(torch.ones(2, 3)).sum().backward()
            norm = model[0].weight.grad.double().norm().item()
            optimizer.step()
    assert not watched.problems
    assert watched.start.parameters[0].shape == (4, 3)
    assert watched.number(1, "0", "gradient", "l2", "weight") == pytest.approx(norm, rel=1e-5)


@pytest.mark.parametrize("log_freq", [1, 10])
def test_tensors_of_every_type(log_freq):
    class Net(nn.Linear):
        def forward(self, x):
            y = super().forward(x).relu()
            return y, y > 0, y.argmax(-1), y.to(torch.uint8), y.to(torch.float8_e4m3fn), y.int()

    torch.manual_seed(0)
    model = Net(3, 4)
    model.frozen = nn.Parameter(torch.ones(4).to(torch.float8_e4m3fn), requires_grad=False)
    optimizer = torch.optim.SGD([model.weight, model.bias], 0.1)
    for given in (optimizer, None):
        with Watched(model, given, log_freq=log_freq) as watched:
            for _ in range(4):
                optimizer.zero_grad()
                x = torch.randn(5, 3)
                outputs = model(x)
                if watched.handle.step == 0:
                    first = outputs
                outputs[0].sum().backward()
                optimizer.step()
        assert not watched.problems
        for place, tensor in enumerate(first):
            found = watched.stats(0, "", "output", str(place))
            assert_same(found, tensor.float())
        assert watched.stats(0, "", "parameter", "frozen")["l2"] == 2


def test_complex_outputs_have_gradients():
    class Mixes(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(3, 3, dtype=torch.complex64))

        def forward(self, x):
            return x @ self.weight

    torch.manual_seed(0)
    model = nn.Sequential(Mixes(), Mixes())
    x = torch.randn(2, 3, dtype=torch.complex64)
    with Watched(model, torch.optim.SGD(model.parameters(), 0.1)) as watched:
        model(x).abs().square().sum().backward()
    middle = model[0](x)
    (gradient,) = torch.autograd.grad(model[1](middle).abs().square().sum(), middle)
    assert not watched.problems
    assert_same(watched.stats(0, "0", "output gradient"), torch.view_as_real(gradient))
    assert_same(watched.stats(0, "1", "input gradient"), torch.view_as_real(gradient))


def test_inference_mode_and_graphs_of_gradients():
    model = nn.Linear(2, 1)
    with Watched(model) as watched:
        with torch.inference_mode():
            model(torch.ones(1, 2))
        out = model(torch.ones(1, 2)).square().sum()
        (gradient,) = torch.autograd.grad(out, model.weight, create_graph=True)
        gradient.square().sum().backward()
    assert not watched.problems
    assert watched.stats(0, "", "output")["count"] == 1


class Sentences(nn.Module):
    """Sentences of different lengths in one nested tensor; each one's sum of its words."""

    def __init__(self):
        super().__init__()
        self.words, self.relu = nn.Linear(3, 4), nn.ReLU()

    def forward(self, x):
        return torch.stack([sentence.sum(0) for sentence in self.relu(self.words(x)).unbind()])


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("layout", [torch.strided, torch.jagged])
def test_a_nested_tensor_is_all_its_tensors(layout):
    torch.manual_seed(0)
    model = Sentences()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    lengths = [[(2, 3), (5, 3)], [(1, 3), (4, 3), (2, 3)], [(3, 3), (1, 3)]]
    batches = [[torch.randn(shape) for shape in shapes] for shapes in lengths]
    batches[1][1][2, 0] = float("nan")
    with Watched(model, optimizer, log_freq=2) as watched:
        for batch in batches:
            optimizer.zero_grad()
            model(torch.nested.nested_tensor(batch, layout=layout)).square().sum().backward()
            if not batch[1].isnan().any():
                optimizer.step()
    assert not watched.problems
    sentences, weight = torch.cat(batches[0]), model.words.weight
    assert_same(watched.stats(0, "words", "input"), sentences)
    torch.manual_seed(0)
    made = Sentences()
    words = made.words(sentences)
    active = words.relu()
    active.retain_grad()
    torch.stack([part.sum(0) for part in active.split([2, 5])]).square().sum().backward()
    assert_same(watched.stats(0, "words", "output"), words)
    assert watched.number(0, "relu", "output", "units") == weight.shape[0]
    found = watched.number(0, "relu", "output gradient", "l2")
    assert found == pytest.approx(active.grad.norm().item(), rel=1e-5)
    # The sentinel, on a step that is not logged.
    assert watched.events("non-finite")[0][1].path == "words"


def test_a_module_that_stands_at_several_places_is_recorded_with_all_its_paths():
    act = nn.ReLU()
    block = nn.Sequential(nn.Linear(3, 3), act, nn.Dropout(0.0))
    model = nn.Sequential(block, act, nn.Sequential(block, nn.Linear(3, 1)))
    with Watched(model) as watched:
        model(torch.ones(2, 3)).sum().backward()
    assert not watched.problems
    # What stands in the second place of the block goes without saying.
    found = {each.path: each.shared for each in watched.start.modules}
    assert list(found) == [path for path, _ in model.named_modules()]
    assert {path: shared for path, shared in found.items() if shared} == {
        "0": ("2.0",),
        "0.1": ("1",),
    }
    assert watched.number(0, "0.1", "output", "count", call=2) == 6
