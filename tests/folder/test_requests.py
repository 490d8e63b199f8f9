"""Requests and answers: numbered, trimmed, bounded, tolerant."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from kit import hostile

from gradtui.errors import SaveFailed
from gradtui.folder.location import DebugFolder
from gradtui.folder.reading import read_record
from gradtui.folder.requests import Request, answer, ask, pending_requests, read_answer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> DebugFolder:
    return DebugFolder.at(f"{tmp_path}/test_")


def test_newest_first_and_each_once(folder: DebugFolder) -> None:
    first = ask(folder, "flow-row", pair=["a", "b"], node=3, generation=2)
    second = ask(folder, "tensor", module="conv1", call=0, what="activation")
    assert second > first
    waiting = pending_requests(folder)
    assert [request.n for request in waiting] == [second, first]
    assert isinstance(waiting[1], Request)
    assert waiting[1].fields["pair"] == ["a", "b"]
    assert waiting[1].fields["generation"] == 2
    answer(folder, second, "refused", "too large", budget=5)
    assert [request.n for request in pending_requests(folder)] == [first]
    found = read_answer(folder, second)
    assert (found.status, found.reason, found.fields["budget"]) == ("refused", "too large", 5)
    assert read_answer(folder, first).status == "waiting"


def test_two_viewers_never_share_a_number(folder: DebugFolder) -> None:
    numbers = [ask(folder, "flow-row", pair=["a", "b"], node=k) for k in range(5)]
    (folder.requests / f"{max(numbers) + 1}.json").write_text("{}")
    assert ask(folder, "flow-row", pair=["a", "b"], node=9) == max(numbers) + 2


def test_both_sides_trim_their_own(folder: DebugFolder) -> None:
    for k in range(70):
        answer(
            folder,
            ask(folder, "flow-row", pair=["a", "b"], node=k),
            "done",
            arrays={"values": np.zeros(2)},
        )
    assert len(list(folder.requests.iterdir())) == 64
    assert len(list(folder.answers.glob("*.json"))) == 64
    assert len(list(folder.answers.glob("*.npy"))) == 64
    assert read_answer(folder, 70).status == "done"
    assert read_answer(folder, 1).status == "waiting"


def test_answers_are_bounded_by_size(folder: DebugFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradtui.folder.requests._KEPT_BYTES", 20_000)
    for n in range(1, 8):
        answer(folder, n, "done", arrays={"values": np.zeros(1000)})
    assert [read_answer(folder, n).status for n in (5, 6, 7)] == ["waiting", "done", "done"]
    answer(folder, 9, "done", arrays={"values": np.zeros(10_000)})
    assert read_answer(folder, 9).arrays["values"].size == 10_000


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{", b'{"schema": 2, "kind": "x"}', b'{"schema": 1, "kind": 5}']
)
def test_strange_requests_are_passed_over(folder: DebugFolder, data: bytes) -> None:
    n = ask(folder, "tensor", module="m")
    (folder.requests / "99.json").write_bytes(data)
    (folder.requests / "x.json").write_bytes(data)
    hostile.strange_places()
    assert [request.n for request in pending_requests(folder)] == [n]


def test_an_answer_cannot_point_elsewhere(folder: DebugFolder, tmp_path: Path) -> None:
    secret = tmp_path / "secret.npy"
    secret.write_bytes(hostile.npy_bytes(np.ones(3)))
    folder.answers.mkdir(parents=True)
    record = {
        "schema": 1,
        "n": 1,
        "status": "done",
        "reason": "",
        "arrays": {"../../secret": {"file": str(secret), "length": 152, "crc32": 1}},
    }
    (folder.answers / "1.json").write_text(json.dumps(record))
    found = read_answer(folder, 1)
    assert found.status == "failed"
    assert found.arrays == {}


def test_a_damaged_tensor_is_a_failed_answer(folder: DebugFolder) -> None:
    answer(folder, 4, "done", arrays={"values": np.zeros(5)})
    path = folder.answers / "4-values.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    assert read_answer(folder, 4).status == "failed"
    path.unlink()
    assert read_answer(folder, 4).status == "failed"


@pytest.mark.parametrize("link", ["sidecar", "answers", "requests"])
def test_nothing_is_written_or_removed_behind_a_link(
    folder: DebugFolder, tmp_path: Path, link: str
) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    for n in range(1, 80):
        (theirs / f"{n}.json").write_text("theirs")
    place = {
        "sidecar": folder.sidecar,
        "answers": folder.answers,
        "requests": folder.requests,
    }[link]
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(theirs)
    if link != "requests":
        with pytest.raises(SaveFailed, match="link"):
            answer(folder, 99, "done", arrays={"values": np.zeros(3)})
    if link != "answers":
        with pytest.raises(SaveFailed, match="link"):
            ask(folder, "tensor", module="m")
    assert len(list(theirs.iterdir())) == 79


def test_only_files_of_ours_are_trimmed(folder: DebugFolder) -> None:
    folder.answers.mkdir(parents=True)
    names = [
        "1-run.txt",
        "2.json.bak",
        "3-a-b.npy",
        "2024-01-01.npy",
        "4.npy",
        "1234567890123.json",
    ]
    for name in names:
        (folder.answers / name).write_text("theirs")
    for n in range(1000, 1070):
        answer(folder, n, "done")
    assert all((folder.answers / name).exists() for name in names)
    assert len(list(folder.answers.iterdir())) == 64 + len(names)


def test_a_number_out_of_reach_stops_nothing(folder: DebugFolder) -> None:
    first = ask(folder, "tensor", module="m")
    (folder.requests / "999999999999999.json").write_text("{}")
    assert ask(folder, "tensor", module="m") == first + 1
    assert [request.n for request in pending_requests(folder)] == [first + 1, first]


def test_few_requests_are_read(folder: DebugFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(folder, "tensor", module="m")
    for n in range(2, 500):
        (folder.requests / f"{n}.json").write_bytes((folder.requests / "1.json").read_bytes())
    read: list[Path] = []

    def counted(path: Path) -> Mapping[str, object]:
        read.append(path)
        return read_record(path)

    monkeypatch.setattr("gradtui.folder.requests.read_record", counted)
    assert [request.n for request in pending_requests(folder)] == list(range(499, 435, -1))
    assert len(read) == 64


def test_a_number_near_the_end_leaves_room_for_questions(folder: DebugFolder) -> None:
    first = ask(folder, "tensor", module="a")
    for k in range(70):
        (folder.requests / f"{999_999_999_999 - k}.json").write_text("{}")
    answer(folder, 999_999_999_000, "done")
    numbers = [ask(folder, "flow-row", pair=["a", "b"], node=k) for k in range(3)]
    assert numbers == [first + 1, first + 2, first + 3]
    assert [request.n for request in pending_requests(folder)] == [*reversed(numbers), first]


def test_a_number_at_the_end_of_counting(folder: DebugFolder) -> None:
    ask(folder, "tensor", module="a")
    (folder.requests / "99999999999.json").write_text("{}")
    numbers = [ask(folder, "tensor", module="b") for _ in range(3)]
    assert len(set(numbers)) == 3
    assert set(numbers) <= {request.n for request in pending_requests(folder)}


def test_a_time_that_no_float_holds_is_none(folder: DebugFolder) -> None:
    n = ask(folder, "tensor", module="m")
    for number, time in enumerate(
        ("1" + "0" * 400, "1e999", "NaN", "-1" + "0" * 400, '"x"'), n + 1
    ):
        data = f'{{"schema": 1, "kind": "x", "time": {time}}}'
        (folder.requests / f"{number}.json").write_text(data)
    found = pending_requests(folder)
    assert [request.asked for request in found[:-1]] == [0.0] * 5
    assert found[-1].n == n
    assert found[-1].asked > 1e9
