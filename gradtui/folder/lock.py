"""One saver at a time: what a save compares the disk with must stay until its files are in place.

The lock is the system's own (`flock`) on a file of the sidecar, so it ends with its holder, however that ends. The file
goes when the lock does. It works between hosts where the file system hands locks on, as NFS does; where there is no such
lock, or no such file can be made, saves go without one, and only the last look before the rename tells of another.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from typing import TYPE_CHECKING

from gradtui.errors import SaveFailed
from gradtui.folder.writing import remove

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# Seconds: a save that merges the largest pickle takes less.
_PATIENCE = 20.0
_PAUSE = 0.01


@contextlib.contextmanager
def alone(path: Path) -> Iterator[Callable[[], bool]]:
    """Hold the lock of a file, which is made where it is missing; others wait for it.

    Yields:
        Asks whether the lock still counts: not when the file was taken away, because the next one makes another.

    Raises:
        SaveFailed: Another holds it, and did not end within 20 seconds.
    """
    descriptor = _taken(path)
    if descriptor < 0:
        yield lambda: True
        return
    try:
        yield lambda: _is_at(path, descriptor)
    finally:
        if _is_at(path, descriptor):
            remove(path)
        os.close(descriptor)


def _taken(path: Path) -> int:
    """A descriptor that holds the lock; -1 where there can be none."""
    deadline = time.monotonic() + _PATIENCE
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    while True:
        try:
            descriptor = os.open(path, flags, 0o666)
        except OSError:
            return -1
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Its last holder may have removed it meanwhile: the lock of the file that is there now is what counts.
            if _is_at(path, descriptor):
                return descriptor
        except BlockingIOError:
            pass
        except OSError:
            os.close(descriptor)
            remove(path)
            return -1
        os.close(descriptor)
        if time.monotonic() > deadline:
            raise SaveFailed(path, "another save goes on; if there is none, remove this file")
        time.sleep(_PAUSE)


def _is_at(path: Path, descriptor: int) -> bool:
    held = os.fstat(descriptor)
    try:
        found = path.stat(follow_symlinks=False)
    except OSError:
        return False
    return (held.st_dev, held.st_ino) == (found.st_dev, found.st_ino)
