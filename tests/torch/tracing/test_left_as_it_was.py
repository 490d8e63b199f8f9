"""What a model's modules hold is theirs after a trace: under several names, kept between calls, or without a shape."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gradtui.torch.tracing.trace import trace

STAGES = ("static", "meta", "fake", "real", "auto")


def held(model):
    """Everything that a model's modules hold, by identity, and the values of its tensors."""
    tables = [
        (path, name, id(value), list(value) if isinstance(value, (dict, list, set)) else ())
        for path, module in model.named_modules(remove_duplicate=False)
        for name, value in vars(module).items()
    ]
    tensors = dict(model.named_parameters(remove_duplicate=False)) | dict(model.named_buffers())
    return tables, {name: (id(one), one.device, one.clone()) for name, one in tensors.items()}


def assert_same(before, after):
    assert before[0] == after[0]
    for name, (identity, device, value) in before[1].items():
        assert after[1][name][:2] == (identity, device), name
        assert torch.equal(after[1][name][2], value), name


class Shares(nn.Module):
    """One embedding under three names, and a head with its weight, as encoders with decoders have them."""

    def __init__(self):
        super().__init__()
        self.shared = nn.Embedding(11, 4)
        self.encoder = nn.ModuleDict({"words": self.shared, "mix": nn.LSTM(4, 4)})
        self.decoder = nn.ModuleDict({"words": self.shared})
        self.head = nn.Linear(4, 11, bias=False)
        self.head.weight = self.shared.weight

    def forward(self, ids):
        mixed, _ = self.encoder["mix"](self.encoder["words"](ids))
        return self.head(mixed + self.decoder["words"](ids))


class Remembers(nn.Module):
    """Keeps what it made for the next call: a mask, a table by length, a list, a set, a count, a buffer, a module."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.mask: torch.Tensor | None = None
        self.by_length: dict[int, torch.Tensor] = {}
        self.seen: list[torch.Tensor] = []
        self.lengths: set[int] = set()
        self.calls = 0

    def forward(self, x):
        if self.mask is None:
            self.mask = torch.ones(4)
        if x.shape[0] not in self.by_length:
            self.by_length[x.shape[0]] = torch.arange(4.0)
        self.seen.append(x)
        self.lengths.add(x.shape[0])
        self.calls += 1
        if not hasattr(self, "late"):
            self.late = nn.Linear(4, 4)
            self.register_buffer("offset", torch.zeros(4))
        return self.late(self.fc(x) * self.mask + self.by_length[x.shape[0]]) + self.offset


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    ("make", "given"),
    [(Shares, torch.tensor([[1, 2, 3]])), (Remembers, torch.ones(3, 4))],
    ids=["shares", "remembers"],
)
def test_what_modules_hold_is_left_as_it_was(make, given, stage):
    torch.manual_seed(0)
    model = make().eval()
    before = held(model)
    graph = trace(model, given, stage=stage)
    assert stage == "static" or graph.complete, graph.fault
    assert_same(before, held(model))
    # It still runs, with data.
    assert model(given).isfinite().all()


@pytest.mark.parametrize("stage", ["auto", "meta"])
def test_lazy_modules_have_the_shapes_that_the_pass_gives_them(stage):
    class Lazy(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.LazyConv2d(6, 3), nn.LazyBatchNorm2d(), nn.Flatten())
            self.head = nn.LazyLinear(5)
            self.known = nn.Linear(5, 2)

        def forward(self, x):
            return self.known(self.head(self.body(x)))

    model = Lazy()
    graph = trace(model, "2x3x5x5", stage=stage)
    assert graph.complete, graph.fault
    assert graph.totals.parameters == 6 * 3 * 9 + 6 + 12 + 6 * 9 * 5 + 5 + 12
    assert graph.totals.flops == 2 * 2 * (9 * 6 * 3 * 9 + 54 * 5 + 5 * 2)
    assert isinstance(model.head, nn.LazyLinear)
    assert isinstance(model.head.weight, nn.UninitializedParameter)
    assert not model.known.weight.is_meta


@pytest.mark.parametrize("stage", ["fake", "real"])
def test_a_pass_that_cannot_begin_is_the_tree_with_the_reason(stage):
    graph = trace(nn.Sequential(nn.LazyLinear(5), nn.ReLU()), "2x3", stage=stage)
    assert graph.fault
    assert torch.is_grad_enabled()
    assert torch.backends.mha.get_fastpath_enabled()
    assert {node.path for node in graph.nodes} == {"", "0", "1"}
