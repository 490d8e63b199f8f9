"""The history of a folder, written byte by byte: whole records, torn ones, damage, segments that vanish."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradtui.folder.history.frames import frame
from gradtui.folder.history.payload import encode

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from gradtui.core.run.records import Entry
    from gradtui.folder.location import DebugFolder


def bytes_of(entries: Iterable[Entry]) -> bytes:
    """Records as they stand in a segment."""
    return b"".join(frame(encode(each.record), each.step, each.time) for each in entries)


class Segments:
    """One rank's segments; the last one is written to."""

    def __init__(self, folder: DebugFolder, rank: int = 0) -> None:
        self.directory = folder.history / f"rank-{rank:05d}"
        self.number = 0

    @property
    def path(self) -> Path:
        """The segment that is written to."""
        return self.path_of(self.number)

    def path_of(self, number: int) -> Path:
        """The path of a segment."""
        return self.directory / f"{number:08d}.gtlog"

    def begin(self, entries: Iterable[Entry]) -> None:
        """Begin a new segment with these records."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.number += 1
        self.path.write_bytes(bytes_of(entries))

    def append(self, entries: Iterable[Entry]) -> None:
        """Write records at the end."""
        with self.path.open("ab") as file:
            file.write(bytes_of(entries))

    def append_part(self, entry: Entry, share: float) -> bytes:
        """Write the first part of a record; returns what is missing."""
        data = bytes_of([entry])
        cut = min(int(len(data) * share), len(data) - 1)
        with self.path.open("ab") as file:
            file.write(data[:cut])
        return data[cut:]

    def append_bytes(self, data: bytes) -> None:
        """Write bytes at the end."""
        with self.path.open("ab") as file:
            file.write(data)

    def damage(self, place: int) -> None:
        """Flip a bit."""
        data = bytearray(self.path.read_bytes())
        data[place] ^= 1
        self.path.write_bytes(bytes(data))

    def drop(self, number: int) -> None:
        """Remove a segment, as retention does."""
        self.path_of(number).unlink(missing_ok=True)
