"""Where the marks of an axis stand, and what is written at them."""

from __future__ import annotations

import math
from typing import Final

from gradtui.viewmodel.text import number

LEAST_FOR_DECADES: Final = 0.7
"""Of a decade: from here on 1, 2 and 5 of it are at least two marks."""
LEAST_FOR_FIVES: Final = 4
"""Marks from which an axis has room for 1, 2 and 5 of more than one decade; below, 1 and 3 are two marks of it, too."""

Tick = tuple[float, str]
"""A place on an axis, in its own units, and the words there."""


def nice_step(extent: float, most: int) -> float:
    """Return the smallest of 1, 2, 5, 10, 20... times a power of ten with which at most ``most`` steps fit."""
    if not (extent > 0 and math.isfinite(extent)) or most < 1:
        return 1.0
    rough = extent / most
    power = 10.0 ** math.floor(math.log10(rough))
    for factor in (1.0, 2.0, 5.0):
        if factor * power >= rough * (1 - 1e-9):
            return factor * power
    return 10.0 * power


def linear_ticks(low: float, high: float, most: int) -> list[Tick]:
    """Return round values between two bounds, at most about ``most`` of them."""
    step = nice_step(high - low, most)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    if last - first > 4 * most + 4:
        return []
    largest = max(abs(first), abs(last), 1)
    # As many digits as tell neighbours apart.
    digits = min(max(math.ceil(math.log10(largest + 1)), 1) + 1, 6)
    return [(k * step, number(k * step, 7, digits=digits)) for k in range(first, last + 1)]


def step_ticks(first: float, last: float, most: int) -> list[Tick]:
    """Return round whole steps between two bounds."""
    step = max(nice_step(last - first, most), 1.0)
    begin = math.ceil(first / step - 1e-9)
    end = math.floor(last / step + 1e-9)
    return [(k * step, f"{int(k * step)}") for k in range(begin, end + 1)]


def log_ticks(low: float, high: float, most: int) -> list[Tick]:
    """Return round values between two base-10 logarithms, as logarithms with their values in words.

    Whole decades, thinned where there are many; 1, 2 and 5 of each where there are few, and round values within one.
    """
    begin, end = math.ceil(low - 1e-9), math.floor(high + 1e-9)
    if end - begin >= 2:
        stride = max(-(-(end - begin + 1) // max(most, 1)), 1)
        return [(float(k), _power(k)) for k in range(begin, end + 1) if k % stride == 0]
    if high - low >= LEAST_FOR_DECADES - 1e-9:
        inside = [
            (math.log10(factor) + k, number(factor * 10.0**k, 7, digits=3))
            for k in range(math.floor(low), end + 1)
            for factor in (
                (1.0, 3.0) if most < LEAST_FOR_FIVES and high - low >= 1 else (1.0, 2.0, 5.0)
            )
        ]
        return [(at, text) for at, text in inside if low - 1e-9 <= at <= high + 1e-9]
    inside = linear_ticks(10.0**low, 10.0**high, most)
    found = [(math.log10(value), text) for value, text in inside if value > 0]
    found = [(place, text) for place, text in found if low - 1e-9 <= place <= high + 1e-9]
    return found or [(end, number(10.0**end, 7, digits=3)) for end in (low, high)]


def _power(exponent: int) -> str:
    return f"1e{exponent:+d}" if not 0 <= exponent <= 2 else str(10**exponent)
