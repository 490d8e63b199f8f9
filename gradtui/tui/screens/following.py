"""A training run in a workspace: taken as it grows, shown no more often than eyes follow, played."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from gradtui.core.session import Session
    from gradtui.store.view import FolderView
    from gradtui.tui.screens.workspace import Workspace

GAP: Final = 0.1
"""Seconds between two pictures of a run that grows."""
CHART_GAP: Final = 0.45
"""The same of a chart and the lines that tell of it, which cost more and move less; the newest step goes on."""
SHARE: Final = 0.1
"""Of the time that drawing may take: a run of very many modules is drawn less often, and keys come first."""
WARM_AFTER: Final = 0.15
"""Seconds after the first picture of a run when charts are made ready: a person who wants one at once waits for the rest."""
FRAME: Final = 0.5
"""Seconds a snapshot is shown while they are played."""
_GROWTH: Final = frozenset({"run", "findings", "windows"})


def warm_keys() -> None:
    """Import what keys do, in a thread: the first key need not wait for it."""
    threading.Thread(target=_load_keys, name="gradtui-keys", daemon=True).start()


def _warm() -> None:
    """Import what keys do and what draws charts, in a thread: the first of each need not wait for it."""

    def load() -> None:
        _load_keys()
        import plotext as plotext

        from gradtui.tui.render import chart as chart

    threading.Thread(target=load, name="gradtui-charts", daemon=True).start()


def _load_keys() -> None:
    from gradtui.tui.actions import drafting as drafting
    from gradtui.tui.actions import table as table


class Following:
    """What a workspace does for a training run."""

    def __init__(self, workspace: Workspace) -> None:
        self._work = workspace
        self._drawn = 0.0
        self._cost = 0.0
        self._timer: Any = None
        self._player: Any = None
        self._scaled: tuple[Session, ...] = ()
        self._asked: tuple[object, int, int] = ((), 0, -1)

    @property
    def is_playing(self) -> bool:
        """Whether snapshots follow one another by themselves."""
        return self._player is not None

    def took(self, view: FolderView) -> bool:
        """Take the run of a folder; whether its kept tensors are what the Values view shows."""
        work, desk = self._work, self._work.desk
        if view.watched is None:
            return False
        if not desk.watching:
            # The first picture of a run waits for nothing.
            self._drawn = 0.0
            work.shell.tall_detail()
            work.shell.set_timer(WARM_AFTER, _warm)
            if desk.selection.view == "architecture" and work.is_new:
                # The graph came before the run was read.
                desk.selection = replace(desk.selection, view="overview")
        desk.watch.arrived(view.watched, view.findings, view.reading)
        if "windows" in view.changed:
            self._took_window(view)
        if not view.watched.kept or view.session.pairs:
            return False
        from gradtui.viewmodel.run.snapshots import snapshots_of

        generations = desk.generations
        kept = snapshots_of(
            view.watched, view.session.folder or work.shell.folder, generations.kept
        )
        if kept == generations.kept:
            return True
        generations = replace(generations, tensor=desk.selection.layer)
        shown = generations.shown
        position = -1
        if not generations.following:
            # What is looked at stays, wherever it stands now.
            position = next((n for n, each in enumerate(kept) if each is shown), 0)
        desk.generations = replace(generations, kept=kept, position=position)
        return True

    def keep_to_tensor(self) -> None:
        """Let steps through the kept tensors lead to those that have the one that is looked at."""
        desk = self._work.desk
        if "step" in desk.generations.shown.meta:
            desk.generations = replace(desk.generations, tensor=desk.selection.layer)

    def ask_for_window(self) -> None:
        """Ask for the recorded numbers of the steps in view, where the chart shows joined ones; once each."""
        desk = self._work.desk
        choice = desk.selection.run
        if desk.selection.view != "history" or not desk.watching or not choice.span:
            return
        from gradtui.viewmodel.run.curves import charted, is_coarse
        from gradtui.viewmodel.run.window import window_of

        watch = desk.watch
        key = watch.key(choice)
        window = window_of(watch.run, choice)
        if key is None or watch.exact.covers(window):
            return
        keys = charted(choice, key)
        coarse = any(
            is_coarse(watch.run.series(each, choice.one_rank), window, desk.room.chart_columns)
            for each in keys
        )
        wanted = (keys, window.first, min(window.last, window.newest))
        if coarse and wanted != self._asked:
            self._asked = wanted
            self._work.door.window(keys, window.first, wanted[2])

    def _took_window(self, view: FolderView) -> None:
        for window in view.windows.values():
            if (window.keys, window.first, window.last) == self._asked and not window.note:
                from gradtui.viewmodel.run.curves import Exact

                self._work.desk.watch.exact = Exact(window.first, window.last, window.run)

    def must_wait(self, view: FolderView) -> bool:
        """Whether a picture of a run that only grew comes too soon; then it is drawn in a moment."""
        is_chart = self._work.desk.selection.view == "history"
        gap = max(CHART_GAP if is_chart else GAP, self._cost / SHARE)
        now = time.monotonic()
        if not view.changed or not view.changed <= _GROWTH or now - self._drawn >= gap:
            return False
        if self._timer is None:
            self._timer = self._work.shell.set_timer(gap - (now - self._drawn), self._late)
        if is_chart:
            # Each view: they come a few times a second, and the newest step waits for nothing.
            self._work.drawing.draw_header()
        return True

    def drew(self, seconds: float) -> None:
        """Take notice that the screen was drawn, and how long it took."""
        self._drawn = time.monotonic()
        self._cost = 0.5 * self._cost + 0.5 * seconds

    def _late(self) -> None:
        self._timer = None
        self._work.draw()
        self._work.shell.paint_now()

    def play(self) -> None:
        """Step through the snapshots in Values, through the steps in History, or stop."""
        if self.is_playing:
            self.stop()
            return
        desk = self._work.desk
        if desk.selection.view == "values":
            if desk.generations.count < 2:
                desk.say("there is one snapshot: nothing to play", "warn")
                return
            desk.generations = desk.generations.stepped(-desk.generations.count)
            self._share_scale()
        self._player = self._work.shell.set_interval(FRAME, self._frame)
        shared = ", one scale for all steps" if desk.scalings else ""
        desk.say(f"playing{shared}; any key stops")

    def stop(self) -> None:
        """Stay where it is."""
        if self._player is not None:
            self._player.stop()
            self._player = None
            self._work.desk.scalings, self._scaled = {}, ()

    def _share_scale(self) -> None:
        """Give all snapshots that are played one scale: a colour means the same number in each."""
        desk = self._work.desk
        generations = desk.generations
        if self._scaled is generations.kept:
            return
        from gradtui.core.difference import difference
        from gradtui.viewmodel.values import joint_scaling

        self._scaled = generations.kept
        shown = list(generations.kept)
        if generations.comparing and generations.baseline.layers:
            shown = [difference(session, generations.baseline) for session in shown]
        desk.scalings = {"source": joint_scaling(shown, desk.selection)}

    def _frame(self) -> None:
        desk = self._work.desk
        before = desk.selection
        if desk.selection.view == "values" and desk.generations.following:
            self.stop()
        elif desk.selection.view == "values":
            desk.generations = desk.generations.stepped(1)
            self._share_scale()
        elif desk.selection.view == "history" and desk.watching:
            from gradtui.tui.actions import scrubbing
            from gradtui.viewmodel.run.choice import NEWEST

            scrubbing.right(desk, 1)
            if desk.selection.run.cursor == NEWEST:
                self.stop()
        else:
            self.stop()
        self._work.after(before)
