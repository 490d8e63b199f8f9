"""The errors that gradtui tells its user about.

Each is one line that names what it is about. Whatever is not one of these is a bug of ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os


class GradtuiError(Exception):
    """Something that the user can act on; the text is one line."""


class UsageError(GradtuiError):
    """What was asked for cannot be: a wrong argument, an unknown name. Exit code 2."""


class InvalidContents(GradtuiError):
    """Data that parsed, but is not what the contract says: a wrong root, shape or name."""


class PathError(GradtuiError):
    """An error about one file or folder: ``path`` names it and ``reason`` says what is wrong."""

    def __init__(self, path: str | os.PathLike[str], reason: str) -> None:
        self.path = str(path)
        self.reason = reason
        super().__init__(f"{self.path}: {reason}")


class FolderMissing(PathError):
    """There is no debug folder where one was named. Exit code 2."""


class UnreadableFile(PathError):
    """A file that is broken, hostile, too large or of another kind. Exit code 3."""


class FileBusy(PathError):
    """A writer is at work on the folder: keep what is shown and try again."""


class SaveConflict(PathError):
    """The other side changed a file since it was loaded; nothing was written."""


class SaveFailed(PathError):
    """The disk refused a write; what was there before is still there."""
