"""Plain data and arrays as a pickle that numpy 1.19 and every later one can load.

Python's own pickler would name ``numpy._core``, which numpy 1 does not have, and would hold a second copy of each
array. The opcodes are written here instead, protocol 4 without frames; arrays are not copied.
Source of the opcodes: the comments of ``pickletools`` in the standard library.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from gradtui.errors import InvalidContents

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gradtui.core.arrays import Array

_MAX_DEPTH = 60
_KINDS = "biufSU"
_BATCH = 1000


def encode(value: object) -> list[bytes | memoryview]:
    """The pickle of a value, in pieces that are written one after another.

    Args:
        value: None, bool, int, float, str, bytes, bytearray, tuple, list, set, frozenset, dict, and arrays, scalars
            and dtypes of numpy of kinds bool, int, uint, float and text. NaN, infinities, empty and 0-d arrays are kept.

    Raises:
        InvalidContents: Something else is in it, or it is nested deeper than 60.
    """
    writer = _Writer()
    writer.put(value, 0)
    writer.small(b".")
    return writer.pieces()


class _Writer:
    def __init__(self) -> None:
        self._pieces: list[bytes | memoryview] = []
        self._open = bytearray(b"\x80\x04")

    def pieces(self) -> list[bytes | memoryview]:
        self._flush()
        return self._pieces

    def small(self, data: bytes) -> None:
        self._open += data

    def put(self, value: object, depth: int) -> None:
        if depth > _MAX_DEPTH:
            raise InvalidContents(f"nested deeper than {_MAX_DEPTH}")
        if value is None:
            self.small(b"N")
        elif isinstance(value, np.ndarray):
            self._array(value)
        elif isinstance(value, np.generic):
            self._scalar(value)
        elif isinstance(value, np.dtype):
            self._dtype(value)
        elif isinstance(value, bool):
            self.small(b"\x88" if value else b"\x89")
        elif isinstance(value, int):
            self._int(value)
        elif isinstance(value, float):
            self.small(b"G" + struct.pack(">d", value))
        elif isinstance(value, str):
            text = value.encode("utf-8", "surrogatepass")
            self.small(b"X" + struct.pack("<I", len(text)) + text)
        elif isinstance(value, bytes):
            self._bytes(memoryview(value))
        elif isinstance(value, bytearray):
            self.small(b"cbuiltins\nbytearray\n")
            self._bytes(memoryview(value))
            self.small(b"\x85R")
        else:
            self._container(value, depth + 1)

    def _container(self, value: object, depth: int) -> None:
        if isinstance(value, tuple):
            self.small(b"(")
            for item in value:
                self.put(item, depth)
            self.small(b"t")
        elif isinstance(value, frozenset):
            self.small(b"(")
            for item in value:
                self.put(item, depth)
            self.small(b"\x91")
        elif isinstance(value, list):
            self.small(b"]")
            self._batches(value, b"e", depth)
        elif isinstance(value, set):
            self.small(b"\x8f")
            self._batches(value, b"\x90", depth)
        elif isinstance(value, dict):
            self._mapping(value, depth)
        else:
            raise InvalidContents(f"{type(value).__name__} cannot be written as plain data")

    def _batches(self, items: Iterable[object], closing: bytes, depth: int) -> None:
        count = 0
        for item in items:
            if count % _BATCH == 0:
                self.small(closing + b"(" if count else b"(")
            self.put(item, depth)
            count += 1
        if count:
            self.small(closing)

    def _mapping(self, items: Mapping[object, object], depth: int) -> None:
        self.small(b"}")
        count = 0
        for key, item in items.items():
            if count % _BATCH == 0:
                self.small(b"u(" if count else b"(")
            self.put(key, depth)
            self.put(item, depth)
            count += 1
        if count:
            self.small(b"u")

    def _int(self, value: int) -> None:
        if 0 <= value < 256:
            self.small(b"K" + bytes([value]))
        elif -(1 << 31) <= value < 1 << 31:
            self.small(b"J" + struct.pack("<i", value))
        else:
            data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            if len(data) > 255:
                raise InvalidContents("a whole number of more than 2,000 bits")
            self.small(b"\x8a" + bytes([len(data)]) + data)

    def _bytes(self, data: memoryview) -> None:
        if len(data) < 256:
            self.small(b"C" + bytes([len(data)]) + bytes(data))
            return
        self.small(
            b"B" + struct.pack("<I", len(data))
            if len(data) < 1 << 32
            else b"\x8e" + struct.pack("<Q", len(data))
        )
        self._flush()
        self._pieces.append(data)

    def _array(self, array: Array) -> None:
        if not array.flags.c_contiguous and not array.flags.f_contiguous:
            array = np.ascontiguousarray(array)
        fortran = bool(array.flags.f_contiguous and not array.flags.c_contiguous)
        self.small(
            b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R(K\x01"
        )
        self.put(tuple(array.shape), 0)
        self._dtype(array.dtype)
        self.small(b"\x88" if fortran else b"\x89")
        flat = array.reshape(-1, order="F" if fortran else "C")
        self._bytes(flat.view(np.uint8).data if flat.size and flat.itemsize else memoryview(b""))
        self.small(b"tb")

    def _scalar(self, value: np.generic) -> None:
        self.small(b"cnumpy.core.multiarray\nscalar\n")
        self._dtype(value.dtype)
        self._bytes(memoryview(value.tobytes()))
        self.small(b"\x86R")

    def _dtype(self, dtype: np.dtype[np.generic]) -> None:
        if dtype.kind not in _KINDS or dtype.hasobject:
            raise InvalidContents(f"arrays of {dtype} cannot be written as plain data")
        order = {"=": "<" if np.little_endian else ">"}.get(dtype.byteorder, dtype.byteorder)
        size = dtype.itemsize // 4 if dtype.kind == "U" else dtype.itemsize
        self.small(b"cnumpy\ndtype\n")
        self.put(f"{dtype.kind}{size}", 0)
        self.small(b"\x89\x88\x87R(K\x03")
        self.put(order, 0)
        self.small(b"NNN")
        flexible = dtype.kind in "SU"
        for item in (dtype.itemsize, dtype.alignment, dtype.flags) if flexible else (-1, -1, 0):
            self.put(item, 0)
        self.small(b"tb")

    def _flush(self) -> None:
        if self._open:
            self._pieces.append(bytes(self._open))
            self._open = bytearray()
