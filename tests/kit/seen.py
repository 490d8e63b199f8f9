"""A callback that remembers, and waits for what is to come."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Seen(Generic[T]):
    """Collects what a callback is given, and waits for one that fits."""

    def __init__(self) -> None:
        self.values: list[T] = []
        self._arrived = threading.Condition()

    def __call__(self, value: T) -> None:
        with self._arrived:
            self.values.append(value)
            self._arrived.notify_all()

    def wait(self, fits: Callable[[T], object], timeout: float = 60.0) -> T:
        """The first value that fits, from the start."""
        deadline = time.monotonic() + timeout
        place = 0
        with self._arrived:
            while True:
                while place < len(self.values):
                    if fits(self.values[place]):
                        return self.values[place]
                    place += 1
                left = deadline - time.monotonic()
                assert left > 0, f"none of {len(self.values)}: {str(self.values[-1:])[:300]}"
                self._arrived.wait(left)
