# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""What watching costs: CPU time of all threads of a watched step against a bare one, in one process on one thread.

Bare and watched rounds alternate, so that what else the machine does meets both. A round is ``log_freq`` steps, one of
them logged in full, and what the writer does with them; the ratio is of medians of rounds. That of the median step
tells what most steps cost.
"""

import statistics
import time

import psutil
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gradtui.torch import watch

pytestmark = pytest.mark.benchmark
TURNS = 4


class Block(nn.Module):
    def __init__(self, given, made, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(given, made, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(made)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(made, made, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(made)
        self.downsample = None
        if stride != 1 or given != made:
            conv = nn.Conv2d(given, made, 1, stride, bias=False)
            self.downsample = nn.Sequential(conv, nn.BatchNorm2d(made))

    def forward(self, x):
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


class ResNet18(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        given, layers = 64, []
        for number, made in enumerate((64, 128, 256, 512)):
            layers.append(nn.Sequential(Block(given, made, 1 + (number > 0)), Block(made, made, 1)))
            given = made
        self.layers = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(512, 10)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return self.fc(self.avgpool(self.layers(x)).flatten(1))


class GptBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.drop = nn.Dropout(0.1)

    def forward(self, x):
        size, length, width = x.shape
        split = self.qkv(self.ln1(x)).view(size, length, 3, self.heads, width // self.heads)
        q, k, v = split.permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.drop(self.proj(y.transpose(1, 2).reshape(size, length, width)))
        return x + self.drop(self.mlp(self.ln2(x)))


class Gpt(nn.Module):
    def __init__(self, words=256, width=384, layers=4, length=64):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(words, width), nn.Embedding(length, width)
        self.blocks = nn.ModuleList(GptBlock(width, 6) for _ in range(layers))
        self.ln = nn.LayerNorm(width)
        self.head = nn.Linear(width, words, bias=False)

    def forward(self, tokens):
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(self.ln(x))


def tiny_cnn():
    parts = []
    for given, made in ((3, 16), (16, 32), (32, 64)):
        parts += [nn.Conv2d(given, made, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*parts, nn.Flatten(), nn.Linear(64 * 16, 10))


def training(name):
    """A model, its optimizer and one step."""
    torch.manual_seed(0)
    if name == "gpt":
        model, x = Gpt(), torch.randint(0, 256, (4, 64))
        y = torch.randint(0, 256, (4 * 64,))
        optimizer = torch.optim.AdamW(model.parameters(), 1e-4)
    elif name == "resnet":
        model, x, y = ResNet18(), torch.randn(8, 3, 64, 64), torch.randint(0, 10, (8,))
        optimizer = torch.optim.SGD(model.parameters(), 1e-2, momentum=0.9)
    elif name == "cnn":
        model, x, y = tiny_cnn(), torch.randn(32, 3, 32, 32), torch.randint(0, 10, (32,))
        optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    else:
        model, x, y = nn.Linear(4, 4), torch.randn(2, 4), torch.randint(0, 4, (2,))
        optimizer = torch.optim.SGD(model.parameters(), 1e-3)

    def step():
        optimizer.zero_grad()
        F.cross_entropy(model(x).flatten(0, -2), y).backward()
        optimizer.step()

    return model, optimizer, step


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize(
    ("name", "log_freq", "bound", "rounds"),
    [
        ("resnet", 10, 1.05, 12),
        ("gpt", 10, 1.05, 12),
        ("cnn", 10, 1.10, 60),
        ("resnet", 1, 1.25, 40),
        ("gpt", 1, 1.25, 40),
    ],
)
def test_step_time(tmp_path, name, log_freq, bound, rounds):
    """Two models of one kind take turns in being the watched one: no two lie in memory alike."""
    trainings = [training(name), training(name)]
    steps, times = ([], []), ([], [])
    for turn in range(TURNS):
        (_, _, bare), (model, optimizer, watched) = trainings if turn % 2 else trainings[::-1]
        handle = watch(model, optimizer, folder=tmp_path / str(turn), log_freq=log_freq)
        for _ in range(3):
            bare()
            watched()
        for _ in range(rounds // TURNS):
            for kind, step in enumerate((bare, watched)):
                started = before = time.process_time()
                for _ in range(log_freq):
                    step()
                    now = time.process_time()
                    steps[kind].append(now - before)
                    before = now
                if step is watched:
                    handle.flush()
                times[kind].append(time.process_time() - started)
        handle.close()
        assert not handle.problems
    usual, seen = (statistics.median(found) / log_freq * 1e3 for found in times)
    middle = statistics.median(steps[1]) / statistics.median(steps[0])
    print(
        f"\n{name}, log_freq={log_freq}: bare {usual:.2f} ms, watched {seen:.2f} ms a step: "
        f"ratio {seen / usual:.3f}, of the median step {middle:.3f} (bound {bound})"
    )


def test_memory(tmp_path):
    process = psutil.Process()
    model, optimizer, step = training("resnet")
    for _ in range(12):
        step()
    before = process.memory_info().rss
    with watch(model, optimizer, folder=tmp_path) as handle:
        for _ in range(25):
            step()
        handle.flush()
        print(f"\nmemory over bare: {(process.memory_info().rss - before) / 1e6:.1f} MB (bound 30)")


def test_a_long_run_does_not_slow_down(tmp_path):
    """100,000 logged steps of a tiny model; a bare one beside it tells what the machine did meanwhile."""
    _, _, bare = training("line")
    model, optimizer, step = training("line")
    handle = watch(model, optimizer, folder=tmp_path, log_freq=1)
    for _ in range(500):
        step()
        bare()
    ratios = []
    for _ in range(100):
        watched, usual = [], []
        for _ in range(1000):
            started = time.thread_time()
            step()
            between = time.thread_time()
            bare()
            watched.append(between - started)
            usual.append(time.thread_time() - between)
        ratios.append(statistics.median(watched) / statistics.median(usual))
    handle.close()
    assert not handle.problems
    first, last = statistics.median(ratios[:10]), statistics.median(ratios[-10:])
    print(
        f"\n100,000 logged steps: {first:.2f} of a bare step at first, {last:.2f} at last: "
        f"ratio {last / first:.3f} (bound 1.02)"
    )
