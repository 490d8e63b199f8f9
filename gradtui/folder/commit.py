"""Commit files: what a side last wrote whole, and who is writing now.

Three files cannot be replaced at once. So a writer names itself in its pending file, replaces its files, and
last replaces its commit file, which holds length and CRC-32 of each. A reader accepts what matches.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gradtui.folder.process import Process, from_record, this_process
from gradtui.folder.reading import read_record
from gradtui.folder.writing import (
    FileSum,
    Staging,
    make_directory,
    make_own_directory,
    remove,
    replace_file,
    sweep,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gradtui.folder.location import DebugFolder, Side
    from gradtui.folder.writing import Chunks

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Commit:
    """What one side says that it wrote.

    Attributes:
        generation: Counts the side's writes from 1; 0 where it never wrote.
        answers: The other side's generation that this one was made from.
        files: Length and checksum by contract name (without the prefix).
    """

    generation: int = 0
    answers: int = 0
    files: Mapping[str, FileSum] = field(default_factory=dict)


def read_commit(folder: DebugFolder, side: Side) -> Commit:
    """A side's commit; one of generation 0 where there is none, or where it is not one of ours."""
    record = read_record(folder.commit(side))
    generation, files = _count(record.get("generation")), record.get("files")
    if record.get("schema") != SCHEMA or generation <= 0 or not isinstance(files, dict):
        return Commit()
    sums: dict[str, FileSum] = {}
    for name, entry in files.items():
        if isinstance(entry, dict):
            length, crc = _count(entry.get("length")), _count(entry.get("crc32"))
            if length >= 0 and crc >= 0:
                sums[str(name)] = FileSum(length, crc)
    return Commit(generation, max(_count(record.get("answers")), 0), sums)


def pending_writer(folder: DebugFolder, side: Side) -> Process:
    """The process that says it is writing; nobody where there is no such file."""
    return from_record(read_record(folder.pending(side)))


def write_generation(
    folder: DebugFolder,
    side: Side,
    files: Mapping[str, Chunks],
    *,
    answers: int,
    carried: Mapping[str, FileSum] | None = None,
    before_placing: Callable[[], None] = lambda: None,
) -> Commit:
    """Replace files of one side as one generation.

    Everything, the commit too, is on the disk beside its place before the first file is replaced: a disk that is
    full shows while the old generation is still whole.

    Args:
        folder: Where.
        side: Who writes.
        files: The bytes by contract name, in the order in which they are replaced.
        answers: The other side's generation that this one was made from.
        carried: Files of the last commit that stay as they are.
        before_placing: Called when all is staged; what it raises ends the write with everything as it was.

    Raises:
        SaveFailed: The disk refused; staged files are gone again.
    """
    make_directory(folder.root)
    make_own_directory(folder.sidecar)
    sweep(folder.root, side)
    sweep(folder.sidecar, side)
    pending = folder.pending(side)
    writer = {"schema": SCHEMA, **this_process().to_record(), "time": time.time()}
    try:
        replace_file(pending, to_json(writer), side)
        with Staging(side) as staging:
            staged = [staging.stage(folder.path(name), chunks) for name, chunks in files.items()]
            sums = dict(carried or {})
            sums.update({name: item.sum for name, item in zip(files, staged, strict=True)})
            commit = Commit(read_commit(folder, side).generation + 1, answers, sums)
            last = staging.stage(folder.commit(side), [to_json(_record(commit, writer))])
            before_placing()
            for item in (*staged, last):
                staging.place(item)
    finally:
        remove(pending)
    return commit


def to_json(record: Mapping[str, object]) -> bytes:
    """One line of strict JSON.

    Raises:
        ValueError: A value is NaN or infinite, or of a kind that JSON has no word for.
    """
    return json.dumps(record, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def _record(commit: Commit, writer: Mapping[str, object]) -> dict[str, object]:
    return {
        **writer,
        "generation": commit.generation,
        "answers": commit.answers,
        "files": {
            name: {"length": item.length, "crc32": item.crc32}
            for name, item in commit.files.items()
        },
    }


def _count(value: object) -> int:
    """A whole number from JSON that fits 63 bits; -1 for anything else."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63:
        return value
    return -1
