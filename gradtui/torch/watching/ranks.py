"""What a process of a distributed training knows of it without asking the others: no collective of ours is ever run.

A collective in a hook would wait for ranks that may not come. What the ranks must agree on is only a name, so that a
reader can tell the parts of one training from what an earlier one left in the same folder.
"""

from __future__ import annotations

import hashlib
import os
import socket
import uuid
from typing import TYPE_CHECKING, Any, Final

import torch

from gradtui.folder.process import process_of

if TYPE_CHECKING:
    from torch import nn

_KEY: Final = "gradtui/training"
# What launchers say about the training that they started, each for one start.
_TOLD: Final = (
    "TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT", "MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE",
    "SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_RESTART_COUNT",
)  # fmt: skip
_named: dict[int, str] = {}
_watched: dict[tuple[int, str], int] = {}


def rank_and_world() -> tuple[int, int]:
    """This process's rank, and how many there are: of the process group, else as a launcher says."""
    distributed = torch.distributed
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    try:
        rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    except ValueError:
        return 0, 1
    return (rank, world) if 0 <= rank < world else (0, 1)


def training_name(world: int) -> str:
    """A name that all ranks of one start share and no other start has; empty where none can be had.

    Where a process group is there, the first rank that asks its key-value store leaves the name in it, which
    waits for nobody; else the launcher's variables make one. A process keeps the name that it found first.
    """
    if world <= 1:
        return ""
    pid = os.getpid()
    if not _named.get(pid):
        _named[pid] = _agreed() or _told()
    return _named[pid]


def run_name(training: str, folder: str) -> str:
    """The name of one run: of a training, the folder, and how often this process watched there."""
    if not training:
        return uuid.uuid4().hex
    # Ranks may know a folder under different paths; its name and its turn are the same on all.
    name = os.path.basename(folder.rstrip("/"))  # noqa: PTH119 - a prefix is no path
    turn = _watched[os.getpid(), folder] = _watched.get((os.getpid(), folder), 0) + 1
    return _hashed(training, name, str(turn))


def replicated_by_ddp(model: nn.Module, around: nn.Module | None = None) -> set[int]:
    """``id`` of each parameter whose gradient `DistributedDataParallel` makes equal on all ranks.

    Args:
        model: may hold such wrappers.
        around: one that wraps the model, or a part of it.
    """
    wrapper = _wrapper()
    if wrapper is None:
        return set()
    found = set()
    wrapped = [module for module in model.modules() if isinstance(module, wrapper)]
    if isinstance(around, wrapper):
        wrapped.append(around)
    for module in wrapped:
        ignored = getattr(module, "parameters_to_ignore", ())
        found |= {
            id(parameter)
            for name, parameter in module.module.named_parameters()
            if name not in ignored
        }
    return found


def ddp_around() -> nn.Module | None:
    """The `DistributedDataParallel` whose forward pass is under way; None outside of any."""
    return getattr(_wrapper(), "_active_ddp_module", None)


def _wrapper() -> Any:
    if not torch.distributed.is_available():
        return None
    return torch.nn.parallel.DistributedDataParallel


def _agreed() -> str:
    """The name in the process group's store; empty without one."""
    distributed = torch.distributed
    if not distributed.is_available() or not distributed.is_initialized():
        return ""
    try:
        store = distributed.distributed_c10d._get_default_store()  # noqa: SLF001 - there is no public way
        # An elastic restart may keep the store.
        restart = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        key = f"{_KEY}/{restart}/{distributed.get_world_size()}"
        return str(store.compare_set(key, "", uuid.uuid4().hex).decode())
    except Exception:  # noqa: BLE001 - a store of another kind, or none that answers: there are other ways
        return ""


def _told() -> str:
    """A name made of what a launcher says; empty where that would be the same at its next start."""
    told = [os.environ.get(name, "") for name in _TOLD]
    if os.environ.get("LOCAL_WORLD_SIZE", "") == os.environ.get("WORLD_SIZE", "-"):
        # All ranks are children of one process of this host, which is another one at the next start.
        parent = process_of(os.getppid())
        return _hashed(*told, socket.gethostname(), str(parent.pid), str(parent.started))
    is_one_start = told[0] not in ("", "none") or os.environ.get("SLURM_STEP_ID")
    return _hashed(*told) if is_one_start else ""


def _hashed(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
