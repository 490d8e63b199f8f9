"""All whole records of a segment, as bytes, in bounded memory."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradtui.errors import InvalidContents, UnreadableFile
from gradtui.folder.history.frames import HEADER, header_at, is_whole
from gradtui.folder.history.segments import open_segment
from gradtui.folder.history.tensors import header_of
from gradtui.folder.reading import reason_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from gradtui.folder.history.frames import Frame

_PIECE = 4 << 20
BEGINNING = 64 << 10
"""Bytes that hold the first record of most segments."""


@dataclass(frozen=True, slots=True)
class Raw:
    """A whole record.

    Attributes:
        frame: its header.
        payload: its bytes; they are valid until the next record is taken.
        texts: the payload's texts.
    """

    frame: Frame
    payload: memoryview
    texts: Mapping[str, str]


def records_of(path: Path, piece: int = _PIECE) -> Iterator[Raw]:
    """Yield the records that are whole, up to the first header that is not; ``piece`` bytes are read at once.

    Raises:
        UnreadableFile: the file is missing, not a regular one, or cannot be read.
    """
    descriptor, result = open_segment(path)
    try:
        position = 0
        while position + HEADER <= result.st_size:
            data = memoryview(os.pread(descriptor, piece, position))
            frame = header_at(data, 0) if len(data) >= HEADER else None
            if frame is None or position + HEADER + frame.length > result.st_size:
                return
            if HEADER + frame.length > len(data):
                data = memoryview(os.pread(descriptor, HEADER + frame.length, position))
            at = 0
            while frame is not None and at + HEADER + frame.length <= len(data):
                payload = data[at + HEADER : at + HEADER + frame.length]
                at += HEADER + frame.length
                if is_whole(frame, payload):
                    texts = _texts(payload)
                    if texts:
                        yield Raw(frame, payload, texts)
                if at + HEADER > len(data):
                    break
                frame = header_at(data, at)
            if at == 0 or frame is None:
                return
            position += at
    except OSError as error:
        raise UnreadableFile(path, reason_of(error)) from None
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a segment's first record says.

    Attributes:
        run: the identifier of the run; "" where the segment does not begin with a whole start.
        every: the share of the records that is there: 1 all, 2 every second...
        covers: the number of the first segment whose records are in this one; 0: it holds its own alone.
    """

    run: str = ""
    every: int = 1
    covers: int = 0


def beginning_of(path: Path) -> Beginning:
    """Read a segment's first record; what cannot be read gives the empty value."""
    try:
        for raw in records_of(path, BEGINNING):
            return beginning(raw.texts)
    except UnreadableFile:
        return Beginning()
    return Beginning()


def beginning(texts: Mapping[str, str]) -> Beginning:
    """Read the texts of a segment's first record."""
    if texts.get("kind") != "start":
        return Beginning()
    return Beginning(
        texts.get("run", ""), max(_number(texts, "every"), 1), _number(texts, "covers")
    )


def _texts(payload: memoryview) -> Mapping[str, str]:
    try:
        return header_of(payload).texts
    except InvalidContents:
        return {}


def _number(texts: Mapping[str, str], name: str) -> int:
    text = texts.get(name, "0")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 12 else 0
