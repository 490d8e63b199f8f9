"""A writer and a reader at once: segments roll, are thinned and removed while they are read."""

from __future__ import annotations

import threading

import pytest
from kit.histories import KEYS, preamble, scalars, steps_of

from gradtui.core.run.growing_run import GrowingRun
from gradtui.core.run.track import Rows
from gradtui.folder.history.reader import HistoryReader
from gradtui.folder.history.writer import HistoryWriter
from gradtui.folder.location import DebugFolder

COUNT = 6_000


@pytest.mark.parametrize("limit", [120_000, 1 << 30])
@pytest.mark.parametrize("piece", [1 << 16, 4 << 20])
def test_every_new_step_comes_once_and_in_order(tmp_path, limit, piece):
    folder = DebugFolder.at(f"{tmp_path}/run/")
    done = threading.Event()

    def write():
        writer = HistoryWriter(folder, limit=limit, segment=100_000)
        for entry in preamble():
            writer.write(entry)
        for step in range(COUNT):
            writer.write(scalars(step))
            if step % 100 == 0:
                writer.flush()
        writer.close()
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    reader, growing = HistoryReader(folder), GrowingRun()
    newer: list[int] = []
    older: list[int] = []
    idle = 0
    while idle < 2:
        was_done = done.is_set()
        parts = reader.poll(piece)
        idle = idle + 1 if was_done and not parts else 0
        for part in parts:
            growing.add(part.rank, part.entries)
            rows = [each for each in part.entries if isinstance(each, Rows)]
            (older if part.older else newer).extend(steps_of(rows))
    thread.join()
    run = growing.run()
    assert newer == list(range(newer[0], COUNT))
    assert set(older) <= set(range(newer[0]))
    assert len(older) == len(set(older))
    assert run.last_step == COUNT - 1
    assert run.latest(KEYS[0]) == COUNT - 1
    assert run.notes == reader.notes == ()
    assert reader.progress == 1.0
    if limit == 1 << 30:
        assert sorted(older + newer) == list(range(COUNT))
    reader.close()
