"""The opcodes that carry numbers, texts and bytes, each as what it does to a `Machine`.

Source: the comments of ``pickletools`` in Python's standard library.
"""

from __future__ import annotations

import codecs
import re
import struct
from collections.abc import Callable

from gradtui.folder.pickle_machine import Machine, Raw, Refused, Truncated, broken

Handler = Callable[[Machine, int], int]

_NEWLINE = re.compile(b"\n")
_MAX_NUMBER_TEXT = 400
_MAX_LONG_BYTES = 256
# From this size on, bytes stay where they are in the file.
_LARGE = 256
_LARGE_TEXT = 65_536


def line(machine: Machine, position: int, longest: int) -> tuple[memoryview, int]:
    """The bytes up to the next line end, and the position after it."""
    found = _NEWLINE.search(machine.data, position)
    if found is None:
        raise Truncated(f"truncated at byte {machine.size}")
    if found.start() - position > longest:
        broken("a line that is too long")
    return machine.data[position : found.start()], found.end()


def number_line(machine: Machine, position: int) -> tuple[bytes, int]:
    """A short line that holds a number."""
    found, end = line(machine, position, _MAX_NUMBER_TEXT)
    return bytes(found), end


def _push(machine: Machine, value: object) -> None:
    machine.spend_object(value)
    machine.stack.append(value)


def _push_text(machine: Machine, view: memoryview, kind: str) -> None:
    if len(view) > _LARGE_TEXT:
        # A text this long is the bytes of an array in protocols 0 to 2; decoded, it could be four times as long.
        machine.spend(200)
        machine.stack.append(Raw(view, kind))
        return
    if kind == "utf-8":
        text = str(view, "utf-8", "surrogatepass")
    elif kind == "escape":
        text = str(view, "raw-unicode-escape")
    else:
        text = str(view, "latin-1")
    _push(machine, text)


def _push_bytes(machine: Machine, position: int, count: int, kind: str) -> int:
    end = machine.need(position, count)
    view = machine.data[position:end]
    if count > _LARGE:
        machine.spend(320)
        machine.stack.append(Raw(view, kind))
    else:
        _push(machine, bytearray(view) if kind == "bytearray" else bytes(view))
    return end


def sized_bytes(width: int, kind: str) -> Handler:
    """An opcode that carries bytes after their length."""

    def read(machine: Machine, position: int) -> int:
        count = machine.number(position, width)
        return _push_bytes(machine, position + width, count, kind)

    return read


def sized_text(width: int, kind: str) -> Handler:
    """An opcode that carries a text after its length."""

    def read(machine: Machine, position: int) -> int:
        start = position + width
        end = machine.need(start, machine.number(position, width))
        _push_text(machine, machine.data[start:end], kind)
        return end

    return read


def constant(value: object) -> Handler:
    """An opcode that pushes one value."""

    def read(machine: Machine, position: int) -> int:
        machine.spend(9)
        machine.stack.append(value)
        return position

    return read


def unsigned(width: int) -> Handler:
    """An opcode that carries an unsigned number of so many bytes."""

    def read(machine: Machine, position: int) -> int:
        machine.spend(41)
        machine.stack.append(machine.number(position, width))
        return position + width

    return read


def byte(machine: Machine, position: int) -> int:
    """BININT1: the most frequent opcode of all; Python keeps one object for each of its values."""
    machine.spend(9)
    if position >= machine.size:
        raise Truncated(f"truncated at byte {machine.size}")
    machine.stack.append(machine.data[position])
    return position + 1


def bin_int(machine: Machine, position: int) -> int:
    """BININT: four bytes with a sign."""
    end = machine.need(position, 4)
    machine.spend(41)
    machine.stack.append(int.from_bytes(machine.data[position:end], "little", signed=True))
    return end


def integer(machine: Machine, position: int) -> int:
    """INT: digits, or 00 and 01 for False and True."""
    text, end = number_line(machine, position)
    value: object = {b"00": False, b"01": True}.get(text)
    _push(machine, int(text, 10) if value is None else value)
    return end


def long_integer(machine: Machine, position: int) -> int:
    """LONG: digits and an L."""
    text, end = number_line(machine, position)
    _push(machine, int(text.removesuffix(b"L"), 10))
    return end


def sized_long(width: int) -> Handler:
    """An opcode that carries a whole number of any length."""

    def read(machine: Machine, position: int) -> int:
        count = machine.number(position, width)
        if count > _MAX_LONG_BYTES:
            raise Refused(f"a whole number of {count} bytes")
        start = position + width
        end = machine.need(start, count)
        _push(machine, int.from_bytes(machine.data[start:end], "little", signed=True))
        return end

    return read


def text_float(machine: Machine, position: int) -> int:
    """FLOAT: a number as text."""
    text, end = number_line(machine, position)
    _push(machine, float(text))
    return end


def bin_float(machine: Machine, position: int) -> int:
    """BINFLOAT: eight bytes, the largest first."""
    end = machine.need(position, 8)
    machine.spend(33)
    machine.stack.append(struct.unpack_from(">d", machine.data, position)[0])
    return end


def string(machine: Machine, position: int) -> int:
    """STRING: a quoted text of Python 2."""
    found, end = line(machine, position, 1 << 26)
    if len(found) > _LARGE_TEXT:
        raise Refused("an array of Python 2 in protocol 0; save it with protocol 2 or later")
    quoted = bytes(found).strip()
    if len(quoted) < 2 or quoted[:1] != quoted[-1:] or quoted[:1] not in b"\"'":
        broken("a text without quotes")
    _push(machine, codecs.escape_decode(quoted[1:-1])[0].decode("latin-1"))
    return end


def unicode_line(machine: Machine, position: int) -> int:
    """UNICODE: a text with escapes, up to the end of the line."""
    found, end = line(machine, position, machine.size)
    _push_text(machine, found, "escape")
    return end
