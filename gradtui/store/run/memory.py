"""The process's memory while a long history is read.

What the interpreter and the C library do by themselves is made for small programs: here it takes twice the time and
twice the room.
"""

from __future__ import annotations

import contextlib
import gc
import sys
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Source: malloc.h of glibc, M_MMAP_THRESHOLD.
_MMAP_THRESHOLD = -3
_LARGE = 1 << 20


@contextlib.contextmanager
def no_collection() -> Iterator[None]:
    """Hold the collector of cycles off: it would look through a million new names again and again, and find nothing."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def leave_to_stay() -> None:
    """Tell the collector that what lives now will: a full look at the names of a large model takes a tenth of a second."""
    gc.freeze()


@cache
def give_back_large_blocks() -> None:
    """Let the C library give blocks of a megabyte and more back when they are freed.

    By default glibc learns from the first ones to keep them, and bars of numbers that come and go leave holes: a history
    of 220 MB took 430.
    """
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    # Another C library has no such option, and needs none.
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, _LARGE)
