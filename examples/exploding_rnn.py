"""A recurrent network with too large recurrent weights: its gradient explodes as sequences grow.

    python examples/exploding_rnn.py           # in one terminal, a few seconds
    gradtui gradtui-run/rnn                    # in another

The task is to add up the two or so marked numbers of a sequence. For a hundred steps sequences have eight numbers,
then one more every four steps, as a curriculum has it. What to look for: a gradient that goes back through T
steps is multiplied T times, here by more than one; so |grad| of `rnn` grows tenfold every few dozen steps,
without end, while activations stay within -1 and 1 and the loss jumps once and then stands still. `! EXPL` stands at `rnn`;
`t` shows since when, a straight line on the logarithmic scale. Try `--gain 1`: the loss goes on falling.
"""

from __future__ import annotations

import argparse

import torch
from torch import nn
from torch.nn import functional

from gradtui.torch import watch

SHORT, GROWS_FROM, GROWS_EVERY = 8, 100, 4
HIDDEN, BATCH = 48, 32


class Adder(nn.Module):
    """A plain recurrent network, and a number after the last step."""

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.rnn = nn.RNN(2, HIDDEN, batch_first=True)
        self.head = nn.Linear(HIDDEN, 1)
        nn.init.orthogonal_(self.rnn.get_parameter("weight_hh_l0"), gain=gain)

    def forward(self, sequence: torch.Tensor) -> torch.Tensor:
        """One number for each sequence ``[B, T, 2]``."""
        hidden, _ = self.rnn(sequence)
        answer: torch.Tensor = self.head(hidden[:, -1]).squeeze(-1)
        return answer


def problems(length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Sequences of numbers and marks, and the sums of the marked numbers."""
    numbers = torch.rand(BATCH, length)
    marks = (torch.rand(BATCH, length) < 2 / length).float()
    return torch.stack([numbers, marks], -1), (numbers * marks).sum(1)


def train(steps: int, folder: str, gain: float = 3.0) -> float:
    """Train for so many steps, watched, and return the last loss."""
    torch.manual_seed(3)
    model = Adder(gain)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    last = float("nan")
    with watch(model, optimizer, folder=folder) as handle:
        for step in range(steps):
            length = SHORT + max(0, step - GROWS_FROM) // GROWS_EVERY
            sequence, answer = problems(length)
            loss = functional.mse_loss(model(sequence), answer)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            last = loss.item()
            handle.log(loss=last, length=length)
    return last


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--folder", default="gradtui-run/rnn")
    parser.add_argument(
        "--gain", type=float, default=3.0, help="of the recurrent weights at the start"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)  # tensors are small: a second thread would wait for the first
    print(f"last loss {train(options.steps, options.folder, options.gain):.3f}")
