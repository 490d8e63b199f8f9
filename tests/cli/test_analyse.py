"""`gradtui analyse`: a watched run's analyses as text and JSON, and what it says where there is none."""

from __future__ import annotations

import json

import pytest
from kit.runs import deep

from gradtui.cli import main
from gradtui.folder.history.writer import HistoryWriter
from gradtui.folder.location import DebugFolder


@pytest.fixture
def folder(tmp_path):
    training = deep(2, steps=30)
    for step in (10, 20):
        training.happens(step, "epoch", epoch=step // 10 - 1)
    writer = HistoryWriter(DebugFolder.at(tmp_path / "run"))
    for entry in training.entries():
        writer.write(entry)
    assert writer.close(10)
    return str(tmp_path / "run")


def test_text(folder, capsys):
    assert main(["analyse", folder]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "gradients by epoch: 3 epochs; mean, largest and L1 of epoch 2"
    assert [line.split()[0] for line in lines[2:5]] == ["body.0", "body.1", "head"]
    assert "kernels: none were kept" in "\n".join(lines)


def test_json(folder, capsys):
    assert main(["analyse", "--json", folder]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["schema"], found["epochs"]) == (1, [0, 1, 2])
    norms = found["gradients"][0]["l2"]
    assert norms[0] > norms[2] > 0


def test_a_folder_without_a_run(tmp_path, capsys):
    assert main(["analyse", str(tmp_path)]) == 2
    assert "no history" in capsys.readouterr().err
    assert main(["analyse"]) == 2
    assert "analyse needs a FOLDER" in capsys.readouterr().err
