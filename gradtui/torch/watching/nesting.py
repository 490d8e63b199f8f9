"""The tensors in what a module takes and returns, each with a name that tells where it stood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

# An argument may hold anything, itself too: what lies deeper or beyond is not looked at.
_DEPTH: Final = 6
_MOST: Final = 64

Named = list[tuple[str, torch.Tensor]]


def outputs_of(value: object) -> Named:
    """The tensors of an output: ``""`` for a tensor alone, else ``"0"``, ``"hidden.1"``."""
    if isinstance(value, torch.Tensor):
        return [("", value)]
    found: Named = []
    # What a container of somebody else's does when it is looked into, nobody knows.
    with suppress(Exception):
        found.extend(islice(_leaves(value, "", _DEPTH), _MOST))
    return found


def inputs_of(args: Sequence[object], kwargs: Mapping[str, object]) -> Named:
    """The tensors of a call's arguments: ``""`` for one tensor alone, else its position or keyword.

    Positions are the call's own: None or a number among the arguments shifts nothing.
    """
    if len(args) == 1 and not kwargs and isinstance(args[0], torch.Tensor):
        return [("", args[0])]
    found = outputs_of(tuple(args)) + outputs_of(dict(kwargs)) if kwargs else outputs_of(args)
    if len(found) == 1 and found[0][0] == "0":
        return [("", found[0][1])]
    return found[:_MOST]


def _leaves(value: object, name: str, depth: int) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        yield name, value
        return
    if depth == 0 or value is None or isinstance(value, (str, bytes, int, float)):
        return
    head = name + "." if name else ""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, f"{head}{key}", depth - 1)
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        if isinstance(data := getattr(value, "data", None), torch.Tensor) and hasattr(
            value, "batch_sizes"
        ):
            # A packed sequence: its values; the other fields are bookkeeping.
            yield f"{head}data", data
            return
        for key in value._fields:
            yield from _leaves(getattr(value, key, None), f"{head}{key}", depth - 1)
    elif isinstance(value, Sequence):
        for place, item in enumerate(islice(value, _MOST)):
            yield from _leaves(item, f"{head}{place}", depth - 1)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from _leaves(getattr(value, field.name, None), f"{head}{field.name}", depth - 1)
