"""Parameters and FLOPs, by golden numbers and by hand, in every stage that a model allows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from kit import zoo
from torch import nn

from gradtui.torch.tracing.trace import trace

COUNTS = json.loads((Path(__file__).parents[2] / "data/architecture/counts.json").read_text())
STAGES = ("meta", "fake", "real")


@pytest.mark.parametrize("stage", [*STAGES, "auto"])
@pytest.mark.parametrize("name", list(zoo.GOLDEN))
def test_the_golden_models(name, stage):
    model, given = zoo.golden(name)
    graph = trace(model, given, stage=stage)
    assert graph.totals.parameters == COUNTS[name]["params"]
    assert graph.totals.flops == COUNTS[name]["flops"]
    assert bool(graph.fault) == name.startswith("fail")
    assert sum(node.parameters for node in graph.nodes) == graph.totals.parameters


@pytest.mark.parametrize("name", list(zoo.GOLDEN))
def test_the_static_tree_has_all_parameters(name):
    model, _ = zoo.golden(name)
    graph = trace(model)
    assert graph.stage == "static"
    assert graph.totals.parameters == COUNTS[name]["params"]
    assert graph.totals.flops == 0
    assert {node.state for node in graph.nodes} == {"not run"}


@pytest.mark.parametrize("name", list(zoo.GOLDEN))
def test_the_stages_agree_node_by_node(name):
    model, given = zoo.golden(name)
    graphs = [trace(model, given, stage=stage) for stage in STAGES]
    first = [(n.label, n.name, n.shapes, n.dtype, n.flops, n.parameters) for n in graphs[0].nodes]
    for graph in graphs[1:]:
        assert [
            (n.label, n.name, n.shapes, n.dtype, n.flops, n.parameters) for n in graph.nodes
        ] == first
        assert graph.edges == graphs[0].edges


def counted(module, *given, **named):
    """FLOPs of a single module, equal in every stage."""

    class Around(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = module

        def forward(self, *args, **kwargs):
            return self.inner(*args, **kwargs)

    graphs = [trace(Around().eval(), *given, stage=stage, **named) for stage in STAGES]
    assert not any(graph.fault for graph in graphs)
    flops = {graph.totals.flops for graph in graphs}
    assert len(flops) == 1, flops
    assert graphs[0].totals.parameters == sum(p.numel() for p in module.parameters())
    return flops.pop()


# Torch's own remark on the kernel that it takes.
PROJECTION = pytest.mark.filterwarnings("ignore:LSTM with projections")

# batch, length, in, out: small primes, so that a wrong factor shows.
B, T, D, H = 2, 7, 5, 3


@pytest.mark.parametrize(
    ("module", "shape", "flops"),
    [
        (nn.Linear(D, H), (B, T, D), 2 * B * T * D * H),
        (nn.Linear(D, H, bias=False), (D,), 2 * D * H),
        (nn.Conv1d(4, 6, 5, groups=2), (B, 4, 11), 2 * B * 7 * 6 * 2 * 5),
        (nn.Conv2d(4, 8, 3, stride=2, dilation=2), (B, 4, 13, 15), 2 * B * 5 * 6 * 8 * 4 * 9),
        (nn.Conv3d(2, 3, 2), (B, 2, 4, 5, 6), 2 * B * 3 * 4 * 5 * 3 * 2 * 8),
        (nn.Conv2d(4, 4, 3, padding=1, groups=4), (4, 6, 6), 2 * 36 * 4 * 9),
        (nn.ConvTranspose1d(4, 6, 3, stride=2, groups=2), (B, 4, 9), 2 * B * 9 * 4 * 3 * 3),
        (nn.ConvTranspose2d(4, 6, 3, stride=2), (B, 4, 5, 7), 2 * B * 35 * 4 * 6 * 9),
        (nn.Bilinear(D, 4, H), None, 2 * B * H * D * 4),
        (nn.LSTM(D, H, 2, bidirectional=True), (T, B, D), 2 * T * B * 4 * H * 2 * (D + H + 3 * H)),
        pytest.param(
            nn.LSTM(D, 4, proj_size=2),
            (T, B, D),
            2 * T * B * (16 * (D + 2) + 2 * 4),
            marks=PROJECTION,
        ),
        (nn.GRU(D, H, batch_first=True), (B, T, D), 2 * T * B * 3 * H * (D + H)),
        (nn.RNN(D, H, nonlinearity="relu"), (T, D), 2 * T * H * (D + H)),
        (nn.GRUCell(D, H), (B, D), 2 * B * 3 * H * (D + H)),
        (nn.LSTMCell(D, H), (B, D), 2 * B * 4 * H * (D + H)),
        (nn.BatchNorm2d(4), (B, 4, 5, 5), 0),
        (nn.Linear(D, H), (0, D), 0),
    ],
    ids=lambda value: str(value)[:40],
)
def test_flops_by_hand(module, shape, flops):
    given = (torch.ones(shape),) if shape else (torch.ones(B, D), torch.ones(B, 4))
    assert counted(module, *given) == flops


def test_attention_by_hand():
    q, k, v = torch.ones(B, 3, 5, 4), torch.ones(B, 3, 6, 4), torch.ones(B, 3, 6, 7)

    class Fused(nn.Module):
        def forward(self, q, k, v):
            return nn.functional.scaled_dot_product_attention(q, k, v)

    assert counted(Fused(), q, k, v) == 2 * B * 3 * 5 * 6 * (4 + 7)
    width, steps = 6, 5
    whole = nn.MultiheadAttention(width, 2, batch_first=True)
    x = torch.ones(B, steps, width)
    assert (
        counted(whole, x, x, x)
        == 2 * B * steps * width * 4 * width + 2 * B * steps * steps * 2 * width
    )


def test_products_by_hand():
    class Products(nn.Module):
        def forward(self, x, w, s):
            y = torch.einsum("btd,dk->btk", x, w)
            y = torch.baddbmm(y, x, s)
            return torch.mv(y[0], torch.ones_like(y[0, 0])) + y[0] @ y[0, 0]

    x, w, s = torch.ones(B, T, D), torch.ones(D, H), torch.ones(B, D, H)
    assert counted(Products(), x, w, s) == 2 * B * T * D * H * 2 + 2 * T * H * 2


def test_parameters_count_once():
    graph = trace(zoo.Reusing(), "3x6")
    rows = {node.label: node for node in graph.nodes}
    assert [rows[name].parameters for name in ("a", "a#1", "a#2", "b", "unused")] == [
        42,
        0,
        0,
        6,
        30,
    ]
    assert [rows[name].shared for name in ("a", "a#1", "a#2", "b")] == [0, 42, 42, 36]
    assert graph.totals.parameters == 42 + 6 + 30
    assert graph.totals.flops == 4 * 2 * 3 * 36
    assert rows["unused"].state == "not run"


@pytest.mark.parametrize("stage", ["static", "meta", "fake", "real"])
def test_a_tied_weight_that_was_not_reached_is_counted_once(stage):
    graph = trace(zoo.Reusing(), torch.randn(2, 5), stage=stage)
    assert stage == "static" or graph.fault
    rows = {node.label: node for node in graph.nodes}
    assert [(rows[k].parameters, rows[k].shared) for k in "ab"] == [(42, 0), (6, 36)]
    assert sum(node.parameters for node in graph.nodes) == graph.totals.parameters == 78


def test_a_tied_head_and_a_vit():
    gpt = zoo.GPT()
    graph = trace(gpt, "2x16:int64")
    width, steps, words = 32, 16, 101
    block = 2 * steps * 2 * (12 * width * width) + 2 * 2 * steps * steps * 2 * width
    assert graph.totals.flops == 2 * block + 2 * 2 * steps * width * words
    assert graph.totals.parameters == sum(p.numel() for p in gpt.parameters())
    vit = zoo.ViT().eval()
    graphs = [trace(vit, torch.zeros(1, 3, 32, 32), stage=stage) for stage in STAGES]
    assert len({graph.totals.flops for graph in graphs}) == 1
    tokens, width = 17, 24
    layer = 2 * tokens * (4 * width * width + 2 * width * 48) + 2 * tokens * tokens * 2 * width
    assert graphs[0].totals.flops == 2 * 16 * width * 3 * 64 + 2 * layer + 2 * width * 7


def bert_by_hand(batch, steps, width, depth, wide, words, longest):
    """Parameters and FLOPs of BERT, as its paper's figure has it."""
    norm = 2 * width
    layer = 4 * (width * width + width) + norm + (2 * width * wide + wide + width) + norm
    parameters = (words + longest + 2) * width + norm + depth * layer + width * width + width
    products = 2 * batch * steps * (4 * width * width + 2 * width * wide)
    scores = 2 * batch * steps * steps * width * 2
    return parameters, depth * (products + scores) + 2 * batch * width * width


@pytest.mark.parametrize("stage", [*STAGES, "auto"])
@pytest.mark.parametrize("mode", ["positional", "keywords", "text", "dict"])
def test_bert(stage, mode):
    torch.manual_seed(0)
    model = zoo.BERT(width=24, depth=2, heads=3, wide=40, words=53, longest=19).eval()
    ids = torch.randint(1, 53, (2, 7))
    types, mask = torch.zeros_like(ids), torch.ones_like(ids)
    named = {"input_ids": ids, "token_type_ids": types, "attention_mask": mask}
    given, keywords = {
        "positional": ((ids, types, mask), {}),
        "keywords": ((ids,), {"attention_mask": mask}),
        "text": (("2x7:int64",), {}),
        "dict": ((named,), {}),
    }[mode]
    graph = trace(model, *given, stage=stage, **keywords)
    assert graph.complete, graph.fault
    assert not graph.guessed
    expected = bert_by_hand(2, 7, 24, 2, 40, 53, 19)
    assert (graph.totals.parameters, graph.totals.flops) == expected
    assert sum(node.parameters for node in graph.nodes) == expected[0]
    outputs = [node.label for node in graph.nodes if node.kind == "output"]
    assert outputs == ["output.last_hidden_state", "output.pooler_output"]


def test_bert_base_has_its_known_size():
    with torch.device("meta"):
        model = zoo.BERT()
    graph = trace(model, "1x512:int64")
    assert graph.totals.parameters == 109_482_240
    assert graph.totals.flops == bert_by_hand(1, 512, 768, 12, 3072, 30522, 512)[1]
    tree = trace(model)
    assert (tree.stage, tree.totals.parameters, tree.totals.flops) == ("static", 109_482_240, 0)
