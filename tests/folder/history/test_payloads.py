"""Records as bytes and back; what others write; what hostile bytes do."""

from __future__ import annotations

import contextlib
import json
import math
import struct
import zlib
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.histories import same, small_run

from gradtui.core.run.keys import SeriesKey
from gradtui.core.run.records import (
    Edges,
    Event,
    Histograms,
    Kept,
    Layout,
    ModuleInfo,
    Scalars,
    Start,
)
from gradtui.errors import InvalidContents
from gradtui.folder.history import plain
from gradtui.folder.history.frames import HEADER, MAX_PAYLOAD, frame, header_at, is_whole
from gradtui.folder.history.payload import MOST_BINS, decode, encode
from gradtui.folder.history.tensors import array_of, header_of, packed

TEXT = st.text(max_size=12)
KEYS = st.builds(
    SeriesKey,
    TEXT,
    st.sampled_from(["gradient", "output", "run"]),
    st.sampled_from(["l2", "l1", "values"]),
    TEXT,
    st.integers(0, 99),
    st.sampled_from(["train", "eval"]),
)


def again(record):
    return decode(memoryview(b"".join(encode(record))))


@pytest.mark.parametrize("entry", small_run(1), ids=lambda entry: type(entry.record).__name__)
def test_every_kind_comes_back(entry):
    assert same(again(entry.record), entry.record)


def test_further_paths_of_modules_come_back_and_older_readers_pass_over_them():
    modules = (
        ModuleInfo("", "Net"),
        ModuleInfo("a", "ReLU", "inplace", ("b", "c.d")),
        ModuleInfo("e", "L"),
    )
    start = Start("r", "Net", modules=modules)
    assert again(start) == start
    record: Any = plain.from_start(start)
    assert record["modules"] == [["", "Net", ""], ["a", "ReLU", "inplace"], ["e", "L", ""]]
    assert record["again"] == [["a", "b"], ["a", "c.d"]]
    plain_one: Any = plain.from_start(Start("r", "Net", modules=modules[::2]))
    assert "again" not in plain_one


@given(st.lists(KEYS, max_size=20), st.booleans())
@settings(max_examples=100)
def test_any_keys_come_back(keys, scalars):
    layout = Layout(3, "scalars" if scalars else "histograms", tuple(keys), tuple(range(len(keys))))
    assert again(layout) == layout
    pairs = tuple(zip(keys[::2], keys[1::2], strict=False))
    for edges in (Edges(pairs), Edges((), pairs, True), Edges(pairs[:2], pairs[2:])):
        assert again(edges) == edges


@given(st.lists(st.floats(width=32), max_size=30))
@settings(max_examples=100)
def test_scalars_come_back_bit_by_bit(values):
    record = Scalars(1, np.array(values, np.float32))
    assert same(again(record), record)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "?"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3, 4)])
def test_any_tensor_comes_back(dtype, shape):
    values = np.ones(shape, dtype)
    assert same(
        again(Kept(SeriesKey("m", "output", ""), values)),
        Kept(SeriesKey("m", "output", ""), values),
    )
    for odd in (np.ones((4, 4), dtype)[::2, 1::2], np.ones((2, 3), dtype).T):
        assert again(Kept(SeriesKey("m", "output", ""), odd)).values.tolist() == odd.tolist()
    big = np.arange(4).astype(">i4")
    assert again(Kept(SeriesKey("m", "output", ""), big)).values.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("entry", small_run(1), ids=lambda entry: type(entry.record).__name__)
def test_payloads_are_plain_safetensors(entry):
    payload = b"".join(encode(entry.record))
    theirs = safetensors.numpy.load(payload)
    header = header_of(memoryview(payload))
    assert set(theirs) == set(header.slots)
    for name, array in theirs.items():
        np.testing.assert_array_equal(array, array_of(memoryview(payload), header.slots[name]))


def test_what_the_library_writes_is_read():
    arrays: dict[str, Any] = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3),
        "b": np.zeros(0, np.int64),
    }
    payload = memoryview(safetensors.numpy.save(arrays, {"kind": "x"}))
    header = header_of(payload)
    assert header.texts == {"kind": "x"}
    for name, array in arrays.items():
        np.testing.assert_array_equal(array_of(payload, header.slots[name]), array)


def test_odd_settings_and_fields_become_texts():
    odd: dict[Any, Any] = {
        "nan": math.nan,
        "inf": [-math.inf],
        "type": int,
        "deep": [[[[[[[[[[1]]]]]]]]]],
        3: {4: 5},
    }
    event = again(Event("note", "x", fields=odd))
    assert event.fields["nan"] == "nan"
    assert event.fields["inf"] == ["-inf"]
    assert event.fields["3"] == {"4": 5}
    start = again(Start("r", "m", settings={"f": test_odd_settings_and_fields_become_texts}))
    assert "function" in str(start.settings["f"])
    circle: dict[str, Any] = {}
    circle["self"] = circle
    assert again(Event("note", "x", fields=circle)).kind == "note"
    assert len(again(Event("note", "x" * 100_000)).text) == 4096
    assert again(Event("fault", "\ud800 lone")).kind == "fault"


def histograms(bins: int) -> Histograms:
    return Histograms(
        1,
        np.ones((2, bins), np.uint16),
        np.zeros(2, np.int16),
        np.zeros(2, np.int32),
        np.zeros((2, 5), np.int32),
    )


def test_as_many_bins_as_a_watcher_takes():
    assert np.array_equal(again(histograms(MOST_BINS)).counts, histograms(MOST_BINS).counts)


@pytest.mark.parametrize(
    "record",
    [
        Scalars(1, np.zeros((2, 2))),
        Kept(SeriesKey("m", "output", ""), np.array(["x"])),
        Kept(SeriesKey("m", "output", ""), np.array([1j])),
        Histograms(1, np.zeros((2, 4), np.float32), np.zeros(2), np.zeros(2), np.zeros((2, 5))),
        Histograms(1, np.zeros((2, 4), np.uint16), np.zeros(3), np.zeros(2), np.zeros((2, 5))),
        histograms(MOST_BINS + 2),
    ],
    ids=["matrix", "text", "complex", "float counts", "rows", "bins"],
)
def test_what_cannot_be_written_is_said(record):
    with pytest.raises(ValueError, match=r"."):
        encode(record)


def test_frames():
    data = frame([b"abc", b"de"], 7, 1.5)
    assert len(data) == HEADER + 5
    found = header_at(memoryview(data), 0)
    assert found is not None
    assert (found.length, found.step, found.time) == (5, 7, 1.5)
    assert is_whole(found, memoryview(b"abcde"))
    assert not is_whole(found, memoryview(b"abcdx"))
    for step, time in ((1 << 60, 0.0), (-2, 0.0), (0, math.nan)):
        with pytest.raises(ValueError, match="cannot be"):
            frame([b""], step, time)


def test_a_header_that_lies_is_not_a_header():
    fields = struct.pack("<4sIqdI", b"GTL1", MAX_PAYLOAD + 1, 0, 0.0, 0)
    data = fields + struct.pack("<I", zlib.crc32(fields))
    assert header_at(memoryview(data), 0) is None


def with_header(text, data=b""):
    raw = text if isinstance(text, bytes) else json.dumps(text).encode()
    return memoryview(struct.pack("<Q", len(raw)) + raw + data)


def tensor(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


HOSTILE = {
    "empty": memoryview(b""),
    "short": memoryview(b"\1\2"),
    "length beyond": memoryview(struct.pack("<Q", 1 << 62) + b"{}"),
    "length over a MiB": memoryview(struct.pack("<Q", (1 << 20) + 1) + bytes((1 << 20) + 1)),
    "not json": with_header(b"{nope"),
    "deep": with_header(b"[" * 100_000),
    "a list": with_header([]),
    "a number": with_header(3),
    "texts of numbers": with_header({"__metadata__": {"kind": 3}}),
    "no kind": with_header({}),
    "unknown kind": with_header({"__metadata__": {"kind": "later"}}),
    "too many": with_header({str(i): tensor(shape=(0,), offsets=(0, 0)) for i in range(100)}),
    "offsets beyond": with_header({"values": tensor()}),
    "shape lies": with_header({"values": tensor(shape=(3,))}, bytes(8)),
    "negative": with_header({"values": tensor(shape=(-1, -2))}, bytes(8)),
    "huge shape": with_header(
        {"values": tensor(shape=(1 << 39, 1 << 39, 0), offsets=(0, 1))}, bytes(8)
    ),
    "floats": with_header({"values": tensor(shape=(2.0,))}, bytes(8)),
    "booleans": with_header({"values": tensor(shape=(True, 2))}, bytes(8)),
    "dtype": with_header({"values": tensor(dtype="O8")}, bytes(8)),
    "dtype list": with_header({"values": tensor(dtype=["F32"])}, bytes(8)),
    "dimensions": with_header({"values": tensor(shape=(1,) * 99, offsets=(0, 4))}, bytes(8)),
}


@pytest.mark.parametrize("payload", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_payloads_are_refused(payload):
    with pytest.raises(InvalidContents):
        decode(payload)


def hostile_json(value, kind="layout", **texts):
    data = zlib.compress(value if isinstance(value, bytes) else json.dumps(value).encode())
    arrays = {"json": np.frombuffer(data, np.uint8)}
    return memoryview(
        b"".join(packed(arrays, {"kind": kind, "layout": "1", "holds": "scalars", **texts}))
    )


JSONS = {
    "not zlib": memoryview(b"".join(packed({"json": np.zeros(8, np.uint8)}, {"kind": "layout"}))),
    "nested": hostile_json(b"[" * 1_000_000),
    "many": hostile_json(b"[" + b"[]," * 13_000_000 + b"[]]"),
    "no keys": hostile_json({}),
    "keys of another form": hostile_json({"keys": [[1, 2]], "sampled": []}),
    "keys that are texts": hostile_json({"keys": "abcdefghijklmnop", "sampled": []}),
    "a phase": hostile_json({"keys": [["a", "output", "", 0, "test", ["l2"]]], "sampled": []}),
    "a call": hostile_json({"keys": [["a", "output", "", -1, "eval", ["l2"]]], "sampled": []}),
    "a long path": hostile_json(
        {"keys": [["a" * 5000, "output", "", 0, "eval", ["l2"]]], "sampled": []}
    ),
    "a number": hostile_json({"keys": [], "sampled": []}, layout="x"),
    "a long number": hostile_json({"keys": [], "sampled": []}, layout="9" * 5000),
    "a start": hostile_json({"run": 3}, kind="start", run="x"),
    "half an edge": hostile_json({"keys": [["a", "output", "", 0, "eval", ["l2"]]]}, kind="edges"),
    "a list": hostile_json([1, 2, 3], kind="start"),
}


@pytest.mark.parametrize("payload", JSONS.values(), ids=JSONS.keys())
def test_hostile_json_is_refused(payload):
    with pytest.raises(InvalidContents):
        decode(payload)


def test_a_compressed_bomb_is_not_expanded():
    bomb = zlib.compress(b" " * (129 << 20), 1)
    with pytest.raises(InvalidContents, match="too long"):
        plain.expanded(np.frombuffer(bomb, np.uint8))


@given(st.binary(max_size=200))
@settings(max_examples=200)
def test_any_bytes_are_a_record_or_refused(data):
    with contextlib.suppress(InvalidContents):
        decode(memoryview(data))


@given(st.data())
@settings(max_examples=300)
def test_any_change_of_a_payload_is_a_record_or_refused(data):
    entry = data.draw(st.sampled_from(small_run(1)))
    payload = bytearray(b"".join(encode(entry.record)))
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(InvalidContents):
        decode(memoryview(payload))
