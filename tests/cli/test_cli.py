"""Arguments, exit codes, and one line for every error."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from kit.folders import write_foreign

import gradtui
from gradtui import cli
from gradtui.cli import terminal
from gradtui.cli.options import COMMANDS
from gradtui.folder.location import DebugFolder

if TYPE_CHECKING:
    from gradtui.launch import Launch

SCREEN_ONLY = [[], ["demo"], ["debug", "net.py:make"]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_foreign(DebugFolder.at(tmp_path / "run"))
    return tmp_path / "run"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Launch]:
    """A terminal that is one, torch that is there, and a screen that only notes what it was asked."""
    launches: list[Launch] = []
    monkeypatch.setattr(terminal, "need_terminal", lambda _location: None)
    monkeypatch.setattr(terminal, "need_torch", lambda _command, _advice: None)

    def screen(launch: Launch) -> int:
        launches.append(launch)
        return 0

    monkeypatch.setattr(terminal, "open_screen", screen)
    return launches


def run(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gradtui", *arguments],
        capture_output=True, text=True, timeout=60, check=False, **options,
    )  # fmt: skip


def error_of(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> str:
    assert cli.main(arguments) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("gradtui: ")
    return captured.err


def test_version_and_help(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"gradtui {gradtui.__version__}\n"
    assert cli.main(["-h"]) == 0
    text = capsys.readouterr().out
    for word in ("demo", "debug", "show", "exit codes", "--estimate", "./show"):
        assert word in text


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])
    assert ended.value.code == 0
    assert f"gradtui {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ("--nonsense",), ("one", "two"), ("show",), ("show", "--color", "256", "x"),
        ("debug",), ("debug", "net.py"), ("debug", ":make"), ("debug", "net.py:"),
        ("debug", "net.py:not a name"), ("--color", "pink"), ("--estimate", "best"),
        ("--max-bytes", "much"), ("--max-bytes", "-1"), ("--max-bytes", "0"), ("--max-bytes",),
        ("",), ("show", ""), ("show", "a\0b"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_one_line_and_exit_2(arguments, capsys, started):
    error_of(capsys, 2, *arguments)
    assert started == []


@pytest.mark.parametrize(
    "arguments", [("cheque", "x"), ("cheque", "--json"), ("--ascii", "chekc", "x")]
)
def test_a_word_that_is_nearly_a_command_is_told_which(arguments, capsys, started):
    text = error_of(capsys, 2, *arguments)
    assert "no such command 'che" in text
    assert "did you mean 'check'? The commands are demo, " in text
    assert started == []


def test_a_word_that_is_like_no_command_is_told_what_there_is(
    capsys, tmp_path, started, monkeypatch
):
    text = error_of(capsys, 2, "frobnicate", "x")
    assert "no such command 'frobnicate'. The commands are demo, " in text
    # What is there was meant as a folder, and so was a lone word that is like no command.
    assert "unrecognized" in error_of(capsys, 2, str(tmp_path), "x")
    assert "unrecognized" in error_of(capsys, 2, "myrun", "--json")
    assert "did you mean the command 'check'?" in error_of(capsys, 2, "cheque")
    assert "did you mean" not in error_of(capsys, 2, "myrun")
    # What is there was not meant for a command that is called nearly so.
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cheque").mkdir()
    assert "did you mean" not in error_of(capsys, 2, "cheque")
    for command in ("show", "check"):
        text = error_of(capsys, 2, command, "cheque")
        assert "cheque: no watched run and no debug session is there" in text


def test_watch_is_no_command_and_it_says_what_is(capsys, started):
    text = error_of(capsys, 2, "watch", "runs/x")
    assert "a training calls watch() of gradtui.torch, and gradtui FOLDER shows its run" in text


def test_a_missing_folder_is_exit_2(capsys, tmp_path, started):
    assert str(tmp_path / "none") in error_of(capsys, 2, "show", str(tmp_path / "none"))
    assert "--wait" in error_of(capsys, 2, str(tmp_path / "none"))
    error_of(capsys, 2, str(tmp_path))


def test_a_folder_that_is_not_there_yet_is_waited_for(folder, tmp_path, capsys, started):
    for arguments in (["--wait", str(tmp_path / "none")], ["--wait", str(folder)]):
        assert cli.main(arguments) == 0
    assert [launch.wait for launch in started] == [True, False]
    assert "FOLDER" in error_of(capsys, 2, "--wait")


def test_no_folder_here_is_a_short_help_and_exit_2(capsys, tmp_path, monkeypatch, started):
    monkeypatch.chdir(tmp_path)
    assert "gradtui demo" in error_of(capsys, 2)


def test_the_newest_folder_is_opened(tmp_path, monkeypatch, started):
    for name, age in (("old", 500), ("deep/new", 100), ("older", 900)):
        write_foreign(DebugFolder.at(tmp_path / name))
        for path in (tmp_path / name).iterdir():
            now = path.stat().st_mtime
            os.utime(path, (now - age, now - age))
    monkeypatch.chdir(tmp_path)
    assert cli.main([]) == 0
    assert Path(started[0].location) == Path("deep/new")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_folder_that_is_called_like_a_command(name, tmp_path, monkeypatch, started):
    write_foreign(DebugFolder.at(tmp_path / name))
    monkeypatch.chdir(tmp_path)
    for arguments in ([f"./{name}"], ["--", name], [f"{name}/"]):
        assert cli.main(arguments) == 0
    assert [launch.location for launch in started] == [f"./{name}", name, f"{name}/"]


def test_options_before_and_after_the_command(folder, started):
    options = ["--color", "256", "--ascii", "--mouse", "--poll", "--max-bytes", "2G"]
    options += ["--estimate", "equal"]
    for arguments in ([*options, str(folder)], [str(folder), *options]):
        assert cli.main(arguments) == 0
    for arguments in ([*options, "demo", "--folder", "f"], ["demo", *options, "--folder=f"]):
        assert cli.main(arguments) == 0
    for launch in started:
        assert (launch.color, launch.ascii, launch.mouse, launch.poll) == ("256", True, True, True)
        assert (launch.max_bytes, launch.estimate) == (2 << 30, "equal")
    assert [launch.wait for launch in started] == [False, False, True, True]


def test_demo_watch_is_a_training(started):
    assert cli.main(["demo", "watch"]) == 0
    (launch,) = started
    assert launch.child[-3] == "demo:watch"
    assert launch.wait


def test_demo_has_a_folder_of_its_own_that_goes_again(started):
    assert cli.main(["demo"]) == 0
    (launch,) = started
    assert launch.child[-3:] == ("demo:digits", "--folder", launch.location)
    assert not Path(launch.location).exists()
    assert Path(launch.location).is_absolute()


def test_debug_starts_the_adapter_of_a_file(tmp_path, monkeypatch, started):
    (tmp_path / "net.py").write_text("def make(): ...\n")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["debug", "net.py:make"]) == 0
    assert cli.main(["debug", "net.py:make", "--folder", "here", "--reload"]) == 0
    assert cli.main(["debug", "net.py:make", "--python", sys.executable]) == 0
    plain, there, other = started
    assert plain.child == (
        sys.executable, "-m", "gradtui.torch.child", "net.py:make", "--folder", "gradtui-debug/",
    )  # fmt: skip
    assert (plain.source, plain.location) == ("", "gradtui-debug/")
    assert (there.source, there.location) == ("net.py", "here")
    assert other.child[:2] == (sys.executable, "-c")


def test_python_may_be_the_folder_of_an_environment(tmp_path, monkeypatch, started, capsys):
    (tmp_path / "net.py").write_text("")
    python = tmp_path / "env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    monkeypatch.chdir(tmp_path)
    assert cli.main(["debug", "net.py:make", "--python", "env"]) == 0
    # The link itself, not what it leads to: it is what makes the environment.
    assert started[0].child[0] == str(python)
    assert "no such interpreter" in error_of(capsys, 2, "debug", "net.py:make", "--python", "nope")


def test_a_missing_source_is_exit_2(capsys, started):
    assert "no such file" in error_of(capsys, 2, "debug", "none.py:make")


@pytest.mark.parametrize("command", ["demo", "debug"])
def test_without_torch_the_extra_is_named(command, capsys, monkeypatch, tmp_path):
    import importlib.util

    (tmp_path / "net.py").write_text("")
    monkeypatch.setattr(terminal, "need_terminal", lambda _location: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    arguments = [command] if command == "demo" else [command, str(tmp_path / "net.py:make")]
    assert "gradtui[" in error_of(capsys, 2, *arguments)


@pytest.mark.parametrize("arguments", SCREEN_ONLY, ids=["open", "demo", "debug"])
def test_without_a_terminal_there_is_a_sentence_that_names_show(
    arguments, folder, capsys, monkeypatch
):
    monkeypatch.chdir(folder)
    Path("net.py").write_text("")
    assert "gradtui show" in error_of(capsys, 2, *arguments)


@pytest.mark.parametrize("term", ["dumb", "", "unknown"])
def test_a_dumb_terminal_is_refused(term, folder, capsys, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", term)
    with monkeypatch.context() as patched:
        for name in ("stdin", "stdout"):
            patched.setattr(sys, name, Terminal())
        errors = Terminal()
        patched.setattr(sys, "stderr", errors)
        assert cli.main([str(folder)]) == 2
    assert "gradtui show" in errors.getvalue()
    assert errors.getvalue().count("\n") == 1


def test_show_as_text_and_as_json(folder, capsys):
    assert cli.main(["show", str(folder)]) == 0
    assert "layer" in capsys.readouterr().out
    assert cli.main(["show", str(folder), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["writer"] == "foreign"
    assert "flow" not in document["pairs"][0]
    assert cli.main(["show", str(folder), "--full", "--estimate", "equal"]) == 0
    assert "flow" in json.loads(capsys.readouterr().out)["pairs"][0]


def test_an_unreadable_file_is_exit_3_and_one_line(folder, capsys):
    (folder / "flow_info.pkl").write_bytes(b"not a pickle")
    assert "flow_info.pkl" in error_of(capsys, 3, "show", str(folder))


def test_a_file_over_the_limit_is_exit_3_and_names_the_option(folder, capsys):
    assert "--max-bytes" in error_of(capsys, 3, "show", str(folder), "--max-bytes", "10")


def test_what_a_path_holds_does_not_reach_the_terminal(capsys, tmp_path):
    error = error_of(capsys, 2, "show", str(tmp_path / "a\x1b]0;title\x07\nb"))
    assert error.rstrip("\n").isprintable()


def test_the_process_itself(folder):
    done = run("show", str(folder), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["schema"] == 1
    assert run(str(folder)).returncode == 2


@pytest.mark.parametrize("options", [[], ["--full"]])
def test_a_reader_that_has_seen_enough(folder, options):
    done = subprocess.run(
        ["bash", "-c", '"$@" | true; echo "${PIPESTATUS[0]}"', "-", sys.executable, "-m", "gradtui",
         "show", str(folder), *options],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("0\n", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_an_output_that_cannot_be_written(folder):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "gradtui", "show", str(folder)],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 3
    assert re.fullmatch(r"gradtui: standard output: .*\n", done.stderr)


def test_names_that_the_output_cannot_hold(tmp_path):
    from kit.folders import flow_info

    root = flow_info()
    gradients = root["activation_gradients"]
    root["activation_gradients"] = {"\u5c42": next(iter(gradients.values()))}
    root["gradient_flows"] = {}
    write_foreign(DebugFolder.at(tmp_path / "run"), root)
    env = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = run("show", str(tmp_path / "run"), env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\\u5c42" in done.stdout
