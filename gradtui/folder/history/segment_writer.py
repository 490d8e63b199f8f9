"""The file that a rank is writing: whole records are appended, or nothing.

A full disk may take a part of a write without an error. Then the file is cut back to its last whole record, so that
what comes later can be read.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from gradtui.errors import SaveFailed
from gradtui.folder.history.segments import segment_path, segments_of
from gradtui.folder.reading import reason_of
from gradtui.folder.writing import make_own_directory

if TYPE_CHECKING:
    from pathlib import Path


class SegmentWriter:
    """A new segment, with a number above all that are there.

    Attributes:
        path: of the file.
        number: of the segment.
        size: bytes of whole records.
        is_torn: whether the file could not be cut back: nothing may be appended any more.
    """

    def __init__(self, directory: Path, above: int = 0) -> None:
        """Make the file.

        Args:
            directory: of the rank.
            above: the number is greater than this one too.

        Raises:
            SaveFailed: the system refused.
        """
        make_own_directory(directory)
        self.size = 0
        self.is_torn = False
        self.number = max((found.number for found in segments_of(directory)), default=0)
        self.number = max(self.number, above)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        for _ in range(1000):
            self.number += 1
            self.path = segment_path(directory, self.number)
            try:
                self._descriptor = os.open(self.path, flags, 0o666)
            except FileExistsError:
                continue
            except OSError as error:
                raise SaveFailed(self.path, reason_of(error)) from error
            return
        raise SaveFailed(self.path, "no number is free")

    def append(self, record: bytes) -> None:
        """Append a record.

        Raises:
            SaveFailed: the disk refused; the file ends with its last whole record, or `is_torn`.
        """
        view = memoryview(record)
        try:
            if self.is_torn:
                raise OSError(errno.EIO, "the segment's end is torn")
            while view:
                count = os.write(self._descriptor, view)
                if count == 0:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                view = view[count:]
        except OSError as error:
            self._cut()
            raise SaveFailed(self.path, reason_of(error)) from error
        self.size += len(record)

    def is_there(self) -> bool:
        """Whether the file still has a name: a folder that was removed takes no more records."""
        try:
            return os.fstat(self._descriptor).st_nlink > 0
        except OSError:
            return False

    def close(self) -> None:
        """Close the file."""
        try:
            os.close(self._descriptor)
        except OSError:
            self.is_torn = True

    def _cut(self) -> None:
        try:
            os.ftruncate(self._descriptor, self.size)
        except OSError:
            self.is_torn = True
