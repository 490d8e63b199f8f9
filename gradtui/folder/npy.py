"""``.npy`` files: the header read with care, the values a view over the file's bytes.

``np.load`` opens a zip that is called ``.npy`` and allocates what a header claims; it is never used here.
Source of the layout: ``numpy.lib.format`` in numpy's documentation (NEP 1).
"""

from __future__ import annotations

import io
import math
import re
import struct
import tokenize
import warnings
from typing import TYPE_CHECKING

import numpy as np

from gradtui.core.arrays import read_only
from gradtui.errors import InvalidContents, UnreadableFile
from gradtui.folder.reading import MAX_BYTES, Contents, EndsEarly, TruncatedFile, read_regular

if TYPE_CHECKING:
    from pathlib import Path

    from gradtui.core.arrays import Array

_MAGIC = b"\x93NUMPY"
_MAX_HEADER = 4096
_MAX_DIMENSIONS = 16
# More than this is a claim, not a file that is still being written.
_MAX_VALUES = 1 << 44
_NAMES = {
    "O": "object",
    "V": "structured or void",
    "c": "complex",
    "M": "datetime",
    "m": "timedelta",
    "S": "bytes",
    "U": "text",
}
# What a header of plain numbers consists of; the parser of numpy is given nothing else.
_PLAIN_HEADER = re.compile(r"[\x20-\x5b\x5d-\x7e\n]*\Z")
_LONG_SUFFIX = re.compile(r"(?<=[0-9])\s*L(?=\s*[,)])")


def read_npy(path: Path, *, max_bytes: int = MAX_BYTES) -> tuple[Array, Contents]:
    """Read an array of real numbers.

    Returns:
        The array, read-only, any number of dimensions, in the file's byte order and memory order, and the
        file's bytes that it is a view of. NaN and infinities stay; an empty array has its shape.

    Raises:
        UnreadableFile: The kind or size of the file, its header, its dtype, or its length is wrong.
        FileBusy: The file changed while it was read.
    """
    contents = read_regular(path, max_bytes=max_bytes)
    try:
        return decode_npy(contents.data), contents
    except EndsEarly as error:
        raise TruncatedFile(path, str(error)) from None
    except InvalidContents as error:
        raise UnreadableFile(path, str(error)) from None


def decode_npy(data: memoryview) -> Array:
    """The array that the bytes of an ``.npy`` file hold, as a read-only view.

    Raises:
        InvalidContents: In one line, why not.
    """
    if bytes(data[:2]) == b"PK":
        raise InvalidContents("a zip archive (.npz), not an .npy file")
    if bytes(data[:6]) != _MAGIC[: len(data)] or not len(data):
        raise InvalidContents("not an .npy file")
    if len(data) < 10:
        raise EndsEarly(f"truncated at byte {len(data)}")
    version = (data[6], data[7])
    if version not in ((1, 0), (2, 0)):
        raise InvalidContents(
            f"version {data[6]}.{data[7]} of .npy is not read (structured arrays use it)"
        )
    prefix = 10 if version == (1, 0) else 12
    if len(data) < prefix:
        raise EndsEarly(f"truncated at byte {len(data)}")
    length = int.from_bytes(data[8:prefix], "little")
    if length > _MAX_HEADER:
        raise InvalidContents(f"a header of {length} bytes")
    if len(data) < prefix + length:
        raise EndsEarly(f"truncated at byte {len(data)}, inside the header")
    shape, fortran, dtype = _parse_header(bytes(data[prefix : prefix + length]))
    return _view(data[prefix + length :], shape, fortran, dtype)


def encode_npy(array: Array) -> list[bytes | memoryview]:
    """The bytes of an ``.npy`` file, in pieces; dtype, byte order and Fortran order are kept.

    Raises:
        InvalidContents: The values are not real numbers.
    """
    if array.dtype.kind not in "biuf":
        raise InvalidContents(f"{array.dtype} values: real numbers are needed")
    if not array.flags.c_contiguous and not array.flags.f_contiguous:
        array = np.ascontiguousarray(array)
    fortran = bool(array.flags.f_contiguous and not array.flags.c_contiguous)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header,
        {
            "descr": np.lib.format.dtype_to_descr(array.dtype),
            "fortran_order": fortran,
            "shape": array.shape,
        },
    )
    flat = array.reshape(-1, order="F" if fortran else "C")
    return [header.getvalue(), flat.view(np.uint8).data if flat.size else memoryview(b"")]


def _parse_header(header: bytes) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    text = header.decode("latin-1")
    if not _PLAIN_HEADER.match(text):
        raise InvalidContents("a header that is not plain text")
    # Python 2 wrote 3L; numpy would warn on the person's screen while it mends that.
    plain = _LONG_SUFFIX.sub("", text).encode("latin-1")
    try:
        with warnings.catch_warnings():
            # Damage that looks like Python 2 would be warned of on the person's screen.
            warnings.simplefilter("ignore")
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(
                io.BytesIO(struct.pack("<H", len(plain)) + plain), max_header_size=_MAX_HEADER
            )
    except (
        ValueError,
        TypeError,
        SyntaxError,
        MemoryError,
        RecursionError,
        OverflowError,
        KeyError,
        tokenize.TokenError,
    ):
        raise InvalidContents("a header that numpy does not understand") from None
    if dtype.hasobject or dtype.kind not in "biuf" or dtype.subdtype is not None:
        raise InvalidContents(f"{_NAMES.get(dtype.kind, 'unknown')} dtype: real numbers are needed")
    if len(shape) > _MAX_DIMENSIONS or any(isinstance(n, bool) or n < 0 for n in shape):
        raise InvalidContents("a shape that no array has")
    return shape, bool(fortran), dtype


def _view(
    data: memoryview, shape: tuple[int, ...], fortran: bool, dtype: np.dtype[np.generic]
) -> Array:
    needed = math.prod(shape) * dtype.itemsize
    if needed > _MAX_VALUES:
        raise InvalidContents(f"the header promises {_short(needed)} bytes of values")
    if needed > len(data):
        raise EndsEarly(
            f"truncated: the header promises {_short(needed)} bytes of values, {len(data)} are there"
        )
    if needed < len(data):
        raise InvalidContents(f"{len(data) - needed} bytes too many after the values")
    try:
        flat = np.frombuffer(data, dtype) if needed else np.empty(0, dtype)
        return read_only(flat.reshape(shape, order="F" if fortran else "C"))
    except (ValueError, OverflowError):
        raise InvalidContents("a shape that no array has") from None


def _short(count: int) -> str:
    return str(count) if count < 10**15 else "10^15 or more"
