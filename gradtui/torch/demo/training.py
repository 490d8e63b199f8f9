"""The training of `gradtui demo watch`: digits are learned, and twice something goes wrong, to be found on the pane.

Three acts, at a pace that a person can follow. The first is healthy. In the second the learning rate is suddenly
far too high, until the weights are taken back from before it. In the third a blank image comes in each batch: its
standard deviation is 0, what is divided by it is NaN, and with the next step so is every weight.
"""

from __future__ import annotations

import copy
import time
from typing import TYPE_CHECKING, Final

import torch
from torch import nn
from torch.nn import functional

from gradtui.torch.demo.digits import FULL_INK, accuracy, load_digits
from gradtui.torch.lifeline import say
from gradtui.torch.watching.starting import watch

if TYPE_CHECKING:
    from collections.abc import Callable

SEED: Final = 9
BATCH: Final = 64
EPOCH: Final = 100
RATE: Final = 0.05
TOO_HIGH: Final = 3.0
STEPS_A_SECOND: Final = 25.0

GOES_WRONG: Final = 350
TAKEN_BACK: Final = 500
BLANK_FROM: Final = 900
ENDS: Final = 1000


class Standardise(nn.Module):
    """Each image less its mean, over its standard deviation; nobody thought of blank ones."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """``[B, 1, H, W]`` to the same."""
        mean = images.mean((1, 2, 3), keepdim=True)
        return (images - mean) / images.std((1, 2, 3), keepdim=True)


class Block(nn.Sequential):
    """A convolution, its normalisation and a ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm = nn.GroupNorm(4, outputs)
        self.relu = nn.ReLU(inplace=True)


class ReadingNet(nn.Module):
    """Three blocks and two linear layers; scores of ten classes for images ``[B, 1, 8, 8]`` of 0 to 16."""

    def __init__(self) -> None:
        super().__init__()
        self.standardise = Standardise()
        self.blocks = nn.Sequential(Block(1, 8), Block(8, 16), Block(16, 16))
        self.pool = nn.MaxPool2d(2)
        self.hidden = nn.Linear(16 * 4 * 4, 32)
        self.relu = nn.ReLU()
        self.scores = nn.Linear(32, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Class scores, ``[B, 10]``."""
        maps = self.pool(self.blocks(self.standardise(images)))
        scores: torch.Tensor = self.scores(self.relu(self.hidden(maps.flatten(1))))
        return scores


def run(
    folder: str,
    *,
    pace: float = STEPS_A_SECOND,
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Train in three acts, watched into a folder; each act is told on standard error.

    Args:
        folder: the debug folder.
        pace: steps a second at most.
        wait: called with the seconds that are left of each step.

    Raises:
        GradtuiError: the folder cannot be written.
    """
    torch.manual_seed(SEED)
    learned, held_out = load_digits()
    images, labels = learned.tensors()
    model = ReadingNet()
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    before: dict[str, torch.Tensor] = {}
    with watch(model, optimizer, folder=folder, keep=("blocks.0.conv",)) as handle:
        say("a training of digits: all is well")
        for step in range(ENDS):
            due = time.monotonic() + 1 / pace
            if step == GOES_WRONG:
                before = copy.deepcopy(model.state_dict())
                optimizer.param_groups[0]["lr"] = TOO_HIGH
                say(f"step {step}: the learning rate is {TOO_HIGH / RATE:g} times what it was")
            if step == TAKEN_BACK:
                model.load_state_dict(before)
                optimizer.param_groups[0]["lr"] = RATE
                say(
                    f"step {step}: back to the weights of step {GOES_WRONG}, and the old learning rate"
                )
            chosen = torch.randint(0, len(images), (BATCH,))
            batch = images[chosen] / FULL_INK
            if step >= BLANK_FROM:
                batch[0] = 0.0
            if step == BLANK_FROM:
                say(f"step {step}: there is a blank image in the batch")
            loss = functional.cross_entropy(model(batch), labels[chosen])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            handle.log(loss=loss)
            if step % EPOCH == EPOCH - 1:
                model.eval()
                handle.log(held_out=accuracy(model, held_out))
                model.train()
                handle.epoch()
            if (left := due - time.monotonic()) > 0:
                wait(left)
    say("the training ended")
