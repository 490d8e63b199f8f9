"""Whether a module runs for something else than itself: then our hooks on it look away."""

from __future__ import annotations

import torch


def is_elsewhere() -> bool:
    """Whether a module runs to be compiled or traced, or under ``torch.func``.

    What a tracer sees becomes a part of its graph, and under ``vmap`` no tensor has a number.
    """
    return (
        torch.compiler.is_compiling()
        or torch._C._get_tracing_state() is not None  # noqa: SLF001 - what torch.jit.is_tracing asks
        or torch._C._functorch.peek_interpreter_stack() is not None  # noqa: SLF001 - the only way to know
    )
