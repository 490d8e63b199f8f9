"""What a model is made of, as the first record of its run says."""

from __future__ import annotations

import math
import os
import socket
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import torch

from gradtui.core.run.records import ModuleInfo, ParameterInfo, Start
from gradtui.torch.watching.ranks import rank_and_world, replicated_by_ddp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from gradtui.core.run.records import Placement
    from gradtui.torch.watching.place import Place
    from gradtui.torch.watching.settings import Settings

_LONGEST = 400


@dataclass(frozen=True, slots=True, eq=False)
class Owned:
    """A parameter and what is known of it.

    Attributes:
        info: as it is recorded.
        tensor: itself.
        share: what its norm counts in this rank's norm of all, so that the squares of all ranks' norms add up to the
            whole's: 1 but where a model is sharded and other ranks hold the same values.
    """

    info: ParameterInfo
    tensor: torch.Tensor
    share: float = 1.0


def start_of(
    model: nn.Module,
    owned: Sequence[Owned],
    settings: Settings,
    *,
    run: str,
    place: Place,
    started: float,
) -> Start:
    """The first record of a run, as this process writes it."""
    return Start(
        run=run,
        model=kind_of(model),
        rank=place.rank,
        world=place.world,
        host=socket.gethostname(),
        pid=os.getpid(),
        started=started,
        torch=str(torch.__version__),
        device=str(owned[0].tensor.device) if owned else "",
        settings=settings.to_record(),
        modules=modules_of(model),
        parameters=tuple(item.info for item in owned),
    )


def modules_of(model: nn.Module) -> tuple[ModuleInfo, ...]:
    """All modules, in the order of ``named_modules()``, each once, with the other paths that it has."""
    found, others = [], _other_paths(model)
    for path, module in model.named_modules():
        try:
            extra = str(module.extra_repr())[:_LONGEST]
        except Exception:  # noqa: BLE001 - a user's extra_repr may raise anything
            extra = ""
        found.append(ModuleInfo(path, kind_of(module), extra, tuple(others.get(path, ()))))
    return tuple(found)


def _other_paths(model: nn.Module) -> dict[str, list[str]]:
    """The further paths of modules that have several, by the first; those within such a module go without saying."""
    first: dict[int, str] = {}
    further: set[str] = set()
    found: dict[str, list[str]] = {}
    for path, module in model.named_modules(remove_duplicate=False):
        known = first.setdefault(id(module), path)
        if known == path:
            continue
        further.add(path)
        if path.rpartition(".")[0] not in further:
            found.setdefault(known, []).append(path)
    return found


def kind_of(module: nn.Module) -> str:
    """The name of a module's class, as its author wrote it.

    ``fully_shard`` gives a module a class of its own, ``FSDPLinear``, made of `FSDPModule` and the first one.
    """
    kind = type(module)
    if kind.__name__.startswith("FSDP") and [each.__name__ for each in kind.__bases__][:1] == [
        "FSDPModule"
    ]:
        return kind.__bases__[-1].__name__
    return kind.__name__


def parameters_of(model: nn.Module, around: nn.Module | None = None) -> tuple[Owned, ...]:
    """All parameters, each once: under its first module, with the other names that it has.

    Args:
        model: whose.
        around: the `DistributedDataParallel` that wraps it, where one does.
    """
    replicated = replicated_by_ddp(model, around)
    names: dict[int, list[str]] = {}
    tensors: dict[int, torch.Tensor] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
        tensors[id(parameter)] = parameter
    found = []
    sharded = any(map(_is_sharded, tensors.values()))
    for ident, tensor in tensors.items():
        path, _, name = names[ident][0].rpartition(".")
        shaped = not torch.nn.parameter.is_lazy(tensor)
        info = ParameterInfo(
            path,
            name,
            tuple(tensor.shape) if shaped else (),
            str(tensor.dtype).removeprefix("torch."),
            tensor.requires_grad,
            _held(tensor) if shaped else 0,
            tuple(names[ident][1:]),
            "replicated" if ident in replicated else _placement(tensor),
        )
        found.append(Owned(info, tensor, _copies(tensor) ** -0.5 if sharded else 1.0))
    return tuple(found)


def thawed(item: Owned) -> Owned:
    """The same parameter, trained or frozen as it is now."""
    return replace(item, info=replace(item.info, trainable=item.tensor.requires_grad))


def chosen(model: nn.Module, settings: Settings) -> dict[str, nn.Module]:
    """The modules that are looked at: those of ``include`` (all), without those of ``exclude``.

    A pattern is a path (``encoder.*``) or the name of a class; the root is always there, it marks the steps.
    """
    return {
        path: module
        for path, module in model.named_modules()
        if not path
        or (
            (not settings.include or _matches(path, module, settings.include))
            and not _matches(path, module, settings.exclude)
        )
    }


def unmatched(model: nn.Module, settings: Settings) -> list[str]:
    """Say which patterns of ``include`` and ``exclude`` name nothing."""
    return [
        f"{option}={pattern!r} names no module"
        for option, patterns in (("include", settings.include), ("exclude", settings.exclude))
        for pattern in patterns
        if not any(_matches(path, module, (pattern,)) for path, module in model.named_modules())
    ]


def _matches(path: str, module: nn.Module, patterns: tuple[str, ...]) -> bool:
    kind = kind_of(module)
    return any(fnmatchcase(path, pattern) or kind == pattern for pattern in patterns)


def _held(tensor: torch.Tensor) -> int:
    local = getattr(tensor, "to_local", None)
    return int((local() if local is not None else tensor).numel())


def _copies(tensor: torch.Tensor) -> int:
    """How many ranks hold the same values, in a model that is sharded."""
    _, world = rank_and_world()
    placements = getattr(tensor, "placements", None)
    if placements is None:
        return world
    mesh = tensor.device_mesh  # type: ignore[attr-defined]
    kept = [
        int(mesh.size(n)) for n, placement in enumerate(placements) if not placement.is_replicate()
    ]
    return max(world // math.prod(kept), 1)


def _is_sharded(tensor: torch.Tensor) -> bool:
    """Whether no rank holds all of a tensor."""
    placements = getattr(tensor, "placements", None) or ()
    return not all(placement.is_replicate() for placement in placements)


def _placement(tensor: torch.Tensor) -> Placement:
    """How a tensor lies over the ranks; of shards that several ranks hold, the first one's counts, the others are copies."""
    placements = getattr(tensor, "placements", None)
    if placements is None:
        return "local"
    here = tensor.device_mesh.get_coordinate() or [0] * len(placements)  # type: ignore[attr-defined]
    is_copy = any(
        placement.is_replicate() and place > 0
        for placement, place in zip(placements, here, strict=True)
    )
    is_whole = all(placement.is_replicate() for placement in placements)
    return "replicated" if is_whole or is_copy else "sharded"
