"""What can be known of the backward pass that is under way."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import torch
from torch.autograd import Variable

from gradtui.torch.watching.uncompiled import uncompiled

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch.utils.hooks import RemovableHandle

_engine = Variable._execution_engine  # noqa: SLF001 - as torch's own distributed code does


def in_backward() -> bool:
    """Whether this forward pass is the recompute of a checkpoint: it runs while gradients are computed."""
    return graph_task() != -1


def graph_task() -> int:
    """The number of the backward pass that is under way in this thread; -1 for none."""
    return int(torch._C._current_graph_task_id())  # noqa: SLF001 - the only way to know


def after_backward(work: Callable[[], None], failed: Callable[[], None]) -> None:
    """Run something when the backward pass that is under way has ended; to be called from within one.

    Reducers end their work so, too: this is queued a second time, behind them. Where the pass fails, nothing that is queued
    is run but all of it dropped, which tells of the end as well: then ``failed`` is called, which must not raise.
    """
    _engine.queue_callback(_AtTheEnd(work, failed))


class _AtTheEnd:
    """Queued with a backward pass: called when that is over, dropped when it failed."""

    __slots__ = ("failed", "waits", "work")

    def __init__(self, work: Callable[[], None], failed: Callable[[], None]) -> None:
        self.work, self.failed, self.waits = work, failed, True

    @uncompiled
    def __call__(self) -> None:
        self.waits = False
        _engine.queue_callback(self.work)

    @uncompiled
    def __del__(self) -> None:
        if self.waits:
            self.failed()


def in_compiled_backward() -> bool:
    """Whether the backward pass is one that torch compiles: nothing can be queued behind that."""
    compiled = sys.modules.get("torch._dynamo.compiled_autograd")
    return compiled is not None and bool(
        getattr(compiled, "compiled_autograd_enabled", False)
        or getattr(compiled, "in_compiled_autograd_region", False)
    )


def has_hooks_of_others(parameter: torch.Tensor) -> bool:
    """Whether others are told of a parameter's gradient, too: they may use it up, or write to it, at once."""
    hooks = getattr(parameter, "_post_accumulate_grad_hooks", None)
    return hooks is not None and len(hooks) > 1


def put_first(parameter: torch.Tensor, handle: RemovableHandle) -> None:
    """Have a hook told of a parameter's gradient before others, which may use it up; not in the midst of a backward pass."""
    hooks = getattr(parameter, "_post_accumulate_grad_hooks", None)
    if hooks is None or len(hooks) < 2 or in_backward():
        return
    # Torch goes by the order in which they came into the dict, not by what `move_to_end` makes of that.
    others = {key: hook for key, hook in hooks.items() if key != handle.id}
    for key in others:
        del hooks[key]
    hooks.update(others)
