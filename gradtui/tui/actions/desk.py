"""The desk: what the person looks at and has edited, in one place, without a widget.

Actions are functions of the desk and a count. They put new values in it; what only a screen can do
(ask for text, write, copy, leave) goes through the `Room` that it stands in.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, Protocol

from gradtui.core.difference import difference
from gradtui.core.edit import EditHistory
from gradtui.viewmodel.generations import Generations
from gradtui.viewmodel.selection import Selection, reconcile
from gradtui.viewmodel.summary import Summary

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gradtui.core.scale import Scaling
    from gradtui.core.session import Session
    from gradtui.diagnosis.finding import Finding
    from gradtui.viewmodel.architecture.listing import Live
    from gradtui.viewmodel.architecture.plan import Plan
    from gradtui.viewmodel.maps import MapView
    from gradtui.viewmodel.overview import OverviewRow
    from gradtui.viewmodel.run.watch import Watch
    from gradtui.viewmodel.selection import Cell, MapKey

Role = Literal["", "good", "warn", "bad"]
Answer = tuple[str, "Callable[[], None]"]
"""What a key of a question does: in words, and in deed."""


class Room(Protocol):
    """What actions need of the screen they stand in."""

    @property
    def width(self) -> int:
        """Columns of the screen."""

    @property
    def chart_columns(self) -> int:
        """Columns of the field of the chart, as it was last drawn."""

    @property
    def graph_columns(self) -> int:
        """Columns of a row of the architecture, as it was last drawn."""

    @property
    def is_answered(self) -> bool:
        """Whether an adapter, or a training, lives that answers what is asked."""

    @property
    def has_process(self) -> bool:
        """Whether a process was started here, that can be stopped or started again."""

    def act(self, action: str, count: int = 0) -> None:
        """Do what an action does in the view that is shown."""

    def answer(self, kind: str, text: str) -> None:
        """Do what an answer to a prompt does in the view that is shown."""

    def play(self) -> None:
        """Step through the snapshots, or the steps, one after the other; or stop doing so."""

    def ask(
        self,
        kind: str,
        label: str,
        value: str = "",
        complete: Callable[[str], tuple[str, ...]] | None = None,
    ) -> None:
        """Ask for a line of text; the answer comes back as that kind."""

    def choose(self, text: str, answers: Mapping[str, Answer], other: str) -> None:
        """Ask for one key; ``other`` says what every key but those of the answers does."""

    def write(self, name: str = "", *, overwrite: bool = False, leave: bool = False) -> None:
        """Write the edited input, and leave afterwards if that was asked."""

    def request(self, kind: str, **fields: object) -> None:
        """Ask the adapter for something."""

    def reload(self) -> None:
        """Read the folder again and redraw."""

    def copy(self, text: str, what: str) -> None:
        """Put text on the clipboard."""

    def save_svg(self, path: str = "") -> None:
        """Write the screen to an SVG file."""

    def show_help(self) -> None:
        """Show every key of the view."""

    def show_findings(self, first: Finding | None) -> None:
        """Show all findings of the run whole, ``first`` before the others."""

    def choose_run(self) -> None:
        """Show the runs of the folder, one of which can be opened."""

    def analyse(self) -> None:
        """Look at the run with all analyses, and show them."""

    def picture(self, layer: str, out: str) -> None:
        """Write the features of a layer over the run as a GIF."""

    def leave(self, *, ask: bool = True, drop: bool = False) -> None:
        """Quit; ask first when edits are unsaved, or ``drop`` them."""

    def adapter(self) -> None:
        """Stop the adapter's process, or start it again."""

    def suspend(self) -> None:
        """Suspend to the shell."""

    def recolour(self) -> None:
        """Use the next palette."""

    def arrange(self, change: str) -> None:
        """Change the panes: "narrower", "wider", "rail", "full"."""


@dataclass(slots=True)
class Desk:
    """What is on the screen, as values; replaced piece by piece by actions.

    Attributes:
        room: The screen.
        generations: The sessions that arrived.
        selection: What the person chose.
        edits: The edits of the input that are not written yet.
        maps: The maps as they were last drawn: moves go by what is seen.
        rows: The rows of the Overview as they were last drawn.
        path: The row of the Overview that the cursor is on; a group can be, and is no layer.
        summary: The numbers of the layers of the session on the screen.
        notice: One line about what just happened, and its role; gone with the next key.
        found: What was searched for last.
        finding: The finding that was last gone to.
        before_log: The view that the log was opened from.
        scalings: The scales that maps share with other steps while those are played; empty else.
        box: The map in which a region is being chosen, and the region's first corner; empty when none is.
    """

    room: Room
    generations: Generations = field(default_factory=Generations)
    selection: Selection = field(default_factory=Selection)
    edits: EditHistory = field(default_factory=EditHistory)
    maps: tuple[MapView, ...] = ()
    rows: tuple[OverviewRow, ...] = ()
    path: str = ""
    summary: Summary = field(default_factory=Summary)
    notice: tuple[str, Role] = ("", "")
    found: str = ""
    finding: Finding | None = None
    before_log: str = "overview"
    scalings: Mapping[MapKey, Scaling] = field(default_factory=dict)
    box: tuple[str, Cell] | tuple[()] = ()
    _compared: tuple[Session, Session, Session] | tuple[()] = ()
    _watch: Watch | None = None
    _plan: Plan | None = None
    _live: tuple[object, object, Mapping[str, Live]] | tuple[()] = ()

    @property
    def session(self) -> Session:
        """The generation on the screen, as a difference to the baseline where that is wanted."""
        shown, baseline = self.generations.shown, self.generations.baseline
        if not (self.generations.comparing and baseline.layers):
            self._compared = ()
            return shown
        # Asked for many times a key: made once for the two that it is made of.
        made = self._compared
        if not made or made[0] is not shown or made[1] is not baseline:
            made = self._compared = (shown, baseline, difference(shown, baseline))
        return made[2]

    @property
    def watch(self) -> Watch:
        """The training run of the folder, and what was worked out of it; an empty one where there is none."""
        if self._watch is None:
            # Most folders have no run: what shows one is imported when there is one.
            from gradtui.viewmodel.run.watch import Watch

            self._watch = Watch()
        return self._watch

    @property
    def watching(self) -> bool:
        """Whether the folder has a training run."""
        return self._watch is not None and not self._watch.empty

    @property
    def plan(self) -> Plan:
        """The model's architecture, and what was worked out of it; an empty one where there is none."""
        if self._plan is None:
            # Most folders have no graph: what shows one is imported when there is one.
            from gradtui.viewmodel.architecture.plan import Plan

            self._plan = Plan()
        return self._plan

    @property
    def planning(self) -> bool:
        """Whether the folder has an architecture."""
        return self._plan is not None and not self._plan.empty

    @property
    def live(self) -> Mapping[str, Live]:
        """What the run knows of the architecture's modules; nothing where there is no run."""
        if not self.watching:
            return {}
        made, watch = self._live, self.watch
        if not made or made[0] is not watch.run or made[1] is not watch.findings:
            from gradtui.viewmodel.architecture.live import live_of

            made = self._live = (watch.run, watch.findings, live_of(watch.run, watch.findings))
        return made[2]

    @property
    def previous(self) -> Session:
        """The generation before, for "was"."""
        return self.generations.previous

    @property
    def focused(self) -> MapView | None:
        """The map with the keys, as it was last drawn."""
        return next((view for view in self.maps if view.key == self.selection.focus), None)

    def select(self, selection: Selection) -> None:
        """Take a new selection, fitted to the session."""
        self.selection = reconcile(selection, self.session)

    def open_log(self) -> None:
        """Show the log; to leave it is to go back to the view that is shown now."""
        if self.selection.view != "log":
            self.before_log = self.selection.view
        self.selection = replace(self.selection, view="log", row=0)

    def say(self, text: str, role: Role = "") -> None:
        """Put a notice on the screen."""
        self.notice = (text, role)
