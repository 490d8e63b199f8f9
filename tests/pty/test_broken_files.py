"""Broken and hostile files under the running program: it says so, keeps the last good view, and comes back."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
from typing import TYPE_CHECKING

import numpy as np
import psutil
import pytest
from kit import hostile
from kit.folders import age, flow_info, write_foreign
from kit.pty_driver import Terminal
from kit.running import answer, argv, lacks, opened, shows

from gradtui.folder.generation import AdapterWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gradtui.folder.location import DebugFolder

SIZE = (120, 30)

MORTAL = """\
import ctypes, runpy, sys
head = (ctypes.c_uint32 * 2)(0x20080522, 0)
data = (ctypes.c_uint32 * 6)()
libc = ctypes.CDLL(None)
libc.capget(head, data)
for place in (0, 1):
    data[place] &= ~(1 << 1 | 1 << 2)
if libc.capset(head, data):
    sys.exit("capset")
sys.argv = ["gradtui", *sys.argv[1:]]
runpy.run_module("gradtui", run_name="__main__")
"""
"""Root without the right to pass over the permissions of files: what is forbidden to others is forbidden to it."""


def place(folder: DebugFolder, path: Path, thing: bytes | Callable[[Path], None]) -> None:
    """Put bytes, or what is no file, where a file was, as if it had been there for a minute; never is nothing there.

    But for a directory, which no file can take the place of, nor it the place of a file.
    """
    aside = folder.root.with_name("aside") / path.name
    aside.parent.mkdir(exist_ok=True)
    if callable(thing):
        thing(aside)
    else:
        aside.write_bytes(thing)
        os.utime(aside, (1e9, 1e9))
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    elif aside.is_dir() and not aside.is_symlink():
        path.unlink()
    aside.replace(path)


def some(things: Iterator[tuple[str, bytes]], every: int) -> Iterator[tuple[str, bytes]]:
    return itertools.islice(things, 0, None, every)


def test_every_kind_under_the_running_program(folder: DebugFolder, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    with opened(folder.root, size=SIZE) as terminal:
        terminal.settle(0.3)
        view = terminal.lines[3:20]
        good = {path: path.read_bytes() for path in (folder.flow_info, folder.input, folder.target)}
        cases = [
            *((folder.flow_info, *case) for case in some(hostile.code_pickles(marker), 9)),
            *((folder.flow_info, *case) for case in some(hostile.bad_arrays(), 10)),
            *((folder.flow_info, *case) for case in some(hostile.bombs(), 9)),
            *((folder.flow_info, *case) for case in some(hostile.odd_roots(), 6)),
            *((folder.input, *case) for case in some(hostile.bad_npys(), 9)),
            *((folder.target, *case) for case in hostile.strange_places() if case[0] != "dangling-link"),
        ]  # fmt: skip
        for path, name, thing in cases:
            place(folder, path, thing)
            terminal.wait_for(shows(f"{path.name}: "))
            # Where the program looks while a directory takes the place, there is no target for once.
            terminal.wait_for(lambda t: name == "directory" or t.lines[3:20] == view)  # noqa: B023
            assert "view of " in terminal.lines[0], (name, terminal.lines[0])
            place(folder, path, good[path])
            # The message goes when the file is well, and what it holds comes back in the next picture.
            terminal.wait_for(lacks(f"{path.name}: "))
            terminal.wait_for(lambda t: t.lines[3:20] == view)
        assert not marker.exists()
        memory = psutil.Process(terminal.process.pid).memory_info().rss
        assert memory < 200 << 20
        terminal.send("q")
        assert terminal.wait_exit() == 0


def test_a_start_on_a_broken_file_waits_for_a_good_one(folder: DebugFolder) -> None:
    good = folder.flow_info.read_bytes()
    place(folder, folder.flow_info, good[:-30])
    with Terminal(argv(folder.root), 80, 24) as terminal:
        terminal.wait_for(shows("flow_info.pkl", "truncated at byte"))
        place(folder, folder.flow_info, good)
        terminal.wait_for(shows("INPUT"))
        terminal.send("q")
        assert terminal.wait_exit() == 0


def test_edits_stay_while_a_file_is_broken(folder: DebugFolder) -> None:
    good = folder.flow_info.read_bytes()
    with opened(folder.root, size=SIZE) as terminal:
        terminal.send(" ")
        terminal.wait_for(shows("1 unsaved"))
        place(folder, folder.flow_info, b"\x80\x04.")
        terminal.wait_for(shows("flow_info.pkl: "))
        terminal.send("l ")
        terminal.wait_for(shows("2 unsaved"))
        place(folder, folder.flow_info, good)
        terminal.wait_for(lacks("flow_info.pkl: "))
        assert "2 unsaved" in terminal.text
        terminal.send("W")
        terminal.wait_for(shows("written: input_representation.npy"))
        assert folder.input.read_bytes() != hostile.npy_bytes(np.eye(3, 4))


def test_the_folder_goes_and_comes_back(folder: DebugFolder, tmp_path: Path) -> None:
    away = tmp_path / "away"
    with opened(folder.root, size=SIZE) as terminal:
        view = terminal.lines[3:20]
        folder.root.rename(away)
        terminal.wait_for(shows("the folder is gone"))
        assert terminal.lines[3:20] == view
        # An edit that cannot be written stays, and the reason is a sentence.
        terminal.send(" W")
        terminal.wait_for(shows("1 unsaved", "the folder is gone; the edits stay"))
        away.rename(folder.root)
        terminal.wait_for(lambda t: "gone" not in t.lines[0])
        terminal.send("W")
        terminal.wait_for(shows("written: "))


def test_another_folder_in_its_place(folder: DebugFolder, tmp_path: Path) -> None:
    with opened(folder.root, size=SIZE) as terminal:
        shutil.rmtree(folder.root)
        folder.root.write_text("a file")
        terminal.wait_for(shows("gone"))
        folder.root.unlink()
        folder.root.symlink_to(folder.root.name)
        terminal.wait_for(lacks("the folder is gone"))
        folder.root.unlink()
        other = np.arange(20.0).reshape(4, 5)
        write_foreign(folder, input_=other, target=other)
        terminal.wait_for(shows("INPUT 4x5"))
        terminal.send("q")
        assert terminal.wait_exit() == 0


def test_a_folder_that_nobody_may_read(folder: DebugFolder, tmp_path: Path) -> None:
    start = [argv()[0], "-c", MORTAL] if os.geteuid() == 0 else argv()
    with Terminal([*start, str(folder.root)], *SIZE) as terminal:
        terminal.wait_for(shows("INPUT"))
        terminal.settle(0.1)
        view = terminal.lines[3:20]
        folder.root.chmod(0)
        terminal.wait_for(shows("permission denied"))
        assert terminal.lines[3:20] == view
        terminal.send(" W")
        # The save is refused too, before anybody may write again.
        terminal.wait_for(lambda t: any("denied" in line for line in t.lines[1:]))
        terminal.wait_for(shows("1 unsaved"))
        folder.root.chmod(0o777)
        terminal.wait_for(lambda t: "permission denied" not in t.lines[0])
        # What was read stays good whatever becomes of its permissions; a newer file is another matter.
        os.utime(folder.flow_info, (2e9, 1e9))
        folder.flow_info.chmod(0)
        terminal.wait_for(shows("flow_info.pkl: permission denied"))
        folder.flow_info.chmod(0o666)
        terminal.wait_for(lambda t: "permission denied" not in t.lines[0])
        folder.root.chmod(0o555)
        terminal.send("l")
        terminal.wait_for(lacks("ermission denied"))
        terminal.send("W")
        terminal.wait_for(shows("permission denied", "1 unsaved"))
        folder.root.chmod(0o777)
        terminal.send("W")
        terminal.wait_for(shows("written: "))


def test_a_full_disk(folder: DebugFolder) -> None:
    script = (
        "import resource, runpy, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))\n"
        "sys.dont_write_bytecode = True\n"
        "sys.argv = ['gradtui', *sys.argv[1:]]\n"
        "runpy.run_module('gradtui', run_name='__main__')\n"
    )
    before = {path.name: path.read_bytes() for path in folder.root.iterdir()}
    with Terminal([argv()[0], "-c", script, str(folder.root)], *SIZE) as terminal:
        terminal.wait_for(shows("INPUT"))
        terminal.send(" W")
        terminal.wait_for(shows("1 unsaved", "file too large"))
        for path in folder.root.iterdir():
            if path.is_file():
                assert path.read_bytes() == before[path.name]
        # Room again, as after somebody cleaned up.
        import resource

        resource.prlimit(
            terminal.process.pid, resource.RLIMIT_FSIZE, (1 << 30, resource.RLIM_INFINITY)
        )
        terminal.send("W")
        terminal.wait_for(shows("written: "))
        terminal.wait_for(lacks("1 unsaved"))
        terminal.send("q")
        assert terminal.wait_exit() == 0
    assert folder.input.read_bytes() != before[folder.input.name]


def test_killed_while_it_saves(folder: DebugFolder) -> None:
    """The program is killed at some moment after W, again and again: the input is the old one or the new one, whole."""
    from gradtui.folder.load import load

    dice = np.random.default_rng(5)
    array = np.eye(3, 4)
    for _ in range(4):
        with opened(folder.root, size=(80, 24)) as terminal:
            if "earlier session" in terminal.text:
                answer(terminal, "earlier session", "n")
            terminal.send(" ")
            terminal.wait_for(shows("1 unsaved"))
            terminal.send("W")
            terminal.read(float(dice.random()) * 0.02)
            terminal.signal(signal.SIGKILL)
            terminal.wait_exit()
        loaded = load(folder, settle=0.0)
        after = array.copy()
        after[0, 0] = 1.0 - array[0, 0]
        found = loaded.session.input
        assert np.array_equal(found, array) or np.array_equal(found, after)
        array = np.array(found)
        age(folder)


def test_an_adapter_that_writes_under_the_eyes(folder: DebugFolder) -> None:
    """Fifty generations as fast as they can be written: never a broken one on the screen, and the last one stays."""
    shutil.rmtree(folder.root)
    writer = AdapterWriter(folder)
    writer.write(flow_info(1.0), np.ones((3, 4)))
    folder.input.write_bytes(hostile.npy_bytes(np.eye(3, 4)))
    age(folder)
    with opened(folder.root, size=SIZE) as terminal:
        for n in range(2, 52):
            writer.write(flow_info(float(n)), np.ones((3, 4)))
            terminal.read(0.0)
            assert "flow_info.pkl:" not in terminal.text
        terminal.wait_for(shows("generation 51"))
        terminal.settle()
        assert "generation 51" in terminal.text
        writer.close()


@pytest.mark.parametrize("name", ["adapter.json", "commit-adapter.json", "journal.jsonl"])
def test_a_lying_sidecar_under_the_running_program(folder: DebugFolder, name: str) -> None:
    from kit.hostile_sidecar import bad_jsons

    with opened(folder.root, size=SIZE) as terminal:
        folder.sidecar.mkdir(exist_ok=True)
        for _, data in some(bad_jsons(), 4):
            place(folder, folder.sidecar / name, data)
            terminal.send("l")
            terminal.settle(0.03)
        terminal.send(" ")
        terminal.wait_for(shows("1 unsaved"))
        assert "Error" not in terminal.text
        assert b"\x1b]0;" not in terminal.log
        terminal.send("qd")
        assert terminal.wait_exit() == 0
