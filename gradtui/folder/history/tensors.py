"""Named arrays and texts as safetensors bytes.

The format is small (a length, a JSON header, the bytes of the arrays), and a reader of strangers' files must bound what
the header claims before it believes it; the library's own reader does not hand out the header's texts.

Source: https://huggingface.co/docs/safetensors (format).
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gradtui.errors import InvalidContents

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gradtui.core.arrays import Array

_LENGTH: Final = struct.Struct("<Q")
_MAX_HEADER: Final = 1 << 20
_MAX_TENSORS: Final = 64
_MAX_DIMENSIONS: Final = 16
_DTYPES: Final[dict[str, np.dtype[Any]]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U64": np.dtype("<u8"),
    "U32": np.dtype("<u4"),
    "U16": np.dtype("<u2"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
_NAMES: Final = {dtype: name for name, dtype in _DTYPES.items()}


@dataclass(frozen=True, slots=True)
class Slot:
    """Where an array lies in a payload.

    Attributes:
        dtype: little-endian.
        shape: of the array.
        start: of its bytes, counted from the payload's first.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    start: int


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before the arrays.

    Attributes:
        texts: the ``__metadata__``.
        slots: the arrays by name.
        size: bytes of the whole payload.
    """

    texts: Mapping[str, str]
    slots: Mapping[str, Slot]
    size: int


def packed(arrays: Mapping[str, Array], texts: Mapping[str, str]) -> list[bytes]:
    """Return the bytes of arrays and texts, in pieces: the header, then each array.

    Raises:
        ValueError: an array of a dtype that the format does not know, or a header over 1 MiB.
    """
    entries: dict[str, object] = {"__metadata__": dict(texts)}
    pieces: list[bytes] = [b""]
    place = 0
    # Larger items first, as the format asks, so that every array is aligned.
    for name, array in sorted(arrays.items(), key=lambda item: -item[1].dtype.itemsize):
        plain = np.ascontiguousarray(array)
        plain = plain.astype(plain.dtype.newbyteorder("<"), copy=False)
        if plain.dtype not in _NAMES:
            raise ValueError(f"no safetensors dtype for {plain.dtype}")
        entries[name] = {
            "dtype": _NAMES[plain.dtype],
            "shape": list(np.shape(array)),
            "data_offsets": [place, place + plain.nbytes],
        }
        pieces.append(plain.tobytes())
        place += plain.nbytes
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=True).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > _MAX_HEADER:
        raise ValueError("the header is too large")
    pieces[0] = _LENGTH.pack(len(text)) + text
    return pieces


def header_size(payload: memoryview) -> int:
    """Return how many bytes stand before the arrays.

    Raises:
        InvalidContents: there are not as many, or more than 1 MiB.
    """
    if len(payload) < _LENGTH.size:
        raise InvalidContents("a payload without a header")
    length: int = _LENGTH.unpack_from(payload)[0]
    if length > min(len(payload) - _LENGTH.size, _MAX_HEADER):
        raise InvalidContents("a header that is longer than it can be")
    return _LENGTH.size + length


def header_of(payload: memoryview) -> Header:
    """Read a payload's header.

    Raises:
        InvalidContents: it is not JSON of the format, or claims what the payload does not hold.
    """
    size = header_size(payload)
    try:
        entries = json.loads(bytes(payload[_LENGTH.size : size]))
    except (ValueError, RecursionError):
        raise InvalidContents("a header that is not JSON") from None
    if not isinstance(entries, dict) or len(entries) > _MAX_TENSORS:
        raise InvalidContents("a header of another form")
    texts = entries.pop("__metadata__", {})
    if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
        raise InvalidContents("a header with texts of another form")
    slots = {name: _slot(entry, size, len(payload)) for name, entry in entries.items()}
    return Header(texts, slots, len(payload))


def array_of(payload: memoryview, slot: Slot) -> Array:
    """Return an array as a view of the payload's bytes, read-only."""
    count = math.prod(slot.shape)
    return np.frombuffer(payload, slot.dtype, count, slot.start).reshape(slot.shape)


def _slot(entry: object, begin: int, end: int) -> Slot:
    if not isinstance(entry, dict):
        raise InvalidContents("an array of another form")
    name = entry.get("dtype")
    dtype = _DTYPES.get(name) if isinstance(name, str) else None
    shape, offsets = _counts(entry.get("shape")), _counts(entry.get("data_offsets"))
    if dtype is None or len(shape) > _MAX_DIMENSIONS or len(offsets) != 2:
        raise InvalidContents("an array of another form")
    start, stop = offsets
    if stop - start != math.prod(shape) * dtype.itemsize or begin + stop > end:
        raise InvalidContents("an array that is not where the header says")
    return Slot(dtype, shape, begin + start)


def _counts(value: object) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(
        type(each) is int and 0 <= each < 1 << 40 for each in value
    ):
        raise InvalidContents("an array of another form")
    return tuple(value)
