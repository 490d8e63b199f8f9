"""The generations that are kept while the pane is open: which is shown, and which is the baseline."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from gradtui.core.session import Session

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_KEPT: Final = 64
MOST_BYTES: Final = 32_000_000
"""Generations beyond this are forgotten, the oldest first; the newest and its predecessor stay."""


@dataclass(frozen=True, slots=True)
class Generations:
    """What arrived, oldest first.

    Attributes:
        kept: The sessions.
        position: Which of them is shown; -1 follows the newest.
        baseline: The session that differences are taken to; empty where none was chosen.
        comparing: Whether the difference to the baseline is shown.
        tensor: A layer that is looked at: sessions without it are passed over, unless none has it. Empty: none is.
    """

    kept: tuple[Session, ...] = ()
    position: int = -1
    baseline: Session = field(default_factory=Session.empty)
    comparing: bool = False
    tensor: str = ""

    @property
    def following(self) -> bool:
        """Whether the newest generation is shown as it arrives."""
        return self.position < 0

    @property
    def shown(self) -> Session:
        """The generation on the screen; the empty session before one arrived."""
        return self.kept[self._place] if self.kept else Session.empty()

    @property
    def previous(self) -> Session:
        """The generation before the one on the screen; the empty session where it is the first."""
        before = [place for place in self._course if place < self._place]
        return self.kept[before[-1]] if before else Session.empty()

    @property
    def behind(self) -> int:
        """How many newer generations there are than the one on the screen."""
        return sum(place > self._place for place in self._course)

    @property
    def count(self) -> int:
        """How many generations steps lead through."""
        return len(self._course)

    @property
    def _place(self) -> int:
        return next(reversed(self._course), -1) if self.position < 0 else self.position

    @property
    def _course(self) -> Sequence[int]:
        """Where steps lead, in order."""
        every = range(len(self.kept))
        if not self.tensor:
            return every
        return [place for place in every if self.kept[place].has_layer(self.tensor)] or every

    def arrived(self, session: Session, before: Session) -> Generations:
        """Add a generation; who follows sees it, who does not keeps what they look at.

        ``before`` is the newest kept one again, without its flows where those are large; it takes
        that one's place unless it is empty.
        """
        kept = (*self.kept[:-1], before) if self.kept and before.layers else self.kept
        kept = (*kept, session)
        drop = _surplus(kept)
        position = self.position
        if position >= 0:
            # What is looked at is not taken away: the ones before it go first.
            drop = min(drop, position)
            position -= drop
        return replace(self, kept=kept[drop:], position=position)

    def refreshed(self, session: Session) -> Generations:
        """Put a fuller picture of the newest generation in its place: a requested row, say."""
        if not self.kept:
            return self.arrived(session, Session.empty())
        return replace(self, kept=(*self.kept[:-1], session))

    def stepped(self, steps: int) -> Generations:
        """Look ``steps`` generations on (back when negative); the newest one is followed again."""
        if not self.kept:
            return self
        course = self._course
        # One that is not on the course lies between two that are.
        here = (
            bisect_right(course, self._place) - 1 if steps > 0 else bisect_left(course, self._place)
        )
        place = course[min(max(here + steps, 0), len(course) - 1)]
        return replace(self, position=-1 if place == course[-1] else place)

    def paused(self) -> Generations:
        """Hold what is shown; when held already, follow again."""
        if not self.kept:
            return self
        return replace(self, position=self._place if self.following else -1)

    def with_baseline(self) -> Generations:
        """Make the generation on the screen the baseline."""
        return replace(self, baseline=self.shown)


def _surplus(kept: Sequence[Session]) -> int:
    """How many of the oldest go; arrays that generations share are counted each time."""
    drop = max(len(kept) - MOST_KEPT, 0)
    total = sum(session.nbytes for session in kept[drop:])
    while total > MOST_BYTES and len(kept) - drop > 2:
        total -= kept[drop].nbytes
        drop += 1
    return drop
