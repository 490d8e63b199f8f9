"""The end of a reading: keys that can be hashed in bounded time, and a tree of plain values.

References may be shared: sixty tuples, each holding the one before twice, are 2⁶⁰ values to whoever hashes, prints or
walks them. So the values are counted as a walk would meet them, and refused when they are too many, or too deep,
or refer to themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from gradtui.folder.pickle_machine import Promise, Raw, Refused, broken

if TYPE_CHECKING:
    from gradtui.folder.pickle_machine import Machine

_LEAVES = frozenset({type(None), bool, int, float, str, bytes, bytearray})
_MAX_KEY_ITEMS = 8
# Whole numbers hash to themselves below 2⁶¹ − 1, so that a file cannot choose many keys of one hash.
_MAX_KEY_INT = 1 << 60
# In a tuple the hashes are mixed by a function that can be inverted: small numbers leave no room for that.
_MAX_TUPLE_INT = 1 << 24


def check_key(key: object) -> None:
    """Let pass what can be hashed and compared in bounded time.

    Args:
        key: A dict key or a member of a set: None, bool, int below 2⁶⁰, float, str, bytes, or a tuple of at most
            eight of them, whole numbers there below 2²⁴ and no floats.

    Raises:
        Refused: Anything else.
    """
    kind = type(key)
    if kind is str or kind is bytes or key is None or kind is bool or kind is float:
        return
    if kind is int:
        if abs(cast("int", key)) < _MAX_KEY_INT:
            return
        raise Refused("a key that is a very large number")
    if kind is tuple:
        items = cast("tuple[object, ...]", key)
        if len(items) > _MAX_KEY_ITEMS:
            raise Refused("a key that is a long tuple")
        for item in items:
            kind = type(item)
            if kind is int and abs(cast("int", item)) < _MAX_TUPLE_INT:
                continue
            if kind not in (str, bytes, bool, type(None)):
                raise Refused("a key that is a tuple of other things than texts and small numbers")
        return
    raise Refused("a key that is neither text nor number nor a tuple of them")


def finish(machine: Machine, root: object) -> object:
    """Replace what stands for arrays and large texts by their values, and count.

    Raises:
        Refused: Too many values, too deep, a reference to itself, or an array that was never built.
    """
    return _Walk(machine).value(root, 0)


class _Walk:
    """One walk over a finished reading. Its depth is bounded far below that of Python's stack."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._nodes = machine.limits.nodes
        self._depth = machine.limits.depth
        # A view that is written again, or turned into other numbers, costs what it spans each time.
        self._bytes = 2 * machine.size + 16_000_000

    def value(self, value: object, depth: int) -> object:
        if type(value) in _LEAVES:
            self._count(1)
            return value
        if depth >= self._depth:
            raise Refused("nested too deep, or refers to itself")
        if isinstance(value, (list, tuple)):
            return self._items(value, depth)
        if isinstance(value, dict):
            self._count(len(value) + 1)
            if not set(map(type, value.values())) <= _LEAVES:
                for key, item in value.items():
                    value[key] = self.value(item, depth + 1)
            return value
        if isinstance(value, (set, frozenset)):
            self._count(len(value) + 1)
            return value
        return self._leaf(value)

    def _items(self, items: list[object] | tuple[object, ...], depth: int) -> object:
        self._count(len(items) + 1)
        if set(map(type, items)) <= _LEAVES:
            return items
        if isinstance(items, list):
            for place, item in enumerate(items):
                items[place] = self.value(item, depth + 1)
            return items
        walked = [self.value(item, depth + 1) for item in items]
        if all(new is old for new, old in zip(walked, items, strict=True)):
            return items
        self._machine.spend(60 + 8 * len(items))
        return tuple(walked)

    def _leaf(self, value: object) -> object:
        self._count(1)
        if isinstance(value, Promise):
            if value.value is None:
                broken("an array without contents")
            value = value.value
        if isinstance(value, np.ndarray):
            self._bytes -= value.nbytes
            if self._bytes < 0:
                raise Refused("refers to the same array too often")
            return value
        if isinstance(value, (np.generic, np.dtype)):
            return value
        if isinstance(value, Raw):
            return self._raw(value)
        raise Refused("holds a name of code where data should be")

    def _raw(self, value: Raw) -> object:
        self._machine.spend(len(value.view) + 60)
        if value.kind == "bytes":
            return bytes(value.view)
        if value.kind == "bytearray":
            return bytearray(value.view)
        raise Refused(f"a text of {len(value.view)} bytes")

    def _count(self, count: int) -> None:
        self._nodes -= count
        if self._nodes < 0:
            raise Refused("too many values, shared ones counted each time")
