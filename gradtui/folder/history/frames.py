"""The frame of a record: 32 bytes that say how long it is, when it was made, and whether it is whole.

Two checksums: the header's own says that the length can be believed, the payload's that the contents can.
"""

from __future__ import annotations

import math
import struct
import zlib
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    Buffer = bytes | bytearray | memoryview

MAGIC: Final = b"GTL1"
_FIELDS: Final = struct.Struct("<4sIqdI")
_HEADER: Final = struct.Struct("<4sIqdII")
HEADER: Final = _HEADER.size
MAX_PAYLOAD: Final = 256 << 20
_MAX_STEP: Final = 1 << 53


class Frame(NamedTuple):
    """A header that is whole.

    Attributes:
        length: bytes of the payload.
        step: of the record; -1 before the first.
        time: wall time, seconds since 1970.
        crc32: CRC-32 of the payload.
    """

    length: int
    step: int
    time: float
    crc32: int


def frame(payload: Sequence[Buffer], step: int, time: float) -> bytes:
    """Return a record: the header and the payload, which comes in pieces.

    Raises:
        ValueError: the payload is larger than `MAX_PAYLOAD`, the step is not within -1 and 2^53, or the time is
            not finite.
    """
    length = sum(map(len, payload))
    if length > MAX_PAYLOAD:
        raise ValueError("the record is too large")
    if not -1 <= step < _MAX_STEP or not math.isfinite(time):
        raise ValueError("a step or a time that cannot be")
    crc = 0
    for piece in payload:
        crc = zlib.crc32(piece, crc)
    fields = _FIELDS.pack(MAGIC, length, step, time, crc)
    return b"".join((fields, struct.pack("<I", zlib.crc32(fields)), *payload))


def header_at(data: memoryview, start: int) -> Frame | None:
    """Return the header at a place; None where its checksum, magic or length are not right.

    Args:
        data: with at least `HEADER` bytes from ``start``.
        start: in bytes.
    """
    magic, length, step, time, crc, own = _HEADER.unpack_from(data, start)
    if magic != MAGIC or length > MAX_PAYLOAD:
        return None
    if zlib.crc32(data[start : start + HEADER - 4]) != own:
        return None
    return Frame(length, step, time, crc)


def is_whole(frame: Frame, payload: memoryview) -> bool:
    """Whether a payload is the one that its header was written for, and step and time are such as can be."""
    return (
        len(payload) == frame.length
        and zlib.crc32(payload) == frame.crc32
        and -1 <= frame.step < _MAX_STEP
        and math.isfinite(frame.time)
    )


def first_record(data: memoryview) -> int:
    """Return where the first whole record in the last bytes of a file begins; -1 where there is none.

    A payload can hold what looks like a record; but from a true one header follows header up to the end.

    Args:
        data: from any place of the file to its end.
    """
    # A copy: a memoryview cannot be searched.
    text = bytes(data)
    start = text.find(MAGIC)
    while 0 <= start <= len(text) - HEADER:
        frame = header_at(data, start)
        if frame is not None:
            end = start + HEADER + frame.length
            is_there = end <= len(text) and is_whole(frame, data[start + HEADER : end])
            if is_there and _leads_to_the_end(data, end):
                return start
        start = text.find(MAGIC, start + 1)
    return -1


def _leads_to_the_end(data: memoryview, start: int) -> bool:
    """Whether header follows header from a place on; the last record may be there in part."""
    while start + HEADER <= len(data):
        frame = header_at(data, start)
        if frame is None:
            return False
        start += HEADER + frame.length
    return True
