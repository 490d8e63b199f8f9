"""Text with numbers in it, in the order that people count in: layer 10 comes after layer 2."""

from __future__ import annotations

import re
import sys
from operator import ne
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradtui.core.arrays import Indices

_DIGITS: Final = re.compile(r"(\d+)", re.ASCII)


def natural_ranks(paths: Sequence[str]) -> Indices:
    """The rank of each path among all, [paths]; equal where they differ in leading zeros alone.

    Text is compared by its characters, numbers by their value; a number comes before any text.
    """
    begun: dict[str, str] = {}
    keys = []
    for path in paths:
        # Of thousands of paths most have the beginning of another one, and a number behind it.
        tail = path.rpartition(".")[2]
        if tail.isdecimal() and tail.isascii() and tail[0] != "0" and len(tail) < 20:
            head = path[: -len(tail)]
            key = begun.get(head)
            if key is None:
                key = begun[head] = _spelled(head)
            keys.append(f"{key}\0{chr(len(tail))}{tail}")
        else:
            keys.append(_spelled(path))
    order = sorted(range(len(keys)), key=keys.__getitem__)
    ordered = [keys[k] for k in order]
    ranks = np.zeros(len(keys), dtype=np.intp)
    ranks[order[1:]] = np.cumsum(list(map(ne, ordered[1:], ordered)))
    return ranks


def _spelled(text: str) -> str:
    """The text with its numbers so that characters compare as they do: how many digits, then the digits."""
    parts = _DIGITS.split(text)
    for k in range(1, len(parts), 2):
        digits = parts[k].lstrip("0") or "0"
        parts[k] = f"\0{chr(min(len(digits), sys.maxunicode))}{digits}"
    return "".join(parts)
