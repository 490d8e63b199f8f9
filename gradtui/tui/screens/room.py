"""What actions need of the screen: prompts, questions, writing, copying, leaving."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gradtui.tui.actions.offered import refusal
from gradtui.tui.render.palette import Palette, colours_of, palette_for
from gradtui.tui.screens.clipboard import copy_to_tmux
from gradtui.viewmodel.text import counted, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gradtui.core.analysis.report import Report
    from gradtui.core.run.found import FoundRun
    from gradtui.diagnosis.finding import Finding
    from gradtui.tui.actions.desk import Answer
    from gradtui.tui.screens.chooser import ChooserScreen
    from gradtui.tui.screens.workspace import Workspace

GRACE_SECONDS = 0.3
"""A key that comes this soon after a question that nobody called for was meant for something else."""
NARROWEST_RAIL = 16
WIDEST_RAIL = 80


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for one key; the empty one asks nothing.

    ``since`` is when a question came that no key had called for, on the monotonic clock; 0 for others.
    """

    text: str = ""
    answers: Mapping[str, Answer] = field(default_factory=dict)
    other: str = ""
    since: float = 0.0

    @property
    def is_too_fresh(self) -> bool:
        """Whether a key that comes now can't be an answer yet."""
        return bool(self.since) and time.monotonic() - self.since < GRACE_SECONDS


class ScreenRoom:
    """The `Room` that a workspace's actions stand in."""

    def __init__(self, workspace: Workspace) -> None:
        self._work = workspace
        self.leaving = False
        """Leave once the save that runs has ended well."""
        self.name = ""
        """The other name that the save that runs was given."""
        self._is_saving = False
        self._written: object = None
        """The pending cells that were last given to a save under the input's own name."""
        self.in_flight: tuple[Mapping[tuple[int, ...], float], ...] = ()
        """The cells of such saves that were not seen on disk yet, oldest first."""
        self._chooser: ChooserScreen | None = None
        self._runs: tuple[FoundRun, ...] = ()

    @property
    def width(self) -> int:
        """Columns of the screen."""
        return self._work.shell.size.width

    @property
    def chart_columns(self) -> int:
        """Columns of the field of the chart."""
        return self._work.views.history.columns

    @property
    def graph_columns(self) -> int:
        """Columns of a row of the architecture."""
        return self._work.views.architecture.columns

    @property
    def has_process(self) -> bool:
        """Whether a process was started here, that can be stopped or started again."""
        return self._work.child is not None

    def act(self, action: str, count: int = 0) -> None:
        """Do what an action does in the view that is shown."""
        from gradtui.tui.actions.table import action_of

        action_of(self._work.desk, action)(self._work.desk, count)

    def answer(self, kind: str, text: str) -> None:
        """Do what an answer to a prompt does in the view that is shown."""
        from gradtui.tui.actions.table import answer_of

        answer_of(self._work.desk, kind)(self._work.desk, text)

    def play(self) -> None:
        """Step through the snapshots or the steps; or stop."""
        self._work.following.play()

    def ask(
        self,
        kind: str,
        label: str,
        value: str = "",
        complete: Callable[[str], tuple[str, ...]] | None = None,
    ) -> None:
        """Ask for a line of text."""
        from gradtui.tui.widgets.prompt import Ask

        self._work.ask = Ask(kind, label, value, complete)

    def choose(self, text: str, answers: Mapping[str, Answer], other: str) -> None:
        """Ask for one key."""
        self._work.asking = Question(text, answers, other)

    def interrupt(self, text: str, answers: Mapping[str, Answer], other: str) -> None:
        """Ask for one key because of something that arrived; keys typed just now are no answers."""
        self._work.asking = Question(text, answers, other, time.monotonic())

    def write(self, name: str = "", *, overwrite: bool = False, leave: bool = False) -> None:
        """Write the edited input."""
        desk, view = self._work.desk, self._work.view
        if not desk.edits.base.size or view is None:
            desk.say("there is no input to write", "warn")
        elif not desk.edits.pending_count and not name and not overwrite:
            desk.say("no unsaved edits")
            if leave:
                self.leave(ask=False)
        elif self._is_saving and not (name or overwrite) and desk.edits.cells is self._written:
            self.leaving = self.leaving or leave
            desk.say("writing")
        else:
            self.leaving, self.name = leave, name
            self._is_saving, self._written = True, None if name else desk.edits.cells
            if not name:
                self.in_flight = (*self.in_flight, desk.edits.cells)
            desk.say("writing")
            self._work.door.save(desk.edits.applied(), name, seen=view, overwrite=overwrite)

    def saved(self, *, well: bool) -> None:
        """Take notice that a save ended."""
        self._is_saving = False
        if not well:
            self._written = None
            self.in_flight = ()

    @property
    def is_answered(self) -> bool:
        """Whether somebody lives who answers what is asked."""
        work = self._work
        return work.run.newest and work.view is not None and work.view.adapter.alive

    def request(self, kind: str, **fields: object) -> None:
        """Ask the adapter, or the training, for something."""
        writer = self._work.writer
        if not self.is_answered:
            self._work.desk.say(f"no {writer} runs that could answer", "warn")
            return
        self._work.door.request(kind, fields)
        self._work.desk.say(f"asked the {writer}")

    def reload(self) -> None:
        """Read the folder again and send the whole screen once more."""
        self._work.door.reload()
        repaint = getattr(self._work.shell.app, "repaint_all", self._work.shell.refresh)
        repaint()
        view = self._work.view
        if view is not None and view.status.kind == "missing":
            self._work.desk.say(f"{view.status.text}: it is read once it is there", "warn")
            return
        self._work.desk.say("reading the folder again")

    def copy(self, text: str, what: str) -> None:
        """Put text on the clipboard, through tmux too."""
        self._work.shell.app.copy_to_clipboard(text)
        copy_to_tmux(text)
        size = f"{len(text.splitlines())} lines" if text.count("\n") > 1 else " ".join(text.split())
        self._work.desk.say(f"copied {what}: {size[:60]}")

    def save_svg(self, path: str = "") -> None:
        """Write the screen to an SVG file in the current folder."""
        target = Path(path or time.strftime("gradtui-%Y%m%d-%H%M%S.svg"))
        try:
            target = target.expanduser()
            picture = self._work.shell.app.export_screenshot(title="gradtui")
            with target.open("x", encoding="utf-8") as file:
                file.write(picture)
        except (OSError, RuntimeError, ValueError) as error:
            # No such home, or a name that no system takes, are no OSErrors.
            self._work.desk.say(f"{target}: {getattr(error, 'strerror', None) or error}", "bad")
        else:
            self._work.desk.say(f"screen saved to {target}", "good")

    def show_help(self) -> None:
        """Show every key and command that can act in the view."""
        from gradtui.tui.actions.commands import COMMANDS
        from gradtui.tui.screens.help import HelpScreen

        work = self._work
        keymap, view = work.keys.keymap, work.desk.selection.view
        actions = {one.id for one in keymap.of_view(view)} | {one.action for one in COMMANDS}
        idle = frozenset(action for action in actions if refusal(work.desk, action))
        work.shell.app.push_screen(
            HelpScreen(keymap, view, work.palette, idle, watched=work.desk.watching)
        )

    def show_findings(self, first: Finding | None) -> None:
        """Show all findings of the run whole, on a page over the screen."""
        from gradtui.tui.screens.page import PageScreen
        from gradtui.viewmodel.run.telling import findings_page

        work, findings = self._work, self._work.desk.watch.findings
        title = f"findings of {work.shell.folder}"
        work.shell.app.push_screen(
            PageScreen(title, lambda width: findings_page(findings, first, width), work.palette)
        )

    def choose_run(self) -> None:
        """Show the runs of the folder, one of which can be opened; unsaved edits would be of another folder then."""
        from gradtui.tui.screens.chooser import ChooserScreen

        work = self._work
        if work.desk.edits.pending_count:
            work.desk.say("there are unsaved edits: W writes them, R reverts them", "warn")
            return
        self._chooser = ChooserScreen("runs of this folder", work.palette)
        work.shell.app.push_screen(self._chooser, self._chose_run)
        work.door.find_runs()

    def found_runs(self, runs: tuple[FoundRun, ...]) -> None:
        """Take the runs that there are to choose from."""
        from gradtui.tui.screens.drawing import clock
        from gradtui.viewmodel.run.runs import place_of, runs_lines

        self._runs = runs
        here = place_of(runs, self._work.run)
        if self._chooser is not None and self._chooser.is_attached:
            self._chooser.fill(lambda width: runs_lines(runs, here, clock, width), here)

    def _chose_run(self, place: int | None) -> None:
        from gradtui.viewmodel.run.runs import place_of

        work = self._work
        if place is not None and place != place_of(self._runs, work.run):
            work.remember()
            work.desk.say(f"opening the run of {printable(self._runs[place].model)}")
            work.door.open_run(self._runs[place])
            work.draw()

    def analyse(self) -> None:
        """Look at the run with all analyses; they are shown when they are there."""
        self._work.door.analyse()
        self._work.desk.say("analysing the run")

    def show_analysis(self, report: Report) -> None:
        """Show the analyses of a run on a page over the screen."""
        from gradtui.tui.screens.page import PageScreen
        from gradtui.viewmodel.analysis import analysis_lines

        work = self._work
        work.desk.say("")
        title = f"analysis of {work.shell.folder}"
        work.shell.app.push_screen(
            PageScreen(title, lambda width: analysis_lines(report, width), work.palette)
        )

    def picture(self, layer: str, out: str) -> None:
        """Write the features of a layer over the run as a GIF."""
        self._work.door.picture(layer, out)
        self._work.desk.say(f"writing {out}")

    def leave(self, *, ask: bool = True, drop: bool = False) -> None:
        """Quit; ask first when edits are unsaved, or drop them."""
        edits = self._work.desk.edits
        pending = edits.pending_count
        if pending and not drop and edits.cells is self._written:
            if self._is_saving:
                self.leaving = True
                self._work.desk.say("quits when it is written")
                return
            # Written; they are pending until the folder has been read again.
            pending = 0
        if ask and pending and not drop:
            self.choose(
                counted(pending, "unsaved edit"),
                {
                    "w": ("write and quit", lambda: self.write(leave=True)),
                    "d": ("drop them and quit", lambda: self.leave(drop=True)),
                },
                "stays",
            )
            return
        if drop and pending:
            self._work.door.journal((), self._work.desk.edits.base)
        self._work.remember()
        self._work.shell.app.exit(0)

    def conflict(self, reason: str) -> None:
        """Ask what becomes of a save that would have written over what somebody else wrote."""
        name, leaving = self.name, self.leaving
        self.leaving = False
        self.interrupt(
            reason,
            {
                "o": ("write over it", lambda: self.write(name, overwrite=True, leave=leaving)),
                "r": ("reload first, your edits stay", self.reload),
            },
            "leaves it",
        )

    def adapter(self) -> None:
        """Stop the adapter's process, or start it again."""
        desk, writer = self._work.desk, self._work.writer
        if self._work.child is not None and self._work.child.running:
            self.choose(
                f"the {writer}'s process runs",
                {
                    "s": ("stop it", self._work.door.stop_child),
                    "r": ("start it again", self._work.door.restart),
                },
                "leaves it",
            )
        else:
            self._work.door.restart()
            desk.say(f"starting the {writer} again")

    def suspend(self) -> None:
        """Suspend to the shell."""
        self._work.shell.app.action_suspend_process()

    def recolour(self) -> None:
        """Switch between coloured cells and glyphs."""
        system = colours_of(self._work.shell.app)
        if self._work.palette.solid:
            self._work.palette = Palette(
                "16" if system else "none", ascii_only=self._work.palette.ascii_only
            )
        else:
            self._work.palette = palette_for(system, ascii_only=self._work.palette.ascii_only)
        self._work.recoloured()

    def arrange(self, change: str) -> None:
        """Change the panes."""
        views = self._work.views
        if change == "full":
            views.values.alone = not views.values.alone
        elif change == "rail":
            views.rail_wanted = not views.rail_wanted
        else:
            step = 4 if change == "wider" else -4
            views.rail_width = min(max(views.rail_width + step, NARROWEST_RAIL), WIDEST_RAIL)
            views.rail_wanted = True
        self._work.shell.call_after_refresh(self._work.draw)
