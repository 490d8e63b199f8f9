"""`torch.jit.script` of a watched model: it compiles the hooks of modules, too, and ours are not made for that.

There is no public way to tell it which hooks to leave: so the one function of torch that all scripting goes through is
wrapped, once for the process, by one that takes our hooks off for as long as it runs. A scripted model has none of them.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from functools import wraps
from typing import TYPE_CHECKING, Any

from torch import nn
from torch.jit import _recursive

from gradtui.torch.tracing.passive import FirstPassHook
from gradtui.torch.watching.calls import Silent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def let_script() -> None:
    """See to it that scripting finds no hooks of ours; more than once is once."""
    bare: Any = getattr(_recursive, "create_script_module", None)
    if bare is None or hasattr(bare, "without_hooks_of_gradtui"):
        return

    @wraps(bare)
    def create_script_module(nn_module: Any, *args: Any, **kwargs: Any) -> Any:
        with _without_hooks(nn_module):
            return bare(nn_module, *args, **kwargs)

    create_script_module.without_hooks_of_gradtui = True  # type: ignore[attr-defined]
    _recursive.create_script_module = create_script_module


def is_ours(hook: object) -> bool:
    """Whether a hook is one of ours, or what a copy of a module has in its place."""
    return isinstance(hook, (Silent, FirstPassHook)) or is_copied(hook)


def is_copied(hook: object) -> bool:
    """Whether a hook is what a copy of a module has in the place of one of ours: it does nothing."""
    return type(getattr(hook, "__self__", None)) is nullcontext


def hooks_on(module: nn.Module) -> tuple[dict[int, Any], dict[int, Any]]:
    """The hooks that run before and after a module's forward, by number; what is deleted is taken off."""
    return module._forward_pre_hooks, module._forward_hooks  # noqa: SLF001 - torch hands out no list of them


@contextmanager
def _without_hooks(model: Any) -> Iterator[None]:
    """Our hooks are off the modules of a model; afterwards all stand in their order again."""
    taken: list[tuple[dict[int, Any], Mapping[int, Any]]] = []
    try:
        for module in model.modules() if isinstance(model, nn.Module) else ():
            for hooks in hooks_on(module):
                if any(map(is_ours, hooks.values())):
                    taken.append((hooks, dict(hooks)))
                    _replace(hooks, {k: hook for k, hook in hooks.items() if not is_ours(hook)})
        yield
    finally:
        for hooks, before in taken:
            _replace(hooks, {**before, **hooks})


def _replace(hooks: dict[int, Any], others: Mapping[int, Any]) -> None:
    # The same dictionary: who set a hook takes it off from there.
    hooks.clear()
    hooks.update(others)
