"""Files that a stranger might leave in a debug folder: hostile, broken, or merely odd.

Each generator returns bytes, or makes something at a path, so that the reader, the store, the command line and the
screen can all be tried with the same ones. A file that runs code would create the file that it is told to.
"""

from __future__ import annotations

import io
import itertools
import os
import pickle
import struct
import zipfile
from typing import TYPE_CHECKING

import numpy as np

from kit.strange import strange_places as strange_places

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def plain_flow_info(rows: int = 3, columns: int = 4) -> dict[str, object]:
    """A small flow info that is right."""
    source = np.arange(rows * columns, dtype=np.float32).reshape(rows, columns)
    target = np.ones((2, 2), np.float32)
    flow = np.linspace(-1, 1, rows * columns * 4, dtype=np.float32).reshape(rows * columns, 4)
    return {
        "activation_gradients": {"conv1": source, "conv2": target},
        "gradient_flows": {("conv1", "conv2"): flow},
    }


class Runs:
    """An object whose pickle runs a command when it is loaded by Python."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (self.command,)


def code_pickles(marker: Path) -> Iterator[tuple[str, bytes]]:
    """Pickles that would run ``touch marker``, by every family of opcodes that can call."""
    command = f"touch {marker}"
    for protocol in range(6):
        yield f"reduce-{protocol}", pickle.dumps({"activation_gradients": Runs(command)}, protocol)
    yield "global", b"cos\nsystem\n(" + text(command) + b"tR."
    yield (
        "stack-global",
        b"\x80\x04" + text("os") + text("system") + b"\x93(" + text(command) + b"tR.",
    )
    yield "inst", b"(S'" + command.encode() + b"'\nios\nsystem\n."
    yield "obj", b"(cos\nsystem\n" + text(command) + b"o."
    yield "newobj", b"\x80\x02csubprocess\nPopen\n(" + text(command) + b"t\x81."
    yield "newobj-ex", b"\x80\x04csubprocess\nPopen\n(" + text(command) + b"t}\x92."
    yield "ext1", b"\x80\x02\x82\x01."
    yield "ext2", b"\x80\x02\x83\x01\x00."
    yield "ext4", b"\x80\x02\x84\x01\x00\x00\x00."
    yield "persid", b"Pos.system\n."
    yield "binpersid", text("os.system") + b"Q."
    yield (
        "build",
        b"c__main__\nX\n)R}" + text("__setstate__") + b"cos\nsystem\nsb" + text(command) + b"b.",
    )
    yield "eval", b"c__builtin__\neval\n(" + text(f"__import__('os').system('{command}')") + b"tR."
    yield "getattr", b"c__builtin__\ngetattr\n(cos\n__dict__\n" + text("system") + b"tR."
    yield "dotted", b"\x80\x04" + text("numpy") + text("core.multiarray.os.system") + b"\x93)R."
    yield "next-buffer", b"\x80\x05\x97."
    yield "readonly-buffer", b"\x80\x05\x97\x98."
    yield "codecs", b"c_codecs\nencode\n(" + text(command) + text("rot13") + b"tR."
    yield "torch-tensor", b"ctorch._utils\n_rebuild_tensor_v2\n)R."
    yield "default-factory", b"ccollections\ndefaultdict\n(cos\nsystem\ntR."
    yield "name-as-data", b"}" + text("activation_gradients") + b"cnumpy\nndarray\ns."
    yield "numpy-load", b"cnumpy\nload\n(" + text(str(marker)) + b"tR."
    yield "call-a-list", b"]" + b")R."
    yield "ndarray-called", b"cnumpy\nndarray\n(K\x08tR."


def _dtype(code: str, state: bytes) -> bytes:
    return b"cnumpy\ndtype\n(" + text(code) + b"\x89\x88tR" + state + b"b"


def _array(dtype: bytes, shape: bytes, data: bytes, fortran: bytes = b"\x89") -> bytes:
    head = b"\x80\x04cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"
    return head + b"(K\x01" + shape + dtype + fortran + data + b"tb."


_PLAIN_STATE = b"(K\x03" + text("<") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t"
_FLOAT = _dtype("f4", _PLAIN_STATE)


def bad_arrays() -> Iterator[tuple[str, bytes]]:
    """Arrays that numpy's own unpickling would trust."""
    yield (
        "object-pointers",
        _array(
            _dtype("O8", b"(K\x03" + text("|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?t"),
            b"(K\x01t",
            b"C\x08" + b"AAAAAAAA",
        ),
    )
    fields = (
        b"(K\x03" + text("|") + b"N(" + text("a") + b"t}" + text("a")
        + b"(" + _FLOAT + b"K\x00tsK\x08K\x01K\x10t"
    )  # fmt: skip
    yield "void-with-fields", _array(_dtype("V8", fields), b"(K\x01t", b"C\x08AAAAAAAA")
    yield (
        "flags-lie",
        _array(
            _dtype("f8", b"(K\x03" + text("<") + b"NNNM\x00\x10K\x01K\xfft"),
            b"(K\x01t",
            b"C\x08AAAAAAAA",
        ),
    )
    subarray = b"(K\x03" + text("<") + _FLOAT + b"(K\x04t\x86NNK\x10K\x04K\x00t"
    yield "subarray", _array(_dtype("f4", subarray), b"(K\x01t", b"C\x10" + b"A" * 16)
    yield "huge-shape", _array(_FLOAT, b"(\x8a\x09" + b"\xff" * 8 + b"\x00t", b"C\x04AAAA")
    yield (
        "overflowing-shape",
        _array(
            _FLOAT,
            b"(\x8a\x08" + b"\x00" * 7 + b"\x40\x8a\x08" + b"\x00" * 7 + b"\x40t",
            b"C\x04AAAA",
        ),
    )
    yield "negative-shape", _array(_FLOAT, b"(J\xff\xff\xff\xfft", b"C\x04AAAA")
    yield "too-few-bytes", _array(_FLOAT, b"(K\x09t", b"C\x04AAAA")
    yield "too-many-bytes", _array(_FLOAT, b"(K\x01t", b"C\x08AAAAAAAA")
    yield "list-of-objects", _array(_dtype("O8", _PLAIN_STATE), b"(K\x01t", b"]K\x01a")
    yield (
        "no-build",
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R.",
    )
    yield "text-shape", _array(_FLOAT, b"(" + text("3") + b"t", b"C\x04AAAA")
    yield (
        "other-array-type",
        b"cnumpy.core.multiarray\n_reconstruct\nc__builtin__\nlist\nK\x00\x85C\x01b\x87R.",
    )
    yield (
        "frombuffer-object",
        (
            b"\x80\x05cnumpy._core.numeric\n_frombuffer\n(\x96\x08\x00\x00\x00\x00\x00\x00\x00AAAAAAAA"
            + _dtype("O8", _PLAIN_STATE)
            + b"K\x01\x85X\x01\x00\x00\x00CtR."
        ),
    )
    yield (
        "scalar-object",
        (b"cnumpy.core.multiarray\nscalar\n" + _dtype("O8", _PLAIN_STATE) + b"C\x08AAAAAAAA\x86R."),
    )
    yield (
        "unicode-zero",
        _array(_dtype("U0", _PLAIN_STATE), b"(\x8a\x08" + b"\x00" * 7 + b"\x40t", b"C\x00"),
    )
    for name, dtype in (
        ("object", "O"), ("complex", "c8"), ("datetime", "M8[s]"), ("timedelta", "m8[s]"),
        ("void", "V4"), ("structured", [("a", "f4")]),
    ):  # fmt: skip
        for protocol in (2, 5):
            values = np.zeros(3, dtype)
            yield (
                f"{name}-{protocol}",
                pickle.dumps({"activation_gradients": {"a": values}}, protocol),
            )


def bombs() -> Iterator[tuple[str, bytes]]:
    """Small files that would take all memory, all time, or the C stack."""
    yield "deep-lists", b"]" * 500_000 + b"a" * 499_999 + b"."
    yield "deep-tuples", b")" + b"\x85" * 800_000 + b"."
    yield "deep-tuple-key", b"}" + b")" + b"\x85" * 500_000 + b"Ns."
    yield "shared-tuple-key", b"})" + b"2\x86" * 60 + b"Ns."
    yield "shared-tuple", b")" + b"2\x86" * 60 + b"."
    yield "shared-list", b"]" + b"2\x86" * 45 + b"."
    yield "shared-set-member", b"\x8f()" + b"2\x86" * 60 + b"\x90."
    yield "shared-frozenset", b"()" + b"2\x86" * 60 + b"\x91."
    yield "list-in-itself", b"]2a."
    yield "dict-of-itself", b"}q\x00" + text("a") + b"h\x00s."
    yield "tuple-of-itself", b"]q\x000(h\x00tq\x010h\x00h\x01ah\x01."
    yield "memo-far", b"Nr\xff\xff\xff\xff" * 300_000 + b"."
    yield "memo-far-text", b"".join(b"Np%d\n" % (n * 10**6) for n in range(200_000)) + b"."
    yield "memo-huge-number", b"Np" + b"9" * 5000 + b"\n."
    yield "memo-missing", b"h\x00."
    yield "empty-sets", b"(" + b"\x8f" * 1_000_000 + b"t."
    yield "empty-dicts", b"(" + b"}" * 1_000_000 + b"t."
    yield "empty-lists", b"(" + b"]" * 1_000_000 + b"t."
    yield "marks", b"(" * 2_000_000
    yield "numbers", b"(" + b"J\x00\x00\x01\x00" * 1_500_000 + b"t."
    yield "opcodes", b"N0" * 3_000_000 + b"N."
    yield "protocols", b"\x80\x04" * 3_000_000 + b"N."
    yield "bytes-8-claim", b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7fA."
    yield "bytearray-8-claim", b"\x80\x05\x96" + b"\xff" * 7 + b"\x7fA."
    yield "text-8-claim", b"\x80\x04\x8d" + b"\xff" * 7 + b"\x7fA."
    yield "bytes-claim", b"\x80\x03B\xff\xff\xff\xffA."
    yield "long-4-claim", b"\x80\x02\x8b\xff\xff\xff\x7fA."
    yield "long-4-real", b"\x80\x02\x8b" + struct.pack("<I", 3_000_000) + b"\x7f" * 3_000_000 + b"."
    yield "long-text", b"L" + b"9" * 2_000_000 + b"L\n."
    yield "int-text", b"I" + b"9" * 2_000_000 + b"\n."
    yield "float-text", b"F" + b"9" * 2_000_000 + b"\n."
    yield "no-line-end", b"V" + b"a" * 3_000_000
    yield "frame-claim", b"\x80\x04\x95" + b"\xff" * 8 + b"N."
    yield (
        "wide-text",
        b"\x80\x04X" + struct.pack("<I", 4_000_003) + b"a" * 3_999_999 + "😀".encode() + b".",
    )
    colliding = b"".join(
        b"\x8a\x10" + (k * ((1 << 61) - 1)).to_bytes(16, "little", signed=True) + b"N"
        for k in range(1, 60_000)
    )
    yield "hash-collisions", b"}(" + colliding + b"u."
    yield (
        "float-keys",
        b"}(" + b"".join(b"G" + struct.pack(">d", 0.1 * k) + b"N" for k in range(100_000)) + b"u.",
    )
    shared = pickle.dumps(np.zeros(250_000))[:-1]
    yield "shared-array", shared + b"q\x000(" + b"h\x00" * 500_000 + b"t."
    encoded = b"c_codecs\nencode\n(" + text("a" * 100_000) + text("latin1") + b"t"
    yield "encode-often", encoded + b"q\x0000" + b"c_codecs\nencode\nh\x00R0" * 40_000 + b"N."
    yield (
        "many-scalars",
        b"(" + (b"cnumpy.core.multiarray\nscalar\n" + _FLOAT + b"C\x04AAAA\x86R") * 20_000 + b"t.",
    )
    yield (
        "dup-list-copies",
        b"(" + b"N" * 1000 + b"lq\x000(" + b"c__builtin__\nlist\nh\x00\x85R" * 40_000 + b"t.",
    )


def broken_pickles() -> Iterator[tuple[str, bytes]]:
    """Files that are no pickles, or pickles of the wrong thing."""
    yield "empty", b""
    yield "zeros", b"\x00" * 100
    yield "text", b"hello world\n" * 10
    yield "zip", _zip()
    yield "gzip", b"\x1f\x8b\x08" + b"\x00" * 30
    yield "npy", npy_bytes(np.zeros((2, 2)))
    yield "stop-only", b"."
    yield "two-values", b"NN."
    yield "open-mark", b"(N."
    yield "protocol-9", b"\x80\x09N."
    yield "append-to-nothing", b"Na."
    yield "append-to-number", b"K\x01K\x02a."
    yield "build-a-dict", b"}}b."
    for name, root in (
        ("list", [1]), ("none", None), ("number", 3), ("text", "flow"), ("array", np.zeros(3)), ("tuple", ()),
    ):  # fmt: skip
        yield f"root-{name}", pickle.dumps(root)


def odd_roots() -> Iterator[tuple[str, bytes]]:
    """Dicts that parse and do not fit together."""
    good = plain_flow_info()
    gradients = good["activation_gradients"]
    flows = good["gradient_flows"]
    cases: dict[str, object] = {
        "empty-dict": {},
        "gradients-list": {"activation_gradients": [1], "gradient_flows": {}},
        "flows-list": {"activation_gradients": gradients, "gradient_flows": [1]},
        "shape-mismatch": {
            "activation_gradients": gradients,
            "gradient_flows": {("conv1", "conv2"): np.zeros((5, 5), np.float32)},
        },
        "flow-1-d": {
            "activation_gradients": gradients,
            "gradient_flows": {("conv1", "conv2"): np.zeros(48)},
        },
        "key-not-a-pair": {"activation_gradients": gradients, "gradient_flows": {"conv1": None}},
        "key-of-numbers": {"activation_gradients": gradients, "gradient_flows": {(1, 2): None}},
        "unknown-layers": {"activation_gradients": {}, "gradient_flows": {("a", "b"): None}},
        "gradient-text": {"activation_gradients": {"a": "x"}, "gradient_flows": flows},
        "gradient-4-d": {
            "activation_gradients": {"a": np.zeros((2, 2, 3, 4))},
            "gradient_flows": {},
        },
        "sparse-out-of-range": {
            "activation_gradients": gradients,
            "gradient_flows": {
                ("conv1", "conv2"): {
                    "indices_in": ([99], [99]),
                    "indices_out": ([0], [0]),
                    "values": [1.0],
                }
            },
        },
        "sparse-lengths": {
            "activation_gradients": gradients,
            "gradient_flows": {
                ("conv1", "conv2"): {"indices_in": ([0, 1], [0]), "indices_out": ([0], [0])}
            },
        },
    }
    for name, root in cases.items():
        yield name, pickle.dumps(root)


def npy_bytes(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def header(text_: str, version: tuple[int, int] = (1, 0)) -> bytes:
    data = text_.encode("latin-1")
    length = struct.pack("<H" if version == (1, 0) else "<I", len(data))
    return b"\x93NUMPY" + bytes(version) + length + data


def bad_npys() -> Iterator[tuple[str, bytes]]:
    """Files called ``.npy`` that are not arrays of real numbers."""
    yield "empty", b""
    yield "zip", _zip()
    yield "text", b"1 2 3\n"
    yield "pickle", pickle.dumps(np.zeros(3))
    yield "object", _saved(np.array([{}, []], dtype=object))
    yield "complex", npy_bytes(np.zeros(3, complex))
    yield "datetime", npy_bytes(np.zeros(3, "M8[s]"))
    yield "structured", npy_bytes(np.zeros(3, [("a", "f4"), ("b", "i4")]))
    yield "void", npy_bytes(np.zeros(3, "V8"))
    yield "text-dtype", npy_bytes(np.array(["a"]))
    descr = "{'descr': '<f4', 'fortran_order': False, 'shape': %s, }\n"
    yield "huge-shape", header(descr % "(1000000000000, 1000000)") + b"\x00" * 64
    yield "overflow-shape", header(descr % "(4611686018427387904, 4)") + b"\x00" * 16
    yield "negative-shape", header(descr % "(-1,)") + b"\x00" * 64
    yield "bool-shape", header(descr % "(True,)") + b"\x00" * 64
    yield "many-dimensions", header(descr % ("(" + "1," * 70 + ")")) + b"\x00" * 4
    yield "shape-number", header(descr % "5") + b"\x00" * 20
    yield "too-short", npy_bytes(np.zeros((8, 8)))[:-1]
    yield "too-long", npy_bytes(np.zeros((8, 8))) + b"\x00"
    yield "header-claims-4-gib", b"\x93NUMPY\x02\x00\xff\xff\xff\xff{"
    yield "header-deep", header("(" * 3000)
    yield (
        "header-call",
        header("{'descr': __import__('os').system('x'), 'fortran_order': False, 'shape': ()}"),
    )
    yield (
        "header-escape",
        header("{'descr': '\\x3cf4', 'fortran_order': False, 'shape': (1,), '\\d': 1}"),
    )
    yield (
        "header-subarray",
        header("{'descr': ('<f4', (1000000000,)), 'fortran_order': False, 'shape': (1,)}"),
    )
    yield "header-empty", header("")
    yield "header-list", header("[1, 2]")
    yield "version-3", b"\x93NUMPY\x03\x00" + b"\x00" * 40
    yield "version-9", b"\x93NUMPY\x09\x00" + b"\x00" * 40


def _zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("arr_0.npy", npy_bytes(np.zeros(3)))
    return file.getvalue()


def _saved(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


HOSTILE_NAMES = (
    "\x1b]0;title\x07", "\x1b]52;c;aGk=\x07", "\x1b[2J", "layer[/]", "[@click=app.quit]x[/]", "[red]x",
    "\u202eabc", "a\u0301\u0302\u0303\u0304\u0305b", "\u200b", "\ud800", "a\nb", "\x00", "x" * 5000, "", " ",
)  # fmt: skip


def hostile_names() -> bytes:
    """A flow info whose layers have names that could speak to the terminal."""
    gradients = {name: np.ones((2, 2), np.float32) for name in HOSTILE_NAMES}
    flows = dict.fromkeys(itertools.pairwise(HOSTILE_NAMES))
    return pickle.dumps({"activation_gradients": gradients, "gradient_flows": flows})
