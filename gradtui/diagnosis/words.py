"""How findings speak: numbers, names, and many modules in one sentence."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gradtui.core.run.keys import SeriesKey
    from gradtui.core.run.rank_run import RankRun
    from gradtui.diagnosis.table import Table


def short(value: float) -> str:
    """Return a number in two or three digits; "nan", "inf" for what is none."""
    if not math.isfinite(value):
        return str(value)
    if value == 0:
        return "0"
    if 999.5 <= abs(value) < 1e4:
        # Three digits of it would need an exponent.
        return f"{value:.0f}"
    return f"{value:.3g}" if 1e-3 <= abs(value) < 1e4 else f"{value:.1e}"


def percent(share: float) -> str:
    """Return a share in percent, without pretending that nearly all is all."""
    if 0.995 <= share < 1:
        return "over 99 %"
    return f"{100 * share:.0f} %"


def times(factor: float) -> str:
    """Return a factor: "x12", "x3.4e+08"."""
    return f"x{factor:.0f}" if factor < 1e4 else f"x{factor:.1e}"


def called(key: SeriesKey) -> str:
    """Return what a key is about within its module: a parameter, "output", "output 1", "input mask (call 2)"."""
    name = f"{key.role} {key.slot}".strip()
    if key.role in ("parameter", "gradient", "raw gradient", "update"):
        name = key.slot or key.role
    elif key.role == "run":
        name = key.slot or "run"
    return f"{name} (call {key.call})" if key.call else name


def in_calls(calls: Sequence[int], many: int) -> str:
    """Return in which calls of a step something is so, of how many; "" for the only one."""
    if many < 2:
        return ""
    if len(calls) == many:
        return f", in all {many} calls of a step"
    listed = ", ".join(map(str, sorted(calls)[:4])) + (", ..." if len(calls) > 4 else "")
    return f", in {len(calls)} of {many} calls of a step (call {listed})"


def ranks(of: Sequence[RankRun | int]) -> str:
    """Return ranks as the subject of a sentence: "Rank 3", "Ranks 0, 1, 2, ..." after eight."""
    numbers = [each if isinstance(each, int) else each.rank for each in of]
    listed = ", ".join(map(str, numbers[:8])) + (", ..." if len(numbers) > 8 else "")
    return f"Rank {listed}" if len(numbers) == 1 else f"Ranks {listed}"


def place(path: str) -> str:
    """Return a module's path, with a word for the root's."""
    return path or "the model"


def and_more(paths: Sequence[str]) -> str:
    """Return what a finding is about beside its own path: up to three names, then how many more; "" for none."""
    if not paths:
        return ""
    named = [place(path) for path in paths[:3]]
    more = len(paths) - len(named)
    if more:
        named.append(f"{more} more module{'s' if more > 1 else ''}")
    return "".join(f", {name}" for name in named[:-1]) + f" and {named[-1]}"


def gradients_of(path: str, also: Sequence[str]) -> str:
    """Return the gradient of a module as a subject, or the gradients of several."""
    return f"The gradient{'s' if also else ''} of {place(path)}{and_more(also)}"


def since(table: Table, row: int) -> int:
    """Return the first step of a row."""
    return int(table.steps[max(row, 0)])


def others(paths: Iterable[str], own: str) -> tuple[str, ...]:
    """Return paths once each, in their order, without one's own."""
    return tuple(path for path in dict.fromkeys(paths) if path != own)
