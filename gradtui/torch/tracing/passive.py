"""The architecture of a model that somebody else runs: one forward pass of a training, looked at as it goes by.

The pass is not made by us and not made twice: a second one would run the user's code, and move its counters.
"""

from __future__ import annotations

import sys
import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._python_dispatch import _get_current_dispatch_mode

from gradtui.torch.elsewhere import is_elsewhere
from gradtui.torch.tracing.arguments import Arguments, names_of, outputs_of
from gradtui.torch.tracing.finish import finished
from gradtui.torch.tracing.ledger import Ledger
from gradtui.torch.tracing.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from gradtui.core.architecture.graph import ModuleGraph


def architecture_of(model: nn.Module) -> ModuleGraph:
    """The tree of modules alone: what is known before a pass."""
    return finished(model, Ledger(), stage="static")


class FirstPass:
    """Hooks that record the next forward pass of a model in training mode, and then are gone.

    Nothing is recorded where looking could change what runs: where it is compiled or traced, in a distributed run, and
    inside of somebody's dispatch mode. A pass that fails is not told: the training's own error is. Copies of the model
    (deepcopy, pickle) get hooks that do nothing.

    Args:
        model: the model; its hooks are taken off by `remove`, or after the pass.
        found: takes the graph, in a thread of its own.
    """

    def __init__(self, model: nn.Module, found: Callable[[ModuleGraph], None]) -> None:
        self._found = found
        self._recorder: Recorder | None = None
        # Modes of dispatch are a thread's own: the one that takes this begins and ends the recording.
        self._claim = threading.Lock()
        self._thread, self._is_removed = 0, False
        self._hooks: list[Any] = []
        if not _is_plain(model):
            return
        self._hooks = [
            model.register_forward_pre_hook(_Before(self), with_kwargs=True),
            model.register_forward_hook(_After(self), always_call=True),
        ]

    def remove(self) -> None:
        """Take the hooks off, where another thread is being recorded when that is over; more than once is once."""
        self._is_removed = True
        if self._thread not in {0, threading.get_ident()}:
            return
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()
        if self._recorder is not None:
            self._recorder.close()
            self._recorder = None

    def begin(self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Begin to record, where this is a pass of the training."""
        if self._thread or not (model.training and torch.is_grad_enabled()):
            return
        if _get_current_dispatch_mode() is not None:
            return
        if not _is_plain(model):
            # It was wrapped or compiled since.
            self.remove()
            return
        if not self._claim.acquire(blocking=False):
            return
        self._thread = threading.get_ident()
        recorder = Recorder(model, passive=True)
        for name, tensor in names_of(model, Arguments(args, kwargs)):
            recorder.ledger.makes(recorder.ledger.open("input", "", name, -1), (tensor,))
        self._recorder = recorder
        recorder.__enter__()
        recorder.begin(model, args)

    def end(self, model: nn.Module, output: Any) -> None:
        """Take the hooks off, and hand on what was seen."""
        recorder = self._recorder
        if recorder is None or self._thread != threading.get_ident():
            return
        complete = not (recorder.stack or self._is_removed) and output is not None
        self.remove()
        if not complete:
            return
        ledger = recorder.ledger
        for name, tensor in outputs_of(output):
            draft = ledger.open("output", "", name, -1)
            ledger.reads(draft, (tensor,))
            ledger.describe(draft, (tensor,))

        def work() -> None:
            self._found(finished(model, ledger, stage="real", used=frozenset(recorder.used)))

        threading.Thread(target=work, name="gradtui-architecture", daemon=True).start()


class FirstPassHook:
    """A hook whose copies do nothing."""

    def __init__(self, owner: FirstPass | None = None) -> None:
        self.owner = owner

    def __deepcopy__(self, _memo: object) -> FirstPassHook:
        return type(self)()

    def __reduce__(self) -> tuple[Any, ...]:
        # Python's own, so that a pickled model is read where we are not installed; it does nothing.
        return getattr, (nullcontext(), "__exit__")


class _Before(FirstPassHook):
    def __call__(
        self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None
    ) -> None:
        # Who hangs it on another module may give it no ``kwargs``; then it is nothing of ours.
        if kwargs is None or is_elsewhere():
            return
        if self.owner is not None:
            try:
                self.owner.begin(model, args, kwargs)
            except Exception:  # noqa: BLE001 - never in a user's step: there is no graph then
                self.owner.remove()


class _After(FirstPassHook):
    def __call__(self, model: nn.Module, _args: tuple[Any, ...], output: Any) -> None:
        if is_elsewhere():
            return
        if self.owner is not None:
            try:
                self.owner.end(model, output)
            except Exception:  # noqa: BLE001 - never in a user's step: there is no graph then
                self.owner.remove()


def _is_plain(model: nn.Module) -> bool:
    """Whether a pass can be looked at without a chance of changing it.

    Under a dispatch mode dynamo compiles nothing, and a function that must be compiled whole raises: where anything
    of this process was given to ``torch.compile``, nothing is looked at.
    """
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return False
    if isinstance(model, torch.jit.ScriptModule):
        return False
    dynamo = sys.modules.get("torch._dynamo.eval_frame")
    # Optimizers stand there too, without a backend: they are kept from being compiled.
    if any(getattr(dynamo, "cached_backends", {}).values()):
        return False
    return not any(
        hasattr(module, "_orig_mod") or getattr(module, "_compiled_call_impl", None) is not None
        for module in model.modules()
    )
