"""What this viewer asked the adapter, and the answers put into the session that they belong to."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from gradtui.core.flow_forms import SummedFlow
from gradtui.folder.adapter_state import read_adapter
from gradtui.folder.requests import Answer, ask, read_answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gradtui.core.arrays import Array
    from gradtui.core.session import Session
    from gradtui.folder.location import DebugFolder

_KEPT = 64
# An answer that did not come by then does not come, seconds; without an adapter nobody gives one.
_PATIENCE = 120.0
_PATIENCE_ALONE = 5.0


class Questions:
    """Requests of one viewer. Asked from the screen's thread, collected from the store's."""

    def __init__(self, folder: DebugFolder) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._waiting: dict[int, tuple[str, Mapping[str, object], float]] = {}
        self._answers: dict[int, Answer] = {}
        # Rows and columns of the generation that is shown: (kind, source, target, node) -> values.
        self._links: dict[tuple[str, str, str, int], Array] = {}
        self._generation = -1

    @property
    def is_waiting(self) -> bool:
        """Whether an answer is still to come."""
        return bool(self._waiting)

    @property
    def answers(self) -> Mapping[int, Answer]:
        """The last answers by number."""
        with self._lock:
            return MappingProxyType(dict(self._answers))

    def ask(self, kind: str, generation: int, fields: Mapping[str, object]) -> int:
        """Write a request.

        Raises:
            SaveFailed: The disk refused.
        """
        whole = {"generation": generation, **fields}
        n = ask(self._folder, kind, **whole)
        with self._lock:
            self._waiting[n] = (kind, whole, time.monotonic())
        return n

    def collect(self, generation: int) -> bool:
        """Look for answers; returns whether one came. One that is overdue has failed, and is not looked for again."""
        if generation != self._generation:
            self._generation = generation
            self._links.clear()
        with self._lock:
            waiting = dict(self._waiting)
        came = False
        for n, (kind, fields, asked) in waiting.items():
            answer = read_answer(self._folder, n)
            if answer.status == "waiting":
                reason = self._overdue(time.monotonic() - asked)
                if not reason:
                    continue
                answer = Answer(n, "failed", reason)
            came = True
            with self._lock:
                self._waiting.pop(n, None)
                self._answers[n] = answer
                for old in sorted(self._answers)[:-_KEPT]:
                    del self._answers[old]
            self._keep_links(kind, fields, answer)
        return came

    def _overdue(self, waited: float) -> str:
        """Why an answer is not waited for any longer; empty while it is."""
        if waited > _PATIENCE:
            return f"no answer came within {_PATIENCE:.0f} s"
        if waited > _PATIENCE_ALONE and not read_adapter(self._folder).alive:
            return "no adapter is there to answer"
        return ""

    def merged(self, session: Session) -> Session:
        """The session with every row and column that came for its generation; itself when there is none."""
        if session.generation != self._generation:
            return session
        for (kind, source, target, node), values in self._links.items():
            for pair in session.pairs_from(source):
                flow = pair.flow
                if pair.target != target or not isinstance(flow, SummedFlow):
                    continue
                if flow.has_row(node) if kind == "flow-row" else flow.has_column(node):
                    continue
                try:
                    known = (
                        flow.with_row(node, values)
                        if kind == "flow-row"
                        else flow.with_column(node, values)
                    )
                except (IndexError, ValueError):
                    # An answer of another shape is no answer.
                    continue
                session = session.with_pair(replace(pair, flow=known))
        return session

    def _keep_links(self, kind: str, fields: Mapping[str, object], answer: Answer) -> None:
        pair, node = fields.get("pair"), fields.get("node")
        if (
            kind not in ("flow-row", "flow-column")
            or answer.status != "done"
            or not isinstance(node, int)
        ):
            return
        # An answer of an adapter that says no generation counts for the one that was asked about.
        generation = answer.fields.get("generation", fields["generation"])
        if generation != self._generation or "values" not in answer.arrays:
            return
        if isinstance(pair, (list, tuple)) and len(pair) == 2:
            self._links[kind, str(pair[0]), str(pair[1]), node] = answer.arrays["values"]
