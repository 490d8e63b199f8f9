"""The end of a model whose watching nobody ended."""

from __future__ import annotations

import weakref
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torch import nn


class Lifetime:
    """Calls back when a model is gone, and all modules that were in it: what was taken out of it may be trained on.

    A module's end may come in the midst of anything, in any thread: while memory is tidied up, while a lock is held,
    while torch goes through its hooks. So who is called must take no lock, remove no hook and wait for nothing.
    """

    def __init__(self, on_end: Callable[[], None]) -> None:
        """Of no module yet."""
        self._on_end = on_end
        self._rest: list[weakref.ref[nn.Module]] = []
        self._awaited: weakref.ref[nn.Module] | None = None

    def of(self, modules: Iterable[weakref.ref[nn.Module]]) -> None:
        """These are the modules now; the first is the one that most likely is the last to go."""
        self._rest = list(modules)[::-1]
        self._go_on(None)

    def forget(self) -> None:
        """Call back no more."""
        self._rest, self._awaited = [], None

    def _go_on(self, _: object) -> None:
        """Await the end of the next that is there: a model goes before what is in it."""
        while self._rest:
            module = self._rest.pop()()
            if module is not None:
                self._awaited = weakref.ref(module, self._go_on)
                return
        with suppress(Exception):
            self._on_end()
