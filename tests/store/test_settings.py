"""What a person set: state per folder, keys and colours."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gradtui.store.home import config_home, state_home
from gradtui.store.settings import load_settings
from gradtui.store.state import load_state, save_state, state_path
from gradtui.store.watch import is_network


def test_state_comes_back(tmp_path: Path) -> None:
    assert load_state("/a/b/") == {}
    assert save_state("/a/b/", {"view": "values", "zoom": {"input": 2}})
    assert load_state("/a/b/") == {"view": "values", "zoom": {"input": 2}}
    assert load_state("/a/c/") == {}
    assert str(state_home()).startswith(os.environ["XDG_STATE_HOME"])


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{", b'{"schema": 9}', b'{"schema": 1, "folder": "other", "state": {}}', b"\xff"],
)
def test_garbage_is_no_state(data: bytes) -> None:
    save_state("key", {"a": 1})
    state_path("key").write_bytes(data)
    assert load_state("key") == {}
    assert save_state("key", {"a": 2})
    assert load_state("key") == {"a": 2}


def test_what_cannot_be_kept_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not save_state("key", {"a": object()})
    assert not save_state("key", {"a": "x" * 1_000_000})
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert not save_state("key", {"a": 1})
    assert load_state("key") == {}


def test_old_folders_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradtui.store.state._MAX_FILES", 3)
    for k in range(6):
        save_state(f"folder {k}", {"k": k})
        os.utime(state_path(f"folder {k}"), (1000 + k, 1000 + k))
    kept = [k for k in range(6) if load_state(f"folder {k}")]
    assert kept[-1] == 5
    assert len(kept) <= 4


def _write(text: str) -> None:
    config_home().mkdir(parents=True, exist_ok=True)
    (config_home() / "config.toml").write_text(text)


def test_settings() -> None:
    assert load_settings().keys == {}
    _write('[keys]\nquit = "Q"\n[colours]\npositive = "#ff8800"\n')
    settings = load_settings()
    assert settings.keys == {"quit": "Q"}
    assert settings.colours == {"positive": "#ff8800"}
    assert settings.notes == ()


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[keys", "config.toml"),
        ("[keys]\nquit = 5\n", "keys.quit is not a text"),
        ("keys = 3\n", "[keys] is not a table"),
        ("[other]\n", "[other]"),
        ('"\\u001b]0;x" = 1\n', "x1b"),
        ("a = " + "[" * 5000, "config.toml"),
    ],
)
def test_mistakes_are_told_and_do_not_stop(text: str, word: str) -> None:
    _write(text)
    settings = load_settings()
    assert any(word in note for note in settings.notes)
    assert all("\n" not in note and note.isprintable() for note in settings.notes)


def test_settings_of_a_strange_kind() -> None:
    config_home().mkdir(parents=True)
    os.mkfifo(config_home() / "config.toml")
    assert "FIFO" in load_settings().notes[0]


def test_relative_homes_do_not_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # Source: XDG base directory specification: relative paths are to be ignored.
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert state_home().is_absolute()


def test_network_mounts_are_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mounts = f"/dev/a / ext4 rw 0 0\nserver:/x {str(tmp_path).replace(' ', chr(92) + '040')} nfs4 rw 0 0\n"
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: mounts)
    assert is_network(tmp_path / "run")
    assert not is_network(Path("/usr"))
