"""Ranks worked out ahead, beside the screen: what the next key on a threshold would have to wait for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gradtui.core.flow import DenseFlow
from gradtui.core.sparse_flow import SparseFlow
from gradtui.core.threshold import default_threshold, resolve, step
from gradtui.viewmodel.links import pair_threshold, threshold_limits
from gradtui.viewmodel.selection import shown_pairs

if TYPE_CHECKING:
    from gradtui.core.flow import Flow
    from gradtui.core.session import Session
    from gradtui.core.threshold import Mode, Threshold
    from gradtui.tui.actions.door import Door
    from gradtui.viewmodel.selection import Selection

LARGE: Final = 1 << 20
"""Links from which on a rank takes longer than a key may."""
RANKED: Final[tuple[Mode, ...]] = ("quantile", "top-k")
_STEPS: Final = (1, -1, 2, -2)


class Ahead:
    """Has the flow on the screen answer in another thread what may be asked of it next.

    A flow keeps its answers, so nothing has to come back. Only the latest wish is worked on.
    """

    def __init__(self, door: Door) -> None:
        self._door = door
        self._wish: tuple[Flow, tuple[Threshold, ...]] | None = None
        self._last: tuple[int, tuple[Threshold, ...]] = (0, ())

    def look(self, session: Session, selection: Selection) -> None:
        """Look ahead from what is selected; small flows, and those that are products, need not."""
        for pair in shown_pairs(session, selection)[:1]:
            flow = pair.flow
            if not isinstance(flow, (DenseFlow, SparseFlow)) or flow.link_count < LARGE:
                continue
            wanted: tuple[Threshold, ...] = ()
            if selection.threshold_mode in RANKED:
                now = pair_threshold(session, selection, pair)
                limits = threshold_limits(session, selection, pair)
                wanted = tuple(step(now, steps, limits) for steps in _STEPS)
            if (id(flow), wanted) == self._last:
                continue
            self._last = (id(flow), wanted)
            waits, self._wish = self._wish is not None, (flow, wanted)
            if not waits:
                self._door.beside(self._work)

    def _work(self) -> None:
        # Let go of at once: a flow may be half of the memory in use.
        wish, self._wish = self._wish, None
        if wish is not None:
            flow, wanted = wish
            for threshold in (*wanted, *(default_threshold(flow, mode) for mode in RANKED)):
                resolve(flow, threshold)
