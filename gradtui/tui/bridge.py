"""The bridge between the folder's threads and the screen: it posts messages and never blocks."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from pathlib import PurePath
from typing import TYPE_CHECKING

from gradtui.errors import GradtuiError, PathError, SaveConflict
from gradtui.tui.child import AdapterProcess
from gradtui.tui.messages import (
    Analysed,
    ChildChanged,
    Failed,
    FolderChanged,
    FolderUnusable,
    RunOpened,
    RunsFound,
    WorkDone,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from textual.message import Message

    from gradtui.core.arrays import Array
    from gradtui.core.edit import Cells, Edit
    from gradtui.core.run.found import FoundRun
    from gradtui.core.run.keys import SeriesKey
    from gradtui.launch import Launch
    from gradtui.store.keeper import Keeper
    from gradtui.store.settings import Settings
    from gradtui.store.unsaved import UnsavedEdits
    from gradtui.store.view import FolderView


class Bridge:
    """Owns the keeper of the folder, the adapter's process, and one thread for work that may wait.

    Work is done in the order in which it was asked for: an edit is journalled before it is saved.
    It is the `Door` of the screen.
    """

    def __init__(
        self, launch: Launch, post: Callable[[Message], object], prepare: Callable[[], object]
    ) -> None:
        """Nothing is started yet.

        Args:
            launch: what the command line asked for.
            post: takes a message from any thread.
            prepare: imports what the screen will need, while nobody waits for it.
        """
        self._launch = launch
        self._location, self._runs = launch.location, frozenset[str]()
        self._post = post
        self._prepare = prepare
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="gradtui-work", daemon=True)
        self._keeper: Keeper | None = None
        self._child: AdapterProcess | None = None
        self._unsaved: UnsavedEdits | None = None
        self.state: Mapping[str, object] = {}
        self.settings: Settings | None = None

    @property
    def reloads(self) -> bool:
        """Whether the adapter's process begins again at each save of its source."""
        return bool(self._launch.source)

    def start(self) -> None:
        """Begin to read the folder and to run the adapter; everything comes back as messages."""
        if self._launch.child:
            self._child = AdapterProcess(
                self._launch.child,
                source=self._launch.source,
                on_change=lambda state: self._send(ChildChanged(state)),
            )
            self._child.start()
        self._thread.start()
        self._work.put(self._open)

    def stop(self) -> None:
        """Finish the work that was asked for, then end the threads and the adapter's process."""
        self._work.put(None)
        if self._thread.is_alive():
            self._thread.join(10)
        if self._keeper is not None:
            self._keeper.stop()
        if self._child is not None:
            self._child.stop()

    def _open(self) -> None:
        if not self._launch.child:
            # numpy's linear algebra starts a thread for every core, and each spins for a while beside the
            # screen that is being painted. Nothing here multiplies matrices; an adapter of ours, which
            # would inherit it, may.
            os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        # Here, in this thread and after the first frame: numpy, the store and the views take longer to
        # import than the first frame takes to paint.
        from gradtui.store.settings import load_settings

        self._prepare()
        try:
            keeper = self._keep(self._launch.location)
            self.settings = load_settings()
            if self._launch.wait:
                # Nothing may change for a long while: what the adapter's process prints needs its place.
                self._send(FolderChanged(keeper.view))
            keeper.start()
        except GradtuiError as error:
            self._send(FolderUnusable(str(error), 2))

    def _keep(self, location: str, runs: frozenset[str] = frozenset()) -> Keeper:
        """Make the keeper of a folder, of one of its runs where they are named; it is not started yet."""
        from gradtui.store.keeper import Keeper
        from gradtui.store.state import load_state
        from gradtui.store.unsaved import UnsavedEdits

        launch = self._launch
        keeper = self._keeper = Keeper(
            location,
            on_change=lambda view: self._send(FolderChanged(view)),
            max_bytes=launch.max_bytes,
            estimate=launch.estimate or "proportional",
            poll=launch.poll,
            wait=launch.wait,
            runs=runs,
        )
        self._location, self._runs = location, runs
        self.state = load_state(keeper.folder.key)
        self._unsaved = UnsavedEdits(keeper)
        return keeper

    def _run(self) -> None:
        while (job := self._work.get()) is not None:
            try:
                job()
            except GradtuiError as error:
                self._send(WorkDone("work", "", str(error)))
            except Exception as error:  # noqa: BLE001
                # A mistake of ours: in a thread it would go unseen.
                self._send(Failed(error))
            # What it was to write is large, and the next one may be long in coming.
            del job

    def _send(self, message: Message) -> None:
        # The app may be gone by the time that a thread has something to say.
        with contextlib.suppress(RuntimeError):
            self._post(message)

    def _later(self, job: Callable[[Keeper], None]) -> None:
        keeper = self._keeper
        if keeper is not None:
            self._work.put(lambda: job(keeper))

    # The door

    def save(self, array: Array, name: str, *, seen: FolderView, overwrite: bool) -> None:
        """Write an edited input."""

        def job(keeper: Keeper) -> None:
            try:
                saved = keeper.save(array, name=name, overwrite=overwrite, seen=seen)
            except SaveConflict as error:
                self._send(WorkDone("save", "", _words(error), conflict=True))
            except GradtuiError as error:
                self._send(WorkDone("save", "", _words(error)))
            else:
                notes = "; ".join(saved.notes)
                self._send(
                    WorkDone(
                        "save", f"written: {saved.path.name}" + (f" ({notes})" if notes else "")
                    )
                )

        self._later(job)

    def journal(self, edits: tuple[Edit, ...], base: Array, *, answered: bool = False) -> None:
        """Keep edits for the case of a crash; none clears what was kept."""
        unsaved = self._unsaved

        def job() -> None:
            if unsaved is not None and (problem := unsaved.keep(edits, base, answered=answered)):
                self._send(WorkDone("journal", "", problem))

        self._work.put(job)

    def recovered(self) -> Cells:
        """Return the edits that a crash left behind."""
        return self._unsaved.recovered() if self._unsaved is not None else {}

    def recovered_fit(self, base: Array) -> bool:
        """Whether those edits were made on this input."""
        return self._unsaved is not None and self._unsaved.recovered_fit(base)

    def request(self, kind: str, fields: Mapping[str, object]) -> None:
        """Ask the adapter for something."""
        self._later(lambda keeper: _ask(keeper, kind, fields))

    def window(self, keys: tuple[SeriesKey, ...], first: int, last: int) -> None:
        """Read the recorded numbers of some series between two steps of a run."""
        if self._keeper is not None:
            self._keeper.window(keys, first, last)

    def reload(self) -> None:
        """Read the folder again."""
        self._later(lambda keeper: keeper.reload())

    def estimate(self, name: str) -> None:
        """Choose how flows that were not measured are estimated."""
        self._later(lambda keeper: keeper.set_estimate(name))

    def keep_state(self, state: Mapping[str, object]) -> None:
        """Remember what the person chose, for the next start."""
        from gradtui.store.state import save_state

        def job(keeper: Keeper) -> None:
            save_state(keeper.folder.key, state)

        self._later(job)

    def beside(self, job: Callable[[], None]) -> None:
        """Do some work in the thread that may wait."""
        self._work.put(job)

    def analyse(self) -> None:
        """Look at the run with all analyses, as it is now."""

        def job(keeper: Keeper) -> None:
            from gradtui.core.analysis.report import analyse

            self._send(Analysed(analyse(keeper.view.run)))

        self._aside(job)

    def picture(self, layer: str, out: str) -> None:
        """Write the features of a layer over the run as a GIF."""

        def job(_: Keeper) -> None:
            from gradtui.export.gif import export_gif

            drawn = export_gif(self._location, layer, out, runs=self._runs)
            text = (
                f"written: {out}, {len(drawn)} frames, steps {drawn.steps[0]} to {drawn.steps[-1]}"
            )
            self._send(WorkDone("picture", text))

        self._aside(job)

    def _aside(self, job: Callable[[Keeper], None]) -> None:
        """Do what may take long in a thread of its own: a save does not wait for it."""
        keeper = self._keeper
        if keeper is None:
            return

        def work() -> None:
            try:
                job(keeper)
            except GradtuiError as error:
                self._send(WorkDone("work", "", _words(error)))
            except Exception as error:  # noqa: BLE001 - as in `_run`
                self._send(Failed(error))

        threading.Thread(target=work, name="gradtui-aside", daemon=True).start()

    def find_runs(self) -> None:
        """Look for the runs that can be chosen."""

        def job(_: Keeper) -> None:
            from gradtui.store.runs import runs_in

            self._send(RunsFound(runs_in(self._launch.location)))

        self._aside(job)

    def open_run(self, run: FoundRun) -> None:
        """Show another run from now on."""

        def job(before: Keeper) -> None:
            before.stop()
            keeper = self._keep(run.location, run.wanted)
            self._send(RunOpened(run, self.state))
            keeper.start()

        self._later(job)

    def restart(self) -> None:
        """Start the adapter's process again."""
        if self._child is not None:
            threading.Thread(
                target=self._child.restart, name="adapter-restart", daemon=True
            ).start()

    def stop_child(self) -> None:
        """End the adapter's process."""
        if self._child is not None:
            threading.Thread(target=self._child.end, name="adapter-stop", daemon=True).start()


def _words(error: GradtuiError) -> str:
    """What went wrong, with the name of the file: its folder stands in the header, and lines are short."""
    if isinstance(error, PathError):
        return f"{PurePath(error.path).name}: {error.reason}"
    return str(error)


def _ask(keeper: Keeper, kind: str, fields: Mapping[str, object]) -> None:
    keeper.ask(kind, **fields)
