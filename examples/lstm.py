"""An LSTM over eight steps: how far back in time the last step's score reaches.

gradtui debug examples/lstm.py:make
"""

from __future__ import annotations

import torch
from torch import nn

from gradtui.torch import DebugAdapter

STEPS, FEATURES, HIDDEN = 8, 4, 6


class Reader(nn.Module):
    """Two recurrent layers, and a score for every step."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.LSTM(FEATURES, HIDDEN, batch_first=True)
        self.second = nn.LSTM(HIDDEN, HIDDEN, batch_first=True)
        self.score = nn.Linear(HIDDEN, 1)

    def forward(self, steps: torch.Tensor) -> torch.Tensor:
        """A score for each step."""
        hidden, _ = self.first(steps)
        hidden, _ = self.second(hidden)
        scores: torch.Tensor = self.score(hidden)
        return scores


def last_step(scores: torch.Tensor) -> torch.Tensor:
    """The score after the last step: earlier ones count only through the state they leave."""
    return scores[:, -1].sum()


def make() -> DebugAdapter:
    """Each layer is a map of steps × features; rows are time."""
    torch.manual_seed(5)
    steps = torch.zeros(1, STEPS, FEATURES)
    steps[0, torch.arange(STEPS), torch.arange(STEPS) % FEATURES] = 1
    return DebugAdapter(Reader(), inputs=steps, loss=last_step, folder="gradtui-debug/lstm")


if __name__ == "__main__":
    adapter = make()
    print(f"generation {adapter.run()} is in {adapter.folder.shown}")
