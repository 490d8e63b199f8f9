"""The history of one rank: its newest segment first, what is added to it, then older segments backwards."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradtui.errors import UnreadableFile
from gradtui.folder.history.known import Known
from gradtui.folder.history.scan import beginning_of
from gradtui.folder.history.segment_reader import SegmentReader
from gradtui.folder.history.segments import segments_of
from gradtui.folder.reading import size_text
from gradtui.folder.stamp import MISSING, stamp

if TYPE_CHECKING:
    from pathlib import Path

    from gradtui.core.run.records import Entry
    from gradtui.core.run.track import Rows
    from gradtui.folder.history.segments import Found
    from gradtui.folder.stamp import Stamp


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """Records of one rank that were read together.

    Attributes:
        rank: whose.
        run: the identifier of the run that they belong to.
        segment: the number of the segment.
        older: whether they are from a segment before the one that was read first.
        entries: what they need to be understood stands before them; else in the order of the file, but that scalars are
            gathered into `Rows` at the end.
    """

    rank: int
    run: str
    segment: int
    older: bool
    entries: tuple[Entry | Rows, ...]


class RankReader:
    """Reads one rank's folder.

    Attributes:
        known: the preamble of the run that is followed.
        segments: the readers of all segments that were read, by number: closed ones keep where their scalars are.
    """

    def __init__(self, directory: Path, rank: int) -> None:
        self.known = Known()
        self._directory = directory
        self._rank = rank
        self._stamp: Stamp = MISSING
        self._clear()

    def _clear(self) -> None:
        self.segments: dict[int, SegmentReader] = {}
        self._tails: list[SegmentReader] = []
        self._older: list[Found] = []
        self._reading: SegmentReader | None = None
        self._read_bytes = 0
        self._notes: dict[str, str] = {}
        self._runs: dict[str, None] = {}

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be read."""
        return tuple(self._notes.values())

    @property
    def older_runs(self) -> tuple[str, ...]:
        """Identifiers of other runs whose segments are there, as far as they were looked at."""
        return tuple(self._runs)

    @property
    def left(self) -> int:
        """Bytes that are still to be read."""
        return sum(tail.left for tail in self._tails) + self.older_left

    @property
    def older_left(self) -> int:
        """Bytes of older segments that are still to be read."""
        reading = self._reading.left if self._reading else 0
        return sum(found.size for found in self._older) + reading

    @property
    def done(self) -> int:
        """Bytes that were read."""
        reading = self._reading.position if self._reading else 0
        return self._read_bytes + sum(tail.position for tail in self._tails) + reading

    def newer(self, limit: int) -> list[Slice]:
        """Read what was added since the last call, about ``limit`` bytes; in the first call the newest segment's start."""
        self._look()
        slices: list[Slice] = []
        while self._tails and limit > 0:
            tail = self._tails[0]
            is_live = len(self._tails) == 1
            before = tail.position
            entries = self._read(tail, limit, is_live=is_live, follows=True)
            if entries:
                slices.append(self._slice(tail, entries, older=False))
            limit -= tail.position - before
            if tail.position == before or (tail.left == 0 and is_live):
                if is_live:
                    break
                self._finish(tail)
                del self._tails[0]
        return slices

    def older(self, limit: int) -> list[Slice]:
        """Read about ``limit`` bytes of older segments of the same run."""
        if self._reading is None:
            self._reading = self._next_older()
        reader = self._reading
        if reader is None:
            return []
        before = reader.position
        entries = self._read(reader, limit, is_live=False, follows=False)
        if reader.is_foreign:
            self._runs[beginning_of(reader.path).run] = None
            self._older.clear()
        if reader.left == 0 or reader.position == before:
            self._finish(reader)
            self._reading = None
        return [self._slice(reader, entries, older=True)] if entries else []

    def close(self) -> None:
        """Close all files."""
        for reader in self.segments.values():
            reader.close()

    def _slice(self, reader: SegmentReader, entries: list[Entry | Rows], *, older: bool) -> Slice:
        return Slice(self._rank, self.known.run, reader.number, older, tuple(entries))

    def _read(
        self, reader: SegmentReader, limit: int, *, is_live: bool, follows: bool
    ) -> list[Entry | Rows]:
        run = self.known.run
        try:
            entries = reader.read(limit, self.known, is_live=is_live, follows=follows)
        except UnreadableFile as error:
            self._notes[f"{reader.number}"] = str(error)
            return []
        if self.known.run != run and run:
            # The training was started again: what is older is another run's.
            self._runs[run] = None
            self._older.clear()
        if reader.stuck and is_live:
            self._notes[f"{reader.number} rest"] = (
                f"{reader.path.name}: damaged at byte {reader.position}; it is read on with the next segment"
            )
        else:
            self._notes.pop(f"{reader.number} rest", None)
        if reader.broken:
            self._notes[f"{reader.number} broken"] = (
                f"{reader.path.name}: {reader.broken} broken records passed over"
            )
        return entries

    def _finish(self, reader: SegmentReader) -> None:
        """Leave a segment that nothing is added to any more."""
        rest = reader.size - reader.position
        if rest > 0 and not reader.is_foreign:
            self._notes[f"{reader.number} rest"] = (
                f"{reader.path.name}: its last {size_text(rest)} are not whole records"
            )
        self._read_bytes += reader.position
        reader.close()

    def _next_older(self) -> SegmentReader | None:
        while self._older:
            found = self._older.pop(0)
            try:
                reader = SegmentReader(found.number, found.path)
            except UnreadableFile as error:
                if found.path.exists():
                    self._notes[f"{found.number}"] = str(error)
                continue
            self.segments[found.number] = reader
            covers = beginning_of(found.path).covers
            if covers:
                # A merge that was cut short leaves segments whose records are in this one.
                self._older = [each for each in self._older if each.number < covers]
            return reader
        return None

    def _look(self) -> None:
        """See whether there are other files; when nothing changed this is three calls of the system."""
        if not self._tails:
            now = stamp(self._directory)
            if now.exists:
                self._begin()
            return
        tail = self._tails[-1]
        now = stamp(self._directory)
        if now == self._stamp:
            there = stamp(tail.path)
            if there.inode == tail.inode and there.size >= tail.position:
                return
        found = segments_of(self._directory)
        # A folder that changed within the clock's tick is looked at again.
        self._stamp = now if now.tells_apart(time.time()) else MISSING
        names = {each.number: each for each in found}
        same = names.get(tail.number)
        if not found:
            self._notes["gone"] = f"{self._directory.name}: its files are gone"
            return
        if same is None or same.inode != tail.inode or same.size < tail.position:
            # Not the files that were read: begin anew, and keep what is known until another start is read.
            self.close()
            self._clear()
            self._begin()
            return
        self._notes.pop("gone", None)
        for each in found:
            if each.number > tail.number:
                self._append(each)
        self._older = [names[each.number] for each in self._older if each.number in names]

    def _begin(self) -> None:
        """Choose the newest segment that begins as it must; newer ones that do not yet are waited for."""
        found = segments_of(self._directory)
        if not found:
            return
        base = found[-1].number
        for each in reversed(found[-16:]):
            if beginning_of(each.path).run:
                base = each.number
                break
        for each in found:
            if each.number >= base:
                self._append(each)
        self._older = [each for each in reversed(found) if each.number < base]

    def _append(self, found: Found) -> None:
        try:
            reader = SegmentReader(found.number, found.path)
        except UnreadableFile as error:
            self._notes[f"{found.number}"] = str(error)
            return
        self._tails.append(reader)
        self.segments[found.number] = reader
