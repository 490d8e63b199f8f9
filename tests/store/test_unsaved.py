"""Unsaved edits: kept with the input that they were made on, and offered until they are answered for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from kit.folders import flow_info, write_foreign

from gradtui.core.edit import Edit
from gradtui.folder.location import DebugFolder
from gradtui.store.keeper import Keeper
from gradtui.store.unsaved import UnsavedEdits

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DebugFolder:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = DebugFolder.at(tmp_path / "debug")
    write_foreign(folder, flow_info())
    return folder


def opened(folder: DebugFolder) -> tuple[Keeper, UnsavedEdits]:
    keeper = Keeper(folder.root, on_change=lambda _: None)
    keeper.load_once()
    return keeper, UnsavedEdits(keeper)


def test_edits_belong_to_the_input_that_was_edited(folder: DebugFolder) -> None:
    keeper, unsaved = opened(folder)
    edited = keeper.view.session.input
    # The screen edits the view of before, when a newer one has come already.
    np.save(folder.input, np.full((3, 4), 7.0))
    keeper.load_once()
    unsaved.keep([Edit((0, 0), 0.0, 2.0)], edited)
    keeper, again = opened(folder)
    assert again.recovered() == {(0, 0): 2.0}
    assert again.recovered_fit(edited)
    assert not again.recovered_fit(keeper.view.session.input)


def test_until_it_is_answered_what_was_recovered_stays(folder: DebugFolder) -> None:
    keeper, unsaved = opened(folder)
    base = keeper.view.session.input
    unsaved.keep([Edit((0, 0), 0.0, 2.0)], base)
    keeper, second = opened(folder)
    second.keep([Edit((1, 1), 0.0, 3.0)], base)
    assert opened(folder)[1].recovered() == {(0, 0): 2.0, (1, 1): 3.0}
    second.keep([], base)
    keeper.save(np.ones((3, 4)))
    _, third = opened(folder)
    assert third.recovered() == {(0, 0): 2.0}
    third.keep([Edit((0, 0), 0.0, 2.0)], base, answered=True)
    assert third.recovered() == {}
    assert opened(folder)[1].recovered() == {(0, 0): 2.0}
    third.keep([], base)
    assert opened(folder)[1].recovered() == {}


def test_a_save_or_a_newer_input_keeps_all_that_is_pending(folder: DebugFolder) -> None:
    keeper, unsaved = opened(folder)
    base = keeper.view.session.input
    edits = [Edit((0, 0), 0.0, 2.0), Edit((0, 1), 0.0, 2.0)]
    unsaved.keep(edits, base)
    unsaved.keep(edits, np.full((3, 4), 0.5))
    assert len(opened(folder)[1].recovered()) == 2
    keeper.journal.clear()
    unsaved.keep([*edits, Edit((0, 2), 0.0, 2.0)], base)
    assert len(opened(folder)[1].recovered()) == 3
