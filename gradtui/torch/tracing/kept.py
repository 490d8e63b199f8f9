"""A model's modules put back as they were, and stand-ins in the place of its tensors meanwhile.

Not torch's ``functional_call``: of a module under several names it leaves the stand-in behind (torch 2.13), and it
puts back nothing that a forward pass keeps for the next one, such as a mask made on the meta device.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import torch
    from torch import nn

_TABLES: Final = (dict, OrderedDict, defaultdict)
"""What a module's parameters, buffers, modules, hooks and most caches are kept in."""


@contextmanager
def kept(model: nn.Module) -> Iterator[None]:
    """Run a block and put back the attributes of each module, and what stands in its lists, sets and dicts.

    The values themselves are not copied: a tensor that is written in place is another matter.
    """
    attributes: list[tuple[dict[str, Any], dict[str, Any]]] = []
    lists: list[tuple[list[Any], list[Any]]] = []
    sets: list[tuple[set[Any], set[Any]]] = []
    for module in model.modules():
        own = vars(module)
        attributes.append((own, dict(own)))
        for value in own.values():
            if type(value) in _TABLES:
                attributes.append((value, dict(value)))
            elif type(value) is list:
                lists.append((value, list(value)))
            elif type(value) is set:
                sets.append((value, set(value)))
    try:
        yield
    finally:
        for table, before in attributes:
            if len(table) != len(before) or any(
                name != other or value is not before[other]
                for (name, value), other in zip(table.items(), before, strict=True)
            ):
                table.clear()
                table.update(before)
        for found, items in lists:
            found[:] = items
        for members, there in sets:
            members.intersection_update(there)
            members.update(there)


@contextmanager
def standing_in(model: nn.Module, state: Mapping[str, torch.Tensor]) -> Iterator[None]:
    """Run a block in which tensors stand in for a model's parameters and buffers, wherever its modules hold them.

    Args:
        model: whose.
        state: the stand-ins, by the first name of each parameter and buffer.
    """
    own = dict(model.named_parameters()) | dict(model.named_buffers())
    by_identity = {id(own[name]): tensor for name, tensor in state.items()}
    with kept(model):
        for module in model.modules():
            for value in vars(module).values():
                if type(value) in _TABLES:
                    for name, one in value.items():
                        if id(one) in by_identity:
                            value[name] = by_identity[id(one)]
                elif type(value) is list:
                    # An LSTM calls its weights from a list of them.
                    value[:] = [by_identity.get(id(one), one) for one in value]
        yield
