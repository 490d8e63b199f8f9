"""Figures of tracing and of a very large architecture on the screen."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from statistics import median

import pytest
import torch
from kit import zoo
from kit.pty_driver import Terminal
from kit.running import argv, shows

from gradtui.core.architecture.graph import GraphNode, ModuleGraph
from gradtui.folder.graph_file import write_graph
from gradtui.folder.location import DebugFolder
from gradtui.torch.tracing.trace import trace

pytestmark = pytest.mark.benchmark


def seconds_of(work, times):
    taken = []
    for _ in range(times):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return median(taken)


def test_against_torchinfo(capsys):
    torchinfo = pytest.importorskip("torchinfo", reason="torchinfo is what it is measured against")
    trace(zoo.SmallCNN(), "1x3x8x8")
    resnet = zoo.ResNet18().eval()
    ours = seconds_of(lambda: trace(resnet, "1x3x224x224", stage="meta"), 7)
    theirs = seconds_of(
        lambda: torchinfo.summary(resnet, input_size=(1, 3, 224, 224), verbose=0), 7
    )
    gpt = zoo.GPT(blocks=12, width=768, heads=12, words=50257, longest=1024).eval()
    ids = torch.zeros(1, 1024, dtype=torch.int64)
    ours_gpt = seconds_of(lambda: trace(gpt, ids, stage="meta"), 3)
    theirs_gpt = seconds_of(lambda: torchinfo.summary(gpt, input_data=ids, verbose=0), 1)
    with capsys.disabled():
        print(
            f"\nResNet-18: {ours:.3f} s, torchinfo {theirs:.3f} s, ratio {ours / theirs:.2f} (<= 0.5)"
        )
        print(
            f"GPT-2 small: {ours_gpt:.3f} s, torchinfo {theirs_gpt:.2f} s, ratio {ours_gpt / theirs_gpt:.3f} (<= 0.1)"
        )


LLAMA = """
    import sys, time
    sys.path.insert(0, "tests")
    import torch
    from torch import nn
    from torch.nn import functional as F
    from gradtui.torch.tracing.trace import trace

    class Norm(nn.Module):
        def __init__(self, d):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(d))
        def forward(self, x):
            return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5))

    class Layer(nn.Module):
        def __init__(self, d, heads, groups, wide):
            super().__init__()
            self.heads, self.groups, self.size = heads, groups, d // heads
            self.before, self.after = Norm(d), Norm(d)
            linear = lambda a, b: nn.Linear(a, b, bias=False)
            self.q, self.o = linear(d, d), linear(d, d)
            self.k, self.v = linear(d, groups * self.size), linear(d, groups * self.size)
            self.gate, self.up, self.down = linear(d, wide), linear(d, wide), linear(wide, d)
        def forward(self, x, cos, sin):
            b, t, d = x.shape
            n = self.before(x)
            q = self.q(n).view(b, t, self.heads, self.size).transpose(1, 2)
            k = self.k(n).view(b, t, self.groups, self.size).transpose(1, 2)
            v = self.v(n).view(b, t, self.groups, self.size).transpose(1, 2)
            def turned(y):
                left, right = y.chunk(2, -1)
                return torch.cat((-right, left), -1)
            q, k = q * cos + turned(q) * sin, k * cos + turned(k) * sin
            k, v = (y.repeat_interleave(self.heads // self.groups, 1) for y in (k, v))
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.o(y.transpose(1, 2).reshape(b, t, d))
            n = self.after(x)
            return x + self.down(F.silu(self.gate(n)) * self.up(n))

    class Llama(nn.Module):
        def __init__(self, depth=80, d=8192, heads=64, groups=8, wide=28672, words=128256):
            super().__init__()
            self.size = d // heads
            self.words = nn.Embedding(words, d)
            self.layers = nn.ModuleList(Layer(d, heads, groups, wide) for _ in range(depth))
            self.norm, self.head = Norm(d), nn.Linear(d, words, bias=False)
        def forward(self, ids):
            x = self.words(ids)
            places = torch.arange(ids.shape[1], device=ids.device)[:, None]
            angles = places * torch.ones(1, self.size, device=ids.device)
            for layer in self.layers:
                x = layer(x, angles.cos(), angles.sin())
            return self.head(self.norm(x))

    start = time.process_time()
    with torch.device("meta"):
        model = Llama()
    graph = trace(model, "1x2048:int64")
    taken = time.process_time() - start
    assert graph.complete and graph.totals.parameters == sum(p.numel() for p in model.parameters())
    # Not ru_maxrss, which a child has from the process that started it.
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    peak = int(status["VmHWM"].split()[0]) / 1024
    print(f"Llama-70B-like: {graph.totals.parameters / 1e9:.1f} G parameters, {len(graph.nodes)} nodes, "
          f"{taken:.2f} s (<= 2), {peak:.0f} MB (<= 450)")
"""


def test_a_model_of_70_billion_parameters(capsys):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(LLAMA)],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    with capsys.disabled():
        print("\n" + done.stdout.strip())


def experts(calls):
    """Blocks of a router and many experts, of several sizes: not all of them fold away."""
    nodes = [GraphNode(0, "input", "", "x"), GraphNode(1, "module", "", "Model", leaf=False)]
    edges = []
    before = 0
    while len(nodes) < calls:
        block = len(nodes)
        nodes.append(GraphNode(block, "module", f"blocks.{block}", "Block", parent=1, leaf=False))
        for k in range(500):
            nodes.append(
                GraphNode(
                    len(nodes), "module", f"blocks.{block}.experts.{k}", "Linear", parent=block,
                    parameters=64 + k, flops=128 + k, shapes=((4, 16),), dtype="float32", bytes=256,
                )
            )  # fmt: skip
            edges.append((before, len(nodes) - 1))
        nodes.append(GraphNode(len(nodes), "operation", f"blocks.{block}", "add", parent=block))
        edges += [(block + 1 + k, len(nodes) - 1) for k in range(500)]
        before = len(nodes) - 1
    edges.sort(key=lambda edge: (edge[1], edge[0]))
    return ModuleGraph("Model", tuple(nodes), tuple(edges), "meta")


def unlike(calls):
    """Layers that differ, with skips: every one of them has a row of its own."""
    nodes = [GraphNode(0, "input", "", "x"), GraphNode(1, "module", "", "Model", leaf=False)]
    edges = set()
    for k in range(calls - 2):
        number = len(nodes)
        nodes.append(
            GraphNode(
                number, "module", f"layers.{k}", "Linear", parent=1, parameters=64 + k * 37 % 1009,
                flops=128 + k, shapes=((4, 16),), dtype="float32", bytes=256,
            )
        )  # fmt: skip
        edges.add((number - 1 if k else 0, number))
        if k % 7 == 0 and k > 20:
            edges.add((number - 2 - k % 17, number))
    ordered = sorted(edges, key=lambda edge: (edge[1], edge[0]))
    return ModuleGraph("Model", tuple(nodes), tuple(ordered), "meta")


KEYS = (
    "j",
    "J",
    "j",
    "k",
    "G",
    "g",
    "j",
    " ",
    "j",
    " ",
    "j",
    ",",
    ".",
    "s",
    "s",
    "m",
    "*",
    "*",
    "d",
    "d",
    "e",
    "y",
)


@pytest.mark.parametrize(("make", "first"), [(experts, "blocks"), (unlike, "layers")])
def test_50_000_calls_on_the_screen(tmp_path, capsys, make, first):
    folder = DebugFolder.at(tmp_path / "run")
    folder.root.mkdir()
    write_graph(folder, make(50_000))
    start = time.monotonic()
    with Terminal(argv(tmp_path / "run"), 120, 40) as terminal:
        terminal.wait_for(shows("Architecture", first), timeout=60)
        shown = time.monotonic() - start
        keys: dict[str, list[int]] = {}
        for key in KEYS:
            terminal.settle(0.2)
            keys.setdefault(key, []).append(round(terminal.cost(key).seconds * 1000))
        for name in ("9", "relu"):
            terminal.cost(f"/{name}")
            terminal.settle(0.2)
            keys[f"/{name}"] = [round(terminal.cost("\r").seconds * 1000)]
        terminal.send("q")
    with capsys.disabled():
        print(f"\n50,000 calls, {make.__name__}, on the screen: {shown:.2f} s (<= 2)")
        print("keys (ms; 0 where nothing changes):", keys)
