"""The history of one rank: its newest segment first, what is added to it, then older segments backwards."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gradtui.core.run.records import Edges, Entry, Layout, Start
from gradtui.errors import UnreadableFile
from gradtui.folder.history.frames import HEADER
from gradtui.folder.history.known import Known
from gradtui.folder.history.scan import beginning_of
from gradtui.folder.history.segment_reader import SegmentReader
from gradtui.folder.history.segments import segments_of
from gradtui.folder.reading import size_text
from gradtui.folder.stamp import MISSING, stamp

if TYPE_CHECKING:
    from pathlib import Path

    from gradtui.core.run.track import Rows
    from gradtui.folder.history.segments import Found
    from gradtui.folder.stamp import Stamp

# A segment with so much to read is read at its end first, and in the middle only then.
_LARGE: Final = 2 << 20
# How near to the end, in bytes; the second where a record is larger than the first.
_NEAR: Final = (512 << 10, 8 << 20)


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

    def __init__(self, directory: Path, rank: int, runs: frozenset[str] = frozenset()) -> None:
        """Nothing is read yet.

        Args:
            directory: the rank's folder.
            rank: its number.
            runs: read these runs alone; empty for the newest, whichever that is.
        """
        self.known = Known()
        self._directory = directory
        self._rank = rank
        self._wanted = runs
        self._run_of: dict[tuple[int, int], str] = {}
        self._stamp: Stamp = MISSING
        self._clear()

    def _clear(self) -> None:
        self.segments: dict[int, SegmentReader] = {}
        self._tails: list[SegmentReader] = []
        self._older: list[Found] = []
        self._reading: SegmentReader | None = None
        # What lies between the start of the newest segment and its end, where reading goes on.
        self._between: SegmentReader | None = None
        self._has_jumped = False
        # The number of the first segment whose records were read, or are in one that was.
        self._lowest = 0
        self._read_bytes = 0
        self._notes: dict[str, str] = {}
        self._runs: dict[str, None] = {}

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be read."""
        return tuple(self._notes.values())

    @property
    def unfinished(self) -> tuple[str, ...]:
        """What stands at the end of the newest segment and is no whole record: it is being written, or was cut."""
        rests = ((tail, tail.size - tail.position) for tail in self._tails[-1:] if not tail.stuck)
        return tuple(_rest(tail, rest) for tail, rest in rests if rest > 0)

    @property
    def older_runs(self) -> tuple[str, ...]:
        """Identifiers of other runs whose segments are there, as far as they were looked at."""
        return tuple(self._runs)

    @property
    def left(self) -> int:
        """Bytes that are still to be read."""
        return self.newer_left + self.older_left

    @property
    def newer_left(self) -> int:
        """Bytes that are still to be read before any older ones."""
        return sum(tail.left for tail in self._tails)

    @property
    def older_left(self) -> int:
        """Bytes of older segments that are still to be read."""
        readers = (self._between, self._reading)
        left = sum(reader.left for reader in readers if reader is not None)
        return sum(found.size for found in self._older) + left

    @property
    def done(self) -> int:
        """Bytes that were read."""
        readers = (*self._tails, self._between, self._reading)
        return self._read_bytes + sum(reader.done for reader in readers if reader is not None)

    def newer(self, limit: int) -> list[Slice]:
        """Read what was added since the last call, about ``limit`` bytes.

        Of a large segment that nothing was read of yet, the first call gives the first record, which names the
        modules; further ones the rest of its preamble, and then its end.
        """
        self._look()
        slices: list[Slice] = []
        while self._tails and limit > 0:
            tail = self._tails[0]
            is_live = len(self._tails) == 1
            before = tail.position
            is_first = before == 0 and tail.size > _LARGE
            entries = self._read(tail, HEADER if is_first else limit, is_live=is_live, follows=True)
            if entries:
                slices.append(self._slice(tail, entries, older=False))
            limit = 0 if is_first else limit - (tail.position - before)
            if is_live and not self._has_jumped and not _is_preamble(entries):
                self._jump(tail)
            elif tail.position == before or (tail.left == 0 and is_live):
                if is_live or tail.is_waiting:
                    break
                self._finish(tail)
                del self._tails[0]
        return slices

    def _jump(self, tail: SegmentReader) -> None:
        """Go on at the end of a segment if there is much before it."""
        self._has_jumped = True
        if tail.left <= _LARGE:
            return
        try:
            for near in _NEAR:
                self._between = tail.jump(near)
                if self._between is not None:
                    return
        except UnreadableFile as error:
            self._notes[f"{tail.number}"] = str(error)

    def older(self, limit: int) -> list[Slice]:
        """Read about ``limit`` bytes of what is before the first that was read, of the same run."""
        is_between = self._between is not None
        if self._between is None and self._reading is None:
            self._reading = self._next_older()
        reader = self._between or self._reading
        if reader is None:
            return []
        before = reader.position
        entries = self._read(reader, limit, is_live=False, follows=False)
        if reader.is_foreign:
            self._runs[beginning_of(reader.path).run] = None
            self._older.clear()
        if reader.left == 0 or reader.position == before:
            self._finish(reader)
            if is_between:
                self._between = None
                self._tails[0].no_more_waiting()
            else:
                self._reading = None
        return [self._slice(reader, entries, older=True)] if entries else []

    def close(self) -> None:
        """Close all files."""
        for reader in (*self.segments.values(), self._between, self._reading):
            if reader is not None:
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
            # The training was started again: what is older, or read in part, is another run's.
            self._runs[run] = None
            self._older.clear()
            for left in (self._between, self._reading):
                if left is not None:
                    left.close()
            self._between = self._reading = None
            self.segments = {tail.number: tail for tail in self._tails}
        if reader.stuck and is_live:
            self._notes[f"{reader.number} rest"] = (
                f"{reader.path.name}: damaged at byte {reader.position}; it is read on with the next segment"
            )
        else:
            self._notes.pop(f"{reader.number} rest", None)
        if reader.broken:
            words = "record was" if reader.broken == 1 else "records were"
            self._notes[f"{reader.number} broken"] = (
                f"{reader.path.name}: {reader.broken} broken {words} passed over"
            )
        return entries

    def _finish(self, reader: SegmentReader) -> None:
        """Leave a segment that nothing is added to any more."""
        rest = reader.size - reader.position
        if rest > 0 and not reader.is_foreign:
            self._notes[f"{reader.number} rest"] = (
                f"{reader.path.name}: {size_text(rest)} behind a damaged record were passed over"
                if reader is self._between
                else _rest(reader, rest)
            )
        self._read_bytes += reader.done
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
            self._go_on_from(found)
            return reader
        return None

    def _go_on_from(self, found: Found) -> None:
        """Take notice of a segment that is read next: what lies between it and those that were read is missing."""
        beginning = beginning_of(found.path)
        gap = self._lowest - found.number - 1
        if gap > 0 and beginning.run == self.known.run:
            names = f"{found.number + 1}" + (f" to {self._lowest - 1}" if gap > 1 else "")
            self._notes[f"{found.number} gap"] = (
                f"segment{'s' if gap > 1 else ''} {names} of the history {'are' if gap > 1 else 'is'} missing"
            )
        self._lowest = beginning.covers or found.number
        if beginning.covers:
            # A merge that was cut short leaves segments whose records are in this one.
            self._older = [each for each in self._older if each.number < beginning.covers]

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
        found = self._segments()
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
        found = self._segments()
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
        self._lowest = (
            next((beginning_of(each.path).covers for each in found if each.number == base), 0)
            or base
        )

    def _segments(self) -> tuple[Found, ...]:
        """The segments that there are, of the runs that are wanted."""
        found = segments_of(self._directory)
        return tuple([each for each in found if self._is_wanted(each)]) if self._wanted else found

    def _is_wanted(self, found: Found) -> bool:
        place = (found.number, found.inode)
        if not self._run_of.get(place):
            self._run_of[place] = beginning_of(found.path).run
        return self._run_of[place] in self._wanted

    def _append(self, found: Found) -> None:
        try:
            reader = SegmentReader(found.number, found.path)
        except UnreadableFile as error:
            self._notes[f"{found.number}"] = str(error)
            return
        self._tails.append(reader)
        self.segments[found.number] = reader


def _rest(reader: SegmentReader, rest: int) -> str:
    return f"{reader.path.name}: its last {size_text(rest)} are not whole records"


def _is_preamble(entries: list[Entry | Rows]) -> bool:
    """Whether no numbers were reached yet."""
    return all(
        isinstance(each, Entry) and isinstance(each.record, (Start, Layout, Edges))
        for each in entries
    )
