"""Modules that call themselves."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from torch import nn

if TYPE_CHECKING:
    from types import FrameType

_CALL: Final = nn.Module._call_impl.__code__  # noqa: SLF001 - what every call of a module runs


def runs_within_itself(module: nn.Module) -> bool:
    """Whether a module's call, which has begun, runs within another call of the same one.

    Python's own stack tells: what we know may be of a call that was left without a word.
    """
    calls = 0
    frame: FrameType | None = sys._getframe()  # noqa: SLF001 - the only way to the stack that costs little
    while frame is not None:
        if frame.f_code is _CALL and frame.f_locals.get("self") is module:
            calls += 1
            if calls > 1:
                return True
        frame = frame.f_back
    return False
