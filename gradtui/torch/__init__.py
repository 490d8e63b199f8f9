"""The adapter that lives in the training or debug process, and writes the debug folder.

`DebugAdapter` calls a model of its own; `capture` goes around a forward and backward pass of the user's;
`features`, `similarity`, `weights` and `gradients` look at a model once, and hand back what they find;
`gradient_history`, `evolution` and `analyse` read what a watched run left;
`watch` records a training as it goes by, `attach` adds a tensor to it, `unwatch` ends it; `trace` finds a model's
architecture.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gradtui.torch.adapter import DebugAdapter
    from gradtui.torch.analysis.features import features
    from gradtui.torch.analysis.gradients import gradients
    from gradtui.torch.analysis.history import analyse, evolution, gradient_history
    from gradtui.torch.analysis.likeness import similarity
    from gradtui.torch.analysis.weights import weights
    from gradtui.torch.capturing import capture
    from gradtui.torch.tracing.trace import trace
    from gradtui.torch.watching.attaching import attach
    from gradtui.torch.watching.starting import unwatch, watch

__all__ = [
    "DebugAdapter",
    "analyse",
    "attach",
    "capture",
    "evolution",
    "features",
    "gradient_history",
    "gradients",
    "similarity",
    "trace",
    "unwatch",
    "watch",
    "weights",
]

_HOMES: Final = {
    "DebugAdapter": "adapter",
    "analyse": "analysis.history",
    "attach": "watching.attaching",
    "capture": "capturing",
    "evolution": "analysis.history",
    "features": "analysis.features",
    "gradient_history": "analysis.history",
    "gradients": "analysis.gradients",
    "similarity": "analysis.likeness",
    "trace": "tracing.trace",
    "unwatch": "watching.starting",
    "watch": "watching.starting",
    "weights": "analysis.weights",
}
"""Which module of this package each name is of."""


def __getattr__(name: str) -> object:
    # Torch is loaded when one of the names is used, not when the package is looked at.
    if name in _HOMES:
        return getattr(import_module(f"gradtui.torch.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
