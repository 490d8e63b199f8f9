"""Questions that nobody answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradtui.folder.generation import AdapterWriter
from gradtui.folder.location import DebugFolder
from gradtui.store import questions as questions_module
from gradtui.store.questions import Questions

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_question_without_an_answer_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = DebugFolder.at(tmp_path / "debug")
    with AdapterWriter(folder) as writer:
        writer.set_state("serving")
        questions = Questions(folder)
        n = questions.ask("flow-row", 1, {"pair": ["a", "b"], "node": 0})
        monkeypatch.setattr(questions_module, "_PATIENCE_ALONE", -1.0)
        assert not questions.collect(1)
        assert n not in questions.answers
        monkeypatch.setattr(questions_module, "_PATIENCE", -1.0)
        assert questions.collect(1)
    assert not questions.is_waiting
    assert questions.answers[n].status == "failed"
    assert "no answer" in questions.answers[n].reason


def test_a_question_to_an_adapter_that_is_gone_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = DebugFolder.at(tmp_path / "debug")
    AdapterWriter(folder).close()
    questions = Questions(folder)
    n = questions.ask("tensor", 1, {"module": "m"})
    assert not questions.collect(1)
    monkeypatch.setattr(questions_module, "_PATIENCE_ALONE", -1.0)
    assert questions.collect(1)
    assert not questions.is_waiting
    assert "no adapter" in questions.answers[n].reason
