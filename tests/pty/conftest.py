"""A folder that every test of the running program may use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from kit.folders import write_foreign

from gradtui.folder.location import DebugFolder

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> DebugFolder:
    """A folder of two layers, left alone for a minute."""
    made = DebugFolder.at(tmp_path / "run")
    write_foreign(made)
    return made
