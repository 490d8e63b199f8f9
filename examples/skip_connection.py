"""A residual block: what reaches `before` without passing `middle` is its bypass, and the readout shows it.

gradtui debug examples/skip_connection.py:make
"""

from __future__ import annotations

import torch
from torch import nn

from gradtui.torch import DebugAdapter


class Residual(nn.Module):
    """``after(before + middle(before))`` on an 8×8 map."""

    def __init__(self) -> None:
        super().__init__()
        self.before = nn.Conv2d(1, 4, 3, padding=1)
        self.middle = nn.Conv2d(4, 4, 3, padding=1)
        self.after = nn.Conv2d(4, 1, 3, padding=1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """A map of the image's size."""
        trunk = torch.relu(self.before(image))
        result: torch.Tensor = self.after(trunk + torch.relu(self.middle(trunk)))
        return result


def make() -> DebugAdapter:
    """Pairs are found by themselves: before → middle has a bypass, before → after has none."""
    torch.manual_seed(7)
    image = torch.zeros(1, 1, 8, 8)
    image[..., 2:6, 2:6] = 1
    return DebugAdapter(Residual(), inputs=image, folder="gradtui-debug/skip_connection")


if __name__ == "__main__":
    adapter = make()
    print(f"generation {adapter.run()} is in {adapter.folder.shown}")
