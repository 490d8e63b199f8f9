"""The ``.npy`` reader, against numpy's own writer and against strangers."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from kit import hostile

from gradtui.errors import InvalidContents, UnreadableFile
from gradtui.folder.npy import decode_npy, encode_npy, read_npy
from gradtui.folder.reading import TruncatedFile

if TYPE_CHECKING:
    from pathlib import Path

REAL = ["<f2", "<f4", ">f4", "<f8", ">f8", "|i1", "<i2", ">i4", "<i8", "|u1", ">u2", "<u8", "|b1"]
arrays = st.sampled_from(REAL).flatmap(
    lambda dtype: hnp.arrays(
        np.dtype(dtype), hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6)
    )
)


@settings(max_examples=100)
@given(array=arrays, fortran=st.booleans())
def test_reads_what_numpy_writes_and_back(array: np.ndarray, fortran: bool) -> None:
    if fortran:
        array = np.asfortranarray(array)
    read = decode_npy(memoryview(hostile.npy_bytes(array)))
    assert read.dtype == array.dtype
    assert read.shape == array.shape
    assert np.array_equal(read, array, equal_nan=array.dtype.kind == "f")
    again = decode_npy(memoryview(b"".join(encode_npy(read))))
    assert again.dtype == array.dtype
    assert np.array_equal(again, array, equal_nan=array.dtype.kind == "f")


def test_values_are_a_read_only_view() -> None:
    read = decode_npy(memoryview(hostile.npy_bytes(np.zeros((4, 4)))))
    assert not read.flags.owndata
    assert not read.flags.writeable


def test_python_2_headers() -> None:
    data = (
        hostile.header("{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 1L), }\n")
        + b"\x00" * 8
    )
    assert decode_npy(memoryview(data)).shape == (2, 1)


@pytest.mark.parametrize(("name", "data"), list(hostile.bad_npys()))
def test_strangers_are_refused_quickly(name: str, data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "input_representation.npy"
    path.write_bytes(data)
    started = time.process_time()
    with pytest.raises(UnreadableFile) as caught:
        read_npy(path)
    assert time.process_time() - started < 2
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_truncation_at_every_byte(tmp_path: Path) -> None:
    data = hostile.npy_bytes(np.arange(6.0))
    path = tmp_path / "a.npy"
    for end in range(1, len(data)):
        path.write_bytes(data[:end])
        with pytest.raises(TruncatedFile):
            read_npy(path)


def test_flipped_bits_are_read_or_refused() -> None:
    data = bytearray(hostile.npy_bytes(np.arange(6.0)))
    for place in range(128):
        for bit in range(8):
            data[place] ^= 1 << bit
            with contextlib.suppress(InvalidContents):
                decode_npy(memoryview(bytes(data)))
            data[place] ^= 1 << bit


@pytest.mark.parametrize("dtype", ["O", "c8", "M8[s]", "U3", [("a", "f4")]])
def test_other_dtypes_are_not_written(dtype: object) -> None:
    with pytest.raises(InvalidContents):
        encode_npy(np.zeros(3, dtype))  # type: ignore[call-overload]
