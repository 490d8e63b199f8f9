"""A writer of a history, and the folder that it writes into."""

from __future__ import annotations

import pytest

from gradtui.folder.history import writer as writer_module
from gradtui.folder.history.writer import HistoryWriter
from gradtui.folder.location import DebugFolder


@pytest.fixture
def folder(tmp_path):
    return DebugFolder.at(f"{tmp_path}/run/")


@pytest.fixture
def writer(folder):
    made = HistoryWriter(folder)
    yield made
    made.close()


@pytest.fixture
def impatient(monkeypatch):
    """A writer that tries again at once, and looks for its file with each record."""
    monkeypatch.setattr(writer_module, "_FIRST_PAUSE", 0.0)
    monkeypatch.setattr(writer_module, "_LOOK", 0.0)
