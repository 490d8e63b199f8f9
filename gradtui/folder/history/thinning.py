"""Neighbouring segments become one that holds a part of their records, evenly."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from gradtui.errors import SaveFailed
from gradtui.folder.history.frames import frame
from gradtui.folder.history.scan import beginning, records_of
from gradtui.folder.history.tensors import array_of, header_of, packed
from gradtui.folder.reading import reason_of
from gradtui.folder.writing import remove

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gradtui.folder.history.scan import Raw
    from gradtui.folder.history.segments import Found

SUFFIX: Final = ".gtlog-tmp"
_FLUSH: Final = 1 << 20
# Events are few and say much: all of them stay, unless there is a flood of one kind.
_MOST_EVENTS: Final = 2_000


def thinned(sources: Sequence[Found], every: int) -> int:
    """Put neighbouring segments into the place of the newest of them; returns the bytes of the result.

    Of each layout, of each kept tensor's key and of floods of events every ``every``-th record of what was once written stays,
    the first always. The result is written beside, then renamed; it says which segments it covers, so that what a crash leaves
    of them is not read twice.

    Args:
        sources: one or more, ascending.
        every: a multiple of what each of them holds already.

    Raises:
        SaveFailed: the disk refused; all are still there.
        UnreadableFile: one cannot be read.
    """
    newest = sources[-1]
    beside = newest.path.with_suffix(SUFFIX)
    try:
        size = _Merged(beside, sources, every).write()
        beside.replace(newest.path)
    except OSError as error:
        raise SaveFailed(newest.path, reason_of(error)) from error
    finally:
        remove(beside)
    for each in sources[:-1]:
        remove(each.path)
    return size


def sweep(directory: Path) -> None:
    """Remove what a killed process left half merged."""
    try:
        names = [item for item in directory.iterdir() if item.name.endswith(SUFFIX)]
    except OSError:
        return
    for path in names:
        remove(path)


class _Merged:
    def __init__(self, path: Path, sources: Sequence[Found], every: int) -> None:
        self._path = path
        self._sources = sources
        self._every = every
        self._waiting: list[bytes] = []
        self._size = 0
        self._written = 0
        self._descriptor = -1

    def write(self) -> int:
        first = [next(records_of(each.path), None) for each in self._sources]
        starts = [beginning(raw.texts if raw else {}) for raw in first]
        covers = starts[0].covers or self._sources[0].number
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor = os.open(self._path, flags, 0o666)
        try:
            newest = next((raw for raw in reversed(first) if raw is not None), None)
            if newest is not None:
                self._put(_start(newest, self._every, covers))
            known: set[str] = set()
            for source, start in zip(self._sources, starts, strict=True):
                self._copy(source.path, max(self._every // start.every, 1), known)
            self._flush()
        finally:
            os.close(self._descriptor)
        return self._written

    def _copy(self, path: Path, factor: int, known: set[str]) -> None:
        seen: dict[str, int] = {}
        for raw in records_of(path):
            kind = raw.texts.get("kind", "")
            if kind == "start":
                continue
            name = f"{kind} {raw.texts.get('layout', '')}{raw.texts.get('key', '')}"
            if kind == "layout":
                if name not in known:
                    known.add(name)
                    self._put(_bytes(raw))
                continue
            count = seen[name] = seen.get(name, -1) + 1
            if kind == "edges" and count == 0 and name not in known:
                known.add(name)
                self._put(_bytes(raw))
            elif kind == "event":
                if count < _MOST_EVENTS or count % factor == 0:
                    self._put(_bytes(raw))
            elif kind != "edges" and count % factor == 0:
                self._put(_bytes(raw))

    def _put(self, data: bytes) -> None:
        self._waiting.append(data)
        self._size += len(data)
        if self._size >= _FLUSH:
            self._flush()

    def _flush(self) -> None:
        view = memoryview(b"".join(self._waiting))
        self._written += len(view)
        self._waiting.clear()
        self._size = 0
        while view:
            view = view[os.write(self._descriptor, view) :]


def _bytes(raw: Raw) -> bytes:
    return frame([raw.payload], raw.frame.step, raw.frame.time)


def _start(raw: Raw, every: int, covers: int) -> bytes:
    """The start again, with what a thinned segment says of itself."""
    header = header_of(raw.payload)
    arrays = {name: array_of(raw.payload, slot) for name, slot in header.slots.items()}
    texts = {**header.texts, "every": str(every), "covers": str(covers)}
    return frame(packed(arrays, texts), raw.frame.step, raw.frame.time)
