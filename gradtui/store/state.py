"""What a person set stays: the state of the screen, per folder.

A state file is a convenience: one that is missing, torn or of another version is no state, and one that cannot be
written is no error.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from gradtui.errors import SaveFailed
from gradtui.folder.reading import read_record
from gradtui.folder.writing import make_directory, replace_file
from gradtui.store.home import state_home

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_SCHEMA = 1
_MAX_BYTES = 512_000
_MAX_FILES = 500


def load_state(folder_key: str) -> dict[str, object]:
    """What was saved for a folder; empty where there is nothing that can be read."""
    record = read_record(state_path(folder_key))
    state = record.get("state")
    if record.get("schema") != _SCHEMA or record.get("folder") != folder_key:
        return {}
    return dict(state) if isinstance(state, dict) else {}


def save_state(folder_key: str, state: Mapping[str, object]) -> bool:
    """Remember the state of a folder's screen.

    Args:
        folder_key: `DebugFolder.key`, which is one for all names of a folder.
        state: What JSON can hold.

    Returns:
        Whether it was written; a full disk, or a value that JSON cannot hold, only means that nothing is remembered.
    """
    record = {"schema": _SCHEMA, "folder": folder_key, "state": dict(state)}
    try:
        data = json.dumps(record).encode()
    except (TypeError, ValueError, RecursionError):
        return False
    if len(data) > _MAX_BYTES:
        return False
    path = state_path(folder_key)
    try:
        make_directory(path.parent)
        replace_file(path, data, "viewer")
    except SaveFailed:
        return False
    _trim(path.parent)
    return True


def state_path(folder_key: str, suffix: str = ".json") -> Path:
    """The file of a folder's state; with another suffix, the file of something else that is kept for it."""
    name = hashlib.blake2b(
        folder_key.encode("utf-8", "surrogateescape"), digest_size=12
    ).hexdigest()
    return state_home() / "folders" / (name + suffix)


def _trim(directory: Path) -> None:
    """Forget the folders that were not opened for longest."""
    try:
        files = [path for path in directory.iterdir() if path.suffix == ".json"]
        if len(files) <= _MAX_FILES:
            return
        files.sort(key=lambda path: path.stat().st_mtime)
        for path in files[:-_MAX_FILES]:
            path.unlink()
    except OSError:
        return
