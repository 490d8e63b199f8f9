"""The newest norms of a role's tensors, told apart from those that are lost."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradtui.core.run.keys import SeriesKey
    from gradtui.core.run.run import Run


def newest_norms(run: Run, role: str) -> dict[SeriesKey, float]:
    """Return ‖x‖₂ of each tensor's finite part as it was measured last, all ranks together.

    Special values: tensors without a number are left out; NaN says that the norm is 0 for want of a finite value.
    """
    spoilt = {
        key.of("l2")
        for kind in ("nan", "inf")
        for key, count in _numbers(run, role, kind).items()
        if count > 0
    }
    return {
        key: math.nan if norm == 0 and key in spoilt else norm
        for key, norm in _numbers(run, role, "l2").items()
    }


def norm_of_all(norms: list[float]) -> float:
    """√Σ‖x‖² of tensors together: NaN for none, and where those that are lost leave nothing but zeros."""
    total = math.fsum(norm * norm for norm in norms if not math.isnan(norm))
    is_lost = total == 0 and any(map(math.isnan, norms))
    return math.nan if is_lost or not norms else math.sqrt(total)


def _numbers(run: Run, role: str, quantity: str) -> dict[SeriesKey, float]:
    column = run.column(role, quantity)
    numbers = zip(column.keys, column.values.tolist(), strict=True)
    return {key: number for key, number in numbers if not math.isnan(number)}
