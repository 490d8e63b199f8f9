"""The three files of a session, each read once and kept while its stamp stays."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from gradtui.errors import FileBusy, FolderMissing, UnreadableFile
from gradtui.folder.commit import pending_writer
from gradtui.folder.location import FLOW_INFO
from gradtui.folder.npy import read_npy
from gradtui.folder.pickle_reader import read_flow_info
from gradtui.folder.reading import TruncatedFile, reason_of, size_text
from gradtui.folder.stamp import MISSING, Stamp, stamp
from gradtui.folder.writing import FileSum, sum_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gradtui.core.arrays import Array
    from gradtui.folder.commit import Commit
    from gradtui.folder.location import DebugFolder
    from gradtui.folder.process import Process

SETTLE = 2.0
# A writer that is stopped in the middle must not lock the folder for good.
_PENDING_SECONDS = 30.0
_UNKNOWN = FileSum(-1, 0)
_LARGE = 8_000_000


class MayBeWritten(FileBusy):
    """A file that ends too early and was changed a moment ago: broken, or not written whole yet.

    Attributes:
        broken: What it is if nobody is writing it.
    """

    def __init__(self, broken: UnreadableFile) -> None:
        super().__init__(broken.path, f"{broken.reason}, changed a moment ago")
        self.broken = broken


@dataclass(frozen=True, slots=True)
class Part:
    """One file of the folder as it was read.

    Attributes:
        name: The contract's name, without the prefix.
        value: The root dict of a pickle, or an array; None for a missing file.
        stamp: Its stamp; `MISSING` for a missing file.
        sum: Length and checksum; unknown (length -1) where nothing asked for it.
        certain: Whether an equal stamp later proves that it is unchanged.
    """

    name: str
    value: object = None
    stamp: Stamp = MISSING
    sum: FileSum = _UNKNOWN
    certain: bool = False

    @property
    def exists(self) -> bool:
        """Whether there was a file."""
        return self.stamp.exists

    @property
    def root(self) -> Mapping[object, object]:
        """The root of a pickle; empty where there is none."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def array(self) -> Array:
        """The array of an ``.npy`` file that exists."""
        return cast("Array", self.value)


def read_part(
    folder: DebugFolder, name: str, commits: tuple[Commit, ...], *, max_bytes: int, before: Part
) -> Part:
    """Read a file, or keep what was read ``before`` when its stamp proves that it is the same.

    Raises:
        FileBusy: It changed while it was read.
        UnreadableFile: What it is, or what is in it.
    """
    path = folder.path(name)
    now = stamp(path)
    if now == before.stamp and before.certain and before.name == name:
        return before
    if not now.exists:
        try:
            path.stat()
        except FileNotFoundError:
            if path.is_symlink():
                raise UnreadableFile(path, "is a link that leads nowhere") from None
            return Part(name)
        except OSError as error:
            raise UnreadableFile(path, reason_of(error)) from None
    value: object
    try:
        if name == FLOW_INFO:
            value, contents = read_flow_info(path, max_bytes=max_bytes)
        else:
            value, contents = read_npy(path, max_bytes=max_bytes)
    except MemoryError:
        room = size_text(max(now.size, 0))
        raise UnreadableFile(path, f"not enough memory for its {room}") from None
    asked = any(_promised(commit, name).length == len(contents.data) for commit in commits)
    summed = name != FLOW_INFO or asked or len(contents.data) < _LARGE
    total = sum_of([contents.data]) if summed else _UNKNOWN
    # A large file is not written and read within one tick of the clock.
    certain = contents.stamp.tells_apart(time.time()) or len(contents.data) >= _LARGE
    if before.name == name and before.sum == total != _UNKNOWN:
        value = before.value
    return Part(name, value, contents.stamp, total, certain)


def is_committed(part: Part, commits: tuple[Commit, ...]) -> bool:
    """Whether a side's commit vouches for a file: whichever side wrote it last."""
    return part.sum.length >= 0 and any(
        _promised(commit, part.name) == part.sum for commit in commits
    )


def wait_or_pass(
    folder: DebugFolder, name: str, at: Stamp, writers: tuple[Process, ...], settle: float
) -> None:
    """Let a file that no commit vouches for pass when nobody can still be writing it.

    Args:
        folder: Where.
        name: The file.
        at: Its stamp.
        writers: The processes that pending files name.
        settle: For so many seconds the file must have been left alone.

    Raises:
        FileBusy: Wait: a writer lives, or the file changed a moment ago.
    """
    path = folder.path(name)
    for writer in writers:
        if writer.is_here and writer.is_alive:
            raise FileBusy(path, f"writer busy (process {writer.pid})")
    if not at.is_settled(time.time(), settle):
        raise FileBusy(path, "changed a moment ago")


def busy_if_unsettled(
    error: UnreadableFile,
    folder: DebugFolder,
    name: str,
    writers: tuple[Process, ...],
    settle: float,
) -> UnreadableFile | FileBusy:
    """What a file that cannot be read means now: one that ends too early may still be written."""
    if isinstance(error, TruncatedFile):
        try:
            wait_or_pass(folder, name, MISSING, writers, settle)
        except FileBusy as busy:
            return busy
        if not stamp(folder.path(name)).is_settled(time.time(), settle):
            return MayBeWritten(error)
    return error


def living_writers(folder: DebugFolder) -> tuple[Process, ...]:
    """The processes that say they are writing, if they said so within half a minute."""
    found = []
    for side in ("adapter", "viewer"):
        since = stamp(folder.pending(side))
        if since.exists and abs(time.time() - since.mtime_ns / 1e9) < _PENDING_SECONDS:
            writer = pending_writer(folder, side)
            if writer.pid:
                found.append(writer)
    return tuple(found)


def require_folder(folder: DebugFolder) -> None:
    """Check that there is something to read.

    Raises:
        FolderMissing: No such directory, or none of the contract's files in it.
        UnreadableFile: It is there, and the system does not let us in.
    """
    try:
        if not folder.root.is_dir():
            folder.root.stat()
            raise FolderMissing(folder.shown, "is a file, not a debug folder")
    except (FileNotFoundError, NotADirectoryError):
        raise FolderMissing(folder.shown, "no such debug folder") from None
    except OSError as error:
        raise UnreadableFile(folder.shown, reason_of(error)) from None
    try:
        folder.flow_info.lstat()
    except FileNotFoundError:
        raise FolderMissing(folder.shown, f"no {folder.flow_info.name} there") from None
    except OSError as error:
        raise UnreadableFile(folder.flow_info, reason_of(error)) from None
    try:
        folder.flow_info.stat()
    except FileNotFoundError:
        raise UnreadableFile(folder.flow_info, "is a link that leads nowhere") from None
    except OSError as error:
        raise UnreadableFile(folder.flow_info, reason_of(error)) from None


def _promised(commit: Commit, name: str) -> FileSum:
    return commit.files.get(name, FileSum(-2, 0))
