"""Two processes with DistributedDataParallel, watched into one folder.

    python examples/ddp_two_ranks.py           # starts torchrun with two ranks, some seconds
    gradtui gradtui-run/ddp                    # in another terminal

or, as any training is started: `torchrun --nproc-per-node 2 examples/ddp_two_ranks.py`. Both ranks call
`watch` with the same folder, and each writes a part of its own, without talking to the other. What to look for:
the header says two ranks; gradients are the mean that both have after the reduction, activations those of the
whole batch, and can be looked at rank by rank. Nothing is flagged.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

import torch
from torch import distributed
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from gradtui.torch import watch
from gradtui.torch.demo.digits import DigitNet, load_digits

BATCH = 32  # images of each rank a step


def train(steps: int, folder: str) -> float:
    """Train this rank's share for so many steps, watched, and return its last loss."""
    torch.manual_seed(7)
    torch.set_num_threads(1)
    images, labels = load_digits()[0].tensors()
    model = DistributedDataParallel(DigitNet())
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    own = torch.Generator().manual_seed(distributed.get_rank())
    last = float("nan")
    with watch(model, optimizer, folder=folder) as handle:
        for _ in range(steps):
            chosen = torch.randint(0, len(images), (BATCH,), generator=own)
            loss = functional.cross_entropy(model(images[chosen]), labels[chosen])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            last = loss.item()
            handle.log(loss=last)
    return last


def start(arguments: list[str]) -> int:
    """Start this script again, as two ranks."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", __file__, *arguments]
    # One thread each, which torchrun else says that it chooses.
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    return subprocess.run(command, check=False, env=environment).returncode


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--folder", default="gradtui-run/ddp")
    options = parser.parse_args()
    if "RANK" not in os.environ:
        sys.exit(start(sys.argv[1:]))
    distributed.init_process_group("gloo")
    answer = train(options.steps, options.folder)
    print(f"rank {distributed.get_rank()}: last loss {answer:.3f}")
    distributed.destroy_process_group()
