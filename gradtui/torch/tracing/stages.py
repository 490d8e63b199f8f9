"""The stages of a trace: a forward pass without data, with pretended data, with data.

Each stage calls the model as it is; what it would have changed (buffers, random state, modes) is either a
stand-in of the stage's own or put back.
"""

from __future__ import annotations

import contextlib
import logging
import random
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch import nn

from gradtui.torch.guard import untouched
from gradtui.torch.tracing.arguments import Arguments, with_data
from gradtui.torch.tracing.kept import kept, standing_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gradtui.core.architecture.graph import Stage

RUNNING: Final[tuple[Stage, ...]] = ("meta", "fake", "real")
"""The stages that run a forward pass, from the cheapest."""


def call_in(stage: Stage, model: nn.Module, arguments: Arguments) -> Call:
    """Prepare a forward pass in one stage.

    Raises:
        Exception: whatever torch says when the model's state cannot be pretended.
    """
    if stage == "meta":
        return Call(model, arguments.mapped(on_meta), _state(model, on_meta), _meta())
    if stage == "fake":
        from torch._subclasses.fake_tensor import FakeTensorMode

        mode = FakeTensorMode(allow_non_fake_inputs=True)

        def fake(tensor: torch.Tensor) -> torch.Tensor:
            if tensor.is_meta:
                with mode:
                    return torch.empty_like(tensor, device="cpu")
            return mode.from_tensor(tensor)

        return Call(model, arguments.mapped(fake), _state(model, fake), _fake(mode))
    return Call(model, arguments.mapped(with_data), {}, _real(model))


class Call:
    """A forward pass that can be made once.

    Attributes:
        arguments: what the model is called with.
        state: the stand-ins of its parameters and buffers, by name; empty where its own are used.
    """

    def __init__(
        self,
        model: nn.Module,
        arguments: Arguments,
        state: dict[str, torch.Tensor],
        around: contextlib.AbstractContextManager[object],
    ) -> None:
        self._model = model
        self._around = around
        self.arguments = arguments
        self.state = state

    def __enter__(self) -> Callable[[], Any]:
        with contextlib.ExitStack() as stack:
            stack.enter_context(_same_numbers())
            stack.enter_context(_slow_attention())
            stack.enter_context(torch.no_grad())
            stack.enter_context(self._around)
            # Innermost: what is in the place of the model's own tensors goes before these are looked at.
            stack.enter_context(
                standing_in(self._model, self.state) if self.state else kept(self._model)
            )
            # Where one of them cannot begin, those before it have ended.
            self._stack = stack.pop_all()
        return self._make

    def __exit__(self, *raised: object) -> None:
        self._stack.close()

    def _make(self) -> Any:
        return self._model(*self.arguments.positional, **self.arguments.keywords)


def on_meta(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor without its data; one that has none as it is."""
    return tensor if tensor.is_meta else torch.empty_like(tensor, device="meta")


def _state(
    model: nn.Module, change: Callable[[torch.Tensor], torch.Tensor]
) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = {}
    for name, parameter in model.named_parameters():
        changed = change(parameter)
        state[name] = (
            changed
            if isinstance(changed, nn.Parameter)
            else nn.Parameter(changed, requires_grad=parameter.requires_grad)
        )
    for name, buffer in model.named_buffers():
        state[name] = change(buffer)
    return state


@contextlib.contextmanager
def _meta() -> Iterator[None]:
    # What the model makes on its way ("torch.arange(n)") must meet meta tensors.
    with torch.device("meta"):
        yield


@contextlib.contextmanager
def _fake(mode: Any) -> Iterator[None]:
    # Torch prints each failing operation's traceback; the graph tells of it in a line.
    loud = logging.getLogger("torch._subclasses.fake_tensor")
    before = loud.level
    loud.setLevel(logging.CRITICAL + 1)
    try:
        with mode:
            yield
    finally:
        loud.setLevel(before)


@contextlib.contextmanager
def _real(model: nn.Module) -> Iterator[None]:
    with untouched(model):
        yield


@contextlib.contextmanager
def _same_numbers() -> Iterator[None]:
    """Keep the random generators where they were; a pass without data draws numbers too."""
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()  # noqa: NPY002 - the user's
    try:
        yield
    finally:
        torch.set_rng_state(states[0])
        random.setstate(states[1])
        np.random.set_state(states[2])  # noqa: NPY002


@contextlib.contextmanager
def _slow_attention() -> Iterator[None]:
    """Take the path of attention that consists of operations; the fast one is a single one without a rule."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
