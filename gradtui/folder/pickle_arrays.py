"""Arrays, dtypes and scalars of numpy out of a pickle's plain parts; nothing of numpy's unpickling runs.

``dtype.__setstate__`` and ``ndarray.__setstate__`` trust their arguments: with a crafted state, bytes of the file
become object pointers. So the state is taken apart here, and an array is a view that `numpy.frombuffer` makes.
Source of the layouts: ``array_reduce``, ``arraydescr_reduce`` in numpy's sources, ``_frombuffer`` in ``numpy.core.numeric``.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, cast

import numpy as np

from gradtui.core.arrays import read_only
from gradtui.folder.pickle_machine import Promise, Raw, Refused, broken

if TYPE_CHECKING:
    from gradtui.core.arrays import Array
    from gradtui.folder.pickle_machine import Machine

    DType = np.dtype[np.generic]

_CODE = re.compile(r"([biufcSUOVMm])([0-9]{1,6})\Z")
_NAMES = {
    "O": "object",
    "V": "structured or void",
    "c": "complex",
    "M": "datetime",
    "m": "timedelta",
}
_SIZES = {"b": (1,), "i": (1, 2, 4, 8), "u": (1, 2, 4, 8), "f": (2, 4, 8, 16)}
_MAX_DIMENSIONS = 32
# Large texts are taken in steps of so many bytes.
_STEP = 1 << 20
_ESCAPE = np.frombuffer(b"u00", np.uint8)
_HEX = np.full(256, 255, np.uint8)
_HEX[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16)
_HEX[np.frombuffer(b"ABCDEF", np.uint8)] = np.arange(10, 16)


def dtype_promise(machine: Machine, arguments: tuple[object, ...]) -> Promise:
    """``numpy.dtype('f4', False, True)``: a dtype in native order, until BUILD says otherwise.

    Raises:
        Refused: Object, structured, void, complex, datetime, or no dtype at all.
    """
    code = arguments[0] if arguments else None
    if not isinstance(code, str):
        broken("a dtype without a code")
    machine.spend_array()
    promise = Promise("dtype")
    promise.value = _parse_code(code)
    return promise


def build_dtype(promise: Promise, state: object) -> None:
    """Complete a dtype from ``(version, byteorder, subdtype, names, fields, itemsize, alignment, flags)``."""
    dtype = cast("DType", promise.value)
    if not isinstance(state, tuple) or len(state) not in (8, 9) or state[0] not in (3, 4):
        raise Refused("a dtype whose state is not a plain one")
    order, subdtype, names, fields, size = state[1:6]
    if subdtype is not None or names is not None or fields is not None:
        raise Refused("structured dtype; save plain arrays of real numbers")
    if len(state) == 9 and state[8] is not None:
        raise Refused("a dtype with metadata")
    if not isinstance(order, str) or order not in ("<", ">", "=", "|") or len(order) != 1:
        raise Refused("a dtype of unknown byte order")
    if type(size) is not int or size not in (-1, dtype.itemsize):
        raise Refused("a dtype whose size contradicts its code")
    promise.value = (
        dtype if order in ("=", "|") else dtype.newbyteorder("<" if order == "<" else ">")
    )


def build_array(machine: Machine, promise: Promise, state: object) -> None:
    """Complete an array from ``(version, shape, dtype, is Fortran order, data)``.

    Raises:
        Refused: The shape and the bytes do not fit, or the dtype is not a plain one.
    """
    if promise.value is not None:
        broken("an array that is built twice")
    if not isinstance(state, tuple) or len(state) != 5 or state[0] != 1:
        raise Refused("an array whose state is not a plain one")
    _, shape, dtype, fortran, data = state
    if isinstance(data, list):
        raise Refused("object dtype; save plain arrays of real numbers")
    order = "F" if fortran is True or fortran == 1 else "C"
    promise.value = _array(machine, data, dtype, shape, order, None)


def from_buffer(machine: Machine, arguments: tuple[object, ...]) -> Array:
    """``_frombuffer(buffer, dtype, shape, order[, axis order])`` of protocol 5, its buffer in the file."""
    if len(arguments) not in (4, 5):
        broken("an array without its shape")
    data, dtype, shape, order = arguments[:4]
    if order not in ("C", "F", "K", "A"):
        broken("an array of unknown order")
    axes = arguments[4] if len(arguments) == 5 else None
    return _array(
        machine, data, dtype, shape, "F" if order == "F" else "C", axes if order == "K" else None
    )


def scalar(machine: Machine, arguments: tuple[object, ...]) -> np.generic:
    """``scalar(dtype, bytes)``: one number of numpy."""
    if len(arguments) != 2:
        broken("a scalar without its bytes")
    dtype = _dtype_of(arguments[0])
    data = _bytes_of(arguments[1])
    if len(data) != dtype.itemsize:
        broken("a scalar of another size than its dtype")
    machine.spend_array()
    return cast("np.generic", np.frombuffer(data, dtype)[0])


def encode_text(machine: Machine, arguments: tuple[object, ...]) -> bytes | bytearray:
    """``_codecs.encode(text, 'latin1')``, by which protocols 0 to 2 carry bytes.

    A large text is taken in parts and only once however often it is referred to: the result is never larger than
    its part of the file.
    """
    if len(arguments) != 2 or arguments[1] not in ("latin1", "latin-1"):
        raise Refused("encodes text in a way that no array does")
    text = arguments[0]
    try:
        if isinstance(text, str):
            encoded = text.encode("latin-1")
            machine.spend_object(encoded)
            return encoded
        if isinstance(text, Raw):
            if text.encoded is None:
                machine.encoded -= len(text.view)
                if machine.encoded < 0:
                    raise Refused("large arrays as text; save them with pickle protocol 3 or later")
                text.encoded = _latin_bytes(text)
            return text.encoded
    except UnicodeError:
        pass
    raise Refused("bytes that are no Latin-1 text")


def _latin_bytes(text: Raw) -> bytearray:
    if text.kind == "escape":
        return _unescape(np.frombuffer(text.view, np.uint8))
    if text.kind in ("bytes", "bytearray"):
        broken("bytes where text is needed")
    parts = bytearray()
    start, size = 0, len(text.view)
    while start < size:
        stop = min(start + _STEP, size)
        # A character of two bytes is not cut in half: Latin-1 has none of more.
        if text.kind == "utf-8" and stop < size and text.view[stop] & 0xC0 == 0x80:
            stop += 1
        parts += str(text.view[start:stop], text.kind).encode("latin-1")
        start = stop
    return parts


def _unescape(source: Array) -> bytearray:
    """Bytes of protocol 0, where a zero, a line end and a backslash are escapes of two hexadecimal digits."""
    parts = bytearray()
    start, size = 0, len(source)
    while start < size:
        stop = min(start + _STEP, size)
        chunk = source[start:stop]
        marks = np.flatnonzero(chunk == ord("\\"))
        if marks.size and marks[-1] + 6 > len(chunk):
            if stop == size or marks[-1] == 0:
                raise Refused("escapes that no pickler writes")
            chunk, marks = chunk[: marks[-1]], marks[:-1]
        start += len(chunk)
        if marks.size:
            heads = chunk[marks[:, None] + np.arange(1, 4)]
            digits = _HEX[chunk[marks[:, None] + np.arange(4, 6)]]
            if (np.diff(marks) < 6).any() or (heads != _ESCAPE).any() or (digits > 15).any():
                raise Refused("escapes that no pickler writes")
            kept = np.ones(len(chunk), bool)
            kept[marks[:, None] + np.arange(1, 6)] = False
            chunk = chunk.copy()
            chunk[marks] = digits[:, 0] * 16 + digits[:, 1]
            chunk = chunk[kept]
        parts += chunk.tobytes()
    return parts


def _array(
    machine: Machine, data: object, dtype: object, shape: object, order: str, axes: object
) -> Array:
    machine.spend_array()
    kind = _dtype_of(dtype)
    if not isinstance(shape, tuple) or len(shape) > _MAX_DIMENSIONS:
        broken("an array without a shape")
    for extent in shape:
        if type(extent) is not int or extent < 0:
            broken("an array with an impossible shape")
    extents = cast("tuple[int, ...]", shape)
    values = _bytes_of(data)
    needed = math.prod(extents) * kind.itemsize
    if needed != len(values):
        promised = str(needed) if needed < 10**15 else "10^15 or more"
        raise Refused(f"an array whose shape needs {promised} bytes, and {len(values)} are there")
    flat = np.frombuffer(values, kind) if needed else np.empty(0, kind)
    array = flat.reshape(extents, order="F" if order == "F" else "C")
    if axes is not None:
        if not isinstance(axes, tuple) or sorted(axes) != list(range(array.ndim)):
            broken("an array with impossible axes")
        array = array.transpose(axes)
    return read_only(array)


def _dtype_of(value: object) -> DType:
    if isinstance(value, Promise) and value.code == "dtype":
        return cast("DType", value.value)
    return broken("an array without a dtype")


def _bytes_of(value: object) -> bytes | memoryview:
    if isinstance(value, Raw):
        # Python 2 wrote the bytes of an array as its text, which is bytes in the file too.
        if value.kind in ("bytes", "bytearray", "latin-1"):
            return value.view
    elif isinstance(value, (bytes, bytearray)):
        return memoryview(value).toreadonly()
    elif isinstance(value, str):
        try:
            return value.encode("latin-1")
        except UnicodeError:
            pass
    return broken("an array without bytes")


def _parse_code(code: str) -> DType:
    match = _CODE.match(code)
    if not match:
        raise Refused(f"a dtype that is not read: {code[:20]!a}")
    kind, size = match[1], int(match[2])
    if kind in _NAMES:
        raise Refused(f"{_NAMES[kind]} dtype; save plain arrays of real numbers")
    if size == 0 or (kind in _SIZES and size not in _SIZES[kind]):
        raise Refused(f"a dtype that is not read: {code}")
    try:
        return np.dtype(f"{kind}{size}")
    except TypeError:
        raise Refused(f"a dtype that this machine does not have: {code}") from None
