"""A transformer block on a sequence of six tokens: which token's features feed which, through attention.

gradtui debug examples/attention.py:make
"""

from __future__ import annotations

import torch
from torch import nn

TOKENS, FEATURES, HEADS = 6, 8, 2


class Block(nn.Module):
    """Self-attention and a feed-forward part, each beside a residual connection."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(FEATURES, FEATURES)
        self.norm1 = nn.LayerNorm(FEATURES)
        self.attention = nn.MultiheadAttention(FEATURES, HEADS, batch_first=True)
        self.norm2 = nn.LayerNorm(FEATURES)
        self.widen = nn.Linear(FEATURES, 4 * FEATURES)
        self.narrow = nn.Linear(4 * FEATURES, FEATURES)
        self.head = nn.Linear(FEATURES, 4)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Four scores for each token."""
        hidden = self.embed(tokens)
        normed = self.norm1(hidden)
        hidden = hidden + self.attention(normed, normed, normed, need_weights=False)[0]
        hidden = hidden + self.narrow(nn.functional.gelu(self.widen(self.norm2(hidden))))
        scores: torch.Tensor = self.head(hidden)
        return scores


def make() -> tuple[nn.Module, torch.Tensor]:
    """A model and its inputs are enough: ``[1, tokens, features]`` is edited as a 6×8 map."""
    torch.manual_seed(2)
    return Block().eval(), torch.randn(1, TOKENS, FEATURES).round(decimals=2)


if __name__ == "__main__":
    from gradtui.torch import DebugAdapter

    model, tokens = make()
    adapter = DebugAdapter(model, inputs=tokens, folder="gradtui-debug/attention")
    print(f"generation {adapter.run()} is in {adapter.folder.shown}")
