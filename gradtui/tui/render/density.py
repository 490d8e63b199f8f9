"""A distribution over time as lines of spans: half blocks where there are colours, else a ramp of glyphs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from gradtui.viewmodel.text import Span, TextLine, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradtui.tui.render.palette import Palette
    from gradtui.viewmodel.run.density import Density
    from gradtui.viewmodel.run.ticks import Tick
    from gradtui.viewmodel.run.window import Window

LABELS: Final = 7
"""Columns of the labels at the left, as wide as those of charts: both have their steps in the same columns."""
DARKEST: Final = 0
BRIGHTEST: Final = 15
"""Levels of the blue half of the palette: the fullest cell is white."""
EMPTY: Final = -1
_RAMP: Final = ".:-=+*#%@"


def cell_rows(height: int, *, solid: bool, others: int = 2) -> int:
    """Return how many rows of cells have room in ``height`` lines, beside the steps and ``others``.

    Others are the line of zero, and the counters of what is not finite.
    """
    free = max(height - 2 - others, 1)
    return 2 * free - 1 if solid else free


def other_lines(density: Density) -> int:
    """Return how many lines a heatmap has beside its cells and its steps."""
    return int(density.zero > 0) + int(bool(density.bad.any()))


def levels_of(shares: Sequence[float]) -> list[int]:
    """Return the level of each share: by its root, so that tails are seen; `EMPTY` for 0 and NaN."""
    return [
        EMPTY if not share > 0 else DARKEST + round(math.sqrt(share) * (BRIGHTEST - DARKEST))
        for share in shares
    ]


def density_lines(
    density: Density,
    window: Window,
    ticks: Sequence[Tick],
    width: int,
    height: int,
    palette: Palette,
) -> tuple[TextLine, ...]:
    """Return a heatmap with its labels, zero line, counters and steps in exactly ``height`` lines.

    Args:
        density: made for `cell_rows` rows and ``width`` less labels columns.
        window: the steps in view, and the cursor.
        ticks: of the step axis.
        width: columns.
        height: lines.
        palette: colours, or none.
    """
    columns = max(width - LABELS - 1, 1)
    cursor = window.column(window.cursor, columns)
    lines = _cells(density, columns, cursor, palette)
    if density.bad.any():
        marks = "".join("x" if bad else " " for bad in density.bad)
        lines.append((Span("nan/inf".rjust(LABELS) + " ", "bad"), Span(marks, "bad")))
    lines += axis_lines(window, ticks, columns, ascii=palette.ascii_only)
    # What is left stays free above: the steps keep their place.
    return (*(() for _ in range(height - len(lines))), *lines)[:height]


def _cells(density: Density, columns: int, cursor: int, palette: Palette) -> list[TextLine]:
    levels = [levels_of(row.tolist()) for row in density.shares]
    labels = _labels(density)
    above = max(0, density.zero)
    if not palette.solid:
        lines = [
            _glyphs(row, cursor, _label(labels, place, place + 1), palette)
            for place, row in enumerate(levels)
        ]
        at = above
    else:
        empty = [EMPTY] * columns
        # Whole lines on both sides of zero.
        if above % 2:
            levels.insert(0, empty)
            labels = {place + 1: text for place, text in labels.items()}
            above += 1
        if len(levels) % 2:
            levels.append(empty)
        lines = [
            _halves(levels[place], levels[place + 1], cursor, _label(labels, place, place + 2))
            for place in range(0, len(levels), 2)
        ]
        at = above // 2
    if density.zero > 0:
        lines.insert(at, _zero(columns, cursor, ascii=palette.ascii_only))
    return lines


def _labels(density: Density) -> dict[int, str]:
    """Words at rows: the bound at the top, the one at the bottom."""
    rows = len(density.shares)
    # Values beyond the rows are few, and told by a sign.
    more = "+" if density.rejected.any() else ""
    top, bottom = (number(float(e), LABELS - 1, digits=2) + more for e in density.edges[[0, -1]])
    return {0: top, rows - 1: bottom} if rows > 1 else {0: top}


def _label(labels: dict[int, str], start: int, stop: int) -> Span:
    text = next((labels[place] for place in range(start, stop) if place in labels), "")
    return Span(text.rjust(LABELS) + " ", "dim")


def _halves(upper: list[int], lower: list[int], cursor: int, label: Span) -> TextLine:
    spans = [label]
    for column, (up, down) in enumerate(zip(upper, lower, strict=True)):
        if up == EMPTY and down == EMPTY:
            _add(spans, "│" if column == cursor else " ", "dim")
        elif down == EMPTY:
            _add(spans, "▀", f"level {up}")
        elif up == EMPTY:
            _add(spans, "▄", f"level {down}")
        else:
            _add(spans, "▀", f"halves {up} {down}")
    return tuple(spans)


def _glyphs(levels: list[int], cursor: int, label: Span, palette: Palette) -> TextLine:
    bar = "|" if palette.ascii_only else "│"
    spans = [label]
    for column, level in enumerate(levels):
        if level == EMPTY:
            _add(spans, bar if column == cursor else " ", "dim")
        else:
            place = (level - DARKEST) * (len(_RAMP) - 1) // (BRIGHTEST - DARKEST)
            _add(spans, _RAMP[place], "value")
    return tuple(spans)


def _zero(columns: int, cursor: int, *, ascii: bool) -> TextLine:
    dash, cross = ("-", "+") if ascii else ("┄", "┼")
    text = dash * columns
    if 0 <= cursor < columns:
        text = text[:cursor] + cross + text[cursor + 1 :]
    return (Span("0".rjust(LABELS) + " ", "dim"), Span(text, "dim"))


def axis_lines(
    window: Window, ticks: Sequence[Tick], columns: int, *, ascii: bool = False
) -> list[TextLine]:
    """Return the step axis with its marks and, below it, their words; the cursor has a mark of its own."""
    dash, mark, foot, corner = ("-", "+", "^", "+") if ascii else ("─", "┬", "┴", "└")
    axis, words = [dash] * columns, [" "] * columns
    free = 0
    for step, text in ticks:
        column = window.column(step, columns)
        if not 0 <= column < columns:
            continue
        axis[column] = mark
        start = min(max(column - len(text) // 2, 0), max(columns - len(text), 0))
        if start >= free:
            words[start : start + len(text)] = text
            free = start + len(text) + 1
    cursor = window.column(window.cursor, columns)
    left = Span(" " * LABELS + corner, "dim")
    if 0 <= cursor < columns:
        before, after = "".join(axis[:cursor]), "".join(axis[cursor + 1 :])
        spans = (left, Span(before, "dim"), Span(foot, "highlight"), Span(after, "dim"))
        lines = [tuple(span for span in spans if span.text)]
    else:
        lines = [(left, Span("".join(axis), "dim"))]
    lines.append((Span(" " * (LABELS + 1)), Span("".join(words[:columns]), "dim")))
    return lines


def _add(spans: list[Span], text: str, role: str) -> None:
    if spans[-1].role == role and len(spans) > 1:
        spans[-1] = Span(spans[-1].text + text, role)
    else:
        spans.append(Span(text, role))
