"""Three convolutions on a 4×4 input, the network of the vnittest data: maps of 4×4, 2×2 and 1×1.

gradtui debug examples/three_convolutions.py:make
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from gradtui.torch import DebugAdapter


class ThreeConvolutions(nn.Module):
    """conv1 keeps 4×4, conv2 makes 2×2 of it, conv3 makes one value of that."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 1, 3, padding=1)
        self.conv2 = nn.Conv2d(1, 1, 3)
        self.conv3 = nn.Conv2d(1, 1, 2)
        torch.manual_seed(4)
        for convolution in (self.conv1, self.conv2, self.conv3):
            nn.init.uniform_(convolution.weight, -1, 1)
            nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """One value for each image."""
        hidden = torch.tanh(self.conv1(image))
        hidden = torch.tanh(self.conv2(hidden))
        result: torch.Tensor = self.conv3(hidden)
        return result


def make() -> DebugAdapter:
    """A cross of ones; toggle its cells between 0 and z, save, and watch the flows."""
    cross = np.zeros((4, 4), dtype=np.float32)
    cross[1, :] = cross[:, 2] = 1
    # Without prepare the 4×4 map gets the batch and the channel that conv1 asks for.
    image = torch.from_numpy(cross)[None, None]
    return DebugAdapter(
        ThreeConvolutions(), inputs=image, folder="gradtui-debug/three_convolutions"
    )


if __name__ == "__main__":
    adapter = make()
    print(f"generation {adapter.run()} is in {adapter.folder.shown}")
