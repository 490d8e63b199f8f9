"""The distribution of a tensor at the cursor: its quantiles, its bars, its ends."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from gradtui.core.run.keys import PARAMETER_ROLES, VALUES
from gradtui.viewmodel.fitting import fitting
from gradtui.viewmodel.run.choice import NEWEST
from gradtui.viewmodel.run.density import bars_of, distribution_at
from gradtui.viewmodel.run.lines import ASCII_BARS, BARS
from gradtui.viewmodel.run.quantities import series_name
from gradtui.viewmodel.text import Span, TextLine, line, number, safe_label

if TYPE_CHECKING:
    from gradtui.core.run.keys import SeriesKey
    from gradtui.core.run.run import Run
    from gradtui.viewmodel.run.choice import RunChoice
    from gradtui.viewmodel.run.density import Distribution
    from gradtui.viewmodel.run.window import Window

_BAR_CELLS: Final = 48


def distribution_lines(
    run: Run, choice: RunChoice, key: SeriesKey, window: Window, width: int, *, ascii: bool = False
) -> list[TextLine]:
    """Return the distribution at the cursor: its quantiles, its bars, its ends; nothing where there is none."""
    found = distribution_at(run, key, window.cursor, choice.one_rank)
    if found.step < 0:
        return []
    # The quantiles come first: the name stands above the chart, too.
    name = safe_label(series_name(key), max(width - 66, 16), keep="both")
    about = estimate_mark(run, key, found, choice.one_rank)
    quantiles = "  ".join(
        f"p{percent_} {about}{number(found.quantile(percent_ / 100), 8, digits=3)}"
        for percent_ in (1, 50, 99)
    )
    lines = [
        fitting(
            [
                line((f" {name}", ""), (f" at step {found.step}", "dim")),
                line((quantiles if found.total else "", "value")),
                *_tail_words(found, about),
            ],
            width,
        )
    ]
    if found.all_zero and choice.baseline == NEWEST:
        return [*lines, line((f" {found.step:>8} ", "dim"), (zero_words(found.total), "value"))]
    low, high = _ends(found)
    cells = min(_BAR_CELLS, max(width - 22, 8))
    lines.append(_bars(found, low, high, cells, f"{found.step:>8}", ascii=ascii))
    if choice.baseline != NEWEST:
        before = distribution_at(run, key, choice.baseline, choice.one_rank)
        if before.step >= 0 and before.step != found.step:
            low, high = min(low, _ends(before)[0]), max(high, _ends(before)[1])
            lines[-1] = _bars(found, low, high, cells, f"{found.step:>8}", ascii=ascii)
            lines.append(_bars(before, low, high, cells, f"{before.step:>8}", ascii=ascii))
    if found.total:
        lines.append(_ends_line(low, high, cells))
    return lines


def estimate_mark(run: Run, key: SeriesKey, found: Distribution, rank: int | None = None) -> str:
    """Return ``~`` where a distribution is of a sample of the tensor's values, so that its quantiles are estimates."""
    if key.quantity != VALUES:
        return ""
    count = run.latest(key.of("count"), rank)
    if math.isnan(count):
        info = run.parameter_info(key.path, key.slot)
        count = math.prod(info.shape) if info is not None and key.role in PARAMETER_ROLES else 0
    return "~" if found.total + int(found.tails.sum()) < count else ""


def zero_words(count: int) -> str:
    """Say of a distribution of nothing but zeros what it is: a bar of them would have a width."""
    return (
        f"all {count:,} counted values are exactly 0"
        if count > 1
        else "the one counted value is exactly 0"
    )


def _tail_words(found: Distribution, about: str) -> list[TextLine]:
    words = zip(("NaN", "+Inf", "-Inf", "below", "above"), found.tails.tolist(), strict=True)
    parts = [
        line((f"{about}{count} {name}", "bad" if place < 3 else "dim"))
        for place, (name, count) in enumerate(words)
        if count
    ]
    if parts and about:
        # The whole tensor has more of them.
        parts[-1] = (*parts[-1], Span(" of the sample", "dim"))
    return parts


def _ends(found: Distribution) -> tuple[float, float]:
    """The edges of the first and the last bin that hold something."""
    held = found.counts.nonzero()[0]
    if not len(held):
        return float(found.edges[0]), float(found.edges[-1])
    return float(found.edges[held[0]]), float(found.edges[held[-1] + 1])


def _bars(
    found: Distribution, low: float, high: float, cells: int, label: str, *, ascii: bool
) -> TextLine:
    counts = bars_of(found, cells, low, high)
    ramp = " " + (ASCII_BARS if ascii else BARS)
    most = float(counts.max()) if counts.size else 0.0
    if not most:
        return line((f" {label} ", "dim"), ("no finite values", "bad"))
    text = "".join(
        ramp[math.ceil(count / most * (len(ramp) - 1) - 1e-9)] for count in counts.tolist()
    )
    return line((f" {label} ", "dim"), (text, "value"))


def _ends_line(low: float, high: float, cells: int) -> TextLine:
    left, right = number(low, 8, digits=3), number(high, 8, digits=3)
    row = [" "] * cells
    row[: len(left)] = left
    row[max(cells - len(right), 0) :] = right
    if low < 0 < high:
        zero = round(-low / (high - low) * cells)
        if len(left) < zero < cells - len(right) - 1:
            row[zero] = "0"
    return line((" " * 10 + "".join(row), "dim"))
