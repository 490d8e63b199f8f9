"""One segment, read from its start in bounded pieces, while it may still grow.

What does not check out at the end of a growing file is not there yet. Elsewhere it is damage: a payload that is broken
is passed over, since its header's own checksum says where the next record begins; behind a broken header nothing can be
believed.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from gradtui.core.run.records import Edges, Entry, Layout, Start
from gradtui.errors import InvalidContents, UnreadableFile
from gradtui.folder.history.batches import Batches
from gradtui.folder.history.frames import HEADER, first_record, header_at, is_whole
from gradtui.folder.history.known import Stretch, starts_another
from gradtui.folder.history.payload import decode, layout_number, scalars_slot
from gradtui.folder.history.segments import open_segment
from gradtui.folder.history.tensors import header_of, header_size
from gradtui.folder.reading import reason_of

if TYPE_CHECKING:
    from pathlib import Path

    from gradtui.core.run.track import Rows
    from gradtui.folder.history.frames import Frame
    from gradtui.folder.history.known import Known
    from gradtui.folder.history.tensors import Header, Slot

_MOST_PREFIXES = 4096


class SegmentReader:
    """Reads one segment.

    Attributes:
        number: of the segment.
        path: of the file.
        inode: of the file that was opened.
        position: bytes that were read or passed over.
        size: bytes of the file when it was last looked at.
        broken: records that were passed over.
        stuck: whether a header at ``position`` does not check out: what follows cannot be read.
        is_foreign: whether the segment belongs to another run than the known one; then nothing more is read.
        stretches: where scalars were found.
        skipped: bytes before ``position`` that another reader reads, or has read.
        waits: whether records of unknown layouts are waited at: what explains them may be in what was skipped.
        is_waiting: whether such a record is at ``position``.
    """

    def __init__(self, number: int, path: Path) -> None:
        """Open a segment.

        Raises:
            UnreadableFile: it is missing or not a regular file.
        """
        self.number = number
        self.path = path
        self._descriptor, result = open_segment(path)
        self.inode = result.st_ino
        self.size = result.st_size
        self.position = 0
        self.broken = 0
        self.stuck = False
        self.is_foreign = False
        self.stretches: list[Stretch] = []
        self.skipped = 0
        self.waits = False
        self.is_waiting = False
        self._until = -1
        self._looked_at = -1
        self._prefixes: dict[tuple[bytes, int], tuple[int, Slot]] = {}

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    @property
    def left(self) -> int:
        """Bytes that can be read now: what is not whole yet does not count."""
        waits = self.is_foreign or self.stuck or self.size == self._looked_at
        return 0 if waits else max(self.size - self.position, 0)

    @property
    def done(self) -> int:
        """Bytes that were read here."""
        return self.position - self.skipped

    def jump(self, near: int) -> SegmentReader | None:
        """Go on near the end of the file, and leave what is between to another reader.

        Args:
            near: how many bytes before the end.

        Returns:
            The reader of what is between; None where no whole record begins there, and nothing has changed.

        Raises:
            UnreadableFile: the file is gone, or cannot be read.
        """
        start = max(self.size - near, self.position)
        place = first_record(self._bytes(near, start))
        if place < 0 or start + place <= self.position:
            return None
        between = SegmentReader(self.number, self.path)
        if between.inode != self.inode:
            between.close()
            return None
        between.position = between.skipped = self.position
        between.size = between._until = start + place
        between.stretches = self.stretches
        self.skipped += start + place - self.position
        self.position = start + place
        self.waits = True
        return between

    def no_more_waiting(self) -> None:
        """Say that what was skipped has been read."""
        self.waits = self.is_waiting = False
        self._looked_at = -1

    def read(self, limit: int, known: Known, *, is_live: bool, follows: bool) -> list[Entry | Rows]:
        """Read the next records, about ``limit`` bytes of them, at least one where there is one.

        Args:
            limit: in bytes.
            known: the preamble; it is added to.
            is_live: whether the segment may still grow: what is not whole at its end is waited for.
            follows: whether a start of another run takes the place of the known one; else the segment is foreign.

        Raises:
            UnreadableFile: the file cannot be read.
        """
        try:
            self.size = self._until if self._until >= 0 else os.fstat(self._descriptor).st_size
        except OSError as error:
            raise UnreadableFile(self.path, reason_of(error)) from None
        if self.size == self._looked_at and is_live:
            return []
        # Behind a damaged header nothing is read again but the header.
        wanted = HEADER if self.stuck else max(limit, HEADER)
        data = self._bytes(min(wanted, self.size - self.position), self.position)
        frame = header_at(data, 0) if len(data) >= HEADER else None
        if frame is not None and HEADER + frame.length > len(data):
            data = self._bytes(HEADER + frame.length, self.position)
        entries: list[Entry | Rows] = []
        batches = Batches(data)
        begin = self.position
        used = self._records(data, entries, batches, known, is_live=is_live, follows=follows)
        self.position += used
        first, last = batches.steps
        if first <= last:
            self.stretches.append(Stretch(begin, self.position, first, last))
        if used == 0 or self.position >= self.size:
            self._looked_at = self.size
        entries += batches.rows()
        return entries

    def _records(
        self,
        data: memoryview,
        entries: list[Entry | Rows],
        batches: Batches,
        known: Known,
        *,
        is_live: bool,
        follows: bool,
    ) -> int:
        """Read the records of a buffer; returns how many bytes are done with."""
        at = 0
        self.stuck = self.is_waiting = False
        while at + HEADER <= len(data) and not self.is_foreign:
            frame = header_at(data, at)
            if frame is None:
                self.stuck = True
                break
            end = at + HEADER + frame.length
            if end > len(data):
                break
            payload = data[at + HEADER : end]
            if not is_whole(frame, payload):
                if is_live and self.position + end >= self.size:
                    break
                self.broken += 1
            else:
                try:
                    kind = self._record(
                        payload, at, frame, entries, batches, known, follows=follows
                    )
                except InvalidContents:
                    self.broken += 1
                    kind = ""
                if kind == "wait":
                    break
            at = end
        return at

    def _record(
        self,
        payload: memoryview,
        at: int,
        frame: Frame,
        entries: list[Entry | Rows],
        batches: Batches,
        known: Known,
        *,
        follows: bool,
    ) -> str:
        """Take one record; "wait" where it must be the first of the next piece."""
        # Scalars of one layout begin with the same bytes: what they say is read once.
        prefix = (bytes(payload[: header_size(payload)]), len(payload))
        found = self._prefixes.get(prefix)
        if found is None:
            header = header_of(payload)
            found = scalars_slot(header)
            if found is None:
                return self._other(header, payload, at, frame, entries, known, follows=follows)
            if len(self._prefixes) < _MOST_PREFIXES:
                self._prefixes[prefix] = found
        layout, slot = found
        if self.waits and layout not in known.layouts:
            self.is_waiting = True
            return "wait"
        batches.add(layout, slot, at + HEADER, frame.step, frame.time)
        return "scalars"

    def _other(
        self,
        header: Header,
        payload: memoryview,
        at: int,
        frame: Frame,
        entries: list[Entry | Rows],
        known: Known,
        *,
        follows: bool,
    ) -> str:
        kind = header.texts.get("kind", "")
        another = kind == "start" and starts_another(header.texts, known)
        if another and not follows:
            self.is_foreign = True
            return kind
        if another and at > 0:
            return "wait"
        if self.waits and kind == "histograms" and layout_number(header) not in known.layouts:
            self.is_waiting = True
            return "wait"
        if (
            (kind == "start" and not another and _is_known(known, frame.time))
            or (kind == "layout" and layout_number(header) in known.layouts)
            or (kind == "edges" and frame.step <= known.edges_step)
        ):
            return kind
        entry = Entry(frame.step, frame.time, decode(payload, header))
        if another:
            known.forget(header.texts.get("run", ""))
        _learn(entry, known)
        entries.append(entry)
        return kind

    def _bytes(self, count: int, start: int) -> memoryview:
        """Bytes of the file, fewer at its end."""
        pieces = []
        count = max(min(count, self.size - start), 0)
        try:
            while count > 0:
                piece = os.pread(self._descriptor, min(count, 1 << 30), start)
                if not piece:
                    break
                pieces.append(piece)
                count -= len(piece)
                start += len(piece)
        except OSError as error:
            raise UnreadableFile(self.path, reason_of(error)) from None
        return memoryview(pieces[0] if len(pieces) == 1 else b"".join(pieces))


def _is_known(known: Known, written: float) -> bool:
    """Whether the start that is known is not older than one of the same run."""
    return bool(known.start) and written <= known.start[0].time


def _learn(entry: Entry, known: Known) -> None:
    record = entry.record
    if isinstance(record, Start):
        known.start = (entry,)
    elif isinstance(record, Layout):
        known.layouts[record.number] = record
    elif isinstance(record, Edges):
        known.edges_step = entry.step
