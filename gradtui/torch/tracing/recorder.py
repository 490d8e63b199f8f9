"""Watch one forward pass: hooks on every module, and what torch is asked to do between them.

Modules are seen by torch's global hooks, functions between modules by a function mode, and the operations
that cost something by a dispatch mode, so that a fused kernel, a decomposed one and a user's own function
are counted alike. Nothing of the model is changed, and no hook stays.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import nn
from torch.nn.modules import module as hooks
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from gradtui.core.architecture.flops import RULES, operation_flops
from gradtui.core.architecture.graph import TraceFault
from gradtui.torch.tracing import recurrent
from gradtui.torch.tracing.dtypes import ONE_DTYPE, agree
from gradtui.torch.tracing.ledger import Draft, Ledger, tensors_in
from gradtui.torch.tracing.sources import called_by_watcher, here, raised_at

if TYPE_CHECKING:
    from torch.utils.hooks import RemovableHandle
    from typing_extensions import Self

    from gradtui.core.architecture.graph import Shape

GUESS: Final = 1
"""What a number that only data can give is taken to be: a true condition, one element, one step."""

MOST_GUESSES: Final = 500
"""Guesses that one line may ask for: where the answer is always the same, a loop that waits for another never ends."""

_WHOLE: Final = (nn.MultiheadAttention,)
"""Modules that use their children's parameters without calling them: one row each."""

_ASKS: Final = frozenset(
    (
        "__get__",
        "__set__",
        "__len__",
        "__bool__",
        "__format__",
        "size",
        "dim",
        "numel",
        "stride",
        "item",
    )
)
"""Functions of tensors that are no part of the dataflow."""


class Recorder(ExitStack):
    """A context in which one forward pass of a model is written into a ledger.

    Args:
        model: whose modules have paths.
        made_up: whether the inputs' data are nobody's, so that what is read from them is a guess.
        passive: whether the pass is a training's, in which other hooks of this package are at work.

    Attributes:
        ledger: what was seen.
        guesses: the user's lines that asked for what only data can give.
        used: identities of the tensors without a producer that operations between modules took: parameters
            that are used without a call of their module are among them.
    """

    def __init__(self, model: nn.Module, *, made_up: bool = False, passive: bool = False) -> None:
        super().__init__()
        self.passive = passive
        self.made_up = made_up
        self.ledger = Ledger()
        self.guesses: list[str] = []
        self._asked: Counter[str] = Counter()
        self.used: set[int] = set()
        self.paths = {id(module): path for path, module in model.named_modules()}
        self.stack: list[Draft] = []
        self.operation: Draft | None = None
        self._calls: dict[str, int] = {}
        self._thread = threading.get_ident()
        self._handled = sys.exc_info()[1]
        self._failed: BaseException | None = None
        self._fault = TraceFault()

    def __enter__(self) -> Self:
        """Put the hooks on."""
        super().__enter__()
        self.callback(hooks.register_module_forward_pre_hook(self._open).remove)
        # Two: a hook that is also called for a failing forward is then not given keyword arguments (torch 2.13).
        for handle in (
            hooks.register_module_forward_hook(self._keywords, with_kwargs=True),
            hooks.register_module_forward_hook(self._close, always_call=True),
        ):
            self.callback(_forget, handle)
        self.enter_context(_FunctionMode(self))
        self.enter_context(_DispatchMode(self))
        return self

    def begin(self, model: nn.Module, args: tuple[Any, ...]) -> None:
        """Open the model's own call, which began before this context did; it is closed like any other."""
        self._open(model, args)

    def current(self) -> Draft | None:
        """The operation or call that is running."""
        return self.operation or (self.stack[-1] if self.stack else None)

    def inside_leaf(self) -> bool:
        """Whether what runs now belongs to a row of its own already, or to none."""
        return self.operation is not None or not self.stack or self.stack[-1].leaf

    def guess(self) -> None:
        """Note that a value that only data can give was asked for, and that it is guessed."""
        self.guesses.append(here())
        draft = self.current()
        if draft is not None:
            draft.guessed = True

    def give_up_endless_loop(self) -> None:
        """End a pass in which one line asks again and again for what is always guessed the same."""
        line = self.guesses[-1]
        self._asked[line] += 1
        if self._asked[line] > MOST_GUESSES:
            raise RuntimeError(
                f"{line} asked {MOST_GUESSES} times for what only data can give: with a guess its loop does not end"
            )

    def failed(
        self, error: BaseException, draft: Draft, operation: str, inputs: tuple[Shape, ...]
    ) -> None:
        """Note where an exception was seen; the innermost place, which comes first, is the one that is told."""
        draft.state = "failed"
        if error is not self._failed:
            self._failed = error
            self._fault = TraceFault(
                path=draft.path, operation=operation, inputs=inputs, node=draft.number
            )

    def fault_of(self, error: BaseException) -> TraceFault:
        """Describe the exception that ended the pass."""
        place = self._fault if error is self._failed else TraceFault()
        source, line = raised_at(error.__traceback__)
        return TraceFault(
            type(error).__name__,
            str(error).strip(),
            place.path,
            place.operation,
            place.inputs,
            source,
            line,
            place.node,
        )

    def _open(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        if threading.get_ident() != self._thread:
            return
        if self.stack and self.inside_leaf():
            # A leaf, or a function, that calls modules: they belong to it.
            self.ledger.count(self.stack[-1], module)
            self.stack.append(self.stack[-1])
            return
        parent = self.stack[-1] if self.stack else None
        path = self.paths.get(id(module))
        if path is None:
            # A module that the model does not hold: made in the forward pass, or kept in a plain list.
            path = f"{parent.path}.(new)" if parent is not None and parent.path else "(new)"
        draft = self.ledger.open(
            "module", path, type(module).__name__, -1 if parent is None else parent.number
        )
        draft.call = self._calls.get(path, 0)
        self._calls[path] = draft.call + 1
        children = module._modules  # noqa: SLF001 - looked at in each call: a generator costs as much as the hook
        draft.leaf = parent is not None and (not children or isinstance(module, _WHOLE))
        draft.source = here() if parent is not None else ""
        draft.guessed = bool(self.guesses)
        self.ledger.count(draft, module)
        if draft.leaf:
            draft.extra = module.extra_repr()
            for child in children.values():
                self.ledger.count(draft, child)  # type: ignore[arg-type]
            self.ledger.reads(draft, tensors_in(args))
        else:
            draft.inputs = tuple(tuple(tensor.shape) for tensor in tensors_in(args))
        self.stack.append(draft)

    def _keywords(
        self, _module: nn.Module, _args: tuple[Any, ...], kwargs: dict[str, Any], _output: Any
    ) -> None:
        if not kwargs or threading.get_ident() != self._thread:
            return
        draft = self.stack[-1]
        if len(self.stack) > 1 and self.stack[-2] is draft:
            return
        if draft.leaf:
            self.ledger.reads(draft, tensors_in(kwargs))
        else:
            draft.inputs += tuple(tuple(tensor.shape) for tensor in tensors_in(kwargs))

    def _close(self, _module: nn.Module, _args: tuple[Any, ...], output: Any) -> None:
        if threading.get_ident() != self._thread:
            return
        draft = self.stack.pop()
        if self.stack and self.stack[-1] is draft:
            return
        error = sys.exc_info()[1]
        if output is None and error is not None and error is not self._handled:
            self.failed(error, draft, "", draft.inputs if draft.leaf else ())
        elif draft.leaf:
            self.ledger.makes(draft, tensors_in(output))
        else:
            self.ledger.describe(draft, tensors_in(output))


def _forget(handle: RemovableHandle) -> None:
    """Take a global hook off without a trace: torch 2.13 leaves the number of one with keyword arguments behind."""
    handle.remove()
    for name in ("_global_forward_hooks_with_kwargs", "_global_forward_hooks_always_called"):
        getattr(hooks, name, {}).pop(handle.id, None)


class _FunctionMode(TorchFunctionMode):
    """One node for each function of torch that is called between modules."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self._recorder = recorder

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        recorder = self._recorder
        if name in recurrent.FUNCTIONS and recorder.stack:
            return recurrent.run(recorder, func, args, kwargs)
        if name in _ASKS or recorder.inside_leaf() or (recorder.passive and called_by_watcher()):
            return func(*args, **kwargs)
        ledger = recorder.ledger
        parent = recorder.stack[-1]
        draft = ledger.open("operation", parent.path, _plain(name), parent.number)
        draft.guessed = bool(recorder.guesses)
        taken = tuple(tensors_in((args, kwargs)))
        sources = ledger.reads(draft, taken)
        recorder.operation = draft
        try:
            result = func(*args, **kwargs)
        except BaseException as error:
            draft.source = here()
            recorder.failed(error, draft, draft.name, draft.inputs)
            raise
        finally:
            recorder.operation = None
        ledger.makes(draft, tensors_in(args[0] if name == "__setitem__" else result))
        if not draft.outputs and not draft.flops and ledger.drafts[-1] is draft:
            # It gave no tensor but a number or a device: nothing of the dataflow.
            ledger.drop(sources)
            if draft.guessed:
                parent.guessed = True
            return result
        draft.source = here()
        recorder.used.update(id(tensor) for tensor in taken if isinstance(tensor, nn.Parameter))
        return result


class _DispatchMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The operations that cost something, those that write in place, and those that ask for data."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._recorder = recorder

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        recorder = self._recorder
        draft = recorder.current()
        schema = func._schema  # noqa: SLF001 - what an operation is called and what it writes
        name = schema.name
        if draft is None or recorder.ledger.paused:
            return func(*args, **kwargs)
        if name == "aten::_local_scalar_dense":
            absent = not _has_data(args[0])
            if absent or recorder.made_up:
                recorder.guess()
            if absent:
                recorder.give_up_endless_loop()
                return GUESS
        if torch.is_inference_mode_enabled() and name not in RULES:
            # Without autograd a composite operation arrives whole: what it consists of is what counts.
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        try:
            if name in ONE_DTYPE:
                agree(name, tensors_in(args))
            result = _normalised(name, args) or func(*args, **kwargs)
        except BaseException as error:
            shapes = tuple(tuple(tensor.shape) for tensor in tensors_in(args))
            recorder.failed(error, draft, _plain(name.removeprefix("aten::")), shapes)
            raise
        if name in RULES and not (recorder.passive and called_by_watcher()):
            inputs = [tuple(tensor.shape) for tensor in tensors_in(args)]
            outputs = [tuple(tensor.shape) for tensor in tensors_in(result)]
            transposed = name.endswith("convolution") and bool(args[6])
            draft.flops += operation_flops(name, inputs, outputs, transposed=transposed)
        elif (
            schema.is_mutable and name.endswith("_") and args and isinstance(args[0], torch.Tensor)
        ):
            recorder.ledger.writes(draft.number, args[0])
        return result


def _has_data(tensor: torch.Tensor) -> bool:
    from torch._subclasses.fake_tensor import FakeTensor

    return not (tensor.is_meta or isinstance(tensor, FakeTensor))


def _plain(name: str) -> str:
    """A function's name as a person would write it: ``__iadd__`` is ``add_``."""
    if name.startswith("__") and name.endswith("__"):
        bare = name[2:-2]
        return _WRITTEN.get(bare, bare)
    return name


_WRITTEN: Final = {
    "iadd": "add_",
    "isub": "sub_",
    "imul": "mul_",
    "itruediv": "div_",
    "radd": "add",
    "rsub": "sub",
    "rmul": "mul",
    "truediv": "div",
    "rtruediv": "div",
    "rpow": "pow",
    "setitem": "setitem_",
}


def _normalised(name: str, args: tuple[Any, ...]) -> tuple[torch.Tensor, ...] | None:
    """What a batch normalisation gives on meta, where all that it takes fits; None leaves it to torch.

    Torch finds these shapes by going through the arithmetic, which takes half the time of a convolutional model.
    """
    if name != "aten::native_batch_norm" or len(args) < 6 or type(args[0]) is not torch.Tensor:
        return None
    x, *given, training = args[:6]
    if not x.is_meta or x.dim() < 2 or not x.is_floating_point():
        return None
    if any(each is not None and each.shape != x.shape[1:2] for each in given):
        return None
    saved = [x.new_empty(x.shape[1] if training else 0) for _ in range(2)]
    return torch.empty_like(x), *saved
