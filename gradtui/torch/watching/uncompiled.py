"""What torch never compiles: our hooks in a backward pass or an optimizer's step that a compiled function calls for."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ParamSpec, TypeVar

    Given = ParamSpec("Given")
    Value = TypeVar("Value")


def uncompiled(function: Callable[Given, Value]) -> Callable[Given, Value]:
    """Have torch run a function, and all that it calls, as it stands; returns it.

    As ``torch.compiler.disable`` does, which would load the compiler for who compiles nothing, and wrap the function.
    """
    with suppress(AttributeError):
        frames = torch._C._dynamo.eval_frame  # noqa: SLF001 - see above
        skip = frames._FrameAction.SKIP  # noqa: SLF001 - as above
        strategy = frames._FrameExecStrategy(skip, skip)  # noqa: SLF001 - as above
        frames.set_code_exec_strategy(function.__code__, strategy)
    return function
