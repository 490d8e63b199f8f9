"""What a writer of a history is given, and what can be read of it afterwards."""

from __future__ import annotations

from gradtui.folder.history.segments import rank_path, segments_of
from kit.histories import read_all, run_of, steps_of


def write(writer, entries):
    for entry in entries:
        writer.write(entry)
    assert writer.flush(30)


def read_steps(folder):
    reader, entries = read_all(folder)
    reader.close()
    return steps_of(entries)


def events(folder):
    return [each.event for each in run_of(folder).events]


def files(folder, rank=0):
    return segments_of(rank_path(folder.history, rank))
