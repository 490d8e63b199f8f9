"""The one picture of a folder that two threads keep: one its files, the other its training run."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gradtui.store.view import is_same_but_nan

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradtui.store.view import FolderView


class Publisher:
    """The last view, and who is told of the next.

    Each thread names the parts that it owns, so that neither puts back what the other has replaced meanwhile. The
    callback is called by whoever publishes, one at a time and in the order of the views: it must not block.

    Attributes:
        view: The last picture.
    """

    def __init__(self, view: FolderView, on_change: Callable[[FolderView], None]) -> None:
        self.view = view
        self._on_change = on_change
        # Reentrant: who is told may ask something of the store that publishes again.
        self._lock = threading.RLock()
        self._notes: dict[str, tuple[str, ...]] = {"folder": view.notes, "run": ()}

    def folder(self, **parts: Any) -> None:
        """Replace parts of what the files say, and tell if something changed."""
        self._replace("folder", parts)

    def run(self, **parts: Any) -> None:
        """Replace parts of what the history says, and tell if something changed."""
        self._replace("run", parts)

    def _replace(self, owner: str, parts: dict[str, Any]) -> None:
        with self._lock:
            old = self.view
            if "notes" in parts:
                self._notes[owner] = parts["notes"]
                parts["notes"] = (*self._notes["folder"], *self._notes["run"])
            view = replace(old, **parts)
            if (view.status.kind, view.status.text) == (old.status.kind, old.status.text):
                view = replace(view, status=old.status)
            changed = _changed(old, view, owner)
            self.view = replace(view, changed=changed)
            if changed:
                # The screen may be gone already: that is no reason to stop keeping.
                with contextlib.suppress(Exception):
                    self._on_change(self.view)


def _changed(old: FolderView, new: FolderView, owner: str) -> frozenset[str]:
    notes = new.notes != old.notes
    return frozenset(
        name
        for name, is_other in (
            ("session", new.session is not old.session or (notes and owner == "folder")),
            ("status", new.status is not old.status),
            ("adapter", not is_same_but_nan(new.adapter, old.adapter)),
            ("answers", new.answers != old.answers),
            (
                "run",
                new.watched is not old.watched
                or new.reading != old.reading
                or (notes and owner == "run"),
            ),
            ("findings", new.findings is not old.findings),
            ("windows", new.windows is not old.windows),
            ("graph", new.graph is not old.graph or new.graph_problem != old.graph_problem),
        )
        if is_other
    )
