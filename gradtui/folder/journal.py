"""Edits that are not saved yet, one line each, so that a crash does not lose them.

The first line says which input the edits belong to. Whatever cannot be written or read here is said in a text and
never raised: an edit on the screen must not fail because a disk is full.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradtui.core.edit import Edit, same
from gradtui.errors import FileBusy, GradtuiError, SaveFailed, UnreadableFile
from gradtui.folder.commit import SCHEMA
from gradtui.folder.process import from_record, this_process
from gradtui.folder.reading import read_regular
from gradtui.folder.writing import make_directory, remove, replace_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

MAX_BYTES = 4_000_000
_MAX_CELLS = 100_000


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a journal of an earlier process holds.

    Attributes:
        base: The digest of the input that was edited; empty when there is nothing to recover.
        changes: One change a cell, those that came back to their first value left out.
    """

    base: str = ""
    changes: tuple[Edit, ...] = ()


class Journal:
    """The journal of one folder: in its sidecar, or in a place of the person's own where that cannot be written.

    Attributes:
        problem: Why edits are not kept, in one line; empty while they are.
    """

    def __init__(self, path: Path, fallback: Path) -> None:
        """Look at what an earlier process left; nothing is written yet.

        Args:
            path: The journal in the folder.
            fallback: Where to write when the folder cannot be written, or another living viewer has the journal.
        """
        self.problem = ""
        self._of_folder = path
        self._paths = [path, fallback]
        self._path = path
        self._base = ""
        self._cells: dict[tuple[int, ...], Edit] = {}
        self._size = 0
        self.recovered = Recovered()
        for candidate in (path, fallback):
            taken, found = _read(candidate)
            if taken and candidate in self._paths:
                self._paths.remove(candidate)
            elif found.changes and not self.recovered.changes:
                self.recovered = found
        if not self._paths:
            self._paths = [fallback.with_name(f"{fallback.stem}-{os.getpid()}{fallback.suffix}")]
        self._path = self._paths[0]

    def append(self, base: str, changes: Iterable[Edit]) -> bool:
        """Keep changes; those of an undo are changes like any other.

        Args:
            base: The digest of the input that they belong to; another one than before starts the journal anew.
            changes: In the order in which they were made.

        Returns:
            Whether they are kept; `problem` says why not.
        """
        started = self._base == base and self._size > 0
        if not started:
            self._cells = {}
        fresh = list(changes)
        for change in fresh:
            first = self._cells.get(change.cell, change)
            self._cells[change.cell] = Edit(change.cell, first.before, change.after)
        if not started:
            return self._rewrite(base)
        lines = b"".join(_line(change) for change in fresh)
        if self._size + len(lines) > MAX_BYTES:
            return self._rewrite(base)
        try:
            self._append_bytes(lines)
        except OSError:
            return self._rewrite(base)
        self._size += len(lines)
        return True

    def clear(self) -> None:
        """Forget all edits: they were saved, or given up."""
        self._cells = {}
        self._base, self._size = "", 0
        for path in self._paths:
            remove(path)
        self.recovered = Recovered()
        self.problem = ""

    def _append_bytes(self, lines: bytes) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(self._path, flags)
        try:
            if os.fstat(descriptor).st_size != self._size or os.write(descriptor, lines) != len(
                lines
            ):
                raise OSError("short")
        finally:
            os.close(descriptor)

    def _rewrite(self, base: str) -> bool:
        """Write the journal whole, one change a cell, in the first place that takes it."""
        kept = [change for change in self._cells.values() if not same(change.before, change.after)]
        if len(kept) > _MAX_CELLS:
            self.problem = f"more than {_MAX_CELLS} edited cells: not kept for a crash"
            return False
        head = {"schema": SCHEMA, "base": base, **this_process().to_record()}
        data = json.dumps(head).encode() + b"\n" + b"".join(_line(change) for change in kept)
        for path in self._paths:
            if path == self._of_folder and not path.parent.parent.is_dir():
                # A folder that was moved away is not made anew: it may be on its way back.
                continue
            try:
                make_directory(path.parent)
                replace_file(path, data, "viewer")
            except SaveFailed as error:
                self.problem = f"edits are not kept for a crash: {error}"
                continue
            self._path, self._base, self._size, self.problem = path, base, len(data), ""
            return True
        self._size = 0
        return False


def _line(change: Edit) -> bytes:
    return (
        json.dumps([list(change.cell), _word(change.before), _word(change.after)]).encode() + b"\n"
    )


def _word(value: float) -> float | str:
    """JSON has no NaN and no infinities: they are written as texts, ``repr`` of the number."""
    return float(value) if math.isfinite(value) else repr(float(value))


def _read(path: Path) -> tuple[bool, Recovered]:
    """Whether another living process has the journal, and what a dead one left; a torn last line is left out."""
    try:
        lines = bytes(read_regular(path, max_bytes=2 * MAX_BYTES).data).split(b"\n")
    except (UnreadableFile, FileBusy, GradtuiError):
        return False, Recovered()
    head = _json(lines[0])
    if not isinstance(head, dict) or head.get("schema") != SCHEMA:
        return False, Recovered()
    owner = from_record(head)
    base = head.get("base")
    if owner.is_alive and owner.is_here and owner.pid != os.getpid():
        return True, Recovered()
    cells: dict[tuple[int, ...], Edit] = {}
    for line in lines[1:-1]:
        change = _parse(_json(line))
        if change is None:
            break
        first = cells.get(change.cell, change)
        cells[change.cell] = Edit(change.cell, first.before, change.after)
    kept = tuple(change for change in cells.values() if not same(change.before, change.after))
    return False, Recovered(base, kept) if isinstance(base, str) and kept else Recovered()


def _json(line: bytes) -> Mapping[str, object] | list[object] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, (dict, list)) else None


def _parse(record: object) -> Edit | None:
    if not isinstance(record, list) or len(record) != 3 or not isinstance(record[0], list):
        return None
    cell = tuple(place for place in record[0] if isinstance(place, int) and 0 <= place < 1 << 31)
    if len(cell) != len(record[0]) or len(cell) not in (2, 3):
        return None
    try:
        return Edit(cell, float(record[1]), float(record[2]))
    except (TypeError, ValueError, OverflowError):
        return None
