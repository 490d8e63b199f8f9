"""Pickles that numpy 1.26 and numpy 2 wrote, in every protocol: read as what was put in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gradtui.folder.pickle_reader import read_pickle
from gradtui.folder.pickle_writer import encode

FILES = sorted((Path(__file__).parent / "data").glob("numpy-*.pkl"))
ARRAYS: dict[str, np.ndarray] = {
    "f4": np.arange(6, dtype="f4").reshape(2, 3),
    "big": np.arange(4, dtype="f8"),
    "fortran": np.arange(6.0).reshape(2, 3),
    "f2": np.array([1.5, -2, np.nan, np.inf], "f2"),
    "bool": np.array([True, False]),
    "i8": np.array([-1, 2**40]),
    "u1": np.array([[0, 10, 92, 255]], "u1"),
    "empty": np.zeros((0, 3)),
    "zero_d": np.array(2.5),
    "strided": np.array([0, 3, 6, 9]),
}


def test_there_are_all() -> None:
    assert len(FILES) == 12


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
@pytest.mark.parametrize("again", [False, True])
def test_what_was_put_in(path: Path, again: bool) -> None:
    root = read_pickle(path.read_bytes())
    if again:
        # What is read can be written, as a save does with keys that it does not know.
        root = read_pickle(b"".join(encode(root)))
    assert isinstance(root, dict)
    for name, expected in ARRAYS.items():
        found = root[name]
        assert isinstance(found, np.ndarray), name
        assert found.dtype.newbyteorder("=") == expected.dtype, name
        assert np.array_equal(found, expected, equal_nan=expected.dtype.kind == "f"), name
    assert root["text"].tolist() == ["a", "bcd"]
    assert (root["scalar"], type(root["scalar"])) == (1.25, np.float32)
    assert (root["int_scalar"], type(root["int_scalar"])) == (-3, np.int64)
    assert root["bool_scalar"] is np.True_ or bool(root["bool_scalar"])
    assert root["dtype"] == np.dtype("<i4")
    assert root["ordered"]["a"] == 1
    assert root["default"] == {"x": [1]}
    assert (root["set"], root["frozen"]) == ({1, 2}, frozenset({"p"}))
    assert (root["bytes"], root["bytearray"]) == (b"\0\n\\\xff", bytearray(b"xyz"))
    assert root["tuple"] == (1, 2.5, None, True, "\u20ac")
    assert list(root["gradient_flows"]) == [("conv1", "conv2")]
