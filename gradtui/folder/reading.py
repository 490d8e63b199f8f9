"""Bytes of regular files, and of small JSON files, without trusting either.

A path may name a FIFO that never answers, a device, a loop of links or a sparse file of a terabyte: so the kind and
the size are looked at before a byte is read.
"""

from __future__ import annotations

import errno
import json
import mmap
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradtui.errors import FileBusy, InvalidContents, UnreadableFile
from gradtui.folder.stamp import Stamp, of_stat

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MAX_BYTES = 1 << 30
_MAX_JSON_BYTES = 1 << 20
_SMALL = 1 << 20
_STEP = 1 << 30


class EndsEarly(InvalidContents):
    """Bytes that stop in the middle."""


class TruncatedFile(UnreadableFile):
    """A file that ends too early: if it was changed a moment ago, its writer may still be at work."""


@dataclass(frozen=True, slots=True)
class Contents:
    """The bytes of a file and the stamp that it had before and after they were read."""

    data: memoryview
    stamp: Stamp


def read_regular(path: Path, *, max_bytes: int = MAX_BYTES) -> Contents:
    """Read a regular file whole, into memory that is allocated once.

    The memory belongs to us alone: a file that is mapped and then truncated would end the process.

    Raises:
        UnreadableFile: Missing, not a regular file, not permitted, a loop of links, or larger than ``max_bytes``.
        FileBusy: The file changed while it was read.
    """
    try:
        # A stat first, because opening some devices does something; again on the descriptor, because the
        # name may mean another file by then.
        _check_kind(path, path.stat(), max_bytes)
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError as error:
        raise UnreadableFile(path, reason_of(error)) from None
    try:
        before = os.fstat(descriptor)
        _check_kind(path, before, max_bytes)
        view = _memory(before.st_size)
        start = _next_data(descriptor, 0, len(view))
        while start < len(view):
            stop = _next_hole(descriptor, start, len(view))
            count = os.preadv(descriptor, [view[start:stop]], start)
            if count == 0:
                raise FileBusy(path, "shrank while it was read")
            start += count
            if start == stop:
                start = _next_data(descriptor, start, len(view))
        after = os.fstat(descriptor)
    except OSError as error:
        raise UnreadableFile(path, reason_of(error)) from None
    finally:
        os.close(descriptor)
    if of_stat(before) != of_stat(after):
        raise FileBusy(path, "changed while it was read")
    return Contents(view.toreadonly(), of_stat(after))


def read_record(path: Path) -> Mapping[str, object]:
    """Read a small JSON object of the sidecar; whatever is not one gives an empty mapping.

    A sidecar file that is missing, torn, hostile or of another kind must not keep the data from being read.
    """
    try:
        data = read_regular(path, max_bytes=_MAX_JSON_BYTES).data
        record = json.loads(bytes(data))
    except (UnreadableFile, FileBusy, ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def reason_of(error: OSError) -> str:
    """The system's own words for an error, without a path or a number."""
    text = error.strerror or type(error).__name__
    return text[:1].lower() + text[1:]


def size_text(count: int) -> str:
    """A size in the largest unit that leaves at least one: ``1.0 TiB``."""
    size = float(count)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def _memory(size: int) -> memoryview:
    """Zeroed memory for a file.

    That for a large one comes from the system itself, costs nothing until it is written to, and goes back as soon
    as nobody looks at it: what is freed to the allocator may stay with the process, once for each file read.
    """
    if size < _SMALL:
        return memoryview(bytearray(size))
    try:
        return memoryview(mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
    except OSError as error:
        # As the allocator says it: there is nothing wrong with the file.
        raise MemoryError(reason_of(error)) from None


def _next_data(descriptor: int, start: int, size: int) -> int:
    """Where the next bytes are that take room on the disk: what is not there is zero, and takes no time either."""
    if size < _SMALL or start >= size:
        return start
    try:
        return min(os.lseek(descriptor, start, os.SEEK_DATA), size)
    except OSError as error:
        # ENXIO: only a hole follows. Other systems do not know the question.
        return size if error.errno == errno.ENXIO else start


def _next_hole(descriptor: int, start: int, size: int) -> int:
    if size < _SMALL:
        return size
    try:
        hole = min(os.lseek(descriptor, start, os.SEEK_HOLE), size)
    except OSError:
        return min(size, start + _STEP)
    return min(hole, start + _STEP)


def _check_kind(path: Path, result: os.stat_result, max_bytes: int) -> None:
    mode = result.st_mode
    if not stat.S_ISREG(mode):
        raise UnreadableFile(path, f"is {_kind(mode)}, not a file")
    if result.st_size > max_bytes:
        size, limit = size_text(result.st_size), size_text(max_bytes)
        raise UnreadableFile(path, f"{size} is more than {limit} (--max-bytes lifts the limit)")


def _kind(mode: int) -> str:
    for test, name in (
        (stat.S_ISDIR, "a directory"),
        (stat.S_ISFIFO, "a FIFO"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
    ):
        if test(mode):
            return name
    return "something else"
