"""A training run followed: a thread reads what is new of a folder's history and hands on the run as it grows."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from gradtui.core.run.growing_run import GrowingRun
from gradtui.core.run.records import Entry, Layout
from gradtui.core.run.run import Run
from gradtui.diagnosis.diagnose import diagnose
from gradtui.folder.history.reader import HistoryReader
from gradtui.store.run.gone import gone_ranks
from gradtui.store.run.judging import Judge
from gradtui.store.run.membership import Members, notes_of
from gradtui.store.run.memory import give_back_large_blocks, leave_to_stay, no_collection
from gradtui.store.run.neighbours import Neighbours
from gradtui.store.run.pace import Pace
from gradtui.store.run.windows import Windows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradtui.core.run.keys import SeriesKey
    from gradtui.folder.location import DebugFolder
    from gradtui.store.publishing import Publisher

BUDGET = 44 << 20
"""Bytes of numbers that a run may hold in memory; the screen may hold on to an older picture of it, as much again."""
# Bytes that are read at once: nobody waits longer than for these.
_SLICE = 2 << 20
# Bytes that are read for a window: as many steps as a person can look at, of a model of some hundred modules.
_WINDOW = 64 << 20


class RunFollower:
    """The history of one folder, read newest first and then as it grows."""

    def __init__(
        self,
        folder: DebugFolder,
        published: Publisher,
        *,
        runs: frozenset[str] = frozenset(),
        budget: int = BUDGET,
        piece: int = _SLICE,
    ) -> None:
        """Nothing is read yet: call `start`.

        Args:
            folder: Where; it need not have a history yet.
            published: Takes the run and what belongs to it.
            runs: Read the run of these names; empty: the newest, and the next one when it begins.
            budget: Bytes of numbers that are held.
            piece: Bytes that are read at once.
        """
        self._published = published
        self._piece = piece
        self._reader = HistoryReader(folder, runs)
        self._neighbours = Neighbours(folder)
        self._members = Members(budget)
        self._windows = Windows()
        self._pace = Pace()
        self._folder, self._is_newest = folder, not runs
        self._gone: frozenset[int] = frozenset()
        self._judge = Judge(
            lambda run: diagnose(run, gone=self._gone),
            lambda found: published.run(findings=found),
        )
        self._fresh = self._is_newest_told = False
        self._run_told = Run.empty()
        self._state_told: tuple[float, tuple[str, ...]] = (1.0, ())
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gradtui-run", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        give_back_large_blocks()
        self._judge.start()
        self._thread.start()

    def stop(self) -> None:
        """End the threads; a second call does nothing."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(timeout=5)
        self._judge.stop()
        if not self._thread.is_alive():
            self._reader.close()

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
        gone = gone_ranks(self._run_told, self._folder, is_newest=self._is_newest)
        with no_collection():
            self._read()
        behind = self._reader.is_behind
        parts: dict[str, Any] = {}
        if self._windows.read_next(self._read_window, self._run_told.last_step):
            parts["windows"] = self._windows.answers
        newest = self._reader.is_at_newest
        if self._fresh and (self._pace.may_tell(behind) or (newest and not self._is_newest_told)):
            self._fresh = False
            self._is_newest_told = newest
            self._pace.told()
            before, self._run_told = self._run_told, self._members.run()
            parts["watched"] = self._run_told
            if not _is_same_training(before, self._run_told):
                # The processes of the one before.
                gone &= {0}
            if newest:
                # Before, the processor has enough to do.
                self._take(gone)
        if gone != self._gone and self._is_newest_told and not self._fresh:
            # No record says it: what was judged is judged again.
            self._take(gone)
        if parts or not self._fresh:
            self._tell(parts)
        return 0.0 if self._windows.is_waiting else self._pace.end(behind)

    def _take(self, gone: frozenset[int]) -> None:
        self._gone = gone
        self._judge.take(self._run_told)

    def _read(self) -> None:
        for piece in self._reader.poll(self._piece):
            if self._members.add(piece.rank, piece.run, piece.entries):
                self._windows.forget()
                self._judge.forget()
            if any(
                isinstance(each, Entry) and isinstance(each.record, Layout)
                for each in piece.entries
            ):
                leave_to_stay()
            self._pace.came()
            self._fresh = True

    def _tell(self, parts: dict[str, Any]) -> None:
        """Hand on what changed, with how much was read and what is to be known."""
        state = (self._reader.progress if self._reader.is_behind else 1.0, self._notes())
        if state != self._state_told:
            self._state_told = state
            parts["reading"], parts["notes"] = state
        if parts:
            self._published.run(**parts)

    def _notes(self) -> tuple[str, ...]:
        reader, problem = self._reader, self._judge.problem
        notes = notes_of(
            self._members,
            reader.older_runs,
            (*self._neighbours.notes(), *reader.notes),
            self._run_told,
            " (O shows others)",
        )
        return (*notes, problem) if problem else notes

    def _read_window(self, keys: tuple[SeriesKey, ...], first: int, last: int, most: int) -> Run:
        growing = GrowingRun(12 * most)
        for rank in self._members.ranks:
            growing.add(rank, self._reader.read_window(rank, keys, first, last, _WINDOW))
        return growing.run()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                pause = self.look()
            except Exception as error:  # noqa: BLE001
                # A mistake of ours must not take the last good view from the person.
                words = " ".join(str(error).split())[:200]
                self._state_told = (0.0, ())
                self._published.run(notes=(f"history: {type(error).__name__}: {words}",))
                pause = 1.0
            self._wake.wait(pause)
            self._wake.clear()


def _is_same_training(left: Run, right: Run) -> bool:
    if left.start is None or right.start is None:
        return left.start is right.start
    return left.start.run == right.start.run
