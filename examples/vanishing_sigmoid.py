"""A deep sigmoid network: its gradient vanishes on the way back.

    python examples/vanishing_sigmoid.py       # in one terminal, a few seconds
    gradtui gradtui-run/sigmoid                # in another

What to look for: each sigmoid passes on at most a quarter of the gradient, so |grad| falls by about an
order a layer; `v VAN` stands at the first layers, and the loss stays where guessing has it (2.3). The detail
of the finding names the bound. Try `--activation relu`: the same network learns.
"""

from __future__ import annotations

import argparse
from typing import Final

import torch
from torch import nn
from torch.nn import functional

from gradtui.torch import watch
from gradtui.torch.demo.digits import FULL_INK, load_digits

DEPTH, WIDTH, BATCH = 10, 48, 64
ACTIVATIONS: Final[dict[str, type[nn.Module]]] = {"sigmoid": nn.Sigmoid, "relu": nn.ReLU}


def deep(activation: str) -> nn.Sequential:
    """Ten hidden layers and a linear one, for 64 pixels and 10 classes."""
    layers: list[nn.Module] = [nn.Flatten()]
    for depth in range(DEPTH):
        linear = nn.Linear(64 if depth == 0 else WIDTH, WIDTH)
        if activation == "relu":
            nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
        layers += [linear, ACTIVATIONS[activation]()]
    return nn.Sequential(*layers, nn.Linear(WIDTH, 10))


def train(steps: int, folder: str, activation: str = "sigmoid") -> float:
    """Train for so many steps, watched, and return the last loss."""
    torch.manual_seed(2)
    images, labels = load_digits()[0].tensors()
    model = deep(activation)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    last = float("nan")
    with watch(model, optimizer, folder=folder) as handle:
        for _ in range(steps):
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
    parser.add_argument("--folder", default="gradtui-run/sigmoid")
    parser.add_argument("--activation", choices=ACTIVATIONS, default="sigmoid")
    options = parser.parse_args()
    torch.set_num_threads(1)  # tensors are small: a second thread would wait for the first
    print(f"last loss {train(options.steps, options.folder, options.activation):.3f}")
