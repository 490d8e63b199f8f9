"""The workspace: folder, keys and views meet here, once there is something to show."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gradtui.core.edit import EditHistory
from gradtui.core.run.found import FoundRun
from gradtui.errors import GradtuiError
from gradtui.tui.actions.desk import Desk
from gradtui.tui.keymap import KeyReader
from gradtui.tui.screens.ahead import Ahead
from gradtui.tui.screens.drawing import Drawing
from gradtui.tui.screens.following import WARM_AFTER, Following, warm_keys
from gradtui.tui.screens.pending import PendingEdits
from gradtui.tui.screens.room import Question, ScreenRoom
from gradtui.tui.screens.views import Views
from gradtui.viewmodel.choices import first_selection
from gradtui.viewmodel.links import wanted
from gradtui.viewmodel.moves import at_strongest_link
from gradtui.viewmodel.selection import Selection, reconcile
from gradtui.viewmodel.state import from_state, to_state
from gradtui.viewmodel.summary import summarize

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gradtui.core.architecture.graph import ModuleGraph
    from gradtui.launch import Launch
    from gradtui.store.view import FolderView
    from gradtui.tui.actions.door import Door
    from gradtui.tui.child import ChildState
    from gradtui.tui.keymap import Keymap
    from gradtui.tui.messages import WorkDone
    from gradtui.tui.render.palette import Palette
    from gradtui.tui.screens.shell import Shell
    from gradtui.tui.widgets.prompt import Ask, Prompt

STATE_DELAY = 1.0
"""Seconds of quiet after which the selection is remembered."""
SEE_LOG = "; :log shows what it printed"
NOTE_SECONDS = 10.0
"""A note about the folder stands at least so long before what is found later takes its row."""


class Workspace:
    """Holds the desk, hands keys to actions, and takes what arrives from the folder.

    Nothing here waits for a disk: that is behind the door.
    """

    def __init__(
        self,
        shell: Shell,
        door: Door,
        keymap: Keymap,
        *,
        state: Mapping[str, object],
        estimate: str,
        palette: Palette,
        problems: tuple[str, ...] = (),
    ) -> None:
        self.shell = shell
        self.door = door
        self.keys = KeyReader(keymap)
        self.palette = palette
        self.room = ScreenRoom(self)
        self.desk = Desk(self.room, selection=from_state(state))
        self._estimate = estimate or Selection().estimate
        if estimate:
            self.desk.selection = replace(self.desk.selection, estimate=estimate)
        self.views = Views()
        self.prompt: Prompt | None = None
        self.ask: Ask | None = None
        self.drawing = Drawing(self)
        self.following = Following(self)
        self.pending = PendingEdits(self)
        self.ahead = Ahead(door)
        self.view: FolderView | None = None
        self.run = FoundRun()
        """The run that was chosen; at first the newest of the folder that was opened."""
        self.child: ChildState | None = None
        self.asking = Question()
        self._asked: set[object] = set()
        self._noted = 0.0
        self._state_timer: Any = None
        self.has_state = bool(state)
        self.chose_view = False
        """Whether a key has chosen the view: what arrives later opens no other one."""
        self._summarized: object = None
        if problems:
            self.desk.say(problems[0], "warn")

    @property
    def is_new(self) -> bool:
        """Whether nobody has chosen a view of this folder yet."""
        return not (self.has_state or self.chose_view)

    @property
    def writer(self) -> str:
        """What writes the folder, in a word."""
        return self.view.writer if self.view is not None else "adapter"

    async def open(self) -> None:
        """Put the views on the shell."""
        await self.shell.body.mount(self.views)
        self.recoloured()
        if self.desk.selection.estimate != self._estimate:
            # The one that was chosen last time; the folder was opened before the state was known.
            self.door.estimate(self.desk.selection.estimate)

    # What arrives

    def took(self, view: FolderView) -> None:
        """Take a new picture of the folder."""
        desk = self.desk
        before, self.view = self.view, view
        self._tell(before, view)
        if view.graph is not None and view.graph is not desk.plan.graph:
            self._took_graph(view.graph, first=not desk.planning)
        held = self.desk.generations
        if self.following.took(view):
            if desk.generations is not held:
                self._shown_changed()
        elif not view.session.layers:
            pass
        elif not desk.generations.kept:
            desk.generations = desk.generations.arrived(view.session, view.previous)
            desk.edits = EditHistory.of(view.session.input)
            # What a crash left stays in the journal until the person has answered for it.
            self.pending.journalled = desk.edits.cells
            if not self.has_state and not desk.watching:
                first = first_selection(desk.selection, view.session)
                chosen = desk.selection.view if self.chose_view else first.view
                desk.selection = replace(first, view=chosen)
            self._shown_changed()
            desk.selection = at_strongest_link(desk.selection, desk.session)
            self.pending.offer_recovered()
        elif before is None or view.session is not before.session:
            if before is None or view.previous is not before.previous:
                desk.generations = desk.generations.arrived(view.session, view.previous)
                self._asked.clear()
            else:
                # The same flows: a row that was asked for, another estimate, an input that was saved.
                desk.generations = desk.generations.refreshed(view.session)
            if view.session.input is not desk.edits.base:
                self.pending.rebase(before or view, view)
            self._shown_changed()
        if not self.following.must_wait(view):
            self.draw()
        self.shell.paint_now()

    def opened(self, run: FoundRun, state: Mapping[str, object]) -> None:
        """Begin anew with another run: at the same module and series, or where another model was left last time."""
        from gradtui.viewmodel.run.choice import at_newest

        self.following.stop()
        selection = self.desk.selection
        if run.name != self.run.name:
            selection = from_state(state)
            self.has_state = bool(state)
        if selection.view not in ("overview", "history"):
            selection = replace(selection, view="overview")
        self.run, self.view, self._summarized = run, None, None
        self.desk = Desk(self.room, selection=replace(selection, run=at_newest(selection.run)))
        self.following, self.pending = Following(self), PendingEdits(self)
        self._asked.clear()
        self.draw()

    def show_first(self, launch: Launch) -> None:
        """Begin with the view and the choices of a start, where the person has made none before."""
        selection = replace(self.desk.selection, view=launch.view)
        if launch.plan:
            from gradtui.viewmodel.architecture.choices import from_state as plan_from

            selection = replace(selection, architecture=plan_from(launch.plan))
        self.desk.selection = selection
        if launch.colours:
            from gradtui.core.architecture.categories import Colours

            self.views.architecture.colours = Colours(**launch.colours)

    def _took_graph(self, graph: ModuleGraph, *, first: bool) -> None:
        # Here: most folders have no graph.
        from gradtui.tui.actions import graph_rows

        desk = self.desk
        graph_rows.arrived(desk, graph)
        alone = not desk.generations.kept and not desk.watching
        if first:
            self.shell.set_timer(WARM_AFTER, warm_keys)
        if alone and first and (desk.selection.view == "log" or self.is_new):
            desk.selection = replace(desk.selection, view="architecture")
        if graph.fault and not graph.complete:
            graph_rows.go_to_fault(desk)

    def _tell(self, before: FolderView | None, view: FolderView) -> None:
        """Say what a person should know of the folder, once, and what the adapter refused."""
        fresh = [note for note in view.notes if before is None or note not in before.notes]
        if fresh:
            more = f"   {len(fresh) - 1} more in :log" if len(fresh) > 1 else ""
            self.desk.say(fresh[0] + more, "warn")
            self._noted = time.monotonic()
        elif before is not None and view.findings is not before.findings:
            # What is found later is told in the rows where a note of the folder still stands.
            is_old = time.monotonic() - self._noted > NOTE_SECONDS
            if is_old and view.notes and self.desk.notice[0].startswith(view.notes):
                self.desk.notice = ("", "")
        for number, answer in view.answers.items():
            if answer.status != "done" and (before is None or number not in before.answers):
                self.desk.say(f"the {self.writer}: {answer.reason or answer.status}", "warn")

    @staticmethod
    def _place(selection: Selection) -> tuple[object, ...]:
        return (selection.layer, selection.connected, selection.direction, selection.node)

    def _shown_changed(self) -> None:
        desk = self.desk
        desk.selection = reconcile(desk.selection, desk.session)
        self._summarized = desk.session
        desk.summary = summarize(desk.session, desk.previous)
        if desk.generations.comparing or "kept" in desk.session.meta:
            # A difference of nothing is no vanishing gradient, nor is a kept output; its run has findings of its own.
            desk.summary = replace(desk.summary, findings=())

    def child_changed(self, state: ChildState) -> None:
        """Take a new state of the adapter's process; a failure shows what it printed, and is told until the next start."""
        before, self.child = self.child, state
        if before is not None and before.starts < state.starts and SEE_LOG in self.desk.notice[0]:
            # It was said of the process before.
            self.desk.say("")
        is_news = state.ended and (before is None or not before.ended)
        if is_news and state.code and not self.room.leaving:
            self.desk.say(f"{self.writer} {state.ended}{SEE_LOG}", "bad")
            if not self.desk.generations.kept and not self.desk.planning:
                self.desk.open_log()
        self.draw()

    def work_done(self, done: WorkDone) -> None:
        """Take what became of work behind the door."""
        if done.kind == "save":
            self.room.saved(well=not done.error)
        if done.conflict:
            self.room.conflict(done.error)
        elif done.error:
            self.room.leaving = False
            self.desk.say(done.error, "bad")
        elif done.kind == "save":
            self.desk.say(done.text, "good")
            if self.room.leaving:
                self.room.leave(ask=False)
                return
        else:
            self.desk.say(done.text)
        self.draw()

    # Keys: the table of their actions is imported with the first, for which the first screen does not wait.

    async def pressed(self, key: str) -> None:
        """Act on one key."""
        from gradtui.tui.actions.table import MARKS, action_of, mark_of

        desk = self.desk
        before = desk.selection
        self.following.stop()
        if self.asking.text:
            if self.asking.is_too_fresh:
                return
            asked, self.asking = self.asking, Question()
            desk.notice = ("", "")
            if key in asked.answers:
                asked.answers[key][1]()
            self.after(before)
            return
        desk.notice = ("", "")
        begun = self.keys.pending
        pressed = self.keys.feed(desk.selection.view, key)
        others = self.keys.keymap.elsewhere(desk.selection.view, key)
        if pressed is None and others and not (begun or self.keys.pending):
            desk.say(f"{key} is a key of {' and '.join(map(str.capitalize, others))}", "warn")
        elif pressed is not None:
            try:
                if pressed.action in MARKS:
                    mark_of(desk, pressed.action)(desk, pressed.argument)
                else:
                    action_of(desk, pressed.action)(desk, pressed.count)
            except GradtuiError as error:
                desk.say(str(error), "warn")
        self.after(before)

    def answered(self, kind: str, text: str) -> None:
        """Act on a line that was typed."""
        from gradtui.tui.actions.table import answer_of

        before = self.desk.selection
        self.desk.notice = ("", "")
        try:
            answer_of(self.desk, kind)(self.desk, text)
        except GradtuiError as error:
            self.desk.say(str(error), "warn")
        self.after(before)

    def after(self, before: Selection) -> None:
        """Redraw, remember, journal and ask for what the new selection needs."""
        desk = self.desk
        if desk.box and desk.box[0] != desk.selection.place_of(desk.selection.focus):
            # The keys went to another map: its cells are no corners of the box.
            desk.box = ()
        if desk.selection is not before:
            self.chose_view |= desk.selection.view != before.view
            if desk.selection.view == "log" != before.view:
                desk.before_log = before.view
            if before.estimate != desk.selection.estimate:
                self.door.estimate(desk.selection.estimate)
            self._remember_soon()
        if desk.session is not self._summarized:
            self._shown_changed()
        self.following.keep_to_tensor()
        if self._place(desk.selection) != self._place(before):
            desk.selection = at_strongest_link(desk.selection, desk.session)
        if desk.edits.cells is not self.pending.journalled and desk.edits.base.size:
            self.pending.journalled = desk.edits.cells
            self.door.journal(desk.edits.pending, desk.edits.base)
        self._ask_for_links()
        self.following.ask_for_window()
        self.draw()

    def _ask_for_links(self) -> None:
        """Ask the adapter for a row or column that the folder lacks, once a generation."""
        if self.view is None or not self.view.adapter.alive or not self.desk.generations.following:
            return
        for want in wanted(self.desk.session, self.desk.selection):
            if want not in self._asked:
                self._asked.add(want)
                # Silently: the screen says already that the links are not in the folder.
                fields = {"pair": [want.source, want.target], "node": want.node}
                self.door.request(want.kind, fields)

    def _remember_soon(self) -> None:
        if self._state_timer is not None:
            self._state_timer.stop()
        self._state_timer = self.shell.set_timer(STATE_DELAY, self.remember)

    def remember(self) -> None:
        """Keep the selection for the next start."""
        # An older run is looked at for a while: the next start begins with the newest.
        some = self.desk.generations.kept or self.desk.watching or self.desk.planning
        if some and self.run.newest:
            selection = self.desk.selection
            if selection.view == "log":
                # It tells of this time: the next start has another.
                selection = replace(selection, view=self.desk.before_log, row=0)
            self.door.keep_state(to_state(selection))

    # Drawing

    def draw(self) -> None:
        """Draw everything; only what changed is sent."""
        begun = time.thread_time()
        self.drawing.draw()
        self.following.drew(time.thread_time() - begun)

    def look_ahead(self) -> None:
        """Have what the next key may need worked out, now that this one is on the screen."""
        self.ahead.look(self.desk.session, self.desk.selection)

    def resized(self) -> None:
        """Draw once the new layout stands."""
        self.shell.call_after_refresh(self.draw)

    def recoloured(self) -> None:
        """Give every widget the palette."""
        shell = self.shell
        for widget in (shell.header, shell.headline, shell.detail, shell.keys):
            widget.palette = self.palette
        self.views.recoloured(self.palette)

    @property
    def is_typing(self) -> bool:
        """Whether a line of text is being typed."""
        return self.prompt is not None and self.prompt.is_open

    async def open_prompt(self) -> None:
        """Open the prompt that an action asked for; the first time, it is made."""
        if self.ask is None:
            return
        if self.prompt is None:
            from gradtui.tui.widgets.prompt import Prompt

            self.prompt = Prompt()
            await self.shell.mount(self.prompt, after=self.shell.detail)
        self.shell.keys.display = False
        self.prompt.ask(self.ask)
        self.ask = None

    def prompt_closed(self) -> None:
        """Show the keys again; the view is still to be drawn."""
        self.shell.keys.display = self.shell.size.height >= 2
