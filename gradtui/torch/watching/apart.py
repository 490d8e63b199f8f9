"""Where our hooks stand on a module: in dictionaries that hand none of ours on, and do not count them where that decides what runs.

In evaluation ``nn.TransformerEncoderLayer`` runs one kernel in the place of all modules in it, unless any of them has a
hook: and that kernel gives other numbers than they do. So it has to find none; torch asks for ``len``. Whether there
is a hook to be called torch asks for their truth.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from torch import nn

from gradtui.torch.watching.scripting import is_ours

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_NAMES: Final = (
    ("_forward_pre_hooks", "_forward_pre_hooks_with_kwargs"),
    ("_forward_hooks", "_forward_hooks_always_called"),
)
"""Of a module's hooks, by number, and of what torch notes of some of them."""


class Apart(OrderedDict[int, Any]):
    """Hooks; a copy or a pickle is torch's own dictionary, and has those of others alone."""

    def __reduce__(self) -> tuple[Any, ...]:
        others = [(key, hook) for key, hook in self.items() if not is_ours(hook)]
        return OrderedDict, (), None, None, iter(others)


class Uncounted(Apart):
    """Hooks whose length is the number of those of others."""

    def __len__(self) -> int:
        return sum(not is_ours(hook) for hook in self.values())

    def __bool__(self) -> bool:
        return super().__len__() > 0


class Notes(OrderedDict[int, bool]):
    """What torch notes of some hooks; a copy or a pickle is as that of the hooks."""

    def __init__(self, hooks: Mapping[int, Any]) -> None:
        super().__init__()
        self._hooks = hooks

    def __reduce__(self) -> tuple[Any, ...]:
        hooks = self._hooks
        others = [(k, note) for k, note in self.items() if k in hooks and not is_ours(hooks[k])]
        return OrderedDict, (), None, None, iter(others)


def decided_by_hooks(model: nn.Module) -> set[int]:
    """The ``id`` of each module on whose hooks it depends what runs."""
    layers = [m for m in model.modules() if isinstance(m, nn.TransformerEncoderLayer)]
    return {id(module) for layer in layers for module in layer.modules()}


def set_apart(module: nn.Module, uncounted: Collection[int]) -> None:
    """Make room for our hooks; those of others stay where who set them looks for them, and then ours stand beside them."""
    own = vars(module)
    kind = Uncounted if id(module) in uncounted else Apart
    for hooks, notes in _NAMES:
        if type(own[hooks]) is OrderedDict and not own[hooks]:
            own[hooks] = kind()
        if type(own[notes]) is OrderedDict and not own[notes]:
            own[notes] = Notes(own[hooks])


def put_back(module: nn.Module) -> None:
    """Torch's own dictionaries again, where no hook is left."""
    own = vars(module)
    for hooks, notes in _NAMES:
        if isinstance(own.get(notes), Notes) and not own[notes]:
            own[notes] = OrderedDict()
        if isinstance(own.get(hooks), Apart) and not own[hooks]:
            own[hooks] = OrderedDict()
