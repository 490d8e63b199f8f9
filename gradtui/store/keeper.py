"""One debug folder kept current: the door through which the screen and the command line see it.

A thread looks at the folder, woken by `Watcher` and by its own heartbeat, and calls back with a new `FolderView`
whenever something changed. Nothing that a folder holds makes it raise: what is wrong becomes the view's status, and the
last good session stays.
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from gradtui.core.session import Session
from gradtui.errors import (
    FileBusy,
    FolderMissing,
    GradtuiError,
    PathError,
)
from gradtui.folder.adapter_state import AdapterState, read_adapter
from gradtui.folder.journal import Journal
from gradtui.folder.load import Doubtful, Loaded, load, nothing_loaded
from gradtui.folder.location import DebugFolder
from gradtui.folder.parts import SETTLE, MayBeWritten
from gradtui.folder.reading import MAX_BYTES
from gradtui.folder.stamp import MISSING, Poll, Stamps, stamp
from gradtui.store.architecture import GraphLook
from gradtui.store.following import Following
from gradtui.store.previous import Previous
from gradtui.store.publishing import Publisher
from gradtui.store.questions import Questions
from gradtui.store.retry import BROKEN, BUSY, Retry
from gradtui.store.saves import Saves
from gradtui.store.state import state_path
from gradtui.store.status import status_of_error, status_of_load, status_of_run, status_of_wait
from gradtui.store.view import FolderView, Status, is_same_but_nan, writer_of
from gradtui.store.watch import Watcher, is_network

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

    from gradtui.core.arrays import Array
    from gradtui.core.run.keys import SeriesKey
    from gradtui.folder.parts import Part
    from gradtui.folder.save import Saved

# Seconds between two looks: while something goes on or events cannot be trusted; else.
_ACTIVE = 0.25
_IDLE = 1.0
_ACTIVE_FOR = 30.0
# A writer of ours is done within milliseconds; only a longer one is told.
_BUSY_SHOWN_AFTER = 0.3
_PATIENCE = 8.0
_TICK = 0.03
# While the adapter may answer a save any moment.
_EXPECTING = 0.004


class Keeper:
    """A folder held in memory.

    Attributes:
        folder: Where it is.
        journal: The unsaved edits of this folder, and what a crash left.
    """

    def __init__(
        self,
        location: str | os.PathLike[str],
        *,
        on_change: Callable[[FolderView], None],
        max_bytes: int = MAX_BYTES,
        estimate: str = "proportional",
        poll: bool = False,
        wait: bool = False,
        settle: float = SETTLE,
        runs: frozenset[str] = frozenset(),
    ) -> None:
        """Nothing is read yet: call `load_once` or `start`.

        Args:
            location: Folder or prefix.
            on_change: Called with every new view, from the keeper's thread.
            max_bytes: Larger files are refused.
            estimate: How flows that were not measured are estimated.
            poll: Never use the system's events.
            wait: A folder that is not there yet will be: its adapter was just started.
            settle: How long a foreign file must have been left alone, seconds.
            runs: Names of the training run to be shown; empty for the newest.

        Raises:
            UsageError: The location is no name.
        """
        self.folder = DebugFolder.at(location)
        self.journal = Journal(self.folder.journal, state_path(self.folder.key, ".journal.jsonl"))
        begun = Status("loading", "loading", time.time())
        status = status_of_wait(AdapterState()) if wait else begun
        view = FolderView(Session.empty(), Session.empty(), 0.0, status)
        self._published = Publisher(view, on_change)
        self._max_bytes, self._settle, self._wait = max_bytes, settle, wait
        self._estimate = estimate
        self._poll = Poll(self.folder)
        self._questions = Questions(self.folder)
        self._saves = Saves(self.folder, max_bytes)
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._forced = threading.Event()
        self._fresh = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gradtui-keeper", daemon=True)
        self._watcher = Watcher(self.folder, self._wake.set)
        self._poll_only = poll or is_network(self.folder.root)
        self._watching = not poll
        self._following = Following(self.folder, self._published, runs)
        self._graph = GraphLook(self.folder, self._published)
        self._loaded = nothing_loaded()
        self._previous = Previous()
        self._seen: tuple[object, ...] = ()
        self._kept: Mapping[str, Part] = {}
        self._retry = Retry()
        self._busy_since = 0.0
        self._active_at = time.monotonic()

    @property
    def view(self) -> FolderView:
        """The last picture."""
        return self._published.view

    def load_once(self) -> FolderView:
        """Load without a thread, waiting a few seconds for a writer.

        Raises:
            FolderMissing: There is no debug folder.
            UnreadableFile: A file is broken, hostile, too large or of another kind.
            FileBusy: A writer did not finish.
        """
        deadline = time.monotonic() + _PATIENCE
        pause = 0.01
        while True:
            try:
                self._accept(self._load())
                return self.view
            except MayBeWritten as busy:
                # Nobody says that it is writing: what ends too early is taken for broken.
                raise busy.broken from None
            except FileBusy as busy:
                if isinstance(busy, Doubtful):
                    self._kept = busy.parts
                if time.monotonic() > deadline:
                    raise
            self._stop.wait(pause)
            pause = min(2 * pause, 0.1)

    def start(self) -> None:
        """Begin to keep the folder current."""
        self._thread.start()

    def stop(self) -> None:
        """End the threads; a second call does nothing."""
        self._stop.set()
        self._wake.set()
        if self._watching:
            self._watcher.stop()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(timeout=5)
        self._following.stop()

    def reload(self) -> None:
        """Read every file again now, whatever the stamps say."""
        self._fresh.set()
        self._look_now()

    def set_estimate(self, name: str) -> None:
        """Estimate flows that were not measured another way; the new session comes by `on_change`."""
        self._estimate = name
        self._look_now()

    def save(
        self,
        array: Array,
        *,
        name: str = "",
        overwrite: bool = False,
        seen: FolderView | None = None,
    ) -> Saved:
        """Write an edited input; the journal is emptied when it was written under the input's own name.

        Args:
            array: The values.
            name: Another file name; empty for the input's own.
            overwrite: Write even over what somebody else wrote.
            seen: The view that was edited; without it the last one counts as seen.

        Raises:
            SaveConflict: The input on the disk is not the one that was seen.
            SaveFailed: The disk refused.
            UsageError: The name is not a plain file name.
        """
        saved = self._saves.save(
            array,
            name=name,
            overwrite=overwrite,
            seen=self._loaded if seen is None else seen.loaded,
            now=self._loaded,
        )
        if not name:
            self.journal.clear()
        self._look_now()
        return saved

    def ask(self, kind: str, **fields: object) -> int:
        """Ask the adapter for something; rows and columns that come are in a later view's session.

        Raises:
            SaveFailed: The disk refused.
        """
        n = self._questions.ask(kind, self.view.session.generation, fields)
        self._active_at = time.monotonic()
        self._wake.set()
        return n

    def window(
        self, keys: Sequence[SeriesKey], first: int, last: int, *, rank: int | None = None
    ) -> int:
        """Read the exact numbers of a window of steps; they come as a later view's ``windows[n]``.

        Args:
            keys: Which series; derived ones too.
            first: The first step.
            last: The last step.
            rank: One rank's; None for all together.

        Returns:
            The number n of the answer; 0 when there is no history, and nothing will come.
        """
        return self._following.window(keys, first, last, rank)

    def _look_now(self) -> None:
        self._forced.set()
        self._wake.set()

    def _run(self) -> None:
        watched = False
        while not self._stop.is_set():
            try:
                pause = self._look()
            except Exception as error:  # noqa: BLE001
                # A mistake of ours must not take the last good view from the person.
                self._published.folder(status=status_of_error(error, self._has_session))
                pause = _IDLE
            self._wake.wait(pause)
            self._wake.clear()
            if self._watching and not watched:
                # Only now: its imports would keep the first picture from the screen.
                watched = True
                self._watcher.start()

    def _look(self) -> float:
        """One look at the folder; returns the seconds until the next."""
        if self._following.look():
            self._forced.set()
            self._watcher.calm()
        self._graph.look()
        forced = self._forced.is_set()
        self._forced.clear()
        now = self._poll()
        changed = self._signature(now) != self._seen
        if changed or forced or self._retry.is_due:
            if changed:
                self._retry.forget()
                self._active_at = time.monotonic()
            self._try(now)
        elif self.view.adapter.pid or now.adapter.exists:
            self._look_at_adapter()
        if self._questions.is_waiting and self._questions.collect(self._loaded.generation):
            session = self._questions.merged(self.view.session)
            self._published.folder(session=session, answers=self._questions.answers)
        return self._pause()

    def _signature(self, now: Stamps) -> tuple[object, ...]:
        root = stamp(self.folder.root)
        return (now.data, now.control, root.inode, stamp(self.folder.flow_info) == MISSING)

    def _pause(self) -> float:
        pause = self._calm_pause()
        if self._loaded.unanswered and self.view.adapter.alive and self._saves.is_fresh:
            pause = _EXPECTING
        return self._retry.within(pause)

    def _calm_pause(self) -> float:
        quiet = time.monotonic() - self._active_at > _ACTIVE_FOR
        events = self._watching and self._watcher.works and not self._poll_only
        if self._questions.is_waiting and not events:
            return _ACTIVE / 5
        return _IDLE if quiet and events else _ACTIVE

    def _load(self) -> Loaded:
        before, kept = (self._loaded if self._has_session else None), self._kept
        if self._fresh.is_set():
            self._fresh.clear()
            kept = {}
            if before is not None:
                parts = {name: replace(part, certain=False) for name, part in before.parts.items()}
                before = replace(before, parts=parts)
        return load(
            self.folder,
            max_bytes=self._max_bytes,
            estimate=self._estimate,
            settle=self._settle,
            before=before,
            kept=kept,
        )

    def _try(self, now: Stamps) -> None:
        self._seen = self._signature(now)
        self._retry.begin()
        try:
            loaded = self._load()
        except FileBusy as busy:
            self._kept = busy.parts if isinstance(busy, Doubtful) else {}
            self._retry.later(BUSY)
            self._busy_since = self._busy_since or time.monotonic()
            if time.monotonic() - self._busy_since >= _BUSY_SHOWN_AFTER:
                self._published.folder(status=status_of_error(busy, self._has_session))
            return
        except (PathError, GradtuiError, MemoryError, OSError) as error:
            self._kept = {}
            self._busy_since = 0.0
            self._retry.later(BROKEN)
            adapter = read_adapter(self.folder)
            status = status_of_error(error, self._holds_something)
            if isinstance(error, FolderMissing) and not self._has_session:
                status = self._status_without_session(adapter) or status
            self._published.folder(status=status, adapter=adapter)
            return
        self._retry.forget()
        self._accept(loaded)

    def _accept(self, loaded: Loaded) -> None:
        old, self._loaded = self._loaded, loaded
        self._kept = {}
        if not all(part.certain for part in loaded.parts.values() if part.exists):
            # Written and read within one tick of the clock: another write in it would not show in the stamps.
            self._retry.once_more(_TICK)
        self._busy_since = 0.0
        session, previous, loaded_at = self.view.session, self.view.previous, self.view.loaded_at
        if loaded.session is not old.session:
            previous = self._previous.follow(old, loaded)
            self._questions.collect(loaded.generation)
            session = self._questions.merged(loaded.session)
            loaded_at = time.time()
        notes = (*loaded.notes, *session.notes)
        if self.journal.problem:
            notes = (*notes, self.journal.problem)
        self._published.folder(
            session=session,
            previous=previous,
            loaded_at=loaded_at,
            status=status_of_load(loaded, loaded.adapter, self._writer(loaded.adapter)),
            adapter=loaded.adapter,
            notes=notes,
            answers=self._questions.answers,
            loaded=loaded,
        )

    def _look_at_adapter(self) -> None:
        adapter = read_adapter(self.folder)
        if adapter == self.view.adapter or is_same_but_nan(adapter, self.view.adapter):
            return
        self._active_at = time.monotonic()
        status = self.view.status
        if self._has_session and status.kind in ("live", "stale", "finished"):
            status = status_of_load(self._loaded, adapter, self._writer(adapter))
        elif not self._has_session and status.kind in ("live", "waiting", "finished"):
            status = self._status_without_session(adapter) or status
        self._published.folder(adapter=adapter, status=status)

    def _writer(self, adapter: AdapterState) -> str:
        is_traced = self.view.graph is not None and not self._has_session
        return writer_of(adapter, watched=self._following.is_there, is_traced=is_traced)

    @property
    def _has_session(self) -> bool:
        return bool(self._loaded.parts)

    def _status_without_session(self, adapter: AdapterState) -> Status | None:
        """The status where nothing was loaded and that is as it should be; None where a folder is missing."""
        if self._following.is_there or (self.view.graph and self.folder.sidecar.is_dir()):
            return status_of_run(adapter, self._writer(adapter))
        return status_of_wait(adapter) if self._wait and not self._holds_something else None

    @property
    def _holds_something(self) -> bool:
        """Whether there is a last good view: of a session, a training or an architecture."""
        return self._has_session or self.view.watched is not None or self.view.graph is not None
