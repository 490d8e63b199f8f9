"""What may stand where a file should."""

from __future__ import annotations

import errno
import os
import time
from typing import TYPE_CHECKING

import pytest
from kit import hostile

from gradtui.errors import UnreadableFile
from gradtui.folder.reading import read_record, read_regular, size_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize(("name", "make"), list(hostile.strange_places()))
def test_strange_places_are_refused_at_once(
    name: str, make: Callable[[Path], None], tmp_path: Path
) -> None:
    path = tmp_path / "flow_info.pkl"
    make(path)
    started = time.process_time()
    with pytest.raises(UnreadableFile) as caught:
        read_regular(path)
    assert time.process_time() - started < 0.5
    assert str(path) in str(caught.value)
    assert read_record(path) == {}


def test_the_size_limit_names_its_option(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    assert bytes(read_regular(path, max_bytes=5).data) == b"12345"
    with pytest.raises(UnreadableFile, match="--max-bytes"):
        read_regular(path, max_bytes=4)


def test_an_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"1")

    def refuse(*_: object) -> int:
        # Root may read everything, so the system's refusal is played.
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(UnreadableFile, match="permission denied"):
        read_regular(path)


@pytest.mark.parametrize("at", [0, 3_000_000, (1 << 30) - 10])
def test_holes_of_sparse_files_take_no_time(tmp_path: Path, at: int) -> None:
    path = tmp_path / "a"
    with path.open("wb") as file:
        file.truncate(1 << 30)
        file.seek(at)
        file.write(b"data")
    started = time.process_time()
    data = read_regular(path).data
    assert time.process_time() - started < 0.5
    assert len(data) == 1 << 30
    assert bytes(data[at : at + 4]) == b"data"
    assert bytes(data[at + 4 : at + 9]) in (b"", bytes(5))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[" * 100_000,
        b"[1]",
        b"\xff\xfe",
        b'{"a":' * 50_000,
        b'{"a": 1' + b"0" * 10_000 + b"}",
    ],
)
def test_records_that_are_none_are_empty(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(data)
    assert read_record(path) == {}


def test_sizes_in_words() -> None:
    assert size_text(17) == "17 bytes"
    assert size_text(1 << 30) == "1.0 GiB"
    assert size_text(1 << 40) == "1.0 TiB"
