"""A NaN that half precision makes: scores without a scale overflow, and a softmax turns them into NaN.

    python examples/nan_mixed_precision.py     # in one terminal, some seconds
    gradtui gradtui-run/nan                    # in another

From step 120 on the batches come as raw pixels (0 to 255) in place of 0 to 1, as when a loader loses its
normalisation. The product of queries and keys is then beyond 65504, what float16 can hold: it is infinite, and
the softmax of infinities is NaN. What to look for: the finding names the module where the first value that is
not finite was born (`attend.scores`, forward), the scaler skips every step from there on, the loss is NaN.
Try `--dtype bfloat16`, which has the range of float32.
"""

from __future__ import annotations

import argparse
from typing import Final

import torch
from torch import nn
from torch.nn import functional

from gradtui.torch import watch
from gradtui.torch.demo.digits import FULL_INK, load_digits

BATCH, WIDTH, RAW_FROM = 32, 32, 120
DTYPES: Final = {"float16": torch.float16, "bfloat16": torch.bfloat16}


class Scores(nn.Module):
    """Products of queries and keys, without the usual division by the root of their width."""

    def forward(self, queries: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        """``[B, T, D]`` twice to ``[B, T, T]``."""
        return queries @ keys.transpose(1, 2)


class Attend(nn.Module):
    """Attention over the rows of an image, written by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.queries = nn.Linear(8, WIDTH)
        self.keys = nn.Linear(8, WIDTH)
        self.values = nn.Linear(8, WIDTH)
        self.scores = Scores()
        self.softmax = nn.Softmax(-1)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Rows ``[B, 8, 8]`` to ``[B, 8, WIDTH]``."""
        weights = self.softmax(self.scores(self.queries(rows), self.keys(rows)))
        mixed: torch.Tensor = weights.to(rows.dtype) @ self.values(rows).to(rows.dtype)
        return mixed


class Reader(nn.Module):
    """Attention over rows, then a class."""

    def __init__(self) -> None:
        super().__init__()
        self.attend = Attend()
        self.head = nn.Linear(8 * WIDTH, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Scores of ten classes for images ``[B, 1, 8, 8]``."""
        scores: torch.Tensor = self.head(self.attend(images[:, 0]).flatten(1))
        return scores


def train(steps: int, folder: str, dtype: str = "float16", raw_from: int = RAW_FROM) -> float:
    """Train for so many steps, watched, and return the last loss."""
    torch.manual_seed(5)
    images, labels = load_digits()[0].tensors()
    model = Reader()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, enabled=dtype == "float16")
    last = float("nan")
    with watch(model, optimizer, folder=folder, scaler=scaler) as handle:
        for step in range(steps):
            chosen = torch.randint(0, len(images), (BATCH,))
            pixels = images[chosen] / FULL_INK
            if step >= raw_from:
                pixels = pixels * 255
            with torch.autocast("cpu", dtype=DTYPES[dtype]):
                loss = functional.cross_entropy(model(pixels).float(), labels[chosen])
            optimizer.zero_grad()
            scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            scaler.step(optimizer)
            scaler.update()
            last = loss.item()
            handle.log(loss=last, scale=scaler.get_scale())
    return last


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--folder", default="gradtui-run/nan")
    parser.add_argument("--dtype", choices=DTYPES, default="float16")
    options = parser.parse_args()
    torch.set_num_threads(1)  # tensors are small: a second thread would wait for the first
    print(f"last loss {train(options.steps, options.folder, options.dtype):.3f}")
