"""All open handles of this process: closed when it ends, silent in one that is forked off."""

from __future__ import annotations

import atexit
import os
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from torch import nn

    from gradtui.torch.watching.handle import WatchHandle

_live: Final[set[WatchHandle]] = set()
"""They hold nothing that would keep a model, and each is to be there when that ends."""


def opened(handle: WatchHandle) -> None:
    """A handle is open from now on."""
    _live.add(handle)
    # Again behind the writer's own, so that it runs before that.
    atexit.unregister(_close_all)
    atexit.register(_close_all)


def closed(handle: WatchHandle) -> None:
    """A handle is not any more."""
    _live.discard(handle)


def live_handles() -> list[WatchHandle]:
    """All open handles of this process."""
    return list(_live) if _live else []


def close_gone() -> None:
    """Close the handles whose models are gone; see `gradtui.torch.watching.lifetime.Lifetime`."""
    for handle in list(_live):
        if handle.is_gone:
            handle.close()


def handles_of(model: nn.Module) -> list[WatchHandle]:
    """The open handles of a model."""
    return [handle for handle in list(_live) if handle.watches(model)]


def _close_all() -> None:
    # Set where an error ended the interpreter; where somebody types, by any that came before.
    error = None if hasattr(sys, "ps1") else getattr(sys, "last_value", None)
    for handle in list(_live):
        handle.ended_with(error)
        handle.close()


def _in_child() -> None:
    # A worker that was forked off has a copy of the model with our hooks, and no thread that writes.
    for handle in list(_live):
        handle.abandon()


os.register_at_fork(after_in_child=_in_child)
