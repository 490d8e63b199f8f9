"""A training run followed: a thread reads what is new of a folder's history and hands on the run as it grows."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from gradtui.diagnosis.diagnose import diagnose
from gradtui.folder.history.reader import HistoryReader
from gradtui.store.run.judging import Judge
from gradtui.store.run.membership import Members
from gradtui.store.run.pace import Pace
from gradtui.store.run.windows import Windows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradtui.core.run.keys import SeriesKey
    from gradtui.folder.location import DebugFolder
    from gradtui.store.publishing import Publisher

BUDGET = 112 << 20
"""Bytes of numbers that a run may hold in memory."""
# Bytes that are read at once: nobody waits longer than for these.
_SLICE = 2 << 20


class RunFollower:
    """The history of one folder, read newest first and then as it grows."""

    def __init__(
        self,
        folder: DebugFolder,
        published: Publisher,
        *,
        budget: int = BUDGET,
        piece: int = _SLICE,
    ) -> None:
        """Nothing is read yet: call `start`.

        Args:
            folder: Where; it need not have a history yet.
            published: Takes the run and what belongs to it.
            budget: Bytes of numbers that are held.
            piece: Bytes that are read at once.
        """
        self._published = published
        self._piece = piece
        self._reader = HistoryReader(folder)
        self._members = Members(budget)
        self._windows = Windows()
        self._pace = Pace()
        self._judge = Judge(diagnose, lambda found: published.run(findings=found))
        self._fresh = False
        self._fault = ""
        self._told: tuple[float, tuple[str, ...]] = (1.0, ())
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gradtui-run", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._judge.start()
        self._thread.start()

    def stop(self) -> None:
        """End the threads; a second call does nothing."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(timeout=5)
        self._judge.stop()

    def window(
        self, keys: Sequence[SeriesKey], first: int, last: int, rank: int | None = None
    ) -> int:
        """Ask for the exact numbers of some series; the number of the answer in a later view's ``windows``."""
        n = self._windows.ask(keys, first, last, rank)
        self._wake.set()
        return n

    def look(self) -> float:
        """Read a piece of what is new, and tell when it is time; returns the seconds until the next look."""
        self._pace.begin()
        for piece in self._reader.poll(self._piece):
            if self._members.add(piece.rank, piece.segment, piece.records):
                self._windows.forget()
                self._judge.forget()
            self._pace.came()
            self._fresh = True
        behind = self._reader.is_behind
        parts: dict[str, Any] = {}
        if self._windows.read_next(self._read_window, self._published.view.run.last_step):
            parts["windows"] = self._windows.answers
        reading = self._reader.progress if behind else 1.0
        notes = self._notes()
        if self._fresh and self._pace.may_tell(behind):
            self._fresh = False
            parts |= {"watched": self._members.run(), "reading": reading, "notes": notes}
        elif not self._fresh and (reading, notes) != self._told:
            parts |= {"reading": reading, "notes": notes}
        if parts:
            self._published.run(**parts)
        if "watched" in parts:
            self._pace.told()
            self._judge.take(parts["watched"])
        if "notes" in parts:
            self._told = (reading, notes)
        return 0.0 if self._windows.is_waiting else self._pace.end(behind)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                pause = self.look()
                self._fault = ""
            except Exception as error:  # noqa: BLE001
                # A mistake of ours must not take the last good view from the person.
                words = " ".join(str(error).split())[:200]
                self._fault = f"history: {type(error).__name__}: {words}"
                self._published.run(notes=self._notes())
                pause = 1.0
            self._wake.wait(pause)
            self._wake.clear()

    def _notes(self) -> tuple[str, ...]:
        notes = (*self._members.notes, *self._reader.notes, *self._members.run().notes)
        return notes + tuple(filter(None, (self._judge.problem, self._fault)))
