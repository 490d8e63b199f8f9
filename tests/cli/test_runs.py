"""Another run of a folder than the newest, by number or id, for every command that reads one."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from kit.ended import served
from kit.folders import write_foreign
from kit.run_records import kept, preamble, steps
from kit.segments import Segments

from gradtui import cli
from gradtui.folder.location import DebugFolder

if TYPE_CHECKING:
    from pathlib import Path

OLD, NEW = "1a2b3c4d5e6f70819", "9a2b3c4d5e6f70819"


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """A run of 10 steps that was not well, a newer one of 3 that was killed, and a second model's of 6."""
    path = tmp_path / "run"
    segments = Segments(DebugFolder.at(path))
    segments.begin([*preamble(OLD, started=1e9), *steps(0, 9), kept(2), kept(6), kept(8)])
    segments.begin([*preamble(NEW, started=2e9), *steps(0, 2)])
    inner = Segments(DebugFolder.at(path / "Decoder"))
    inner.begin([*preamble("decoders", started=2e9, modules=1), *steps(0, 5, columns=5)])
    served(DebugFolder.at(path), "training")
    return str(path)


def out_of(capsys, *arguments: str, code: int = 0) -> str:
    assert cli.main(arguments) == code
    captured = capsys.readouterr()
    assert captured.err == ""
    return str(captured.out)


def error_of(capsys, *arguments: str) -> str:
    assert cli.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return str(captured.err)


def test_the_runs_are_listed_with_what_names_them(capsys, folder):
    header, *rows = out_of(capsys, "show", folder, "--runs").splitlines()
    assert header.split() == ["no.", "model", "last", "step", "began", "ended", "id"]
    found = [re.split(r"  +", row.strip().replace(" ", "  ", 1)) for row in rows]
    assert [(row[0], row[1], row[2], row[-1]) for row in found] == [
        ("1", "Net, newest", "2", NEW[:8]),
        ("2", "Net", "9", OLD[:8]),
        ("3", "Decoder/ Net", "5", "decoders"),
    ]
    assert re.fullmatch(r"2001-09-0\d \d\d:46", found[1][3])


@pytest.mark.parametrize(
    ("wanted", "last", "name"),
    [("1", 2, NEW), ("2", 9, OLD), ("3", 5, "decoders"), (OLD[:8], 9, OLD), (NEW, 2, NEW)],
)
def test_show_takes_a_run_by_its_number_and_by_its_id(capsys, folder, wanted, last, name):
    document = json.loads(out_of(capsys, "show", folder, "--json", "--run", wanted))
    assert document["run"]["last_step"] == last
    assert document["run"]["id"] == name
    assert document["folder"].startswith(folder)
    assert f"step {last}" in out_of(capsys, "show", "--run", wanted, folder)
    graph = json.loads(out_of(capsys, "show", folder, "--format", "graph-json", f"--run={wanted}"))
    assert graph["nodes"]


def test_an_older_run_goes_without_what_is_the_newest_ones(capsys, folder):
    write_foreign(DebugFolder.at(folder))
    assert "chain rule" in out_of(capsys, "show", folder)
    assert "--run N shows another" in out_of(capsys, "show", folder)
    older = out_of(capsys, "show", folder, "--run", "2")
    assert "chain rule" not in older
    assert "an older run of its folder" in older
    assert json.loads(out_of(capsys, "show", folder, "--json", "--run", "2"))["layers"] == []


def test_check_judges_the_run_that_is_named(capsys, folder):
    document = json.loads(out_of(capsys, "check", folder, "--json", code=1))
    assert (document["step"], [each["rule"] for each in document["findings"]]) == (2, ["ended"])
    document = json.loads(out_of(capsys, "check", folder, "--json", "--run", "2"))
    assert (document["step"], document["findings"]) == (9, [])


def test_analyse_and_export_read_the_run_that_is_named(capsys, folder, tmp_path):
    pytest.importorskip("PIL")
    assert "features: none were kept" in out_of(capsys, "analyse", folder)
    assert "features: mean over" in out_of(capsys, "analyse", folder, "--run", "2")
    out = tmp_path / "layer.gif"
    assert "no tensors of" in error_of(capsys, "export", folder, "--gif", "layer0", str(out))
    assert cli.main(["export", folder, "--gif", "layer0", str(out), "--run", OLD]) == 0
    assert "3 frames, steps 2 to 8" in capsys.readouterr().err
    assert out.read_bytes()[:3] == b"GIF"


@pytest.mark.parametrize(
    "command", [("show",), ("check",), ("analyse",), ("export", "--gif", "layer0", "x.gif")]
)
def test_a_run_that_is_not_there_is_told_with_those_that_are(capsys, folder, command):
    name, *rest = command
    # Those of two ids begin with a 9, and 9 is no number of the list.
    for wanted in ("9", "0", "-1", "1a2", "nowhere"):
        said = error_of(capsys, name, folder, *rest, f"--run={wanted}")
        assert f"--run {wanted}: no such run; {folder} holds 1 (Net, newest, step 2, began" in said
        assert "2 (Net, step 9, began 2001-09-0" in said
        assert "3 (Decoder/ Net, newest, step 5" in said
    assert "no watched run" in error_of(capsys, name, f"{folder}/none", *rest, "--run", "1")


def test_many_runs_are_not_all_named_in_an_error(capsys, tmp_path):
    segments = Segments(DebugFolder.at(tmp_path / "run"))
    for number in range(8):
        segments.begin([*preamble(f"same{number}", started=1e9 + number), *steps(0, number)])
    said = error_of(capsys, "show", str(tmp_path / "run"), "--run", "same")
    assert "several ids begin so" in said
    assert "5 (Net, step 3, " in said
    assert "6 (" not in said
    assert " and 3 more; gradtui show" in said
    text = out_of(capsys, "show", str(tmp_path / "run"), "--run", "same3")
    assert "step 3" in text


def test_what_does_not_go_with_a_run_is_said(capsys, folder, tmp_path):
    graph = tmp_path / "graph.json"
    graph.write_text(out_of(capsys, "show", folder, "--format", "graph-json"))
    assert "--run is of a folder" in error_of(capsys, "show", str(graph), "--run", "1")
    assert "--run is of a folder" in error_of(capsys, "show", str(graph), "--runs")
    assert "--run is of a folder" in error_of(capsys, "check", str(graph), "--run", "1")
    for more in ("--json", "--history", "--run=1"):
        assert "--runs is a list" in error_of(capsys, "show", folder, "--runs", more)
    write_foreign(DebugFolder.at(tmp_path / "debug"))
    assert "no watched run" in error_of(capsys, "show", str(tmp_path / "debug"), "--runs")
