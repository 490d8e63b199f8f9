"""Pickles as data: a bounded interpreter of opcodes that imports nothing and calls nothing that a file names.

An allow-list in ``Unpickler.find_class`` is not enough, because numpy's own reconstruction trusts its arguments. Here
bytes go in and plain values come out: None, bool, int, float, str, bytes, bytearray, tuple, list, dict, set, frozenset,
and numpy arrays, scalars and dtypes of real numbers and text. Arrays are read-only views of the file's bytes.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gradtui.errors import UnreadableFile
from gradtui.folder.pickle_machine import Limits, Machine, Refused, Truncated, broken
from gradtui.folder.pickle_opcodes import HANDLERS
from gradtui.folder.pickle_plain import finish
from gradtui.folder.reading import MAX_BYTES, Contents, TruncatedFile, read_regular

if TYPE_CHECKING:
    from pathlib import Path

_STOP = ord(".")
_CHECKED = 1 << 15


def read_pickle(data: memoryview | bytes, limits: Limits | None = None) -> object:
    """Interpret one pickle; bytes after its end are not looked at.

    Args:
        data: The bytes; arrays in the result keep them alive.
        limits: Bounds on opcodes, memory, values and depth.

    Returns:
        Plain data. NaN, infinities, empty and 0-d arrays are what they were. ``OrderedDict`` and ``defaultdict`` come
        as ``dict``.

    Raises:
        Truncated: The bytes end too early.
        Refused: In one line, what else is wrong.
    """
    machine = Machine(memoryview(data).toreadonly(), limits or Limits())
    try:
        _run(machine)
        if len(machine.stack) != 1 or machine.marks:
            broken("it does not end with one value")
        return finish(machine, machine.stack[0])
    except Refused:
        raise
    except (IndexError, KeyError, ValueError, TypeError, OverflowError, MemoryError) as error:
        raise Refused(f"not a pickle: {type(error).__name__} while it was read") from None


def read_flow_info(
    path: Path, *, max_bytes: int = MAX_BYTES
) -> tuple[dict[object, object], Contents]:
    """Read ``flow_info.pkl``.

    Returns:
        The root dict, and the file's bytes.

    Raises:
        TruncatedFile: It ends too early.
        UnreadableFile: It is of another kind, too large, not a pickle of plain data, or not a dict.
        FileBusy: It changed while it was read.
    """
    contents = read_regular(path, max_bytes=max_bytes)
    try:
        _look_at_kind(contents.data)
        root = read_pickle(contents.data)
    except Truncated as error:
        raise TruncatedFile(path, str(error)) from None
    except Refused as error:
        raise UnreadableFile(path, str(error)) from None
    if not isinstance(root, dict):
        raise UnreadableFile(path, f"holds {_article(type(root).__name__)} where a dict is needed")
    return root, contents


def _run(machine: Machine) -> None:
    data, size, handlers = machine.data, machine.size, HANDLERS
    position, left = 0, machine.opcodes
    started = time.thread_time()
    while True:
        if position >= size:
            raise Truncated(f"truncated at byte {size}")
        code = data[position]
        if code == _STOP:
            return
        handler = handlers.get(code)
        if handler is None:
            broken(f"no opcode {code} at byte {position}")
        position = handler(machine, position + 1)
        left -= 1
        if left % _CHECKED == 0 and time.thread_time() - started > machine.limits.seconds:
            raise Refused("takes too long to read; save arrays instead of lists")
        if left < 0:
            raise Refused(f"more than {machine.opcodes} opcodes; save arrays instead of lists")


def _look_at_kind(data: memoryview) -> None:
    """Name the files that are mistaken for a pickle most often."""
    start = bytes(data[:8])
    if not start:
        raise Truncated("truncated at byte 0")
    if start.startswith(b"PK\x03\x04"):
        raise Refused("a zip archive, as torch.save writes; save a pickle of numpy arrays")
    if start.startswith(b"\x93NUMPY"):
        raise Refused("an .npy file, not a pickle")
    if start.startswith(b"\x1f\x8b"):
        raise Refused("a gzip file, not a pickle")


def _article(name: str) -> str:
    return f"an {name}" if name[:1] in "aeiou" else f"a {name}"
