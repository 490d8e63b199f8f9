"""Short real trainings beside the watcher: networks, data that need no files, and the run that was recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from gradtui.store.run.whole import read_run
from gradtui.torch import watch
from gradtui.torch.demo.digits import load_digits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gradtui.core.run.run import Run

Batch = tuple[torch.Tensor, torch.Tensor]


def digits(
    count: int, *, flat: bool = True, among: int = 0, rows: bool = False
) -> Callable[[int], Batch]:
    """Batches of handwritten digits; ``among``: of so many of them alone; ``rows``: as sequences of rows."""
    images, labels = load_digits()[0].tensors()
    images = images.reshape(len(images), 1, 8, 8).float()
    dice = torch.Generator().manual_seed(0)
    most = among or len(images)

    def batch(_step: int) -> Batch:
        chosen = torch.randint(0, most, (count,), generator=dice)
        found = images[chosen]
        if rows:
            found = found[:, 0]
        return (found.flatten(1) if flat and not rows else found), labels[chosen]

    return batch


def words(count: int, length: int = 32) -> Callable[[int], Batch]:
    """Sequences of a language with 64 tokens in which each depends on the two before it."""
    dice = torch.Generator().manual_seed(0)
    table = torch.randint(0, 64, (64, 4), generator=dice)

    def batch(_step: int) -> Batch:
        tokens = torch.zeros(count, length + 1, dtype=torch.long)
        tokens[:, 0] = torch.randint(0, 64, (count,), generator=dice)
        for t in range(1, length + 1):
            choice = (tokens[:, max(t - 2, 0)] + torch.randint(0, 2, (count,), generator=dice)) % 4
            tokens[:, t] = table[tokens[:, t - 1], choice]
        return tokens[:, :-1], tokens[:, 1:]

    return batch


def cross_entropy(model: nn.Module, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    scores = model(inputs)
    return functional.cross_entropy(scores.flatten(0, -2).float(), targets.flatten())


def mlp(layers: int, activation: Callable[[], nn.Module], width: int = 64) -> nn.Sequential:
    parts: list[nn.Module] = []
    for _ in range(layers):
        parts += [nn.Linear(64 if not parts else width, width), activation()]
    return nn.Sequential(*parts, nn.Linear(width, 10))


def convolutions() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3), nn.ReLU(), nn.Conv2d(16, 32, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(512, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip


class Residual(nn.Module):
    """Two convolutions beside a skip connection, in place as torchvision has them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = self.norm2(self.conv2(self.relu(self.norm1(self.conv1(x)))))
        inner += x
        out: torch.Tensor = self.relu(inner)
        return out


def resnet() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True),
        Residual(16), Residual(16), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10),
    )  # fmt: skip


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        def split(part: nn.Module) -> torch.Tensor:
            found: torch.Tensor = part(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            return found

        q, k, v = split(self.query), split(self.key), split(self.value)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        out: torch.Tensor = self.out(mixed.transpose(1, 2).flatten(-2))
        return out


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width), Attention(width, 4)
        self.norm2, self.up, self.gelu = nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU()
        self.down = nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.norm1(x))
        out: torch.Tensor = x + self.down(self.gelu(self.up(self.norm2(x))))
        return out


class Gpt(nn.Module):
    """A small transformer with the usual small initial weights and tied embeddings."""

    def __init__(self, width: int = 64, layers: int = 3) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(64, width), nn.Embedding(32, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 64, bias=False)
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, std=0.02)
        self.head.weight = self.tokens.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.tokens(tokens) + self.places(torch.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        out: torch.Tensor = self.head(self.norm(x))
        return out


class Reader(nn.Module):
    """An LSTM over tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.lstm = nn.Embedding(64, 32), nn.LSTM(32, 64, 2, batch_first=True)
        self.head = nn.Linear(64, 64)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(self.lstm(self.tokens(tokens))[0])
        return out


def train(
    folder: Path,
    model: nn.Module,
    batch: Callable[[int], Batch],
    loss_of: Callable[..., torch.Tensor] = cross_entropy,
    *,
    steps: int = 150,
    lr: float = 1e-3,
    sgd: bool = False,
    clip: float = 0.0,
    schedule: Callable[[int], float] | None = None,
    accumulate: int = 1,
    **options: Any,
) -> Run:
    """Train beside the watcher, and return what it recorded."""
    kind = torch.optim.SGD if sgd else torch.optim.Adam
    optimizer = kind(model.parameters(), lr=lr)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule or (lambda _: 1.0))
    with watch(model, optimizer, folder=folder, **options) as handle:
        for step in range(steps):
            optimizer.zero_grad()
            total = 0.0
            for _ in range(accumulate):
                loss = loss_of(model, *batch(step)) / accumulate
                loss.backward()
                total += float(loss.detach())
            if clip:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
            scheduler.step()
            handle.log(loss=total)
        assert not handle.problems
    return read_run(folder).run
