"""Everything that a folder holds, read once: for commands without a screen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from gradtui.errors import FolderMissing

NOTHING: Final = "no watched run and no debug session is there"

if TYPE_CHECKING:
    from gradtui.core.run.found import FoundRun
    from gradtui.core.run.run import Run
    from gradtui.core.session import Session
    from gradtui.diagnosis.finding import Finding


@dataclass(frozen=True, slots=True, eq=False)
class Contents:
    """A folder's debug session and its watched run.

    Attributes:
        session: the empty one where there is no ``flow_info.pkl``.
        is_watched: whether there is a history.
        run: the watched run; the empty one where there is no history.
        findings: about the run, worst first.
        notes: what a person should know of the session.
        run_notes: what a person should know of the run.
    """

    session: Session
    is_watched: bool
    run: Run
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    run_notes: tuple[str, ...] = ()


def read_contents(chosen: FoundRun, *, max_bytes: int, estimate: str = "proportional") -> Contents:
    """Read the folder of a run, which has a debug session, a watched run, or both.

    With an older run goes no session: what else stands in the folder is of its newest one.

    Raises:
        FolderMissing: it has neither.
        UnreadableFile: a file is broken, hostile, too large or of another kind.
        FileBusy: a writer did not finish.
    """
    from gradtui.core.run.run import Run
    from gradtui.core.session import Session
    from gradtui.store.keeper import Keeper
    from gradtui.store.locate import has_history

    location = chosen.location
    if not chosen.newest:
        older = _read_run(chosen)
        return replace(older, run_notes=("an older run of its folder", *older.run_notes))
    watched = has_history(location)
    keeper = Keeper(location, on_change=lambda _: None, max_bytes=max_bytes, estimate=estimate)
    session, has_session = Session.empty(), True
    notes: tuple[str, ...] = ()
    try:
        view = keeper.load_once()
        session, notes = view.session, view.notes
    except FolderMissing as error:
        if not watched:
            raise FolderMissing(error.path, f"{NOTHING} ({error.reason})") from None
        has_session = False
    if watched:
        try:
            found = _read_run(chosen)
        except FolderMissing:
            # A training that was started and has not written a record yet.
            if not has_session:
                raise
        else:
            return replace(found, session=session, notes=notes)
    return Contents(session, False, Run.empty(), notes=notes)


def _read_run(chosen: FoundRun) -> Contents:
    """Read and judge a run alone.

    Raises:
        FolderMissing: there is none.
    """
    from gradtui.core.session import Session
    from gradtui.diagnosis.diagnose import diagnose
    from gradtui.store.run.whole import read_run

    whole = read_run(chosen.location, runs=chosen.wanted)
    found = diagnose(whole.run, gone=whole.gone, damage=whole.damage)
    return Contents(Session.empty(), True, whole.run, found, run_notes=whole.notes)
