"""What may stand where a small JSON file of the sidecar folder should."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PLACES = (
    "adapter.json", "commit-adapter.json", "commit-viewer.json", "pending-adapter.json", "pending-viewer.json",
    "requests/1.json", "answers/1.json", "journal.jsonl",
)  # fmt: skip
"""Every file of the sidecar folder that one of us reads."""

_FIELDS = (
    "schema", "generation", "answers", "files", "pid", "host", "started", "state", "progress", "message", "error",
    "torch", "time", "n", "kind", "status", "reason", "length", "crc32", "base", "cell", "before", "after",
)  # fmt: skip


def bad_jsons() -> Iterator[tuple[str, bytes]]:
    """Texts that are no JSON, JSON of the wrong thing, or JSON that costs far more than it is long."""
    yield "empty", b""
    yield "zeros", b"\x00" * 100
    yield "text", b"hello\n"
    yield "deep-lists", b"[" * 200_000
    yield "deep-lists-closed", b"[" * 100_000 + b"]" * 100_000
    yield "deep-dicts", b'{"a":' * 100_000
    yield "many-digits", b'{"schema": 1, "generation": ' + b"9" * 1_000_000 + b"}"
    yield "some-digits", b'{"schema": 1, "generation": ' + b"9" * 4000 + b', "pid": 1e999}'
    yield "long", b'{"schema": 1, "message": "' + b"x" * 5_000_000 + b'"}'
    yield "wide", b"[" + b"0," * 2_000_000 + b"0]"
    yield "utf-16", "{}".encode("utf-16")
    yield "latin-1", b'{"schema": 1, "message": "\xff\xfe"}'
    yield "torn", b'{"schema": 1, "generation": 3, "fil'
    yield (
        "numbers-that-are-none",
        b'{"schema": 1, "generation": NaN, "pid": Infinity, "progress": NaN}',
    )
    speaking = dict.fromkeys(
        ("state", "message", "error", "host", "torch"), "�\x1b]0;x\x07\x1b[2J\u202e"
    )
    yield "speaks-to-the-terminal", json.dumps({"schema": 1, "pid": 1, **speaking}).encode()
    roots: tuple[object, ...] = (None, 1, True, "x", [], [1], {}, 1.5)
    for root in roots:
        yield f"root-{root}", json.dumps(root).encode()
    for value in (None, True, -1, 0, 2**70, 10**400, 1e308, "NaN", "text", [], {}, [1], {"a": 1}):
        yield f"every-field-{value}", json.dumps(dict.fromkeys(_FIELDS, value)).encode()
        files = {
            "flow_info.pkl": value,
            "target_representation.npy": {"length": value, "crc32": value},
            "../../outside": {"length": 1, "crc32": 1},
        }
        fields = dict.fromkeys(_FIELDS, value) | {"schema": 1, "files": files}
        yield f"with-files-{value}", json.dumps(fields).encode()
