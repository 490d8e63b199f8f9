"""Which runs a folder holds: by the first record of each segment and the last ones of each run, not by reading it all."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from gradtui.core.run.found import FoundRun
from gradtui.core.run.records import Start
from gradtui.errors import InvalidContents, UnreadableFile, UsageError
from gradtui.folder.adapter_state import read_adapter
from gradtui.folder.history.frames import HEADER, first_record, header_at, is_whole
from gradtui.folder.history.payload import decode
from gradtui.folder.history.scan import BEGINNING, beginning, records_of
from gradtui.folder.history.segments import open_segment, rank_path, ranks_of, segments_of
from gradtui.folder.history.tensors import header_of
from gradtui.folder.location import DebugFolder

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

TOGETHER: Final = 120.0
"""Ranks that don't know a common name for their run count as one when they began within so many seconds."""
_NEAR: Final = (256 << 10, 8 << 20)
"""How near to its end, in bytes, a segment's last records are looked for; the second where one is larger than the first."""
_MOST_FOLDERS: Final = 1000


@dataclass(slots=True)
class _Part:
    """A run as one rank has it; ``number`` and ``path`` are of its newest segment."""

    start: Start
    rank: int
    number: int
    path: Path


def runs_of(folder: DebugFolder, name: str = "") -> tuple[FoundRun, ...]:
    """Return the runs of a folder's history, the newest first; what cannot be read is left out.

    Args:
        folder: where.
        name: what the folder is called within the one that was opened.
    """
    joined: list[list[_Part]] = []
    for rank in ranks_of(folder.history):
        for part in _parts(rank_path(folder.history, rank), rank):
            together = next((group for group in joined if _is_of(part, group)), None)
            if together is None:
                joined.append([part])
            else:
                together.append(part)
    joined.sort(key=lambda group: (group[0].number, group[0].start.started), reverse=True)
    alive = read_adapter(folder).alive
    found: list[FoundRun] = []
    for group in joined:
        ends = [_end(part.path) for part in group]
        start = group[0].start
        found.append(
            FoundRun(
                folder.given,
                name,
                frozenset(part.start.run for part in group),
                start.model,
                start.started,
                max(step for step, _ in ends),
                max(time for _, time in ends),
                newest=not found,
                alive=alive and not found,
            )
        )
    return tuple(found)


def models_in(folder: DebugFolder) -> tuple[DebugFolder, ...]:
    """Return the folders within a folder that have a history: further models of one training write there."""
    names: list[str] = []
    try:
        with os.scandir(folder.root) as entries:
            for entry in entries:
                if len(names) < _MOST_FOLDERS and entry.is_dir(follow_symlinks=False):
                    names.append(entry.name)
    except OSError:
        return ()
    found = []
    for name in sorted(names) if not folder.prefix else ():
        try:
            inner = DebugFolder.at(os.path.join(folder.given, name, ""))  # noqa: PTH118 - as it was written
        except UsageError:
            continue
        if inner.has_history:
            found.append(inner)
    return tuple(found)


def all_runs(folder: DebugFolder) -> tuple[FoundRun, ...]:
    """Return the runs of a folder, then those of the models within it."""
    found = list(runs_of(folder))
    for inner in models_in(folder):
        found += runs_of(inner, inner.root.name)
    return tuple(found)


def _is_of(part: _Part, group: Iterable[_Part]) -> bool:
    """Whether a rank's run is one with those of other ranks."""
    start = part.start
    return any(
        other.start.run == start.run
        or (
            other.start.world == start.world > 1
            and abs(other.start.started - start.started) <= TOGETHER
        )
        for other in group
    ) and all(other.rank != part.rank for other in group)


def _parts(directory: Path, rank: int) -> Iterable[_Part]:
    found: dict[str, _Part] = {}
    for segment in segments_of(directory):
        try:
            raw = next(records_of(segment.path, BEGINNING), None)
            run = beginning(raw.texts).run if raw is not None else ""
            if raw is None or not run:
                continue
            if run in found:
                found[run] = replace(found[run], number=segment.number, path=segment.path)
                continue
            start = decode(raw.payload)
        except (UnreadableFile, InvalidContents):
            continue
        if isinstance(start, Start):
            found[run] = _Part(start, rank, segment.number, segment.path)
    return found.values()


def _end(path: Path) -> tuple[int, float]:
    """The newest step and wall time of a segment; of an epoch's end the time alone counts."""
    for near in _NEAR:
        try:
            descriptor, result = open_segment(path)
        except UnreadableFile:
            break
        try:
            data = memoryview(os.pread(descriptor, near, max(result.st_size - near, 0)))
        except OSError:
            break
        finally:
            os.close(descriptor)
        place = first_record(data)
        if place >= 0:
            return _newest(data, place)
    return -1, 0.0


def _newest(data: memoryview, place: int) -> tuple[int, float]:
    step, time = -1, 0.0
    while place + HEADER <= len(data) and (frame := header_at(data, place)) is not None:
        payload = data[place + HEADER : place + HEADER + frame.length]
        place += HEADER + frame.length
        if not is_whole(frame, payload):
            continue
        time = max(time, frame.time)
        try:
            texts = header_of(payload).texts
        except InvalidContents:
            continue
        if texts.get("event") != "epoch":
            step = max(step, frame.step)
    return step, time
