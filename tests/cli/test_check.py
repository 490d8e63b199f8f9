"""A watched run without a screen: show, its formats, and check with its exit codes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from kit.ended import served
from kit.folders import flow_info, write_foreign
from kit.runs import deep
from kit.segments import Segments

from gradtui import cli
from gradtui.folder.location import DebugFolder

if TYPE_CHECKING:
    from pathlib import Path


def written(path: Path, training) -> str:
    Segments(DebugFolder.at(path)).begin(training.entries())
    return str(path)


@pytest.fixture
def healthy(tmp_path: Path) -> str:
    return written(tmp_path / "healthy", deep(3))


@pytest.fixture
def sick(tmp_path: Path) -> str:
    training = deep(4, "Tanh", decay=0.004)
    training.happens(
        200, "non-finite", "", "head", role="output", slot="", call=0, nan=3, inf=0, order=0
    )
    return written(tmp_path / "sick", training)


@pytest.fixture
def warned(tmp_path: Path) -> str:
    return written(tmp_path / "warned", deep(4, "Tanh", decay=0.004))


def out_of(capsys, *arguments: str, code: int = 0) -> str:
    assert cli.main(arguments) == code
    captured = capsys.readouterr()
    assert captured.err == ""
    return str(captured.out)


def test_a_folder_that_has_only_a_history_is_shown(capsys, sick):
    text = out_of(capsys, "show", sick)
    assert text.startswith("run of Net")
    assert "NAN" in text
    assert "VAN" in text
    assert "history" not in text
    assert "gradient l2" in out_of(capsys, "show", sick, "--history")


def test_a_folder_with_both_shows_both(capsys, sick):
    write_foreign(DebugFolder.at(sick))
    text = out_of(capsys, "show", sick)
    assert "chain rule" in text
    assert "run of Net" in text
    document = json.loads(out_of(capsys, "show", sick, "--json"))
    assert document["layers"]
    assert document["run"]["last_step"] == 299


def test_the_document_of_a_run(capsys, sick):
    document = json.loads(out_of(capsys, "show", sick, "--json"))
    assert (document["schema"], document["folder"], document["layers"]) == (1, sick, [])
    run = document["run"]
    assert [module["path"] for module in run["modules"]][:2] == ["", "body.0"]
    assert {finding["rule"] for finding in run["findings"]} == {"non-finite", "vanishing"}
    assert "history" not in run
    run = json.loads(out_of(capsys, "show", sick, "--json", "--history", "--points", "7"))["run"]
    assert max(len(series["values"]) for series in run["history"]) == 7


def test_without_a_history_the_run_is_null(capsys, tmp_path):
    write_foreign(DebugFolder.at(tmp_path))
    assert json.loads(out_of(capsys, "show", str(tmp_path), "--json"))["run"] is None
    assert json.loads(out_of(capsys, "show", str(tmp_path), "--json", "--full"))["run"] is None


def test_check_passes_a_healthy_run(capsys, healthy):
    assert out_of(capsys, "check", healthy).endswith("no findings; passes\n")
    assert json.loads(out_of(capsys, "check", healthy, "--json", "--fail-on", "note")) == {
        "schema": 1, "folder": healthy, "step": 299, "fail_on": "note", "failed": False, "findings": [], "layers": [],
    }  # fmt: skip


@pytest.mark.parametrize(("bound", "code"), [("bad", 0), ("warn", 1), ("note", 1)])
def test_check_fails_on_what_was_asked(capsys, warned, bound, code):
    text = out_of(capsys, "check", warned, "--fail-on", bound, code=code)
    assert "VAN" in text
    assert "1 warn" in text.splitlines()[-1]
    found = json.loads(out_of(capsys, "check", "--json", "--fail-on", bound, warned, code=code))
    assert found["failed"] == bool(code)
    assert found["findings"][0]["severity"] == "warn"


def test_check_fails_on_a_warning_by_itself(capsys, sick, warned):
    out_of(capsys, "check", warned, code=1)
    out_of(capsys, "check", sick, "--fail-on", "bad", code=1)


def test_check_of_a_debug_folder(capsys, tmp_path):
    write_foreign(DebugFolder.at(tmp_path))
    found = json.loads(out_of(capsys, "check", str(tmp_path), "--json"))
    assert found["step"] is None
    assert found["findings"] == []


def test_the_layers_of_a_run_s_folder_are_judged_by_its_run(capsys, healthy, tmp_path):
    """What a run kept is in its folder as a debug session would be: the same facts are not told twice."""
    hurt = flow_info(np.nan)
    write_foreign(DebugFolder.at(tmp_path / "debug"), hurt)
    alone = json.loads(out_of(capsys, "check", str(tmp_path / "debug"), "--json", code=1))
    assert {layer["flag"] for layer in alone["layers"]} == {"X"}
    write_foreign(DebugFolder.at(healthy), hurt)
    found = json.loads(out_of(capsys, "check", healthy, "--json"))
    assert (found["findings"], found["layers"], found["failed"]) == ([], [], False)
    assert out_of(capsys, "check", healthy).endswith("no findings; passes\n")


def test_a_training_that_ended_with_an_error_fails(capsys, tmp_path):
    training = deep(3)
    training.happens(
        299, "note", "the training ended with RuntimeError: no luck", error="RuntimeError: no luck"
    )
    folder = written(tmp_path / "raised", training)
    assert "RuntimeError: no luck" in out_of(capsys, "check", folder, "--fail-on", "bad", code=1)


@pytest.mark.parametrize(("state", "code"), [("training", 1), ("stopped", 0)])
def test_a_training_that_was_killed_fails(capsys, healthy, state, code):
    served(DebugFolder.at(healthy), state)
    found = json.loads(out_of(capsys, "check", healthy, "--json", code=code))
    assert [each["rule"] for each in found["findings"]] == ["ended"] * code


@pytest.mark.parametrize("command", ["show", "check"])
def test_what_cannot_be_read(capsys, tmp_path, command):
    assert cli.main([command, str(tmp_path / "none")]) == 2
    assert cli.main([command, str(tmp_path / "none.json")]) == 2
    (tmp_path / "x.json").write_text("[]")
    assert cli.main([command, str(tmp_path / "x.json")]) == 3
    (tmp_path / "gradtui" / "history" / "rank-00000").mkdir(parents=True)
    assert cli.main([command, str(tmp_path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 4


def test_check_needs_a_folder(capsys):
    assert cli.main(["check"]) == 2
    assert "./check" in capsys.readouterr().err
    assert cli.main(["check", "x", "--fail-on", "terrible"]) == 2


@pytest.mark.parametrize("command", ["check", "show", "analyse"])
def test_a_folder_of_several_runs_names_them(capsys, tmp_path, command):
    for number in range(7):
        written(tmp_path / f"run{number}", deep(3, steps=3))
    assert cli.main([command, str(tmp_path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count(f"{tmp_path}/run") == 5
    assert captured.err.endswith(" and 2 more: name one of them\n")
    (tmp_path / "empty").mkdir()
    assert cli.main([command, str(tmp_path / "empty")]) == 2
    assert "below it" not in capsys.readouterr().err


def test_options_of_the_series_are_not_passed_over(capsys, tmp_path, sick):
    write_foreign(DebugFolder.at(tmp_path / "debug"))
    graph = tmp_path / "graph.json"
    graph.write_text(out_of(capsys, "show", sick, "--format", "graph-json"))
    for arguments in (
        (sick, "--points", "5"),
        (sick, "--history", "--points", "5"),
        (sick, "--json", "--points", "5"),
        (sick, "--history", "--format", "graph-json"),
        (str(graph), "--history"),
        (str(tmp_path / "debug"), "--history"),
    ):
        assert cli.main(["show", *arguments]) == 2, arguments
        captured = capsys.readouterr()
        assert captured.out == ""
        assert "--history" in captured.err
    document = json.loads(out_of(capsys, "show", str(tmp_path / "debug"), "--json", "--history"))
    assert document["run"] is None


def test_training_output_json_there_and_back(capsys, tmp_path, warned):
    text = out_of(capsys, "show", warned, "--format", "graph-json")
    path = tmp_path / "training_output.json"
    path.write_text(text)
    assert out_of(capsys, "show", str(path), "--json") == text
    page = out_of(capsys, "show", str(path))
    assert "body.0" in page
    assert "v VAN" in page
    assert "VAN" in out_of(capsys, "check", str(path), code=1)
    assert (
        json.loads(out_of(capsys, "check", str(path), "--json", "--fail-on", "bad"))["failed"]
        is False
    )


def test_graph_json_is_made_of_a_run(capsys, tmp_path):
    write_foreign(DebugFolder.at(tmp_path))
    assert cli.main(["show", str(tmp_path), "--format", "graph-json"]) == 2
    assert cli.main(["show", str(tmp_path), "--format", "graph-json", "--json"]) == 2
    assert cli.main(["show", str(tmp_path), "--points", "-3"]) == 2
    capsys.readouterr()
