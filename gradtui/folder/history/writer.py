"""The writer of one rank's history: takes records at once, and writes them when it can.

It lives in the training's process. So it never blocks, never raises and never syncs: what finds no room in its queue or
on the disk is dropped and counted, and the count is written down when there is room again.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import time
from collections import deque
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final

from gradtui.core.run.records import Edges, Entry, Event, Histograms, Kept, Layout, Scalars, Start
from gradtui.errors import GradtuiError, SaveFailed
from gradtui.folder.history.frames import frame
from gradtui.folder.history.payload import encode
from gradtui.folder.history.retention import Retention
from gradtui.folder.history.segment_writer import SegmentWriter
from gradtui.folder.history.segments import rank_path

if TYPE_CHECKING:
    from gradtui.folder.location import DebugFolder

LIMIT: Final = 1 << 30
SEGMENT: Final = 64 << 20
QUEUE: Final = 64 << 20
_FIRST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 30.0
# How often the writer looks whether its file was removed.
_LOOK: Final = 1.0


class HistoryWriter:
    """Writes the history of one rank on a thread of its own.

    A process that was forked from this one (a data loader's worker) writes nothing.

    Attributes:
        problem: why nothing is written at the moment, in one line; empty while all is well.
    """

    def __init__(
        self,
        folder: DebugFolder,
        rank: int = 0,
        *,
        limit: int = LIMIT,
        segment: int = SEGMENT,
        queue: int = QUEUE,
    ) -> None:
        """Start the thread; the folder is made with the first record.

        Args:
            folder: the run's folder.
            rank: whose records.
            limit: bytes that all segments of the rank may take; the oldest are thinned, then removed.
            segment: bytes after which a new segment is begun; at most a sixteenth of ``limit`` is taken.
            queue: bytes of records that may wait.
        """
        self.problem = ""
        self._directory = rank_path(folder.history, rank)
        self._segment_bytes = max(min(segment, limit // 16), 4096)
        self._retention = Retention(self._directory, limit)
        self._most_waiting = queue
        self._waiting: SimpleQueue[Entry | _Mark] = SimpleQueue()
        self._lock = threading.RLock()
        self._waiting_bytes = 0
        self._dropped = 0
        self._lost = 0
        self._pid = os.getpid()
        self._closed = False
        self._current: SegmentWriter | None = None
        # Written anew in each segment: what later records cannot be read without, layouts by number; and what of it
        # the current segment does not have yet.
        self._preamble: dict[str | int, bytes] = {}
        self._missing: deque[str | int] = deque()
        self._run = ""
        self._number = 0
        self._quiet_until = 0.0
        self._pause = _FIRST_PAUSE
        self._looked = 0.0
        self._tidying: threading.Thread | None = None
        self._thread = threading.Thread(target=self._work, name="gradtui-history", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    @property
    def dropped(self) -> int:
        """How many records found no room, in the queue or on the disk."""
        return self._lost

    def write(self, entry: Entry) -> None:
        """Take a record; its arrays belong to the writer from now on. Never blocks, never raises."""
        if self._closed or os.getpid() != self._pid:
            return
        size = _bytes_of(entry)
        needed = isinstance(entry.record, (Start, Layout, Edges))
        with self._lock:
            if self._waiting_bytes + size > self._most_waiting and not needed:
                self._dropped += 1
                self._lost += 1
                return
            self._waiting_bytes += size
        self._waiting.put(entry)

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until all records that were taken so far are written or dropped; whether they are."""
        if os.getpid() != self._pid or not self._thread.is_alive():
            return False
        mark = _Mark()
        self._waiting.put(mark)
        return mark.reached.wait(timeout)

    def close(self, timeout: float = 5.0) -> bool:
        """Write what waits and end the thread; whether it ended in time. Later records are not taken."""
        if os.getpid() != self._pid:
            return False
        atexit.unregister(self.close)
        if not self._closed:
            self._closed = True
            self._waiting.put(_Mark(last=True))
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while True:
            item = self._waiting.get()
            if isinstance(item, _Mark):
                if item.last:
                    self._end()
                item.reached.set()
                if item.last:
                    return
                continue
            with self._lock:
                self._waiting_bytes -= _bytes_of(item)
            try:
                self._take(item)
            except Exception as error:  # noqa: BLE001
                # Whatever it is, the training must go on, and the next record may be fine.
                self._drop(f"{type(error).__name__}: {error}")

    def _take(self, entry: Entry) -> None:
        data = frame(encode(entry.record), entry.step, entry.time)
        record = entry.record
        if isinstance(record, Start) and self._preamble and record.run == self._run:
            # The same run, better known: the segments to come begin with it, and this one has it too.
            self._preamble["start"] = data
        elif isinstance(record, (Start, Layout, Edges)):
            self._begin_with(record, data)
            data = b""
        if time.monotonic() < self._quiet_until:
            if data:
                self._drop(self.problem)
            return
        try:
            self._put(data, entry)
        except GradtuiError as error:
            self._quiet_until = time.monotonic() + self._pause
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
            if self._current is not None and self._current.is_torn:
                self._leave()
            self.problem = str(error)
            if data:
                self._drop(self.problem)
            return
        self._pause = _FIRST_PAUSE
        self.problem = ""

    def _begin_with(self, record: Start | Layout | Edges, data: bytes) -> None:
        """Have the segments to come begin with a record, too; what it takes the place of is not written again."""
        key: str | int = "edges"
        if isinstance(record, Start):
            self._preamble.clear()
            self._run, key = record.run, "start"
            self._leave()
        elif isinstance(record, Layout):
            self._preamble.pop(record.replaces, None)
            key = record.number
        self._preamble[key] = data
        self._missing.append(key)

    def _put(self, data: bytes, entry: Entry) -> None:
        current = self._segment(len(data))
        while self._missing:
            begins = self._preamble.get(self._missing[0])
            if begins is not None:
                current.append(begins)
            self._missing.popleft()
        if self._dropped:
            count = self._dropped
            text = f"{count} records found no room"
            event = Event("dropped", text, fields={"records": count})
            current.append(frame(encode(event), entry.step, entry.time))
            with self._lock:
                self._dropped -= count
        if data:
            current.append(data)

    def _segment(self, room: int) -> SegmentWriter:
        """The segment that the next record goes to."""
        now = time.monotonic()
        if self._current is not None and now - self._looked >= _LOOK:
            self._looked = now
            if not self._current.is_there():
                self._leave()
        current = self._current
        is_full = current is not None and current.size + room > self._segment_bytes
        if is_full and current is not None and current.size > self._floor():
            self._leave()
            current = None
        if current is None:
            current = self._current = SegmentWriter(self._directory, self._number)
            self._number = current.number
            self._missing = deque(self._preamble)
            self._looked = now
            self._tidy(current.number)
        return current

    def _tidy(self, number: int) -> None:
        """Make room beside the writing: to thin a segment takes half a second, and records should be seen at once."""
        if self._tidying is not None:
            self._tidying.join()
        arguments = (number, self._segment_bytes, self._run)
        self._tidying = threading.Thread(
            target=self._retention.make_room,
            args=arguments,
            name="gradtui-history-room",
            daemon=True,
        )
        self._tidying.start()

    def _floor(self) -> int:
        return sum(map(len, self._preamble.values()))

    def _leave(self) -> None:
        if self._current is not None:
            self._current.close()
        self._current = None
        self._missing = deque(self._preamble)

    def _drop(self, problem: str) -> None:
        self.problem = problem
        with self._lock:
            self._dropped += 1
            self._lost += 1

    def _end(self) -> None:
        if self._dropped and self._current is not None:
            with contextlib.suppress(SaveFailed, ValueError):
                self._put(b"", Entry(-1, time.time(), Event("dropped", "")))
        self._leave()
        if self._tidying is not None:
            self._tidying.join()
        with contextlib.suppress(Empty):
            while True:
                item = self._waiting.get_nowait()
                if isinstance(item, _Mark):
                    item.reached.set()


class _Mark:
    """A place in the queue that somebody waits for."""

    def __init__(self, *, last: bool = False) -> None:
        self.reached = threading.Event()
        self.last = last


def _bytes_of(entry: Entry) -> int:
    record = entry.record
    if isinstance(record, (Scalars, Kept)):
        return 256 + int(record.values.nbytes)
    if isinstance(record, Histograms):
        return 512 + int(record.counts.nbytes + record.tails.nbytes)
    return 1024
