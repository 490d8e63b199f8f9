"""What threads and widgets tell the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gradtui.core.analysis.report import Report
    from gradtui.core.run.found import FoundRun
    from gradtui.store.view import FolderView
    from gradtui.tui.child import ChildState


class FolderChanged(Message):
    """The folder, or what is known of it, is not what it was."""

    def __init__(self, view: FolderView) -> None:
        super().__init__()
        self.view = view

    def can_replace(self, message: Message) -> bool:
        """Only the newest picture counts while the screen is behind."""
        return isinstance(message, FolderChanged)


class FolderUnusable(Message):
    """There is nothing to show and nothing to wait for."""

    def __init__(self, reason: str, code: int) -> None:
        super().__init__()
        self.reason = reason
        self.code = code


class ChildChanged(Message):
    """The adapter's process printed a line, started or ended."""

    def __init__(self, state: ChildState) -> None:
        super().__init__()
        self.state = state

    def can_replace(self, message: Message) -> bool:
        """Only the newest state counts while the screen is behind."""
        return isinstance(message, ChildChanged)


class WorkDone(Message):
    """Work that left the screen's thread ended: ``error`` is empty when it went well."""

    def __init__(self, kind: str, text: str, error: str = "", conflict: bool = False) -> None:
        super().__init__()
        self.kind = kind
        self.text = text
        self.error = error
        self.conflict = conflict


class Analysed(Message):
    """The analyses of a run are there."""

    def __init__(self, report: Report) -> None:
        super().__init__()
        self.report = report


class RunsFound(Message):
    """The runs that can be chosen are known."""

    def __init__(self, runs: tuple[FoundRun, ...]) -> None:
        super().__init__()
        self.runs = runs


class RunOpened(Message):
    """What comes from now on is of another run: ``state`` is what was remembered of its folder."""

    def __init__(self, run: FoundRun, state: Mapping[str, object]) -> None:
        super().__init__()
        self.run = run
        self.state = state


class Failed(Message):
    """A thread of ours came upon a mistake of ours."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error
