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
from gradtui.errors import FileBusy, GradtuiError, SaveFailed
from gradtui.folder.commit import SCHEMA
from gradtui.folder.process import from_record, this_process
from gradtui.folder.reading import read_regular
from gradtui.folder.stamp import stamp
from gradtui.folder.writing import Staging, make_directory, make_own_directory, remove

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

MAX_BYTES = 4_000_000
_MAX_CELLS = 100_000


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a journal of an earlier process holds.

    Attributes:
        base: The digest of the input that was edited; empty when there is nothing, or edits of several inputs.
        changes: One change a cell, those that came back to their first value left out.
    """

    base: str = ""
    changes: tuple[Edit, ...] = ()


class Journal:
    """The journal of one folder: in its sidecar, or in a place of the person's own where that cannot be written.

    A file that another viewer owns, or that holds edits that nobody has answered for, is never written over.

    Attributes:
        problem: Why edits are not kept, in one line; empty while they are.
        recovered: What earlier processes left; nothing once it was answered for.
    """

    def __init__(self, path: Path, fallback: Path) -> None:
        """Look at what earlier processes left; nothing is written yet.

        Args:
            path: The journal in the folder.
            fallback: Where to write when the folder cannot be written, or its journal is not to be written over.
        """
        self.problem = ""
        self._of_folder = path
        own = fallback.with_name(f"{fallback.stem}-{os.getpid()}{fallback.suffix}")
        self._paths = (path, fallback, own)
        self._path = path
        self._claim = os.urandom(8).hex()
        self._head = b""
        self._base = ""
        self._cells: dict[tuple[int, ...], Edit] = {}
        self._size = 0
        # Which files the recovered edits stand in, by their first lines.
        self._left: dict[Path, bytes] = {}
        found = []
        for candidate in (path, fallback, *_siblings(fallback)):
            there = _read(candidate)
            if there.left.changes:
                self._left[candidate] = there.head
                found.append((stamp(candidate).mtime_ns, there.left))
        self.recovered = _merged([left for _, left in sorted(found, key=lambda item: item[0])])

    @property
    def base(self) -> str:
        """The digest of the input that the kept edits belong to; empty while none are kept."""
        return self._base if self._size else ""

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
        """Forget the edits of this process: they were saved, or given up. What was recovered stays."""
        self._cells = {}
        self._base, self._size = "", 0
        self._remove_own(self._path)
        self.problem = ""

    def forget_recovered(self) -> None:
        """Remove what earlier processes left: the person took it up, or gave it up."""
        for path, head in self._left.items():
            if _read(path).head == head:
                remove(path)
        self._left = {}
        self.recovered = Recovered()

    def _append_bytes(self, lines: bytes) -> None:
        flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(self._path, flags)
        try:
            if (
                os.fstat(descriptor).st_size != self._size
                or os.pread(descriptor, len(self._head), 0) != self._head
                or os.write(descriptor, lines) != len(lines)
            ):
                raise OSError("another's, or short")
        finally:
            os.close(descriptor)

    def _rewrite(self, base: str) -> bool:
        """Write the journal whole, one change a cell, in the first place that takes it."""
        kept = [change for change in self._cells.values() if not same(change.before, change.after)]
        if len(kept) > _MAX_CELLS:
            self.problem = f"more than {_MAX_CELLS} edited cells: not kept for a crash"
            return False
        owner = {**this_process().to_record(), "claim": self._claim}
        head = json.dumps({"schema": SCHEMA, "base": base, **owner}).encode() + b"\n"
        data = head + b"".join(_line(change) for change in kept)
        self.problem = "edits are not kept for a crash: other viewers have the journals"
        for path in self._paths:
            if path == self._of_folder and not path.parent.parent.is_dir():
                # A folder that was moved away is not made anew: it may be on its way back.
                continue
            try:
                make = make_own_directory if path == self._of_folder else make_directory
                make(path.parent)
                placed = self._place(path, data)
            except SaveFailed as error:
                self.problem = f"edits are not kept for a crash: {error}"
                continue
            if placed:
                if path != self._path:
                    self._remove_own(self._path)
                self._path, self._head, self._base = path, head, base
                self._size, self.problem = len(data), ""
                return True
        self._size = 0
        return False

    def _place(self, path: Path, data: bytes) -> bool:
        """Put the journal in a place that is free, or ours; returns whether it was.

        Raises:
            SaveFailed: The disk refused.
        """
        with Staging("viewer") as staging:
            staged = staging.stage(path, [data])
            try:
                # A link fails where the name is taken: of two viewers only one gets it.
                os.link(staged.beside, path)
            except OSError:
                there = _read(path)
                if not self._is_own(there) and (there.living or there.left.changes):
                    return False
                staging.place(staged)
        return True

    def _is_own(self, there: _Found) -> bool:
        head = _json(there.head)
        return isinstance(head, dict) and head.get("claim") == self._claim

    def _remove_own(self, path: Path) -> None:
        if self._is_own(_read(path)):
            remove(path)


def _line(change: Edit) -> bytes:
    return (
        json.dumps([list(change.cell), _word(change.before), _word(change.after)]).encode() + b"\n"
    )


def _word(value: float) -> float | str:
    """JSON has no NaN and no infinities: they are written as texts, ``repr`` of the number."""
    return float(value) if math.isfinite(value) else repr(float(value))


@dataclass(frozen=True, slots=True)
class _Found:
    """A journal as it was found: its first line, whether another living process has it, what a dead one left."""

    head: bytes = b""
    living: bool = False
    left: Recovered = Recovered()


def _read(path: Path) -> _Found:
    """Look at a journal; a torn last line is left out, and what is no journal gives nothing."""
    try:
        lines = bytes(read_regular(path, max_bytes=2 * MAX_BYTES).data).split(b"\n")
    except FileBusy:
        # Somebody is writing it at this moment.
        return _Found(living=True)
    except GradtuiError:
        return _Found()
    head = _json(lines[0])
    if not isinstance(head, dict) or head.get("schema") != SCHEMA:
        return _Found()
    owner = from_record(head)
    base = head.get("base")
    if owner.is_alive and owner.is_here and owner.pid != os.getpid():
        return _Found(lines[0], living=True)
    cells: dict[tuple[int, ...], Edit] = {}
    for line in lines[1:-1]:
        change = _parse(_json(line))
        if change is None:
            break
        first = cells.get(change.cell, change)
        cells[change.cell] = Edit(change.cell, first.before, change.after)
    kept = tuple(change for change in cells.values() if not same(change.before, change.after))
    left = Recovered(base, kept) if isinstance(base, str) and kept else Recovered()
    return _Found(lines[0], left=left)


def _siblings(fallback: Path) -> list[Path]:
    """The journals that viewers wrote under their own numbers, because the fallback was another's."""
    start = f"{fallback.stem}-"
    try:
        names = sorted(item.name for item in fallback.parent.iterdir())
    except OSError:
        return []
    return [
        fallback.with_name(name)
        for name in names
        if name.startswith(start) and name.endswith(fallback.suffix)
    ]


def _merged(parts: Sequence[Recovered]) -> Recovered:
    """What several journals hold, the oldest first: the newest value of a cell counts; of several bases none does."""
    cells: dict[tuple[int, ...], Edit] = {}
    for part in parts:
        for change in part.changes:
            first = cells.get(change.cell, change)
            cells[change.cell] = Edit(change.cell, first.before, change.after)
    bases = {part.base for part in parts}
    return Recovered(bases.pop() if len(bases) == 1 else "", tuple(cells.values()))


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
