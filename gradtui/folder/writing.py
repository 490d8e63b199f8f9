"""Files that are replaced whole: written beside themselves, then renamed.

All files of one write are staged first, so that a full disk shows before anything is replaced. Nothing is synced to
the disk: a process that is killed loses nothing that it had replaced, and after a power cut the commit's checksums
tell what is whole. A sync costs more than the loop's whole round on many file systems.
"""

from __future__ import annotations

import itertools
import os
import stat
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradtui.errors import SaveFailed
from gradtui.folder.process import Process, this_process
from gradtui.folder.reading import reason_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from typing_extensions import Self

    from gradtui.folder.location import Side

    Chunks = Sequence[bytes | bytearray | memoryview]

_SUFFIX = ".gradtui-tmp"
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class FileSum:
    """What a commit says about a file.

    Attributes:
        length: Bytes.
        crc32: CRC-32 of all bytes, as zlib computes it.
    """

    length: int
    crc32: int


@dataclass(frozen=True, slots=True)
class Staged:
    """A file that is written and waits for its name."""

    path: Path
    beside: Path
    sum: FileSum


def sum_of(chunks: Iterable[bytes | bytearray | memoryview]) -> FileSum:
    """Length and CRC-32 of bytes that come in pieces."""
    length = crc = 0
    for chunk in chunks:
        length += len(chunk)
        crc = zlib.crc32(chunk, crc)
    return FileSum(length, crc)


class Staging:
    """The staged files of one write; leaving the ``with`` block removes what was not placed."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self._waiting: list[Staged] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for staged in self._waiting:
            remove(staged.beside)
        self._waiting.clear()

    def stage(self, path: Path, chunks: Chunks) -> Staged:
        """Write the bytes beside ``path``.

        Raises:
            SaveFailed: The disk is full, read-only or gone; what was there is still there.
        """
        beside = path.with_name(_beside(path.name, self._side, this_process()))
        staged = Staged(path, beside, sum_of(chunks))
        self._waiting.append(staged)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(beside, flags, 0o666)
            try:
                _keep_mode(path, descriptor)
                for chunk in chunks:
                    _write_all(descriptor, memoryview(chunk).cast("B"))
            finally:
                os.close(descriptor)
        except OSError as error:
            raise SaveFailed(path, reason_of(error)) from error
        return staged

    def place(self, staged: Staged) -> None:
        """Give a staged file its name, in place of what had it.

        Raises:
            SaveFailed: The system refused the rename.
        """
        try:
            staged.beside.replace(staged.path)
        except OSError as error:
            raise SaveFailed(staged.path, reason_of(error)) from error
        self._waiting.remove(staged)


def replace_file(path: Path, data: bytes, side: Side) -> None:
    """Replace one file whole.

    Raises:
        SaveFailed: The disk refused; what was there is still there.
    """
    with Staging(side) as staging:
        staging.place(staging.stage(path, [data]))


def make_directory(path: Path) -> None:
    """Make a directory and those above it; one that is there is fine.

    Raises:
        SaveFailed: The system refused, or the name belongs to a file.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SaveFailed(path, reason_of(error)) from error


def make_own_directory(path: Path) -> None:
    """Make a directory of the sidecar; a link in its place is refused, because what is behind it is somebody's.

    Raises:
        SaveFailed: The system refused, or the name belongs to a file or a link.
    """
    make_directory(path)
    if path.is_symlink():
        raise SaveFailed(path, "is a link: nothing of gradtui's is written or removed behind one")


def remove(path: Path) -> None:
    """Remove a file of ours; one that is gone, or that cannot be removed, is left."""
    try:
        path.unlink()
    except OSError:
        return


def sweep(directory: Path, side: Side) -> int:
    """Remove what dead processes of this host and side left staged; returns how many files went."""
    removed = 0
    try:
        names = [item.name for item in directory.iterdir() if item.name.endswith(_SUFFIX)]
    except OSError:
        return 0
    for name in names:
        writer, of_side = _who(name)
        if of_side == side and writer.pid and not writer.is_alive:
            remove(directory / name)
            removed += 1
    return removed


def _beside(name: str, side: str, writer: Process) -> str:
    host = zlib.crc32(writer.host.encode())
    # Names of files may be long already: the staged name keeps their beginning only.
    number = next(_numbers)
    return f".{name[:80]}.{side}.{host:08x}.{writer.pid}.{writer.started}.{number}{_SUFFIX}"


def _who(name: str) -> tuple[Process, str]:
    fields = name[: -len(_SUFFIX)].split(".")
    here = this_process().host
    if len(fields) < 6 or fields[-4] != f"{zlib.crc32(here.encode()):08x}":
        return Process(), ""
    try:
        return Process(int(fields[-3]), here, int(fields[-2])), fields[-5]
    except ValueError:
        return Process(), ""


def _keep_mode(path: Path, descriptor: int) -> None:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return
    os.fchmod(descriptor, mode)


def _write_all(descriptor: int, view: memoryview) -> None:
    while view:
        # A full disk may take a part without an error, and say so only at the next call.
        count = os.write(descriptor, view[: 1 << 30])
        view = view[count:]
