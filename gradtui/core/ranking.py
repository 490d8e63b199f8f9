"""Ranks among magnitudes, from numbers that are counted once and never copied.

The bits of a floating-point number without its sign rise with the number. How many numbers share their
upper 16 bits is counted in one pass and kept; a rank then lies in one such neighbourhood, and a second
pass looks at no other. Numbers are read in the width that they have: 16.8 million float32 are 30 ms for
the first pass and 8 ms for a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from gradtui.core.arrays import BLOCK, as_floats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import numpy.typing as npt

    from gradtui.core.arrays import Array

_DIGIT: Final = 16
_FEW: Final = 1 << 18
"""So many numbers of one neighbourhood are sorted instead of counted."""

Pieces: TypeAlias = "Callable[[], Iterable[Array]]"
Bits: TypeAlias = "npt.NDArray[np.unsignedinteger]"


@dataclass(frozen=True, slots=True)
class _Form:
    """A width of floating-point numbers, as bits.

    Attributes:
        number: the floating-point type.
        bits: the whole numbers of its width.
        shifts: how far each digit of 16 bits lies from the end, the highest first; the last has 15.
    """

    number: np.dtype[np.floating]
    bits: np.dtype[np.unsignedinteger]
    shifts: tuple[int, ...]

    @property
    def infinity(self) -> int:
        """The bits of infinity: those of NaN are above."""
        return int(np.array([np.inf], self.number).view(self.bits)[0])

    def value(self, bits: int) -> float:
        """The number that bits stand for."""
        return float(np.array([bits], self.bits).view(self.number)[0])


_FORMS: Final = {
    form.number: form
    for form in (
        _Form(np.dtype(np.float16), np.dtype(np.uint16), (0,)),
        _Form(np.dtype(np.float32), np.dtype(np.uint32), (15, 0)),
        _Form(np.dtype(np.float64), np.dtype(np.uint64), (47, 31, 15, 0)),
    )
}
_WIDEST: Final = _FORMS[np.dtype(np.float64)]


@dataclass(frozen=True, slots=True)
class _Steps:
    """Places in falling order, how many numbers reach each, and how many of their bits are still open."""

    places: npt.NDArray[np.int64]
    reach: npt.NDArray[np.int64]
    shift: int = 0

    @classmethod
    def of(cls, places: npt.ArrayLike, counts: npt.ArrayLike, shift: int = 0) -> _Steps:
        """Steps from rising places and how many numbers each holds."""
        falling = np.asarray(places).astype(np.int64)[::-1]
        return cls(falling, np.cumsum(np.asarray(counts)[::-1]), shift)

    def find(self, rank: int) -> tuple[int, int, int]:
        """The place of a rank, the rank inside it, and how many numbers it holds."""
        at = int(np.searchsorted(self.reach, rank))
        before = int(self.reach[at - 1]) if at else 0
        return int(self.places[at]), rank - before, int(self.reach[at]) - before


class Ranking:
    """Neighbourhoods of magnitudes and how many numbers each holds, for any number of ranks.

    The numbers themselves are not kept: whoever asks gives them again. What is kept is some 80 KB, and
    2 MB at most for the neighbourhood that was last looked into.
    """

    __slots__ = ("_form", "_inside", "_steps")

    def __init__(self, pieces: Pieces) -> None:
        """One pass over the numbers, of any real dtype."""
        dtypes = {piece.dtype for piece in pieces()}
        self._form = _FORMS.get(dtypes.pop(), _WIDEST) if len(dtypes) == 1 else _WIDEST
        self._inside: tuple[int, _Steps] = (-1, _Steps.of([], []))
        shift = self._form.shifts[0]
        counts = np.zeros(1 << _DIGIT, dtype=np.int64)
        for bits in self._blocks(pieces()):
            # The sign is the bit above the digit: the narrower type has no place for it.
            digit = (bits >> bits.dtype.type(shift)).astype(np.uint16)
            if not shift:
                digit &= np.uint16((1 << _DIGIT - 1) - 1)
            counts += np.bincount(digit, minlength=1 << _DIGIT)
        end = self._form.infinity >> shift
        counts[end + 1 :] = 0
        if shift and counts[end]:
            # Some NaN share their upper bits with infinity.
            counts[end] = self._infinities(pieces)
        places = np.flatnonzero(counts)
        self._steps = _Steps.of(places, counts[places], shift)

    def kth(self, pieces: Pieces, rank: int) -> float:
        """Return the magnitude that exactly ``rank`` of all magnitudes reach, or more where some tie.

        Args:
            pieces: the same numbers that were counted.
            rank: 1 is the largest.

        Returns:
            Infinity for a rank below 1; 0 where there are fewer numbers than that.

        Special values: infinities rank first, NaN not at all.
        """
        if rank < 1:
            return float("inf")
        if not self._steps.reach.size or self._steps.reach[-1] < rank:
            return 0.0
        place, left, count = self._steps.find(rank)
        steps = self._steps
        if place << steps.shift == self._form.infinity:
            return float("inf")
        if steps.shift:
            # A local name: another thread may look elsewhere meanwhile.
            inside = self._inside
            if inside[0] != place:
                inside = (place, self._look_into(pieces, place, steps.shift, count))
                self._inside = inside
            steps = inside[1]
            place, left, count = steps.find(left)
        while steps.shift:
            steps = self._look_into(pieces, place, steps.shift, count)
            place, left, count = steps.find(left)
        return self._form.value(place)

    def _look_into(self, pieces: Pieces, place: int, shift: int, count: int) -> _Steps:
        """What lies in a place whose numbers share all bits above ``shift``."""
        kind = self._form.bits.type
        first = place << shift
        if count <= _FEW:
            found = np.concatenate(list(self._near(pieces, first, shift)))
            numbers, counts = np.unique(found, return_counts=True)
            return _Steps.of(numbers.astype(np.int64) + first, counts)
        below = self._form.shifts[self._form.shifts.index(shift) + 1]
        totals = np.zeros(1 << _DIGIT, dtype=np.int64)
        for near in self._near(pieces, first, shift):
            totals += np.bincount((near >> kind(below)).astype(np.uint16), minlength=1 << _DIGIT)
        places = np.flatnonzero(totals)
        return _Steps.of(places + (first >> below), totals[places], below)

    def _near(self, pieces: Pieces, first: int, shift: int) -> Iterator[Bits]:
        """How far above ``first`` the numbers are that share its bits above ``shift``."""
        kind = self._form.bits.type
        unsigned = kind((1 << 8 * self._form.bits.itemsize - 1) - 1)
        for bits in self._blocks(pieces()):
            above = bits & unsigned
            # What lies below wraps around and is far above.
            above -= kind(first)
            yield above[np.flatnonzero(above < kind(1 << shift))]

    def _infinities(self, pieces: Pieces) -> int:
        return sum(
            int(np.count_nonzero(np.isinf(bits.view(self._form.number))))
            for bits in self._blocks(pieces())
        )

    def _blocks(self, pieces: Iterable[Array]) -> Iterator[Bits]:
        """The bits of all numbers, in blocks that stay in a processor's cache."""
        for piece in pieces:
            flat = (piece if piece.dtype == self._form.number else as_floats(piece)).ravel()
            bits: Bits = flat.view(self._form.bits)
            for start in range(0, bits.size, BLOCK):
                yield bits[start : start + BLOCK]
