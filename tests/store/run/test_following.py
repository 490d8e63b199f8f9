"""The keeper of a folder that a training is watched in: its own threads, real files, real processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest
from kit.ended import served
from kit.folders import a_living_process, flow_info, write_foreign
from kit.graphs import chain_of
from kit.run_records import LOSS, QUANTITIES, epoch, kept, keys_of, preamble, scalars, steps, value
from kit.seen import Seen
from kit.segments import Segments
from kit.waiting import until

from gradtui.core.run.keys import SeriesKey
from gradtui.core.run.records import Entry, Event, Scalars, Start
from gradtui.errors import FolderMissing
from gradtui.folder.generation import AdapterWriter
from gradtui.folder.graph_file import write_graph
from gradtui.folder.history.writer import HistoryWriter
from gradtui.folder.location import DebugFolder
from gradtui.folder.process import this_process
from gradtui.store.keeper import Keeper
from gradtui.store.locate import has_history, is_debug_folder, newest_folder
from gradtui.store.run.whole import read_run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gradtui.store.view import FolderView

TRAIN = """
import sys, time
from kit.run_records import preamble, scalars
from gradtui.folder.history.writer import HistoryWriter
from gradtui.folder.location import DebugFolder
location, rank, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
writer = HistoryWriter(DebugFolder.at(location), rank, segment=20_000)
for entry in preamble("shared", rank=rank, world=2, started=time.time()):
    writer.write(entry)
for step in range(count):
    writer.write(scalars(step, rank=rank))
    if step % 50 == 0:
        assert writer.flush(30)
assert writer.close(30)
"""

WAIT = """
import sys, time
from kit.run_records import preamble, steps
from gradtui.folder.generation import AdapterWriter
from gradtui.folder.history.writer import HistoryWriter
from gradtui.folder.location import DebugFolder
folder = DebugFolder.at(sys.argv[1])
adapter, writer = AdapterWriter(folder), HistoryWriter(folder)
adapter.set_state("training")
for entry in (*preamble(), *steps(0, 9)):
    writer.write(entry)
assert writer.flush(30)
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> DebugFolder:
    return DebugFolder.at(tmp_path / "run")


@pytest.fixture
def seen() -> Seen[FolderView]:
    return Seen()


@pytest.fixture(params=[False, True], ids=["folder", "waiting"])
def keeper(
    request: pytest.FixtureRequest, folder: DebugFolder, seen: Seen[FolderView]
) -> Iterator[Keeper]:
    found = Keeper(folder.root, on_change=seen, wait=request.param)
    yield found
    found.stop()


def test_a_folder_that_has_only_a_history(keeper, folder, seen):
    Segments(folder).begin([*preamble(), *steps(0, 9)])
    assert is_debug_folder(str(folder.root))
    assert has_history(str(folder.root))
    assert newest_folder(str(folder.root.parent)) == str(folder.root)
    keeper.start()
    view = seen.wait(lambda view: view.run.last_step == 9 and view.status.kind == "finished")
    assert view.status.text == "nobody writes here"
    assert view.reading == 1.0
    assert view.session.layers == ()
    assert not [each for each in seen.values if each.status.kind in ("missing", "broken")]


def test_the_status_of_a_run_is_its_trainings(keeper, folder, seen):
    Segments(folder).begin([*preamble(), *steps(0, 9)])
    keeper.start()
    with AdapterWriter(folder) as writer:
        writer.set_state("training", message="step 9")
        view = seen.wait(lambda view: view.status.text == "training: step 9")
        assert view.status.kind == "live"
    seen.wait(lambda view: view.status.text == "training ended" and view.run.last_step == 9)


def test_who_serves_a_folder_is_an_adapter_whatever_was_recorded_there(keeper, folder, seen):
    Segments(folder).begin([*preamble(), *steps(0, 9)])
    keeper.start()
    with AdapterWriter(folder) as writer:
        writer.set_state("serving", message="ready")
        view = seen.wait(lambda view: view.status.text == "adapter: ready" and view.watched)
        assert view.writer == "adapter"


def test_a_folder_that_appears_later(keeper, folder, seen):
    keeper.start()
    seen.wait(lambda view: view.status.kind == "missing") if not keeper._wait else None
    segments = Segments(folder)
    segments.begin(preamble())
    segments.append(steps(0, 2))
    seen.wait(lambda view: view.run.last_step == 2 and view.status.kind == "finished")
    segments.append(steps(3, 4))
    seen.wait(lambda view: view.run.last_step == 4)


def test_flows_and_a_history_in_one_folder(keeper, folder, seen):
    write_foreign(folder)
    keeper.start()
    first = seen.wait(lambda view: view.session.layers)
    assert first.watched is None
    assert first.run.is_empty
    Segments(folder).begin([*preamble(), *steps(0, 9)])
    both = seen.wait(lambda view: view.run.last_step == 9)
    assert both.session is first.session
    with AdapterWriter(folder) as writer:
        writer.write(flow_info(2.0))
    view = seen.wait(lambda view: view.session.generation == 1)
    assert view.run.last_step == 9


def test_a_folder_without_a_history_loads_nothing_of_runs(folder):
    write_foreign(folder)
    code = (
        "import sys, threading\n"
        "from gradtui.store.keeper import Keeper\n"
        "there = threading.Event()\n"
        "keeper = Keeper(sys.argv[1], on_change=lambda view: view.session.layers and there.set())\n"
        "keeper.start()\n"
        "assert there.wait(20)\n"
        "keeper.stop()\n"
        "assert keeper.view.watched is None\n"
        "print([name for name in sys.modules if 'gradtui.core.run' in name or 'store.run' in name or '.history' in name or 'diagnosis' in name])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder.root)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_a_training_that_starts_again(keeper, folder, seen):
    segments = Segments(folder)
    segments.begin([*preamble("a", started=1000), *steps(0, 99)])
    keeper.start()
    seen.wait(lambda view: view.run.last_step == 99)
    segments.begin([*preamble("b", started=2000), *steps(0, 4)])
    view = seen.wait(lambda view: view.run.last_step == 4)
    assert view.run.start.run == "b"
    view = seen.wait(lambda view: "an older run is in this folder" in " ".join(view.notes))


def test_a_long_history_comes_newest_first(keeper, folder, seen):
    segments = Segments(folder)
    for first in range(0, 500, 100):
        segments.begin([*preamble(), *steps(first, first + 99)])
    keeper.start()
    view = seen.wait(lambda view: view.reading == 1.0 and view.run.first_step == 0)
    assert view.run.series(LOSS).values.tolist() == list(range(500))
    partial = [each for each in seen.values if each.watched is not None and each.reading < 1.0]
    assert all(each.run.last_step == 499 for each in partial)


def test_damage_is_said_and_the_rest_is_shown(keeper, folder, seen):
    segments = Segments(folder)
    segments.begin([*preamble(), *steps(0, 9)])
    segments.append([scalars(10)])
    segments.damage(segments.path.stat().st_size - 5)
    segments.append(steps(11, 12))
    segments.begin([*preamble(), *steps(13, 14)])
    keeper.start()
    view = seen.wait(lambda view: view.run.last_step == 14 and view.reading == 1.0)
    view = seen.wait(lambda view: view.notes)
    assert "00000001.gtlog" in view.notes[0]
    assert "run" in view.changed
    steps_shown = set(view.run.series(LOSS).steps.tolist())
    assert {*range(10), 13, 14} <= steps_shown <= {*range(10), 11, 12, 13, 14}


@pytest.mark.parametrize("traced", [False, True])
def test_the_folder_is_deleted_and_comes_back(keeper, folder, seen, traced):
    segments = Segments(folder)
    segments.begin([*preamble(), *steps(0, 9)])
    if traced:
        write_graph(folder, chain_of(2, 3))
    keeper.start()
    seen.wait(lambda view: view.run.last_step == 9 and bool(view.graph) == traced)
    away = folder.root.with_name("away")
    shutil.move(folder.root, away)
    view = seen.wait(lambda view: view.run.last_step == 9 and view.status.kind == "missing")
    keeper.reload()
    assert view.status.text == "the folder is gone"
    assert view.run.series(LOSS).steps.tolist() == list(range(10))
    shutil.move(away, folder.root)
    segments.append([scalars(10)])
    seen.wait(lambda view: view.run.last_step == 10 and view.status.kind == "finished")


def test_kept_tensors_and_events_are_there(keeper, folder, seen):
    Segments(folder).begin([*preamble(), kept(3), *steps(0, 9), epoch(4, 1), kept(8), kept(8, "b")])
    keeper.start()
    run = seen.wait(lambda view: view.run.last_step == 9).run
    newest = {each.kept.key.path: each.kept for each in run.kept}
    assert {path: float(each.values[0, 0]) for path, each in newest.items()} == {
        "layer0": 8.0,
        "b": 8.0,
    }
    assert [each.event.kind for each in run.events] == ["epoch"]


def test_a_window_gives_every_step_exactly(keeper, folder, seen):
    count = 9000
    segments = Segments(folder)
    segments.begin([*preamble(), *steps(0, count // 2)])
    segments.begin([*preamble(), *steps(count // 2 + 1, count)])
    assert keeper.window((LOSS,), 0, 5) == 0
    keeper.start()
    run = seen.wait(lambda view: view.run.last_step == count and view.reading == 1.0).run
    assert len(run.series(LOSS)) < count
    key = keys_of(2)[3]
    n = keeper.window((key, LOSS), 4400, 4600)
    window = seen.wait(lambda view: n in view.windows).windows[n]
    assert [series.key for series in window.series] == [key, LOSS]
    assert window.series[0].steps.tolist() == list(range(4400, 4601))
    assert window.series[0].values.tolist() == [value(step, 3) for step in range(4400, 4601)]
    unknown = keeper.window((SeriesKey("x", "gradient", "l2"),), 0, 10)
    assert seen.wait(lambda view: unknown in view.windows).windows[unknown].series[0].empty


def test_findings_come_from_the_keepers_thread(keeper, folder, seen):
    writer = HistoryWriter(folder)
    for entry in preamble(quantities=(*QUANTITIES[:-1], "nan")):
        writer.write(entry)
    for step in range(50):
        # The norms are fine for a while; then values are not finite.
        values = np.full(9, 1.0, np.float32)
        values[[4, 8]] = 0.0 if step < 30 else 5.0
        writer.write(Entry(step, 1e9 + step, Scalars(0, values)))
    assert writer.close()
    keeper.start()
    view = seen.wait(lambda view: view.findings)
    assert "findings" in view.changed
    assert view.findings[0].rule == "non-finite"


def test_real_processes_write_while_it_follows(keeper, folder, seen):
    keeper.start()
    count = 2000
    trainings = [
        subprocess.Popen(
            [sys.executable, "-c", TRAIN, str(folder.root), str(rank), str(count)],
            cwd="tests",
        )
        for rank in (0, 1)
    ]
    try:
        view = seen.wait(
            lambda view: (
                len(view.run.ranks) == 2
                and all(rank.last_step == count - 1 for rank in view.run.ranks)
                and view.reading == 1.0
            ),
            timeout=60,
        )
    finally:
        for training in trainings:
            assert training.wait(60) == 0
    for rank in (0, 1):
        series = view.run.series(LOSS, rank)
        assert series.steps.tolist() == list(range(count))
        assert series.values.tolist() == [value(step, 0, rank) for step in range(count)]
    assert view.run.notes == ()
    assert len([each for each in seen.values if "run" in each.changed]) < count


def test_a_training_that_is_killed_while_it_is_followed_is_a_finding_at_once(keeper, folder, seen):
    training = subprocess.Popen(
        [sys.executable, "-c", WAIT, str(folder.root)], cwd="tests", stdin=subprocess.PIPE
    )
    try:
        keeper.start()
        seen.wait(lambda view: view.run.last_step == 9 and view.adapter.alive)
        until(lambda: keeper._following._follower._judge._waiting is None, "a judgement")
        assert keeper.view.findings == ()
    finally:
        training.kill()
        training.communicate()
    view = seen.wait(lambda view: view.findings)
    assert [(found.rule, found.severity) for found in view.findings] == [("ended", "warn")]
    assert view.run.last_step == 9
    assert view.adapter.is_killed


@pytest.mark.parametrize(
    ("error", "severity"), [("ValueError: no luck", "bad"), ("KeyboardInterrupt", "note")]
)
def test_how_a_training_ends_while_it_is_followed_is_a_finding(
    keeper, folder, seen, error, severity
):
    segments = Segments(folder)
    segments.begin([*preamble(), *steps(0, 9)])
    keeper.start()
    seen.wait(lambda view: view.run.last_step == 9)
    said = Event("note", f"the training ended with {error}", "", {"error": error})
    segments.append([Entry(9, 1e9 + 9, said), Entry(9, 1e9 + 9, Event("closed", "closed"))])
    found = seen.wait(lambda view: view.findings).findings
    assert [(each.rule, each.severity) for each in found] == [("ended", severity)]


def test_threads_end(folder, seen):
    Segments(folder).begin([*preamble(), *steps(0, 9)])
    before = threading.active_count()
    keeper = Keeper(folder.root, on_change=seen)
    keeper.start()
    seen.wait(lambda view: view.run.last_step == 9)
    keeper.stop()
    keeper.stop()
    until(lambda: threading.active_count() <= before, "the threads to end")


def test_a_run_is_read_whole_without_a_screen(folder):
    with pytest.raises(FolderMissing):
        read_run(folder.root)
    segments = Segments(folder)
    segments.begin([*preamble("a", started=1000), *steps(0, 99)])
    for first in (0, 10, 20):
        segments.begin([*preamble("b", started=2000), *steps(first, first + 9)])
    whole = read_run(folder.root)
    assert whole.run.series(LOSS).steps.tolist() == list(range(30))
    (note,) = whole.notes
    assert note == "an older run is in this folder too; the newest is shown (--run N shows another)"
    older = read_run(folder.root, runs=frozenset("a"))
    assert older.run.last_step == 99
    assert older.notes == ()


def test_whether_a_process_is_gone_is_known_of_the_newest_run_alone(folder):
    segments = Segments(folder)
    segments.begin([*preamble("a", started=1000), *steps(0, 9)])
    segments.begin([*preamble("b", started=2000), *steps(0, 4)])
    served(folder, "training")
    assert read_run(folder.root).gone == {0}
    assert not read_run(folder.root, runs=frozenset("a")).gone


@pytest.mark.parametrize("ends", ["here", "elsewhere"])
def test_the_process_of_each_rank_is_asked_for(folder, ends):
    other = a_living_process()
    host = "elsewhere" if ends == "elsewhere" else this_process().host
    for rank, pid in enumerate((os.getpid(), other.pid)):
        start = Start("a", "Net", rank, 2, host=host, pid=pid)
        Segments(folder, rank).begin([Entry(-1, 1e9, start), *steps(0, 9)])
    assert read_run(folder.root).gone == set()
    other.kill()
    other.communicate()
    assert read_run(folder.root).gone == (set() if ends == "elsewhere" else {1})
