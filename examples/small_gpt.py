"""A small GPT on characters, with accumulation, clipping and warm-up: healthy, and it shows how each looks.

    python examples/small_gpt.py               # in one terminal, under a minute
    gradtui gradtui-run/gpt                    # in another

The text is made by a little grammar below. What to look for: a step of the pane is one `optimizer.step()`, not
one of its four micro-batches, whose calls stand apart (`#1`, `#2`, ...). Under warm-up the learning rate rises and
update-to-weight ratios with it; most of the first hundred steps are clipped, so that the gradient before
clipping stands above the one after it, and fewer of the later ones. Nothing is flagged.
"""

from __future__ import annotations

import argparse
import math
import random

import torch
from torch import nn
from torch.nn import functional

from gradtui.torch import watch

CONTEXT, WIDTH, HEADS, LAYERS = 48, 48, 4, 2
BATCH, MICRO_BATCHES, WARM_UP, CLIP = 8, 4, 40, 1.0


def make_text(sentences: int = 2000) -> str:
    """Sentences such as ``the small layer follows a loud gradient.``, always the same ones."""
    draw = random.Random(0)
    nouns = ["layer", "gradient", "weight", "kernel", "token", "channel", "batch", "loss"]
    words = ["small", "loud", "quiet", "dead", "sharp", "flat"]
    verbs = ["follows", "feeds", "scales", "forgets", "clips", "finds"]

    def part() -> str:
        word = [draw.choice(words)] if draw.random() < 0.6 else []
        return " ".join([draw.choice(["the", "a"]), *word, draw.choice(nouns)])

    return " ".join(f"{part()} {draw.choice(verbs)} {part()}." for _ in range(sentences))


class Block(nn.Module):
    """Attention to what came before, and two linear layers, each beside a skip connection."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(WIDTH)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.proj = nn.Linear(WIDTH, WIDTH)
        self.norm2 = nn.LayerNorm(WIDTH)
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH)
        )

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """``[B, T, D]`` to the same."""
        batch, length, _ = hidden.shape
        heads = self.qkv(self.norm1(hidden)).view(batch, length, 3, HEADS, -1).transpose(1, 3)
        query, key, value = heads.unbind(2)
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        hidden = hidden + self.proj(mixed.transpose(1, 2).flatten(2))
        after: torch.Tensor = hidden + self.mlp(self.norm2(hidden))
        return after


class SmallGPT(nn.Module):
    """Characters to scores of the next one; the table of characters is read and written (tied)."""

    def __init__(self, characters: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(characters, WIDTH)
        self.places = nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.Sequential(*(Block() for _ in range(LAYERS)))
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, characters, bias=False)
        self.head.weight = self.tokens.weight
        for parameter in self.parameters():
            if parameter.ndim > 1:
                nn.init.normal_(parameter, std=0.05)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """``[B, T]`` to ``[B, T, characters]``."""
        hidden = self.tokens(ids) + self.places(torch.arange(ids.shape[1]))
        scores: torch.Tensor = self.head(self.norm(self.blocks(hidden)))
        return scores


def rate(step: int, steps: int) -> float:
    """Share of the learning rate: up over the warm-up, then down along a cosine to a tenth."""
    if step < WARM_UP:
        return (step + 1) / WARM_UP
    done = (step - WARM_UP) / max(steps - WARM_UP, 1)
    return 0.55 + 0.45 * math.cos(math.pi * done)


def train(steps: int, folder: str) -> float:
    """Train for so many optimizer steps, watched, and return the last loss."""
    torch.manual_seed(6)
    text = make_text()
    alphabet = sorted(set(text))
    data = torch.tensor([alphabet.index(character) for character in text])
    model = SmallGPT(len(alphabet))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step, steps))
    total = float("nan")
    with watch(model, optimizer, folder=folder, keep=("blocks.0.proj",)) as handle:
        for _ in range(steps):
            total = 0.0
            optimizer.zero_grad()
            for _ in range(MICRO_BATCHES):
                starts = torch.randint(0, len(data) - CONTEXT - 1, (BATCH, 1))
                ids = data[starts + torch.arange(CONTEXT + 1)]
                scores = model(ids[:, :-1])
                loss = functional.cross_entropy(scores.flatten(0, 1), ids[:, 1:].flatten())
                (loss / MICRO_BATCHES).backward()  # type: ignore[no-untyped-call]
                total += loss.item() / MICRO_BATCHES
            nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            optimizer.step()
            schedule.step()
            handle.log(loss=total)
    return total


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--folder", default="gradtui-run/gpt")
    options = parser.parse_args()
    torch.set_num_threads(1)  # tensors are small: a second thread would wait for the first
    print(f"last loss {train(options.steps, options.folder):.3f}")
