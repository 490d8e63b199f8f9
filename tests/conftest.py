"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from kit.warm_python import WarmPython

if TYPE_CHECKING:
    from collections.abc import Iterator


# Processes that tests start may keep what they compiled: or each of them compiles all of gradtui first.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# Their tensors are small, and the processors are those of other workers too.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """State and settings of the person who runs the tests stay untouched and unseen."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))


@pytest.fixture(scope="session")
def warm() -> Iterator[WarmPython]:
    """An interpreter whose processes have torch when they begin; for tests of what else they do."""
    with WarmPython() as running:
        yield running
