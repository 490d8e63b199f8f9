"""Counts, shapes and shares as a few characters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gradtui.core.architecture.graph import Shape

_UNITS: Final = ("", "K", "M", "G", "T", "P", "E")
_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"


def short(value: int) -> str:
    """A count with three digits and a unit of thousands: ``37``, ``9.54K``, ``236M``, ``68.5G``."""
    amount, unit = float(value), 0
    while amount >= 999.5 and unit < len(_UNITS) - 1:
        amount /= 1000
        unit += 1
    if unit == 0:
        return str(value)
    digits = 2 if amount < 9.995 else 1 if amount < 99.95 else 0
    return f"{amount:.{digits}f}{_UNITS[unit]}"


def shape_text(shape: Shape) -> str:
    """``1×64×56×56``; "scalar" of no dimensions."""
    return "×".join(map(str, shape)) if shape else "scalar"


def bar(share: float, cells: int, *, ascii: bool = False) -> str:
    """A bar of a share of ``cells`` columns; anything above 0 shows."""
    if ascii:
        return "#" * max(round(share * cells), int(share > 0))
    eighths = max(round(share * cells * 8), int(share > 0))
    whole, part = divmod(eighths, 8)
    return "█" * whole + (_EIGHTHS[part] if part else "")
