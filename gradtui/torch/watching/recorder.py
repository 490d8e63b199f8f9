"""The thread that turns findings into records: binning and writing are not the training's time."""

from __future__ import annotations

import threading
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from gradtui.core.run.records import Entry, Event

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable

    from gradtui.folder.requests import Request
    from gradtui.torch.watching.job import Job, Scribe
    from gradtui.torch.watching.place import Place

# Steps that may wait, and what logged ones may hold meanwhile: one of a large model holds a few MB.
MOST_WAITING: Final = 256
MOST_WAITING_BYTES: Final = 16 << 20
BEAT_SECONDS: Final = 10.0
# Records of several steps cost little more than those of one, and to wake a thread costs as much as either; who watches
# sees no difference between a fifth of a second and less.
GATHER_SECONDS: Final = 0.2


class Writer(Protocol):
    """What takes the records: `gradtui.folder.history.writer.HistoryWriter`, or a list in a test."""

    @property
    def dropped(self) -> int:
        """How many records found no room."""

    @property
    def problem(self) -> str:
        """Why nothing is written at the moment; empty while all is well."""

    def write(self, entry: Entry) -> None:
        """Take a record; never waits, never raises."""

    def flush(self, timeout: float) -> object:
        """Have all that was taken on the disk."""

    def close(self, timeout: float) -> object:
        """Take no more."""


class Recorder:
    """Hands jobs to a thread of its own; what finds no room is dropped and counted."""

    def __init__(
        self,
        scribe: Scribe,
        place: Place,
        failed: Callable[[str, Exception], None],
        requests: deque[Request],
    ) -> None:
        """Begin.

        Args:
            scribe: makes the records.
            place: takes them.
            failed: told what went wrong.
            requests: where the screen's requests are put for the training to take.
        """
        self.writer, self._place = place.writer, place
        self.requests = requests
        self._scribe, self._failed = scribe, failed
        # No event anywhere: a signal's handler that closes would wait for the thread that it interrupted in one.
        self._queue: SimpleQueue[Job | SimpleQueue[None] | None] = SimpleQueue()
        self._hurry: SimpleQueue[None] = SimpleQueue()
        # Told of records that find no room on the disk: once when it begins, and how many at the end.
        self.told: Callable[[str], None] = lambda _: None
        self._is_told = False
        self._dropped = 0
        # Each is written by one thread alone.
        self._bytes_put = self._bytes_done = 0
        self._thread: threading.Thread | None = None

    def put(self, job: Job) -> None:
        """Take a job; returns at once."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="gradtui-watch", daemon=True)
            self._thread.start()
        if self._queue.qsize() >= MOST_WAITING:
            self._dropped += 1
            return
        if job.collected:
            waiting = self._bytes_put - self._bytes_done
            if waiting and waiting + job.nbytes > MOST_WAITING_BYTES:
                self._dropped += len(job.collected)
                job.collected = []
            else:
                self._bytes_put += job.nbytes
                if 2 * (waiting + job.nbytes) >= MOST_WAITING_BYTES:
                    self._hurry.put(None)
        if self._dropped:
            text = f"{self._dropped} records were dropped: the writer was behind"
            job.events.append(Event("dropped", text, "", {"records": self._dropped}))
            self._dropped = 0
        self._queue.put(job)
        # What devices saw may be an alarm.
        if job.checks or 2 * self._queue.qsize() >= MOST_WAITING:
            self._hurry.put(None)

    def flush(self, timeout: float) -> bool:
        """Wait until all jobs so far are records; whether that was in time."""
        if self._thread is None or not self._thread.is_alive():
            return True
        done: SimpleQueue[None] = SimpleQueue()
        self._queue.put(done)
        self._hurry.put(None)
        with suppress(Empty):
            done.get(timeout=timeout)
            return True
        return False

    def close(self, timeout: float) -> None:
        """Finish what waits, and take no more."""
        if self._thread is not None:
            self._queue.put(None)
            self._hurry.put(None)
            self._thread.join(timeout)
            self._thread = None
        self.writer.close(timeout)
        if count := self.writer.dropped:
            self.told(f"{count} records were dropped: they found no room")

    def _work(self) -> None:
        is_open = True
        while is_open:
            try:
                item = self._queue.get(timeout=BEAT_SECONDS)
            except Empty:
                self._look()
                continue
            with suppress(Empty):
                self._hurry.get(timeout=GATHER_SECONDS)
                while True:
                    self._hurry.get_nowait()
            is_open = self._take(item)
            # Nothing of a step is held while there is nothing to do.
            del item
            while is_open and not self._queue.empty():
                is_open = self._take(self._queue.get())

    def _take(self, item: Job | SimpleQueue[None] | None) -> bool:
        """Do what was put into the queue; False when that was its end."""
        if item is None:
            return False
        if isinstance(item, SimpleQueue):
            item.put(None)
            return True
        try:
            # What overflows here is told by its numbers; a user who makes warnings errors must not notice.
            with np.errstate(all="ignore"):
                for entry in self._scribe.records(item):
                    self.writer.write(entry)
            self._place.publish(item)
            self.requests.extend(self._place.asked())
            self._look()
        except Exception as error:  # noqa: BLE001 - told by the guard; the thread goes on
            self._failed("making records", error)
        finally:
            self._bytes_done += item.nbytes
        return True

    def _look(self) -> None:
        """Say that the watcher lives, and tell of records that find no room; a disk that is full is no failure of ours."""
        if self.writer.dropped and not self._is_told:
            self._is_told = True
            line = f"records are dropped: {self.writer.problem or 'the writer is behind'}"
            self.told(line)
            self._place.aside(line)
        self._place.beat()
