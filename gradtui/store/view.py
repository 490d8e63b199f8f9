"""What the store shows of a folder: one consistent picture, replaced whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from gradtui.folder.adapter_state import AdapterState
from gradtui.folder.load import Loaded, nothing_loaded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gradtui.core.architecture.graph import ModuleGraph
    from gradtui.core.run.run import Run
    from gradtui.core.session import Session
    from gradtui.diagnosis.finding import Finding
    from gradtui.folder.requests import Answer
    from gradtui.store.run.windows import Window

Kind = Literal["loading", "live", "waiting", "busy", "stale", "broken", "missing", "finished"]


@dataclass(frozen=True, slots=True)
class Status:
    """What the folder is doing, in words.

    Attributes:
        kind: For the colour. With ``busy``, ``stale``, ``broken`` and ``missing`` the last good view is kept.
        text: One line for the person.
        since: Wall time at which it began, seconds.
    """

    kind: Kind
    text: str
    since: float


@dataclass(frozen=True, slots=True, eq=False)
class FolderView:
    """A folder as it was last understood.

    Attributes:
        session: The last good session; empty before the first.
        previous: The session of the generation before it, for comparison; empty where there is none. Of a large
            folder it has layers, input and target, and no pairs.
        loaded_at: Wall time at which ``session`` was read, seconds; 0 before the first.
        status: What the folder is doing now.
        adapter: What its adapter says.
        notes: What a person should know, one line each.
        changed: Which of ``session``, ``status``, ``adapter``, ``answers``, ``run``, ``findings``, ``windows``,
            ``graph`` differ from the view before.
        answers: Answers to this viewer's requests by number, the last 64.
        loaded: What the view was made from; to the screen it is a token that it gives back when it saves.
        watched: The training run that the history tells of, as far as it was read; None where there is no history.
            `run` is the same with an empty value.
        reading: How much of the history was read, 0 to 1; the newest steps come first.
        findings: What is wrong with the run, worst first; of a moment ago.
        windows: Answers to `Keeper.window` by number, the last few.
        graph: The architecture of the model; None where the folder holds none.
        graph_problem: Why the architecture's file can't be read; the last good one is kept.
    """

    session: Session
    previous: Session
    loaded_at: float
    status: Status
    adapter: AdapterState = field(default_factory=AdapterState)
    notes: tuple[str, ...] = ()
    changed: frozenset[str] = frozenset()
    answers: Mapping[int, Answer] = field(default_factory=lambda: MappingProxyType({}))
    loaded: Loaded = field(default_factory=nothing_loaded)
    watched: Run | None = None
    reading: float = 1.0
    findings: tuple[Finding, ...] = ()
    windows: Mapping[int, Window] = field(default_factory=lambda: MappingProxyType({}))
    graph: ModuleGraph | None = None
    graph_problem: str = ""

    @property
    def writer(self) -> str:
        """What writes the folder, in a word; see `writer_of`."""
        is_traced = self.graph is not None and not self.loaded.parts
        return writer_of(self.adapter, watched=self.watched is not None, is_traced=is_traced)

    @property
    def run(self) -> Run:
        """The training run; empty where there is none."""
        if self.watched is not None:
            return self.watched
        # Here: most folders have no history, and opening one does not need what reads it.
        from gradtui.core.run.run import Run

        return Run.empty()


def writer_of(adapter: AdapterState, *, watched: bool, is_traced: bool) -> str:
    """Return what writes a folder, in a word: the training whose history is there, else the adapter.

    Where there is an architecture and nothing else, that is the trace.

    An adapter that serves a folder is one, whatever was recorded there before.
    """
    is_training = watched and adapter.state not in ("starting", "serving", "computing")
    return "training" if is_training else "trace" if is_traced else "adapter"


def is_same_but_nan(left: object, right: object) -> bool:
    """Equality of states whose progress may be NaN, which equals nothing."""
    return repr(left) == repr(right)
