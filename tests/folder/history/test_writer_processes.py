"""The writer in processes that fork, end or are killed, and on disks that are really full."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from kit.faults import killed_at
from kit.histories import preamble, scalars
from kit.waiting import until
from kit.written import events, files, read_steps, write

from gradtui.folder.history.writer import HistoryWriter
from gradtui.folder.location import DebugFolder


def test_a_forked_process_writes_nothing(folder, writer):
    write(writer, [*preamble(), scalars(0)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        writer.write(scalars(99))
        ok = not writer.flush(0.1) and not writer.close(0.1)
        os._exit(0 if ok else 1)
    assert os.waitpid(child, 0)[1] == 0
    write(writer, [scalars(1)])
    assert read_steps(folder) == [0, 1]


def test_a_process_that_ends_without_closing_loses_nothing(tmp_path):
    script = (
        "import sys\n"
        "sys.path[:0] = sys.argv[2:]\n"
        "from kit.histories import preamble, scalars\n"
        "from gradtui.folder.history.writer import HistoryWriter\n"
        "from gradtui.folder.location import DebugFolder\n"
        "writer = HistoryWriter(DebugFolder.at(sys.argv[1]))\n"
        "for entry in [*preamble(), *map(scalars, range(2000))]: writer.write(entry)\n"
    )
    location = f"{tmp_path}/run/"
    here = Path(__file__).parents[2]
    subprocess.run(
        [sys.executable, "-W", "error", "-c", script, location, str(here), str(here.parent)],
        check=True,
        timeout=60,
    )
    assert read_steps(DebugFolder.at(location)) == list(range(2000))


@pytest.mark.parametrize("step", range(0, 26, 2))
def test_a_process_that_is_killed_loses_at_most_its_last_records(folder, step):
    def work():
        made = HistoryWriter(folder)
        for entry in [*preamble(), *map(scalars, range(20))]:
            made.write(entry)
        made.flush(30)

    was_killed = killed_at(step, work)
    steps = read_steps(folder)
    assert steps == list(range(len(steps)))
    if not was_killed:
        assert len(steps) == 20
    # The next start goes on in a segment of its own.
    made = HistoryWriter(folder)
    write(made, [*preamble("again"), scalars(3)])
    made.close()
    assert read_steps(folder) == [3]


@pytest.mark.parametrize("after", [0, 1, 7, 500])
def test_kill_9_from_outside(tmp_path, after):
    script = (
        "import sys\n"
        "sys.path[:0] = sys.argv[2:]\n"
        "from kit.histories import preamble, scalars\n"
        "from gradtui.folder.history.writer import HistoryWriter\n"
        "from gradtui.folder.location import DebugFolder\n"
        "writer = HistoryWriter(DebugFolder.at(sys.argv[1]), segment=1 << 20)\n"
        "for entry in preamble(): writer.write(entry)\n"
        "step = 0\n"
        "while True:\n"
        "    writer.write(scalars(step))\n"
        "    step += 1\n"
        "    if step % 50 == 0: writer.flush()\n"
    )
    folder = DebugFolder.at(f"{tmp_path}/run/")
    here = Path(__file__).parents[2]
    child = subprocess.Popen(
        [sys.executable, "-c", script, folder.given, str(here), str(here.parent)]
    )
    try:
        until(lambda: sum(each.size for each in files(folder)) > after * 200, "records", 60)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    steps = read_steps(folder)
    assert sorted(steps) == list(range(len(steps)))
    # Of the bytes that were there some are the preamble, and a record may be torn.
    assert len(steps) >= after * 200 // 250 - 4


def test_a_real_limit_of_the_file_size(folder, impatient):
    """The kernel refuses to let the file grow: EFBIG, after a part of a record."""

    def work():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        made = HistoryWriter(folder)
        write(made, [*preamble(), *map(scalars, range(5))])
        size = files(folder)[0].size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 500, resource.RLIM_INFINITY))
        write(made, map(scalars, range(5, 50)))
        assert made.dropped > 40
        assert files(folder)[0].size <= size + 500
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        write(made, map(scalars, range(50, 55)))
        assert made.close()

    assert not killed_at(10_000, work)
    steps = read_steps(folder)
    assert steps[:5] == [0, 1, 2, 3, 4]
    assert steps[-5:] == [50, 51, 52, 53, 54]
    assert sum(event.fields["records"] for event in events(folder)) == 55 - len(steps)


def test_a_real_small_disk(tmp_path, impatient):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        folder = DebugFolder.at(f"{disk}/run/")
        made = HistoryWriter(folder)
        write(made, [*preamble(), *map(scalars, range(2000))])
        assert made.dropped > 1000
        assert "no space" in made.problem
        steps = read_steps(folder)
        assert steps == list(range(len(steps)))
        assert len(steps) > 100
        subprocess.run(["mount", "-o", "remount,size=4m", str(disk)], check=True)
        write(made, map(scalars, range(2000, 2010)))
        assert made.close()
        assert read_steps(folder)[-10:] == list(range(2000, 2010))
        assert sum(event.fields["records"] for event in events(folder)) == made.dropped
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)
