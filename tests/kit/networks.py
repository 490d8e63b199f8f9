# mypy: allow-untyped-defs, allow-untyped-calls, no-check-untyped-defs
"""Networks that are put together in ways that wrapping tools stumble over."""

from __future__ import annotations

import torch
from torch import nn


class Strange(nn.Module):
    """Lists, an indexed sequence, tied weights, a child under two names and one called by keyword."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 8)
        self.blocks = nn.ModuleList([nn.Linear(8, 8) for _ in range(3)])
        self.trunk = nn.Sequential(nn.Linear(8, 8), nn.ReLU(inplace=True), nn.Linear(8, 8))
        self.by_word = ByWord()
        self.twin = self.blocks[1]
        self.head = nn.Linear(8, 11, bias=False)
        self.head.weight = self.embed.weight
        self.scale = nn.Parameter(torch.ones(1))
        self.frozen = nn.Parameter(torch.ones(3), requires_grad=False)
        self.dropout = nn.Dropout(0.5)
        self.norm = nn.BatchNorm1d(8)

    def forward(self, ids):
        hidden = self.embed(ids) * self.scale
        for block in self.blocks:
            hidden = hidden + block(hidden)
        hidden = self.trunk[0](hidden)
        hidden = self.trunk[2](self.trunk[1](hidden))
        hidden = self.twin(self.by_word(value=hidden))
        return self.head(self.dropout(self.norm(hidden)))


class ByWord(nn.Module):
    """Takes its argument by keyword alone, and gives a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(8, 8)

    def forward(self, *, value):
        return self.inner(value)
