"""The adapter that lives in the training or debug process, and writes the debug folder.

`DebugAdapter` calls a model of its own; `capture` goes around a forward and backward pass of the user's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradtui.torch.adapter import DebugAdapter
    from gradtui.torch.capturing import capture

__all__ = ["DebugAdapter", "capture"]


def __getattr__(name: str) -> object:
    # Torch is loaded when one of the names is used, not when the package is looked at.
    if name == "DebugAdapter":
        from gradtui.torch.adapter import DebugAdapter

        return DebugAdapter
    if name == "capture":
        from gradtui.torch.capturing import capture

        return capture
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
