"""Events and kept tensors of a run, with where they are from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradtui.core.run.records import Event, Kept


@dataclass(frozen=True, slots=True, eq=False)
class Happening:
    """An event, and where it happened."""

    rank: int
    step: int
    time: float
    event: Event


@dataclass(frozen=True, slots=True, eq=False)
class KeptTensor:
    """A kept tensor, and where it is from."""

    rank: int
    step: int
    time: float
    kept: Kept
