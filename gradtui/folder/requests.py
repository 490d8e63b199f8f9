"""What the screen asks of the adapter, and the answers, one small file each.

Each side writes, and trims, its own folder; nobody deletes the other's files.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gradtui.core.arrays import read_only
from gradtui.errors import FileBusy, GradtuiError, InvalidContents, SaveFailed, UnreadableFile
from gradtui.folder.commit import SCHEMA, to_json
from gradtui.folder.npy import decode_npy, encode_npy
from gradtui.folder.process import this_process
from gradtui.folder.reading import read_record, read_regular, reason_of
from gradtui.folder.writing import (
    FileSum,
    Staging,
    make_own_directory,
    remove,
    replace_file,
    sum_of,
    sweep,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gradtui.core.arrays import Array
    from gradtui.folder.location import DebugFolder

STATUSES = ("done", "refused", "failed")
# So many requests and answers stay; an answer's arrays may be large, so they are bounded by size too.
_KEPT = 64
_KEPT_BYTES = 256_000_000
_MAX_ANSWER_BYTES = 256_000_000
# What stands between these is not ours: it is neither counted nor removed. 13 digits would be the end of counting up.
# Counting up goes on from what is below this: a file of a stranger's near the end would leave no number to ask under.
_COUNTED = 10**11
# Seconds: no clock says as much.
_NEVER = 1e18
_RECORD = re.compile(r"([0-9]{1,12})\.json")
_OURS = re.compile(r"([0-9]{1,12})(?:\.json|-[A-Za-z_]\w*\.npy)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Request:
    """One question of the screen.

    Attributes:
        n: Its number; a larger one is newer.
        kind: ``flow-row``, ``flow-column``, ``tensor``, or one that a later version knows.
        fields: Whatever else the record says: ``pair`` and ``node``, ``module``, ``call`` and ``what``, ``generation``.
        asked: Wall time, seconds.
    """

    n: int
    kind: str
    fields: Mapping[str, object]
    asked: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What the adapter said to one request.

    Attributes:
        n: The request's number.
        status: One of `STATUSES`; ``waiting`` while there is no answer.
        reason: Why not, in one line, when it was refused or failed.
        arrays: Tensors by name, read-only.
        fields: Whatever else the adapter said, such as ``generation``.
    """

    n: int
    status: str = "waiting"
    reason: str = ""
    arrays: Mapping[str, Array] = field(default_factory=dict)
    fields: Mapping[str, object] = field(default_factory=dict)


def ask(folder: DebugFolder, kind: str, **fields: object) -> int:
    """Write a request.

    Args:
        folder: Where.
        kind: What is asked for.
        **fields: What JSON can hold; for a row or column ``pair=[source, target]`` and ``node=index``.

    Returns:
        The request's number, for `read_answer`.

    Raises:
        SaveFailed: The disk refused.
    """
    make_own_directory(folder.sidecar)
    make_own_directory(folder.requests)
    sweep(folder.requests, "viewer")
    taken = (*_numbers(folder.requests), *_numbers(folder.answers))
    n = max((number for number in taken if number < _COUNTED), default=0) + 1
    record = {
        **fields,
        "schema": SCHEMA,
        "kind": kind,
        "time": time.time(),
        **this_process().to_record(),
    }
    while True:
        path = folder.requests / f"{n}.json"
        if os.path.lexists(path):
            n += 1
            continue
        with Staging("viewer") as staging:
            staged = staging.stage(path, [to_json({**record, "n": n})])
            try:
                # A link fails where the name is taken: two viewers of one folder never share a number.
                os.link(staged.beside, path)
                break
            except FileExistsError:
                n += 1
            except OSError:
                staging.place(staged)
                break
    for old in [number for number in _numbers(folder.requests) if number < _COUNTED][:-_KEPT]:
        remove(folder.requests / f"{old}.json")
    return n


def pending_requests(folder: DebugFolder) -> tuple[Request, ...]:
    """Requests without an answer, the newest first, of the newest 64; what is not a request of ours is passed over."""
    answered = set(_numbers(folder.answers))
    waiting = [n for n in reversed(_numbers(folder.requests)) if n not in answered]
    # What was not counted up to comes last: enough of it would hide every question.
    waiting.sort(key=lambda n: n < _COUNTED, reverse=True)
    found = []
    for n in waiting[:_KEPT]:
        record = dict(read_record(folder.requests / f"{n}.json"))
        kind, asked = record.pop("kind", ""), record.pop("time", 0.0)
        if record.pop("schema", 0) != SCHEMA or not isinstance(kind, str) or not kind:
            continue
        record.pop("n", None)
        found.append(Request(n, kind, record, _when(asked)))
    return tuple(found)


def answer(
    folder: DebugFolder,
    n: int,
    status: str,
    reason: str = "",
    arrays: Mapping[str, Array] | None = None,
    **fields: object,
) -> None:
    """Write an answer: its tensors first, each as ``.npy``, then the record that makes them count.

    Args:
        folder: Where.
        n: The request's number.
        status: One of `STATUSES`.
        reason: Why not, in one line.
        arrays: Tensors by a short name of letters.
        **fields: What JSON can hold; ``generation`` says which generation the numbers belong to.

    Raises:
        SaveFailed: The disk refused.
        InvalidContents: A tensor does not hold real numbers.
    """
    make_own_directory(folder.sidecar)
    make_own_directory(folder.answers)
    files: dict[str, dict[str, object]] = {}
    for name, array in (arrays or {}).items():
        chunks = encode_npy(array)
        path = folder.answers / f"{n}-{name}.npy"
        with Staging("adapter") as staging:
            staging.place(staging.stage(path, chunks))
        total = sum_of(chunks)
        files[name] = {"file": path.name, "length": total.length, "crc32": total.crc32}
    record = {
        **fields,
        "schema": SCHEMA,
        "n": n,
        "status": status,
        "reason": reason,
        "arrays": files,
    }
    replace_file(folder.answers / f"{n}.json", to_json(record), "adapter")
    _trim_answers(folder.answers, n)


def read_answer(folder: DebugFolder, n: int) -> Answer:
    """The answer to a request; its status is ``waiting`` while there is none, or only half of one.

    An answer whose tensors cannot be read counts as ``failed``, with the reason.
    """
    record = dict(read_record(folder.answers / f"{n}.json"))
    status, reason = record.pop("status", ""), record.pop("reason", "")
    files = record.pop("arrays", {})
    if record.pop("schema", 0) != SCHEMA or status not in STATUSES or not isinstance(files, dict):
        return Answer(n)
    record.pop("n", None)
    arrays: dict[str, Array] = {}
    for name, entry in files.items():
        if not isinstance(entry, dict):
            continue
        try:
            arrays[str(name)] = _read_tensor(folder.answers, n, str(name), entry)
        except FileBusy:
            return Answer(n)
        except GradtuiError as error:
            return Answer(n, "failed", str(error))
    return Answer(n, str(status), reason if isinstance(reason, str) else "", arrays, record)


def _read_tensor(answers: Path, n: int, name: str, entry: Mapping[str, object]) -> Array:
    # The name is made here and not taken from the record, which could point anywhere.
    path = answers / f"{n}-{name}.npy"
    if not name.isidentifier():
        raise UnreadableFile(answers / f"{n}.json", "names a tensor that no adapter of ours would")
    contents = read_regular(path, max_bytes=_MAX_ANSWER_BYTES)
    expected = FileSum(_whole(entry.get("length")), _whole(entry.get("crc32")))
    if sum_of([contents.data]) != expected:
        raise UnreadableFile(path, "is not what its answer says")
    try:
        return read_only(decode_npy(contents.data))
    except InvalidContents as error:
        raise UnreadableFile(path, str(error)) from None


def _when(value: object) -> float:
    """A wall time from JSON; 0 for what is none, such as an integer that no float holds."""
    if isinstance(value, (int, float)) and abs(value) < _NEVER:
        return float(value)
    return 0.0


def _whole(value: object) -> int:
    return value if isinstance(value, int) else -1


def _numbers(directory: Path) -> list[int]:
    """The numbers of the ``<n>.json`` in a directory, ascending; none where there is no directory."""
    try:
        names = [item.name for item in directory.iterdir()]
    except OSError:
        return []
    return sorted(int(match[1]) for match in map(_RECORD.fullmatch, names) if match)


def _trim_answers(answers: Path, newest: int) -> None:
    """Remove the oldest answers; the directory is a real one, as `answer` made sure."""
    sizes: dict[int, int] = {}
    files: dict[int, list[Path]] = {}
    try:
        for path in answers.iterdir():
            if match := _OURS.fullmatch(path.name):
                n = int(match[1])
                files.setdefault(n, []).append(path)
                sizes[n] = sizes.get(n, 0) + path.lstat().st_size
    except OSError as error:
        raise SaveFailed(answers, reason_of(error)) from error
    total = 0
    for place, n in enumerate(sorted(files, reverse=True)):
        total += sizes[n]
        if n != newest and (place >= _KEPT or total > _KEPT_BYTES):
            # The record goes first: a reader then sees no answer, never half of one.
            for path in sorted(files[n], key=lambda item: item.suffix != ".json"):
                remove(path)
