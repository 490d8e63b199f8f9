"""A healthy training: a small convolutional network learns handwritten digits.

    python examples/watch_digits.py            # in one terminal, about half a minute
    gradtui gradtui-run/digits                 # in another

What to look for: nothing is flagged. The loss falls, the gradients of all layers stay within one order of
each other, update-to-weight ratios begin near 1e-2 and end near 0 with the learning rate. The first
convolution and its features are kept, so that they can be opened as maps and played:
`gradtui export gradtui-run/digits --gif conv1 conv1.gif`.
"""

from __future__ import annotations

import argparse

import torch
from torch.nn import functional

from gradtui.torch import watch
from gradtui.torch.demo.digits import DigitNet, accuracy, load_digits, shifted

BATCH, EPOCH = 64, 50  # images a step, steps an epoch


def train(steps: int, folder: str) -> float:
    """Train for so many steps, watched, and return the share of held-out digits that it reads."""
    torch.manual_seed(1)
    learned, held_out = load_digits()
    images, labels = learned.tensors()
    model = DigitNet()
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.01, total_steps=steps)
    with watch(model, optimizer, folder=folder, keep=("conv1", "conv1.weight")) as handle:
        for step in range(steps):
            chosen = torch.randint(0, len(images), (BATCH,))
            loss = functional.cross_entropy(model(shifted(images[chosen])), labels[chosen])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            handle.log(loss=loss)
            if (step + 1) % EPOCH == 0:
                model.eval()
                handle.log(held_out=accuracy(model, held_out))
                model.train()
                handle.epoch()
    return accuracy(model.eval(), held_out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--folder", default="gradtui-run/digits")
    options = parser.parse_args()
    torch.set_num_threads(1)  # tensors are small: a second thread would wait for the first
    print(f"reads {train(options.steps, options.folder):.1%} of the held-out digits")
