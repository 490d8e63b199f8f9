"""Handwritten digits: a small convolutional network, trained in seconds, served by the real adapter.

The input map is an image of 8×8 pixels, each the number of inked cells of a 4×4 block: 0 is paper, 16 full ink. So z = 16
inks a pixel wholly. The target map is the ten class scores. What is differentiated is the margin, the
best score less the second best: what speaks for the digit that is read has a positive gradient,
what speaks for its nearest rival a negative one.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from gradtui.torch.adapter import DebugAdapter
from gradtui.torch.guard import generators_kept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

FULL_INK: Final = 16
HELD_OUT: Final = 360
EPOCHS: Final = 12
BATCH: Final = 64
SEED: Final = 1


class DigitNet(nn.Module):
    """Three convolutions and a linear layer; scores of ten classes for images ``[B, 1, 8, 8]`` of 0 to 16."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1)
        self.conv3 = nn.Conv2d(16, 16, 3, padding=1)
        self.scores = nn.Linear(16 * 4 * 4, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Class scores, ``[B, 10]``."""
        hidden = functional.relu(self.conv1(images / FULL_INK))
        hidden = functional.max_pool2d(functional.relu(self.conv2(hidden)), 2)
        hidden = functional.relu(self.conv3(hidden))
        scores: torch.Tensor = self.scores(hidden.flatten(1))
        return scores


@dataclass(frozen=True, slots=True)
class Digits:
    """Images ``[n, 8, 8]`` uint8 from 0 to 16, and labels ``[n]`` uint8."""

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]

    def tensors(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The same for the network: ``[n, 1, 8, 8]`` float32 and ``[n]`` int64."""
        images = torch.from_numpy(self.images.astype(np.float32))[:, None]
        return images, torch.from_numpy(self.labels.astype(np.int64))


def load_digits() -> tuple[Digits, Digits]:
    """The images that are learned from, and those held out (of other writers); see ``SOURCE.md``."""
    with files(__package__).joinpath("digits.npz").open("rb") as file, np.load(file) as data:
        images, labels = data["images"], data["labels"]
    learned = Digits(images[:-HELD_OUT], labels[:-HELD_OUT])
    return learned, Digits(images[-HELD_OUT:], labels[-HELD_OUT:])


def _silent(_: float, __: str) -> None:
    return None


def train(progress: Callable[[float, str], None] = _silent) -> tuple[DigitNet, float]:
    """Train the network; the same weights on every run of one machine.

    Args:
        progress: told the share done and a line for the person, after every tenth of an epoch.

    Returns:
        The network in evaluation mode, and the share of held-out digits that it reads right.
    """
    learned, held_out = load_digits()
    images, labels = learned.tensors()
    with generators_kept(), _one_thread():
        torch.manual_seed(SEED)
        net = DigitNet()
        steps = len(images) // BATCH
        optimizer = torch.optim.AdamW(net.parameters(), weight_decay=0.01)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=0.01, total_steps=EPOCHS * steps
        )
        for epoch in range(EPOCHS):
            order = torch.randperm(len(images))
            for step in range(steps):
                chosen = order[step * BATCH : (step + 1) * BATCH]
                loss = functional.cross_entropy(net(shifted(images[chosen])), labels[chosen])
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
                if step % max(steps // 10, 1) == 0:
                    done = (epoch + step / steps) / EPOCHS
                    progress(
                        done, f"training, epoch {epoch + 1} of {EPOCHS}, loss {loss.item():.3f}"
                    )
    net.eval()
    share = accuracy(net, held_out)
    progress(1.0, f"trained: reads {share:.1%} of {len(held_out.labels)} held-out digits")
    return net, share


@contextmanager
def _one_thread() -> Iterator[None]:
    """Tensors are small: more threads would wait for each other, where others want the processor ten times as long."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def shifted(images: torch.Tensor) -> torch.Tensor:
    """Each image moved by at most one pixel a way, at random: writers place their digits differently."""
    count = len(images)
    padded = functional.pad(images[:, 0], (1, 1, 1, 1))
    down, right = torch.randint(0, 3, (2, count, 1, 1)).unbind()
    cells = torch.arange(images.shape[-1])
    own = torch.arange(count)[:, None, None]
    return padded[own, down + cells[:, None], right + cells][:, None]


def accuracy(net: nn.Module, digits: Digits) -> float:
    """Share of digits whose highest score is their own class's."""
    images, labels = digits.tensors()
    with torch.no_grad():
        return float((net(images).argmax(1) == labels).double().mean())


def margin(scores: torch.Tensor) -> torch.Tensor:
    """The best score less the second best, summed over the batch."""
    best = scores.topk(2, dim=1).values
    return (best[:, 0] - best[:, 1]).sum()


def prepare(array: npt.NDArray[Any]) -> torch.Tensor:
    """A folder's map as the network's input, ``[1, 1, 8, 8]``."""
    return torch.from_numpy(np.array(array, dtype=np.float32)).view(1, 1, 8, 8)


def make(progress: Callable[[float, str], None] = _silent, *, index: int = 0) -> DebugAdapter:
    """The demo's adapter: a trained network and a held-out digit.

    Args:
        progress: as in `train`.
        index: which of the held-out digits.
    """
    net, _ = train(progress)
    _, held_out = load_digits()
    return DebugAdapter(
        net,
        prepare=prepare,
        inputs=held_out.images[index].astype(np.float32),
        loss=margin,
    )
