"""Which segments there are, and how one is opened without trusting its name.

A rank's segments are ``history/rank-00003/00000017.gtlog``; a higher number is newer. Thinned ones keep the number of
the newest segment that went into them.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gradtui.errors import UnreadableFile
from gradtui.folder.reading import reason_of

if TYPE_CHECKING:
    from pathlib import Path

_RANK: Final = re.compile(r"rank-(\d{5,7})")
_SEGMENT: Final = re.compile(r"(\d{8,12})\.gtlog")
_MOST_RANKS: Final = 65_536
_MOST_SEGMENTS: Final = 100_000


@dataclass(frozen=True, slots=True)
class Found:
    """A segment that a directory lists.

    Attributes:
        number: of the segment.
        path: of the file.
        size: bytes; 0 for what is not a regular file.
        inode: of the file.
    """

    number: int
    path: Path
    size: int
    inode: int


def rank_path(history: Path, rank: int) -> Path:
    """The folder of a rank."""
    return history / f"rank-{rank:05d}"


def segment_path(directory: Path, number: int) -> Path:
    """The file of a segment."""
    return directory / f"{number:08d}.gtlog"


def ranks_of(history: Path) -> tuple[int, ...]:
    """The ranks that have a folder, ascending; none where there is no history or it cannot be read."""
    found = []
    try:
        with os.scandir(history) as entries:
            for entry in entries:
                match = _RANK.fullmatch(entry.name)
                if match and entry.is_dir(follow_symlinks=False):
                    found.append(int(match[1]))
                if len(found) >= _MOST_RANKS:
                    break
    except OSError:
        return ()
    return tuple(sorted(found))


def segments_of(directory: Path) -> tuple[Found, ...]:
    """The segments of a rank that are regular files, ascending; none where the folder cannot be read."""
    found = []
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                match = _SEGMENT.fullmatch(entry.name)
                if not match:
                    continue
                try:
                    result = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    # Removed or renamed while the others are listed.
                    continue
                if stat.S_ISREG(result.st_mode):
                    path = directory / entry.name
                    found.append(Found(int(match[1]), path, result.st_size, result.st_ino))
                if len(found) >= _MOST_SEGMENTS:
                    break
    except OSError:
        return ()
    return tuple(sorted(found, key=lambda each: each.number))


def open_segment(path: Path) -> tuple[int, os.stat_result]:
    """Open a segment for reading: its descriptor, and what it is.

    Raises:
        UnreadableFile: it is missing, a link, not a regular file, or not permitted.
    """
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise UnreadableFile(path, "is not a regular file")
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY | os.O_NOFOLLOW
        descriptor = os.open(path, flags)
    except OSError as error:
        raise UnreadableFile(path, reason_of(error)) from None
    result = os.fstat(descriptor)
    if not stat.S_ISREG(result.st_mode):
        os.close(descriptor)
        raise UnreadableFile(path, "is not a regular file")
    return descriptor, result
