"""Trainings of several ranks, each watched into a folder of its own: what torchrun starts in tests.

    python -m torch.distributed.run --standalone --nproc-per-node=2 rank_training.py ROOT PART...

The same functions train in one process, with the whole batch, for what the ranks together must agree with.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import distributed, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from gradtui.torch import watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gradtui.torch.watching.handle import WatchHandle

STEPS = 7
BATCH = 12
LOG_FREQ = 3
ALL = 1 << 14
"""More than any tensor here has: a histogram is then of all values."""


class Net(nn.Module):
    """Odd sizes, so that shards are uneven and one rank has none of a bias; a module that runs twice."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(7, 9), nn.ReLU(), nn.Linear(9, 9))
        self.twice = nn.Linear(9, 9, bias=False)
        self.norm = nn.LayerNorm(9)
        self.out = nn.Linear(9, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """One number for each row."""
        x = self.inner(x)
        return self.out(self.norm(self.twice(torch.tanh(self.twice(x)))))  # type: ignore[no-any-return]


def net() -> Net:
    """The same on every rank."""
    torch.manual_seed(11)
    return Net()


def batches(steps: int = STEPS) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """The whole batches."""
    generator = torch.Generator().manual_seed(2)
    for _ in range(steps):
        yield (
            torch.randn(BATCH, 7, generator=generator),
            torch.randn(BATCH, 1, generator=generator),
        )


def part(whole: torch.Tensor, rank: int, world: int) -> torch.Tensor:
    """A rank's rows of a batch."""
    return whole.chunk(world)[rank]


def train(
    model: nn.Module,
    folder: str,
    *,
    rank: int = 0,
    world: int = 1,
    steps: int = STEPS,
    before: Callable[[int, WatchHandle], None] = lambda step, handle: None,
    changed: Callable[[int], None] = lambda step: None,
    clip: float = 0.0,
    watched: nn.Module | None = None,
    log_freq: int = LOG_FREQ,
) -> list[float]:
    """Train and watch.

    Args:
        model: any.
        folder: of the run.
        rank: whose rows of the batch.
        world: of so many ranks.
        steps: so many.
        before: called before each step.
        changed: called between the backward pass and the optimizer's step.
        clip: the norm to clip to; 0 for none.
        watched: what is watched; None: the model.
        log_freq: of `watch`.
    """
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    losses = []
    options = {"folder": folder, "log_freq": log_freq, "sample_n": ALL, "exact_updates": True}
    with watch(watched or model, optimizer, **options) as handle:  # type: ignore[arg-type]
        for step, (inputs, targets) in enumerate(batches(steps)):
            before(step, handle)
            wanted = part(targets, rank, world)
            loss = (model(part(inputs, rank, world)) - wanted).square().mean()
            optimizer.zero_grad()
            loss.backward()
            changed(step)
            if clip:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
            losses.append(loss.item())
            handle.log(loss=losses[-1])
    assert handle.problems == [], handle.problems
    return losses


def sharded(mesh: DeviceMesh | None = None) -> nn.Module:
    """A model whose layers are sharded one by one, over all ranks or over a mesh of them."""
    model = net()
    for module in (model.inner, model.twice, model.out):
        fully_shard(module, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return model


# ---- the parts that torchrun runs


def ddp(root: str, rank: int, world: int) -> None:
    """Data-parallel, and the same without a watcher: the losses are equal bit for bit."""
    watched = train(DistributedDataParallel(net()), f"{root}/ddp", rank=rank, world=world)
    model = DistributedDataParallel(net())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    bare = []
    for inputs, targets in batches():
        loss = (model(part(inputs, rank, world)) - part(targets, rank, world)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        bare.append(loss.item())
    Path(f"{root}/losses-{rank}.json").write_text(json.dumps([watched, bare]))


def clipped(root: str, rank: int, world: int) -> None:
    """Data-parallel with a bound that is reached now and then."""
    train(DistributedDataParallel(net()), f"{root}/clipped", rank=rank, world=world, clip=1.0)


def accumulated(root: str, rank: int, world: int) -> None:
    """Data-parallel, each step from two backward passes, of which the second alone is reduced."""
    model = DistributedDataParallel(net())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with watch(model, optimizer, folder=f"{root}/accumulated", sample_n=ALL) as handle:
        for inputs, targets in batches():
            optimizer.zero_grad()
            rows = part(inputs, rank, world).chunk(2), part(targets, rank, world).chunk(2)
            with model.no_sync():
                ((model(rows[0][0]) - rows[1][0]).square().mean() / 2).backward()
            ((model(rows[0][1]) - rows[1][1]).square().mean() / 2).backward()
            optimizer.step()
    assert handle.problems == [], handle.problems


def inner(root: str, rank: int, world: int) -> None:
    """Watched before it is wrapped, and the wrapper is trained."""
    model = net()
    wrapped = DistributedDataParallel(model)
    train(wrapped, f"{root}/inner", rank=rank, world=world, watched=model)


def fsdp(root: str, rank: int, world: int) -> None:
    """Fully sharded."""
    train(sharded(), f"{root}/fsdp", rank=rank, world=world)


def hybrid(root: str, rank: int, world: int) -> None:
    """Sharded over pairs of ranks, and each pair holds the same; of four ranks."""
    mesh = init_device_mesh("cpu", (world // 2, 2), mesh_dim_names=("replicate", "shard"))
    train(sharded(mesh), f"{root}/hybrid", rank=rank, world=world)


def fsdp_clipped(root: str, rank: int, world: int) -> None:
    """Fully sharded, clipped by the norm of all shards."""
    train(sharded(), f"{root}/fsdp_clipped", rank=rank, world=world, clip=1.0)


def sharded_later(root: str, rank: int, world: int) -> None:
    """Sharded after it is watched."""
    model = net()
    folder = f"{root}/sharded_later"
    with watch(model, folder=folder, log_freq=LOG_FREQ, sample_n=ALL) as handle:
        for module in (model.inner, model.twice, model.out, model):
            fully_shard(module)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for inputs, targets in batches():
            loss = (model(part(inputs, rank, world)) - part(targets, rank, world)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert handle.problems == [], handle.problems


def several(root: str, rank: int, world: int) -> None:
    """Two models and three watchers in one process, one after the other and at once."""
    model, second = DistributedDataParallel(net()), DistributedDataParallel(nn.Linear(7, 2))
    folder = f"{root}/several"
    with watch(model, folder=folder), watch(second, folder=folder) as other:
        other.log(name=1.0)
        for each in (model, second):
            optimizer = torch.optim.SGD(each.parameters(), lr=0.01)
            each(next(batches())[0]).sum().backward()
            optimizer.step()
    train(DistributedDataParallel(net()), f"{root}/several", rank=rank, world=world)


class Slow(nn.Module):
    """Takes its time on one rank."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what it is given, later."""
        end = time.perf_counter() + self.seconds
        while time.perf_counter() < end:
            pass
        return x


def straggler(root: str, rank: int, world: int) -> None:
    """Rank 1 is slow; the shards make all ranks wait for it in their forward passes."""
    model = net()
    model.inner.append(Slow(0.03 if rank else 0.0))
    for module in (model.inner, model.twice, model.out):
        fully_shard(module)
    fully_shard(model)
    train(model, f"{root}/straggler", rank=rank, world=world, steps=16, log_freq=1)


def differs(root: str, rank: int, world: int) -> None:
    """From step 8 on, rank 1 changes a gradient that all have in common."""
    model = DistributedDataParallel(net())

    def changed(step: int) -> None:
        if rank and step >= 8:
            gradient = model.module.twice.weight.grad
            assert gradient is not None
            gradient.mul_(1.5)

    train(model, f"{root}/differs", rank=rank, world=world, steps=24, changed=changed)


def missing(root: str, rank: int, world: int) -> None:
    """Rank 1 does not watch."""
    model = DistributedDataParallel(net())
    if rank == 0:
        train(model, f"{root}/missing", rank=rank, world=world, steps=24)
        return
    for inputs, targets in batches(24):
        (model(part(inputs, rank, world)) - part(targets, rank, world)).square().mean().backward()


def stopped(root: str, rank: int, world: int) -> None:
    """Rank 1 stops writing at step 5; on rank 0 the clock goes on as if steps took ten seconds."""
    model = DistributedDataParallel(net())
    now = time.time

    def before(step: int, handle: WatchHandle) -> None:
        if step == 5 and rank:
            handle.close()
        if step == 6 and not rank:
            time.time = lambda: now() + 20.0

    try:
        train(model, f"{root}/stopped", rank=rank, world=world, steps=40, before=before)
    finally:
        time.time = now


def foreign(root: str, rank: int, world: int) -> None:
    """The folder belongs to another living adapter: no rank writes there."""
    with watch(net(), folder=f"{root}/foreign") as handle:
        assert not handle.active, handle.folder
        assert "serves it already" in handle.problems[0], handle.problems


def killed(root: str, rank: int, world: int) -> None:
    """Rank 1 dies at step 4 of the first attempt; the second one ends well. Without a process group."""
    attempt = int(os.environ["TORCHELASTIC_RESTART_COUNT"])
    there = Path(root) / "there"

    def before(step: int, handle: WatchHandle) -> None:
        if step == 4 and attempt == 0:
            handle.flush()
            if rank == 0:
                there.touch()
                # Until the launcher ends it.
                signal.pause()
            while not there.exists():
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGKILL)

    if attempt and rank == 0:
        # What the first attempt left, for the test to look at; rank 1 may write its second part already.
        later = shutil.ignore_patterns("*2.gtlog")
        shutil.copytree(f"{root}/killed", f"{root}/killed_first", ignore=later)
    train(net(), f"{root}/killed", rank=rank, world=world, before=before)


def main() -> None:
    """Run the parts that the command line names, in one process group; ``killed`` has none."""
    root, *parts = sys.argv[1:]
    torch.set_num_threads(1)
    if parts == ["killed"]:
        killed(root, int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))
        return
    distributed.init_process_group("gloo")
    rank, world = distributed.get_rank(), distributed.get_world_size()
    for name in parts:
        globals()[name](root, rank, world)
        distributed.barrier()
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
