"""`gradtui show` on what strangers leave in a folder: one line, exit 3, soon, and with little memory."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from kit import hostile, hostile_contents, hostile_sidecar
from kit.folders import age, flow_info, write_foreign
from kit.mutations import mutated
from kit.pickles import flow_info_pickles
from kit.show_server import PEAK, ShowServer, bare_memory

from gradtui import cli
from gradtui.folder.generation import AdapterWriter
from gradtui.folder.location import DebugFolder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kit.show_server import Shown

MB = 1 << 20
SECONDS = 2.0
FUZZED = 300
SEED = 20240611


@pytest.fixture(scope="module")
def server() -> Iterator[ShowServer]:
    with ShowServer() as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> DebugFolder:
    return DebugFolder.at(tmp_path / "run")


def bytes_of(folder: DebugFolder) -> int:
    return sum(path.stat().st_size for path in folder.root.iterdir() if path.is_file())


def within_bounds(shown: Shown, size: int, what: object) -> None:
    assert shown.seconds < SECONDS, what
    assert shown.memory < 2.5 * size + 64 * MB, (what, shown.memory // MB)
    assert "Traceback" not in shown.error, (what, shown.error)


def is_refused(shown: Shown, path: Path, what: object) -> None:
    assert shown.code == 3, (what, shown)
    assert shown.out == "", what
    assert shown.error.count("\n") == 1, (what, shown.error)
    assert shown.error.startswith(f"gradtui: {path}: "), (what, shown.error)
    assert len(shown.error) < len(str(path)) + 200, what
    assert shown.error[:-1].isprintable(), what


def test_hostile_pickles(server: ShowServer, folder: DebugFolder, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    write_foreign(folder)
    for name, data in itertools.chain(
        hostile.code_pickles(marker), hostile.bad_arrays(), hostile.bombs(), hostile.broken_pickles(),
        hostile.odd_roots(),
    ):  # fmt: skip
        folder.flow_info.write_bytes(data)
        age(folder)
        shown = server.show(folder.root)
        is_refused(shown, folder.flow_info, name)
        within_bounds(shown, len(data), name)
        assert not marker.exists(), name


@pytest.mark.parametrize("which", ["input", "target"])
def test_hostile_npys(server: ShowServer, folder: DebugFolder, which: str) -> None:
    write_foreign(folder)
    path: Path = getattr(folder, which)
    for name, data in hostile.bad_npys():
        path.write_bytes(data)
        age(folder)
        shown = server.show(folder.root)
        is_refused(shown, path, name)
        within_bounds(shown, len(data), name)


@pytest.mark.parametrize("which", ["flow_info", "input", "target"])
def test_strange_places(server: ShowServer, folder: DebugFolder, which: str) -> None:
    path: Path = getattr(folder, which)
    for name, make in hostile.strange_places():
        shutil.rmtree(folder.root, ignore_errors=True)
        write_foreign(folder)
        path.unlink()
        make(path)
        shown = server.show(folder.root)
        is_refused(shown, path, name)
        within_bounds(shown, 0, name)


def test_truncation_at_any_byte(folder: DebugFolder, capsys: pytest.CaptureFixture[str]) -> None:
    write_foreign(folder)
    for path in (folder.flow_info, folder.input):
        whole = path.read_bytes()
        for end in range(len(whole)):
            path.write_bytes(whole[:end])
            age(folder)
            assert cli.main(["show", str(folder.root)]) == 3, end
            captured = capsys.readouterr()
            assert captured.out == ""
            assert captured.err.startswith(f"gradtui: {path}: ")
            assert captured.err.count("\n") == 1
        path.write_bytes(whole)
        age(folder)
        assert cli.main(["show", str(folder.root)]) == 0
        capsys.readouterr()


def test_a_sidecar_that_lies(server: ShowServer, folder: DebugFolder, capsys) -> None:
    things = [*hostile_sidecar.bad_jsons(), *hostile.strange_places()]
    costly = {"terabyte", "device"}
    for place in hostile_sidecar.PLACES:
        for name, thing in things:
            shutil.rmtree(folder.root, ignore_errors=True)
            AdapterWriter(folder).write(flow_info(), np.ones((3, 4)))
            path = folder.sidecar / place
            path.parent.mkdir(exist_ok=True)
            path.unlink(missing_ok=True)
            if callable(thing):
                thing(path)
            else:
                path.write_bytes(thing)
            for other in folder.root.rglob("*"):
                if other.is_file() and not other.is_symlink():
                    os.utime(other, (1e9, 1e9))
            if name in costly or (isinstance(thing, bytes) and len(thing) > MB // 8):
                shown = server.show(folder.root)
                assert (shown.code, shown.error) == (0, ""), (place, name)
                within_bounds(shown, len(thing) if isinstance(thing, bytes) else 0, (place, name))
            else:
                assert cli.main(["show", str(folder.root)]) == 0, (place, name)
                assert capsys.readouterr().err == "", (place, name)


def test_a_sidecar_that_is_no_folder(server: ShowServer, folder: DebugFolder) -> None:
    for name, make in hostile.strange_places():
        shutil.rmtree(folder.root, ignore_errors=True)
        write_foreign(folder)
        make(folder.sidecar)
        shown = server.show(folder.root)
        assert (shown.code, shown.error) == (0, ""), name
        within_bounds(shown, 0, name)


@pytest.mark.parametrize("contents", [hostile_contents.odd_values, hostile_contents.odd_arrays])
def test_contents_that_nobody_expects(folder: DebugFolder, capsys, contents) -> None:
    for one in contents():
        write_foreign(folder, one.root, input_=one.input, target=one.target)
        for options in ((), ("--json", "--full")):
            code = cli.main(["show", str(folder.root), *options])
            captured = capsys.readouterr()
            if code == 0:
                assert captured.out, one.name
                assert not captured.err, one.name
            else:
                assert code == 3, one.name
                assert captured.err.startswith(f"gradtui: {folder.root}"), one.name
                assert captured.err.count("\n") == 1, one.name
                break


def test_more_of_everything(server: ShowServer, folder: DebugFolder) -> None:
    for one in hostile_contents.many():
        write_foreign(folder, one.root, input_=one.input, target=one.target)
        size = bytes_of(folder)
        for options in ((), ("--json",)):
            shown = server.show(folder.root, *options)
            within_bounds(shown, size, (one.name, options))
            if shown.code:
                assert shown.code == 3, (one.name, shown)
                assert shown.error.count("\n") == 1, one.name
            else:
                assert not shown.error, one.name


def test_names_that_speak_to_the_terminal(server: ShowServer, folder: DebugFolder) -> None:
    write_foreign(folder)
    folder.flow_info.write_bytes(hostile.hostile_names())
    age(folder)
    shown = server.show(folder.root)
    assert (shown.code, shown.error) == (0, "")
    assert all(c == "\n" or c.isprintable() for c in shown.out)
    # JSON escapes them by itself, and stays plain ASCII.
    as_json = server.show(folder.root, "--json")
    assert (as_json.code, as_json.error) == (0, "")
    assert all(" " <= c <= "~" or c == "\n" for c in as_json.out)


def test_damaged_folders(server: ShowServer, folder: DebugFolder) -> None:
    """A seeded fuzz: whatever happens to the bytes, a folder is shown or refused in one line."""
    dice = random.Random(SEED)
    writer = AdapterWriter(folder)
    writer.write(flow_info(), np.ones((3, 4)))
    committed = {
        path: path.read_bytes()
        for path in (folder.flow_info, folder.target, *folder.sidecar.glob("commit-*.json"))
    }
    pickles = flow_info_pickles()
    npys = [
        hostile.npy_bytes(array)
        for array in (np.eye(3, 4), np.ones((9, 3, 4), np.float32), np.zeros((3, 4), np.uint8))
    ]
    codes = set()
    for turn in range(FUZZED):
        shutil.rmtree(folder.root)
        folder.sidecar.mkdir(parents=True)
        files = {
            folder.flow_info: dice.choice(pickles),
            folder.input: npys[0],
            folder.target: npys[0],
        }
        kind = dice.random()
        if kind < 0.15:
            files |= committed
        path = folder.flow_info if 0.15 < kind < 0.85 else dice.choice(list(files))
        files[path] = mutated(files[path], [*pickles, *npys, *committed.values()], dice)
        for each, data in files.items():
            each.write_bytes(data)
            os.utime(each, (1e9, 1e9))
        shown = server.show(folder.root, *dice.choice(((), ("--json",), ("--json", "--full"))))
        what = (turn, path.name, files[path], shown)
        within_bounds(shown, sum(map(len, files.values())), what)
        codes.add(shown.code)
        if shown.code == 0:
            assert not shown.error, what
        else:
            assert shown.code == 3, what
            assert shown.error.startswith(f"gradtui: {folder.root}"), what
            assert shown.error.count("\n") == 1, what
    assert codes == {0, 3}


def test_more_than_there_is_memory_for(server: ShowServer, folder: DebugFolder) -> None:
    gradients = {"conv1": np.ones((50, 60)), "conv2": np.ones((50, 60))}
    flow = np.ones((3000, 3000), np.float32)
    write_foreign(
        folder, {"activation_gradients": gradients, "gradient_flows": {("conv1", "conv2"): flow}}
    )
    shown = server.show(folder.root, room=32 * MB)
    is_refused(shown, folder.flow_info, shown)
    assert "not enough memory" in shown.error


def test_the_process_as_a_person_starts_it(folder: DebugFolder) -> None:
    """The server's children start warm: once, a whole process, with its own peak of memory."""
    write_foreign(folder)
    folder.flow_info.write_bytes(dict(hostile.bombs())["numbers"])
    age(folder)
    script = (
        "import runpy, sys\n"
        "sys.argv = ['gradtui', 'show', sys.argv[1]]\n"
        "try:\n"
        "    runpy.run_module('gradtui', run_name='__main__')\n"
        "finally:\n"
        f"    print({PEAK})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder.root)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 3
    assert done.stderr.startswith(f"gradtui: {folder.flow_info}: ")
    size = folder.flow_info.stat().st_size
    assert int(done.stdout) - bare_memory() < 2.5 * size + 64 * MB
