"""What a watcher cannot see, said once in the run: the inside of what is compiled, and whose a gradient is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gradtui.core.run.records import Event

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import nn

    from gradtui.torch.watching.calls import Site
    from gradtui.torch.watching.structure import Owned

_MOST: Final = 3


def notes_on(
    model: nn.Module, sites: Mapping[str, Site], owned: Sequence[Owned], world: int
) -> Iterator[Event]:
    """What is to be known of a run's numbers, after its first step.

    Args:
        model: which.
        sites: where calls were looked for, by path.
        owned: its parameters.
        world: how many ranks there are.
    """
    text = _hidden(model, sites)
    if text:
        yield Event("note", text, "", {"unseen": "compiled"})
    placements = {item.info.placement for item in owned}
    text = ""
    if "replicated" in placements:
        text = f"gradients of parameters are the mean of {world} ranks, as they are after the reduction"
    elif "sharded" in placements and world > 1:
        text = f"each of {world} ranks holds a part of the parameters; together they are whole"
    if text:
        text += "; gradients of inputs and outputs are of each rank's own loss"
        yield Event("note", text, "", {"ranks": world})


def _hidden(model: nn.Module, sites: Mapping[str, Site]) -> str:
    """What modules no call was seen of because they are compiled; empty where there are none."""
    silent = [path for path, site in sites.items() if max(site.counted) < 0]
    what = "parameters, their gradients and updates are seen, inputs and outputs are not"
    if silent and len(silent) == len(sites):
        return f"no call of the model was seen (it is compiled, or called by other ways): {what}"
    compiled = [path for path, module in model.named_modules() if _is_compiled(module)]
    outer = [path for path in compiled if not any(_is_within(path, each) for each in compiled)]
    hiding = [path for path in outer if any(_is_within(each, path) for each in silent)]
    if not hiding:
        return ""
    names = ", ".join(path or "the model" for path in hiding[:_MOST])
    names += f" and {len(hiding) - _MOST} more" if len(hiding) > _MOST else ""
    return f"inside of {names} (compiled): {what}"


def _is_within(path: str, other: str) -> bool:
    """Whether a module is in another one."""
    return path != other and (not other or path.startswith(f"{other}."))


def _is_compiled(module: nn.Module) -> bool:
    """Whether ``torch.compile`` runs a module: as its wrapper, or in place."""
    return hasattr(module, "_orig_mod") or getattr(module, "_compiled_call_impl", None) is not None
