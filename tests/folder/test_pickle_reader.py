"""The pickle reader: equal to Python's own on trusted data, harmless and quick on everything else."""

from __future__ import annotations

import collections
import contextlib
import pickle
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from kit import hostile

from gradtui.errors import UnreadableFile
from gradtui.folder.pickle_machine import Limits, Refused, Truncated
from gradtui.folder.pickle_reader import read_flow_info, read_pickle
from gradtui.folder.pickle_writer import encode

if TYPE_CHECKING:
    from pathlib import Path

DTYPES = [
    "<f2",
    "<f4",
    ">f4",
    "<f8",
    ">f8",
    "i1",
    "<i2",
    ">i4",
    "<i8",
    "u1",
    "<u2",
    ">u8",
    "?",
    "<U3",
    "S4",
]


def same(left: object, right: object) -> bool:
    """Equal in kind, shape, dtype (but for the byte order, which numpy drops) and value, NaN equal to NaN."""
    if isinstance(left, np.ndarray):
        return (
            isinstance(right, np.ndarray)
            and left.dtype.newbyteorder("=") == right.dtype.newbyteorder("=")
            and left.shape == right.shape
            and bool(np.array_equal(left, right, equal_nan=left.dtype.kind == "f"))
        )
    if isinstance(left, np.generic):
        return type(left) is type(right) and (left == right or left != left)
    if isinstance(left, dict) and isinstance(right, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)) and type(left) is type(right):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float):
        return isinstance(right, float) and (left == right or left != left)
    return type(left) is type(right) and left == right


keys = st.one_of(
    st.text(max_size=8),
    st.integers(-(2**40), 2**40),
    st.tuples(st.text(max_size=5), st.text(max_size=5)),
)
arrays = st.sampled_from(DTYPES).flatmap(
    lambda dtype: hnp.arrays(
        np.dtype(dtype), hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)
    )
)
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.binary(max_size=600),
    st.binary(max_size=600).map(bytearray),
    arrays,
    arrays.map(np.asfortranarray),
    st.floats(width=32).map(np.float32),
    st.integers(-128, 127).map(np.int8),
    st.frozensets(keys, max_size=4),
    st.sets(keys, max_size=4),
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(keys, inner, max_size=4),
    ),
    max_leaves=12,
)


@settings(max_examples=150)
@given(value=values, protocol=st.integers(0, 5))
def test_reads_what_python_reads(value: object, protocol: int) -> None:
    data = pickle.dumps(value, protocol)
    assert same(pickle.loads(data), read_pickle(data))


@settings(max_examples=80)
@given(value=values)
def test_python_reads_what_we_write(value: object) -> None:
    data = b"".join(encode(value))
    assert same(value, pickle.loads(data))
    assert same(value, read_pickle(data))


@pytest.mark.parametrize("protocol", range(6))
def test_containers_of_the_standard_library(protocol: int) -> None:
    value = {
        "ordered": collections.OrderedDict(b=1, a=[2]),
        "default": collections.defaultdict(list, a=[1]),
        "nested": collections.OrderedDict(x=collections.defaultdict(dict, y={"z": np.arange(3)})),
    }
    read = read_pickle(pickle.dumps(value, protocol))
    assert isinstance(read, dict)
    assert list(read["ordered"].items()) == [("b", 1), ("a", [2])]
    assert read["default"] == {"a": [1]}
    assert same(read["nested"]["x"]["y"]["z"], np.arange(3))


@pytest.mark.parametrize("protocol", range(6))
def test_the_pure_python_pickler_too(protocol: int) -> None:
    value = {"a": [1, 2.5, "x", b"y"], ("s", "t"): (None, True), "big": list(range(2500))}
    assert same(value, read_pickle(pickle._dumps(value, protocol)))  # type: ignore[attr-defined]


@pytest.mark.parametrize("protocol", range(6))
def test_names_of_numpy_1_are_known(protocol: int) -> None:
    value = {"a": np.arange(12.0).reshape(3, 4), "s": np.float64(2.5)}
    data = pickle.dumps(value, min(protocol, 4) if protocol == 5 else protocol)
    old = data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    if protocol >= 4:
        # The name's length stands before it, and a frame's length before that.
        old = old.replace(b"\x8c\x16numpy.core", b"\x8c\x15numpy.core")
        old = data[:2] + old[11:]
    assert same(value, read_pickle(old))


def test_large_arrays_in_every_protocol() -> None:
    value = np.random.default_rng(0).standard_normal((300, 200))
    value[:50] = 0
    for protocol in range(6):
        data = pickle.dumps({"a": value, "again": value}, protocol)
        read = read_pickle(data)
        assert isinstance(read, dict)
        assert same(value, read["a"])
        assert same(value, read["again"])


def test_arrays_are_read_only_views() -> None:
    data = pickle.dumps(np.arange(1000.0), 4)
    array = read_pickle(data)
    assert isinstance(array, np.ndarray)
    assert not array.flags.owndata
    assert not array.flags.writeable
    with pytest.raises(ValueError, match="WRITEABLE"):
        array.flags.writeable = True


def test_bytes_after_the_end_are_not_looked_at() -> None:
    assert read_pickle(pickle.dumps(5) + b"cos\nsystem\n") == 5


FAMILIES = ["bad_arrays", "bombs", "broken_pickles"]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        pytest.param(name, data, id=f"{family}-{name}")
        for family in FAMILIES
        for name, data in getattr(hostile, family)()
    ],
)
def test_hostile_bytes_are_refused_quickly(name: str, data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "flow_info.pkl"
    path.write_bytes(data)
    started = time.process_time()
    if name in ("float-keys", "encode-often"):
        # These are plain data after all: what counts is that they take no time.
        read_pickle(data)
    else:
        with pytest.raises(UnreadableFile) as caught:
            read_flow_info(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
        assert str(caught.value).isascii()
    assert time.process_time() - started < 2


def test_no_family_of_opcodes_runs_code(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    before = set(sys.modules)
    for name, data in hostile.code_pickles(marker):
        with pytest.raises(Refused):
            read_pickle(data)
        assert not marker.exists(), name
    assert not {"subprocess_marker", "antigravity"} & (set(sys.modules) - before)


def test_naming_a_module_does_not_import_it() -> None:
    with pytest.raises(Refused):
        read_pickle(b"cantigravity\nfly\n.")
    assert "antigravity" not in sys.modules


def test_names_in_reasons_are_harmless() -> None:
    with pytest.raises(Refused) as caught:
        read_pickle(b"c\x1b]0;x\x07\xe2\x80\xae" + b"a" * 300 + b"\nname\n.")
    text = str(caught.value)
    assert text.isascii()
    assert text.isprintable()
    assert len(text) < 200


def test_a_torch_tensor_says_what_to_do() -> None:
    with pytest.raises(Refused, match=r"\.numpy\(\)"):
        read_pickle(b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n.")


@pytest.mark.parametrize("protocol", range(6))
def test_truncation_at_every_byte(protocol: int) -> None:
    data = pickle.dumps(hostile.plain_flow_info(), protocol)
    for end in range(len(data)):
        with pytest.raises(Truncated):
            read_pickle(data[:end])


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_every_flipped_bit_is_read_or_refused(protocol: int) -> None:
    data = bytearray(pickle.dumps(hostile.plain_flow_info(2, 2), protocol))
    started = time.process_time()
    for place in range(len(data)):
        for bit in (1, 8, 64):
            data[place] ^= bit
            with contextlib.suppress(Refused):
                read_pickle(bytes(data))
            data[place] ^= bit
    assert time.process_time() - started < 20


@settings(max_examples=300)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        read_pickle(data)
    except Refused:
        return


@settings(max_examples=300)
@given(
    codes=st.lists(
        st.sampled_from(sorted("()]}NlLtds0124RbcqhaueK.\x85\x86\x87\x88\x94\x8f\x90\x91\x93")),
        max_size=40,
    )
)
def test_any_opcodes_are_read_or_refused(codes: list[str]) -> None:
    data = (
        "".join(code + "\x01" if code in "Kqh" else code for code in codes).encode("latin-1") + b"."
    )
    try:
        value = read_pickle(data)
    except Refused:
        return
    pickle.dumps(value)


def test_limits_are_the_callers() -> None:
    data = pickle.dumps(list(range(1000)))
    with pytest.raises(Refused, match="opcodes"):
        read_pickle(data, Limits(opcodes=100))
    with pytest.raises(Refused, match="too long"):
        read_pickle(pickle.dumps([1.5] * 100_000), Limits(seconds=-1.0))
    with pytest.raises(Refused, match="objects"):
        read_pickle(data, Limits(memory=-2000))
    with pytest.raises(Refused, match="values"):
        read_pickle(data, Limits(nodes=100))


_MEASURE = """
import resource, sys
from pathlib import Path
from gradtui.errors import UnreadableFile
from gradtui.folder.pickle_reader import read_flow_info

def peak():
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024

open("/proc/self/clear_refs", "w").write("5")
before = peak()
try:
    kept = read_flow_info(Path(sys.argv[1]))
except UnreadableFile:
    kept = None
print(peak() - before)
"""


def _peak_growth(path: Path) -> int:
    result = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(path)], capture_output=True, text=True, check=True
    )
    return int(result.stdout)


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_memory_of_a_large_array(protocol: int, tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal((1500, 1500))
    if protocol == 0:
        # Each zero byte is six in the file.
        values = np.zeros((500, 1500))
    path = tmp_path / "flow_info.pkl"
    path.write_bytes(pickle.dumps({"a": values}, protocol))
    growth = _peak_growth(path)
    factor = 2.5 if protocol < 3 else 1.1
    assert growth <= factor * path.stat().st_size + 4_000_000


@pytest.mark.parametrize(
    "name",
    [
        "deep-lists",
        "deep-tuple-key",
        "memo-far",
        "memo-far-text",
        "empty-sets",
        "empty-dicts",
        "numbers",
        "marks",
        "float-keys",
        "many-scalars",
    ],
)
def test_memory_of_a_bomb(name: str, tmp_path: Path) -> None:
    data = dict(hostile.bombs())[name]
    path = tmp_path / "flow_info.pkl"
    path.write_bytes(data)
    assert _peak_growth(path) <= 2.5 * len(data) + 48_000_000
