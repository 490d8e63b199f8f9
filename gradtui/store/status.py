"""What happened to a folder, in words for the person."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from gradtui.errors import FileBusy, FolderMissing, PathError
from gradtui.store.view import Status

if TYPE_CHECKING:
    from gradtui.folder.adapter_state import AdapterState
    from gradtui.folder.load import Loaded


def status_of_load(loaded: Loaded, adapter: AdapterState, writer: str) -> Status:
    """The status of a folder that was read whole, from what its ``writer`` says: "adapter", "training" or "trace"."""
    now = time.time()
    if adapter.alive:
        if writer == "training":
            return status_of_run(adapter, writer)
        if adapter.state in ("starting", "training", "computing"):
            return Status("live", f"adapter: {adapter.message or adapter.state}", now)
        # An error stands until a generation succeeds: while it does, none is promised.
        if adapter.error:
            said = f"adapter: {_last_line(adapter.error)}"
            if loaded.unanswered and loaded.generation:
                # The input that is shown is not the one that the gradients are of.
                what = f"gradients of the earlier input (generation {loaded.generation})"
                return Status("stale", f"{what}; {said}", now)
            return Status("live", said, now)
        if loaded.unanswered:
            return Status("live", "adapter: new gradients are on their way", now)
        return Status("live", "live", now)
    if adapter.pid and adapter.state == "failed":
        return _ended(adapter, now, writer)
    if loaded.unanswered:
        return Status("stale", "the saved input waits for an adapter", now)
    if adapter.pid:
        return _ended(adapter, now, writer)
    return Status("live", "live", now)


def status_of_run(adapter: AdapterState, writer: str) -> Status:
    """The status of a folder that a training's history or a graph is in, and no gradients of an input."""
    now = time.time()
    if adapter.alive:
        words = adapter.message or adapter.state
        text = _last_line(adapter.error) if adapter.error else words
        return Status("live", f"{writer}: {text}" if text else f"{writer} runs", now)
    if adapter.pid:
        return _ended(adapter, now, writer)
    return Status("finished", "nobody writes here", now)


def status_of_wait(adapter: AdapterState) -> Status:
    """The status of a folder that has nothing to show yet: who will write it is not known."""
    now = time.time()
    if not adapter.pid or adapter.alive:
        words = adapter.message or adapter.state
        return Status("waiting", f"adapter: {words}" if words else "waiting for the folder", now)
    return _ended(adapter, now, "adapter")


def status_of_error(error: BaseException, kept: bool) -> Status:
    """The status of a folder that could not be read.

    Args:
        error: Why not.
        kept: Whether there is a last good view.
    """
    now = time.time()
    if isinstance(error, FolderMissing):
        text = "the folder is gone" if kept else error.reason
        return Status("missing", text, now)
    if isinstance(error, FileBusy):
        return Status("busy", f"{Path(error.path).name}: {error.reason}", now)
    if isinstance(error, PathError):
        return Status("broken", f"{Path(error.path).name}: {error.reason}", now)
    if isinstance(error, MemoryError):
        return Status("broken", "not enough memory for the folder", now)
    return Status("broken", f"{type(error).__name__}: {_last_line(str(error))}", now)


def _ended(adapter: AdapterState, now: float, writer: str) -> Status:
    if adapter.state == "failed":
        return Status("finished", f"{writer} failed: {_last_line(adapter.error)}", now)
    if adapter.state != "stopped":
        return Status("finished", f"{writer} ended without a word", now)
    # Nobody stops a training that has come to its end.
    how = "ended" if writer == "training" else "stopped"
    return Status("finished", f"{writer} {how}", now)


def _last_line(text: str) -> str:
    """The last line of a traceback that says something, which names the error."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no reason was given"
