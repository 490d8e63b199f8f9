"""A segment that was cut anywhere, or of which any bit changed, never gives a wrong record."""

from __future__ import annotations

import functools
import os

import pytest
from kit.histories import (
    drain,
    encoded,
    read_all,
    same,
    scalars,
    small_run,
    steps_of,
    write_segment,
)

from gradtui.core.run.records import Scalars
from gradtui.core.run.track import Rows
from gradtui.folder.history.frames import HEADER, first_record, frame
from gradtui.folder.history.known import Known
from gradtui.folder.history.payload import encode
from gradtui.folder.history.segment_reader import SegmentReader
from gradtui.folder.location import DebugFolder

ENTRIES = small_run(8)
PIECES = encoded(ENTRIES)
DATA = b"".join(PIECES)
ENDS = [sum(map(len, PIECES[: count + 1])) for count in range(len(PIECES))]


@functools.cache
def whole(count):
    """What the first records say: the steps of scalars, and the other records."""
    steps = [entry.step for entry in ENTRIES[:count] if isinstance(entry.record, Scalars)]
    others = [entry.record for entry in ENTRIES[:count] if not isinstance(entry.record, Scalars)]
    return steps, others


def equal(one, other):
    """Whether two records are the same; numbers are steps."""
    return one == other if isinstance(one, int) else same(one, other)


def agree(found, wanted):
    return all(
        len(some) == len(every) and all(map(equal, some, every))
        for some, every in zip(found, wanted, strict=True)
    )


def found_in(entries):
    others = [each.record for each in entries if not isinstance(each, Rows)]
    return steps_of(entries), others


def read(path, *, is_live=False):
    reader = SegmentReader(1, path)
    try:
        entries = []
        while part := reader.read(1 << 20, known := Known(), is_live=is_live, follows=True):
            entries += part
        assert known is not None
        return reader, entries
    finally:
        reader.close()


def test_cut_at_every_offset(tmp_path):
    path = tmp_path / "00000001.gtlog"
    for cut in range(len(DATA) + 1):
        path.write_bytes(DATA[:cut])
        _, entries = read(path)
        assert agree(found_in(entries), whole(sum(end <= cut for end in ENDS))), cut


def test_what_is_cut_is_only_not_there_yet(tmp_path):
    path = tmp_path / "00000001.gtlog"
    for cut in range(0, len(DATA) + 1, 7):
        path.write_bytes(DATA[:cut])
        reader, known = SegmentReader(1, path), Known()
        entries = reader.read(1 << 20, known, is_live=True, follows=True)
        assert reader.read(1 << 20, known, is_live=True, follows=True) == []
        with path.open("ab") as file:
            file.write(DATA[cut:])
        entries += reader.read(1 << 20, known, is_live=True, follows=True)
        reader.close()
        assert agree(found_in(entries), whole(len(ENTRIES))), cut
        assert (reader.broken, reader.stuck) == (0, False)


def test_one_byte_at_a_time(tmp_path):
    folder = DebugFolder.at(f"{tmp_path}/")
    path = write_segment(folder, b"")
    reader, entries = read_all(folder)
    with path.open("ab", buffering=0) as file:
        for place in range(len(DATA)):
            file.write(DATA[place : place + 1])
            for part in reader.poll():
                entries += part.entries
    assert agree(found_in(entries), whole(len(ENTRIES)))
    assert reader.notes == ()
    reader.close()


def test_a_flipped_bit_in_every_byte(tmp_path):
    path = tmp_path / "00000001.gtlog"
    every_step, every_other = whole(len(ENTRIES))
    begins = [0, *ENDS]
    headers = {begin + place for begin in begins[:-1] for place in range(HEADER)}
    for place in range(len(DATA)):
        data = bytearray(DATA)
        data[place] ^= 1 << place % 8
        path.write_bytes(data)
        reader, entries = read(path)
        steps, others = found_in(entries)
        # What is there is right, in order, and nothing but the hit record is missing or all that follows a header.
        assert is_part(steps, every_step), place
        assert is_part(others, every_other), place
        if place in headers:
            assert reader.stuck
            hit = sum(end <= place for end in ENDS)
            assert agree((steps, others), whole(hit)), place
        else:
            assert len(steps) + len(others) == len(ENTRIES) - 1, place
            assert reader.broken == 1


def is_part(some, every):
    rest = iter(every)
    return all(any(equal(one, other) for other in rest) for one in some)


def test_a_broken_record_is_passed_over_and_said(tmp_path):
    folder = DebugFolder.at(f"{tmp_path}/")
    data = bytearray(DATA)
    place = ENDS[5] + HEADER + 40
    data[place] ^= 1
    write_segment(folder, bytes(data))
    reader, entries = read_all(folder)
    steps, _ = found_in(entries)
    assert len(steps) == 7
    assert reader.notes == ("00000001.gtlog: 1 broken record was passed over",)
    reader.close()


def test_behind_a_broken_header_the_next_segment_goes_on(tmp_path):
    folder = DebugFolder.at(f"{tmp_path}/")
    data = bytearray(DATA)
    data[ENDS[5] + 4] ^= 1
    path = write_segment(folder, bytes(data))
    reader, entries = read_all(folder)
    before = len(steps_of(entries))
    assert 0 < before < 8
    with path.open("ab") as file:
        file.write(encoded([scalars(8)])[0])
    assert steps_of(drain(reader)) == []
    assert "damaged at byte" in reader.notes[0]
    assert reader.progress == 1.0
    write_segment(folder, b"".join(encoded([*small_run(0)[:4], scalars(9)])), number=2)
    assert steps_of(drain(reader)) == [9]
    assert len(reader.notes) == 1
    assert "are not whole records" in reader.notes[0]
    reader.close()


def test_a_torn_end_of_an_older_segment_is_said(tmp_path):
    folder = DebugFolder.at(f"{tmp_path}/")
    write_segment(folder, DATA[:-5], number=1)
    write_segment(folder, DATA, number=2)
    reader, entries = read_all(folder)
    assert len(steps_of(entries)) == 16
    assert len(reader.notes) == 1
    assert reader.notes[0].startswith("00000001.gtlog: its last")
    assert not reader.is_behind
    reader.close()


def test_a_record_within_a_record_is_not_believed():
    inner = frame([b"inner"], 5, 1.0)
    outer = frame([b"x" * 10, inner, b"y" * 100], 6, 1.0)
    after = frame([b"z"], 7, 1.0)
    # Cut in the middle of the outer record: the inner one is found first.
    data = memoryview((outer + after)[40:])
    place = first_record(data)
    assert bytes(data[place:]) == after
    assert first_record(memoryview(outer)[40:]) == -1
    assert first_record(memoryview(after + after[:40])) == 0
    assert first_record(memoryview(b"")) == -1


def unknown_kind():
    from gradtui.folder.history.tensors import packed

    return frame(packed({}, {"kind": "of a later version"}), 3, 1.0)


@pytest.mark.parametrize(
    "record",
    [
        frame([b""], 1, 1.0),
        frame([b"nonsense"], 1, 1.0),
        unknown_kind(),
        frame(encode(Scalars(77, ENTRIES[4].record.values)), 1, 1.0),
    ],
    ids=["empty", "nonsense", "unknown kind", "unknown layout"],
)
def test_whole_records_that_mean_nothing_are_passed_over(tmp_path, record):
    folder = DebugFolder.at(f"{tmp_path}/")
    write_segment(folder, b"".join(PIECES[:6]) + record + b"".join(PIECES[6:]))
    reader, entries = read_all(folder)
    known = [entry for entry in entries if not (isinstance(entry, Rows) and entry.layout == 77)]
    assert len(steps_of(known)) == 8
    reader.close()


def hostile_length(folder):
    import struct
    import zlib

    fields = struct.pack("<4sIqdI", b"GTL1", 256 << 20, 0, 0.0, 0)
    write_segment(folder, fields + struct.pack("<I", zlib.crc32(fields)) + b"x" * 100)


def sparse(folder):
    path = write_segment(folder, b"")
    os.truncate(path, 1 << 40)


def sparse_end(folder):
    os.truncate(write_segment(folder, DATA), 1 << 40)


def fifo(folder):
    path = write_segment(folder, b"")
    path.unlink()
    os.mkfifo(path)


def directory(folder):
    path = write_segment(folder, b"")
    path.unlink()
    path.mkdir()


def loop(folder):
    path = write_segment(folder, b"")
    path.unlink()
    path.symlink_to(path)


def link(folder):
    path = write_segment(folder, b"")
    path.unlink()
    path.symlink_to("/dev/zero")


def rank_is_a_file(folder):
    folder.history.mkdir(parents=True)
    (folder.history / "rank-00000").write_bytes(DATA)


def history_is_a_loop(folder):
    folder.sidecar.mkdir(parents=True)
    folder.history.symlink_to(folder.history)


def odd_names(folder):
    path = write_segment(folder, DATA)
    for name in ("1.gtlog", "00000002.gtlog.bak", "-0000003.gtlog", "99999999999999.gtlog", "x"):
        path.with_name(name).write_bytes(b"nothing")
    (folder.history / "rank-x").mkdir()
    (folder.history / "rank-99999999999").mkdir()


HOSTILE = [
    hostile_length,
    sparse,
    sparse_end,
    fifo,
    directory,
    loop,
    link,
    rank_is_a_file,
    history_is_a_loop,
    odd_names,
]


@pytest.mark.parametrize("make", HOSTILE, ids=lambda make: make.__name__)
@pytest.mark.parametrize("place", ["alone", "before a good one"])
def test_hostile_files_end_soon(tmp_path, make, place):
    folder = DebugFolder.at(f"{tmp_path}/")
    make(folder)
    good = place == "before a good one" and make not in (rank_is_a_file, history_is_a_loop)
    if good:
        write_segment(folder, DATA, number=2)
    reader, entries = read_all(folder)
    expected = 8 * (good + (make in (sparse_end, odd_names)))
    assert len(steps_of(entries)) == expected
    assert not reader.is_behind
    assert reader.progress == 1.0
    reader.close()
