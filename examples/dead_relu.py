"""A ReLU network that one far too large step kills.

    python examples/dead_relu.py               # in one terminal, a few seconds
    gradtui gradtui-run/dead                   # in another

The learning rate begins far too high, as a scheduler that was set up wrongly has it, and comes down to a usual
one after ten steps: too late. What to look for: the units of the hidden layers give 0 for every image
(`dead`), no gradient passes them, so nothing ever brings them back; the loss stands still. Try `--lr 0.05`.
"""

from __future__ import annotations

import argparse

import torch
from torch import nn
from torch.nn import functional

from gradtui.torch import watch
from gradtui.torch.demo.digits import FULL_INK, load_digits

BATCH, TOO_LONG, USUAL = 64, 10, 0.05


def train(steps: int, folder: str, lr: float = 12.0) -> float:
    """Train for so many steps, watched, the first ten with ``lr``, and return the last loss."""
    torch.manual_seed(4)
    images, labels = load_digits()[0].tensors()
    model = nn.Sequential(
        nn.Flatten(),
        nn.Linear(64, 64),
        nn.ReLU(inplace=True),
        nn.Linear(64, 64),
        nn.ReLU(inplace=True),
        nn.Linear(64, 10),
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    last = float("nan")
    with watch(model, optimizer, folder=folder) as handle:
        for step in range(steps):
            if step == TOO_LONG:
                optimizer.param_groups[0]["lr"] = USUAL
            chosen = torch.randint(0, len(images), (BATCH,))
            loss = functional.cross_entropy(model(images[chosen] / FULL_INK), labels[chosen])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            last = loss.item()
            handle.log(loss=last)
    return last


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--folder", default="gradtui-run/dead")
    parser.add_argument("--lr", type=float, default=12.0, help="of the first ten steps")
    options = parser.parse_args()
    torch.set_num_threads(1)  # tensors are small: a second thread would wait for the first
    print(f"last loss {train(options.steps, options.folder, options.lr):.3f}")
