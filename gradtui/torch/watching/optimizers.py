"""The moments of a step: an optimizer's hooks, a scaler that skips it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from torch.optim import Optimizer
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from gradtui.torch.watching.late import inverse
from gradtui.torch.watching.uncompiled import uncompiled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gradtui.torch.watching.late import Late, Later

# How deep a wrapped optimizer may lie.
_WRAPPERS: Final = 4
_STEPPED: Final = 2
"""The value of torch.amp.grad_scaler.OptState.STEPPED."""


class StepHooks:
    """Calls back before and after each step of given optimizers, or of every one of the process.

    Steps of others with the same groups of parameters (the base of a sharpness-aware optimizer) are the given ones', too.
    """

    def __init__(
        self,
        before: Callable[[Optimizer, bool], None],
        after: Callable[[Optimizer, bool], None],
    ) -> None:
        self._before, self._after = before, after
        self._handles: list[Any] = []
        self._given: Sequence[Optimizer] = ()

    def on(self, optimizers: Sequence[Optimizer]) -> None:
        """Look at these alone; at every optimizer of the process where there are none."""
        self.remove()
        self._given = [one for optimizer in optimizers for one in (optimizer, _within(optimizer))]
        self._handles = [
            register_optimizer_step_pre_hook(self._pre),
            register_optimizer_step_post_hook(self._post),
        ]

    def remove(self) -> None:
        """Look no more."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def let_go(self) -> None:
        """Hold no optimizer; the hooks stay until they are removed, and are to do nothing."""
        self._given = ()

    @uncompiled
    def _pre(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if self._is_meant(optimizer):
            self._before(optimizer, _has_closure(args, kwargs))

    @uncompiled
    def _post(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if self._is_meant(optimizer):
            self._after(optimizer, _has_closure(args, kwargs))

    def _is_meant(self, optimizer: Optimizer) -> bool:
        if not self._given or any(optimizer is one for one in self._given):
            return True
        given = {id(group) for one in self._given for group in _groups(one)}
        return any(id(group) in given for group in _groups(optimizer))


def stepped(optimizer: Optimizer) -> set[int]:
    """The parameters that an optimizer steps, by ``id``."""
    return {id(p) for group in _groups(optimizer) for p in group["params"]}


def _groups(optimizer: Optimizer) -> list[dict[str, Any]]:
    # A wrapper need not have any.
    return getattr(optimizer, "param_groups", [])


def _within(optimizer: Optimizer) -> Optimizer:
    """What steps: the optimizer, or the one that it wraps."""
    for _ in range(_WRAPPERS):
        inner = getattr(optimizer, "optimizer", None)
        if not isinstance(inner, Optimizer):
            break
        optimizer = inner
    return optimizer


class ScalerLook:
    """What can be told of a gradient scaler, if there is one, without asking the device.

    A scaler keeps what it did with each optimizer until ``update()``, which begins a new book: a book that says
    "stepped" for an optimizer whose hook did not run is a step that was skipped. One in which a step was taken says
    so too, and is left alone: of gradients that are accumulated, several backward passes ask before the next step.
    """

    def __init__(self, scaler: Any, late: Late) -> None:
        self.scaler = scaler
        self._late = late
        self._book = self._current()
        self._ran: set[int] = set()
        self._others: set[int] = set()

    def scale(self) -> Later:
        """What the loss was multiplied with; 1 without a scaler."""
        if self.scaler is None or not self.scaler.is_enabled():
            return 1.0
        scale = getattr(self.scaler, "_scale", None)
        # It has no tensor before it has scaled its first loss.
        return self._late.scalar(
            getattr(self.scaler, "_init_scale", 1.0) if scale is None else scale
        )

    def scalars(self) -> dict[str, Later]:
        """What the run is told at each step; nothing without a scaler."""
        return {} if self.scaler is None else {"scale": self.scale()}

    def factor(self) -> Later:
        """What makes the gradients of such a loss those of the loss: 1 over the scale."""
        return inverse(self.scale())

    def skipped(self, chosen: Sequence[Optimizer]) -> bool:
        """Whether the scaler has closed a book since the last question in which a step of ours was skipped.

        ``chosen`` are ours; none: all of which we do not know that they are others'.
        """
        book, self._book = self._book, self._current()
        if book is None or book is self._book:
            return False
        ran, self._ran = self._ran | self._others, set()
        ours = set(map(id, chosen)) or set(book)
        return any(
            getattr(state.get("stage"), "value", -1) == _STEPPED
            for optimizer, state in book.items()
            if isinstance(state, dict) and optimizer in ours - ran
        )

    def steps(self, optimizer: Optimizer, *, is_ours: bool) -> None:
        """An optimizer's step is not skipped: its hook runs. Of others' steps nothing is ever told."""
        if self._book is not self._current():
            self._book = self._current()
            self._ran.clear()
        (self._ran if is_ours else self._others).add(id(optimizer))

    def _current(self) -> Any:
        return getattr(self.scaler, "_per_optimizer_states", None)


def rates_of(optimizer: Optimizer, known: dict[int, int], late: Late) -> dict[str, Later]:
    """The learning rate of each group of parameters, as ``lr.k``.

    ``known`` counts the groups of all optimizers as they are met, by their first parameter: an optimizer that is made
    anew goes on with the numbers of the one before.
    """
    found = {}
    for group in optimizer.param_groups:
        first = next(iter(group["params"]), group)
        k = known.setdefault(id(first), len(known))
        if group.get("lr") is not None:
            found[f"lr.{k}"] = late.scalar(group["lr"])
    return found


def _has_closure(args: Any, kwargs: Any) -> bool:
    # Optimizer hooks get (self, *args) as args.
    given = [value for value in args if not isinstance(value, Optimizer)]
    return any(value is not None for value in given) or kwargs.get("closure") is not None
