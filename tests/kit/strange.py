"""What is no file, and stands where one should."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def strange_places() -> Iterator[tuple[str, Callable[[Path], None]]]:
    """What may stand where a file should, each made at a path."""
    yield "fifo", lambda path: os.mkfifo(path)
    yield "directory", lambda path: path.mkdir()
    yield "symlink-loop", lambda path: path.symlink_to(path.name)
    yield "dangling-link", lambda path: path.symlink_to("nowhere")
    yield "device", lambda path: path.symlink_to("/dev/zero")
    yield "terabyte", _terabyte
    yield "socket", _socket


def _terabyte(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as end:
        # The name of a socket is short: bind it where we stand.
        here = os.open(".", os.O_RDONLY)
        try:
            os.chdir(path.parent)
            end.bind(path.name)
        finally:
            os.fchdir(here)
            os.close(here)
