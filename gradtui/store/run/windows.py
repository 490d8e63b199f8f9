"""Exact numbers of a few series between two steps: asked by the screen, read in the store's thread, kept for a while."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from gradtui.core.run.keys import DERIVED
from gradtui.core.run.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gradtui.core.run.keys import SeriesKey
    from gradtui.core.run.series import Series

# While a person scrolls, only what is asked last is worth reading.
_MOST_WAITING = 8
_MOST_ANSWERS = 16
# Windows that were read: numbers of values that are kept, and how many one window may have.
_KEPT_VALUES = 2_000_000
_MOST_VALUES = 500_000


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """The numbers of some series between two steps.

    Attributes:
        n: The number that `Keeper.window` gave.
        keys: What was asked for.
        first: The first step that was asked for.
        last: The last one.
        rank: Whose numbers; None: all ranks together.
        series: One for each key. Step by step, or where a window is too wide for that, in spans.
        run: The same as a run of these series alone, ranks apart.
        note: Why there is nothing, in one line; empty when all is well.
    """

    n: int
    keys: tuple[SeriesKey, ...]
    first: int
    last: int
    rank: int | None = None
    series: tuple[Series, ...] = ()
    run: Run = field(default_factory=Run.empty)
    note: str = ""


def recorded(keys: Sequence[SeriesKey]) -> tuple[SeriesKey, ...]:
    """The series that have to be read for these: a ratio is made of two."""
    needed: dict[SeriesKey, None] = {}
    for key in keys:
        quantities = DERIVED.get(key.quantity, (key.quantity,))
        # Means are over finite values: what is not finite is taken off the count.
        more = ("nan", "inf") if "count" in quantities else ()
        needed.update((key.of(quantity), None) for quantity in (*quantities, *more))
    return tuple(needed)


class Windows:
    """The windows of one viewer. Asked from the screen's thread, read from the store's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._n = 0
        self._waiting: OrderedDict[int, Window] = OrderedDict()
        self._answers: OrderedDict[int, Window] = OrderedDict()
        self._kept: OrderedDict[tuple[tuple[SeriesKey, ...], int, int], Run] = OrderedDict()

    @property
    def is_waiting(self) -> bool:
        """Whether one is to be read."""
        return bool(self._waiting)

    @property
    def answers(self) -> Mapping[int, Window]:
        """The last answers by number."""
        with self._lock:
            return MappingProxyType(dict(self._answers))

    def ask(self, keys: Sequence[SeriesKey], first: int, last: int, rank: int | None) -> int:
        """Put a window on the list; the number of its answer."""
        with self._lock:
            self._n += 1
            self._waiting[self._n] = Window(self._n, tuple(keys), first, last, rank)
            while len(self._waiting) > _MOST_WAITING:
                _, dropped = self._waiting.popitem(last=False)
                self._answer(replace(dropped, note="others were asked for since"))
            return self._n

    def forget(self) -> None:
        """Another training has begun: what was read is of the one before."""
        with self._lock:
            self._kept.clear()
            self._answers.clear()

    def read_next(
        self, read: Callable[[tuple[SeriesKey, ...], int, int, int], Run], last_step: int
    ) -> bool:
        """Read the window that was asked last.

        Args:
            read: Gives a run of these keys from one step to another, of so many values at most.
            last_step: The newest step there is.

        Returns:
            Whether there was one to read.
        """
        with self._lock:
            if not self._waiting:
                return False
            _, window = self._waiting.popitem()
        try:
            window = self._read(window, read, last_step)
        except Exception as error:  # noqa: BLE001
            # Whoever asked waits for an answer.
            window = replace(window, note=" ".join(str(error).split())[:200] or "could not be read")
        with self._lock:
            self._answer(window)
        return True

    def _read(
        self,
        window: Window,
        read: Callable[[tuple[SeriesKey, ...], int, int, int], Run],
        last_step: int,
    ) -> Window:
        keys = recorded(window.keys)
        place = (keys, window.first, window.last)
        with self._lock:
            run = self._kept.get(place)
        if run is None:
            run = read(keys, window.first, window.last, _MOST_VALUES)
            if window.last < last_step:
                # What the newest step is part of goes on: it is not kept.
                self._keep(place, run)
        series = tuple([run.series(key, window.rank) for key in window.keys])
        return replace(window, series=series, run=run)

    def _keep(self, place: tuple[tuple[SeriesKey, ...], int, int], run: Run) -> None:
        with self._lock:
            self._kept[place] = run
            while len(self._kept) > 1 and sum(map(_size, self._kept.values())) > _KEPT_VALUES:
                self._kept.popitem(last=False)

    def _answer(self, window: Window) -> None:
        self._answers[window.n] = window
        while len(self._answers) > _MOST_ANSWERS:
            self._answers.popitem(last=False)


def _size(run: Run) -> int:
    """How many values a run holds."""
    return sum(track.nbytes for rank in run.ranks for track in rank.tracks) // 4
