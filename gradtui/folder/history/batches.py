"""Scalars of one layout, gathered into one array for each stretch of a segment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradtui.core.run.track import Rows

if TYPE_CHECKING:
    from gradtui.core.arrays import Array
    from gradtui.folder.history.tensors import Slot


class Batches:
    """Takes the places of scalars in a buffer, and makes `Rows` of them at the end."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._groups: dict[tuple[int, int], tuple[list[int], list[float], list[int]]] = {}

    def add(self, layout: int, slot: Slot, payload: int, step: int, time: float) -> None:
        """Take a record whose payload begins at ``payload``."""
        group = self._groups.get((layout, slot.shape[0]))
        if group is None:
            group = self._groups[layout, slot.shape[0]] = ([], [], [])
        group[0].append(step)
        group[1].append(time)
        group[2].append(payload + slot.start)

    def rows(self) -> list[Rows]:
        """Return what was taken, one array for each layout; its memory is its own."""
        return [
            Rows(layout, np.array(steps, np.int64), np.array(times), _values(self._data, places, n))
            for (layout, n), (steps, times, places) in self._groups.items()
        ]

    @property
    def steps(self) -> tuple[int, int]:
        """The least and the greatest step; (0, -1) when there is none."""
        steps = [step for group in self._groups.values() for step in group[0]]
        return (min(steps), max(steps)) if steps else (0, -1)


def _values(data: memoryview, places: list[int], n: int) -> Array:
    """The float32 values [k, n] at some places of a buffer."""
    starts = np.array(places)
    steps = np.diff(starts)
    if len(starts) > 1 and np.all(steps == steps[0]):
        # Records of one length, one after the other: one array with a long stride.
        view: Array = np.ndarray(
            (len(starts), n), np.dtype("<f4"), data, int(starts[0]), (int(steps[0]), 4)
        )
        return np.array(view, np.float32)
    values = np.empty((len(starts), n), np.float32)
    for row, place in enumerate(places):
        values[row] = np.frombuffer(data, np.dtype("<f4"), n, place)
    return values
