"""Everything that a folder holds, read once: for commands without a screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gradtui.errors import FolderMissing

NOTHING: Final = "no watched run and no debug session is there"

if TYPE_CHECKING:
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


def read_contents(location: str, *, max_bytes: int, estimate: str = "proportional") -> Contents:
    """Read a folder that has a debug session, a watched run, or both.

    Raises:
        FolderMissing: it has neither.
        UnreadableFile: a file is broken, hostile, too large or of another kind.
        FileBusy: a writer did not finish.
    """
    from gradtui.core.run.run import Run
    from gradtui.core.session import Session
    from gradtui.store.keeper import Keeper
    from gradtui.store.locate import has_history

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
        from gradtui.diagnosis.diagnose import diagnose
        from gradtui.store.run.whole import read_run

        try:
            whole = read_run(location)
        except FolderMissing:
            # A training that was started and has not written a record yet.
            if not has_session:
                raise
        else:
            found = diagnose(whole.run, is_gone=whole.is_gone, damage=whole.damage)
            return Contents(session, True, whole.run, found, notes, whole.notes)
    return Contents(session, False, Run.empty(), notes=notes)
