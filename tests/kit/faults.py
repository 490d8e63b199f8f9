"""Killing, and failing, a write at each step that it asks of the system.

The steps of `gradtui.folder.writing` are calls of ``os`` and of ``Path``; each is counted, and the n-th does harm.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_OF_OS = ("open", "write", "close", "fchmod", "link")
_OF_PATH = ("replace", "unlink", "mkdir")


class Steps:
    """Counts the steps of a write, and calls ``harm`` before the n-th (from 0)."""

    def __init__(self, at: int, harm: Callable[[str], None]) -> None:
        self.count = 0
        self._at = at
        self._harm = harm

    def step(self, name: str) -> None:
        self.count += 1
        if self.count - 1 == self._at:
            self._harm(name)


@contextlib.contextmanager
def counted(steps: Steps, *, only: tuple[str, ...] = ()) -> Iterator[None]:
    """Within the block the system's calls are counted; with ``only``, those alone."""
    places: list[tuple[object, str]] = [(os, name) for name in _OF_OS]
    places += [(Path, name) for name in _OF_PATH]
    saved = [(owner, name, getattr(owner, name)) for owner, name in places]

    def wrap(name: str, original: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **kwargs: object) -> object:
            if not only or name in only:
                steps.step(name)
            return original(*args, **kwargs)

        return call

    try:
        for owner, name, original in saved:
            setattr(owner, name, wrap(name, original))
        yield
    finally:
        for owner, name, original in saved:
            setattr(owner, name, original)


def killed_at(step: int, work: Callable[[], object]) -> bool:
    """Do ``work`` in a child that is killed before its n-th step; whether it was killed before it ended."""
    with warnings.catch_warnings():
        # The child does nothing but the work, and threads of libraries are of no concern to it.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            with counted(Steps(step, lambda _: os.kill(os.getpid(), signal.SIGKILL))):
                work()
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def disk_full(_: str) -> None:
    """Fail as a full disk does."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
