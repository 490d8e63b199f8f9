"""Charts: axes by plotext, as lines of spans, with the curves between them.

plotext keeps one figure for a process; it is imported when the first chart is drawn.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gradtui.tui.render.dots import dotted
from gradtui.viewmodel.text import Span, TextLine

if TYPE_CHECKING:
    from gradtui.core.arrays import Floats
    from gradtui.tui.render.dots import Stroke
    from gradtui.viewmodel.run.curves import Chart, Curve
    from gradtui.viewmodel.run.ticks import Tick

CURVES: Final = 6
"""Colours of curves; more curves begin again."""
_SEQUENCE: Final = re.compile(r"\x1b\[([0-9;]*)m")
_ASCII: Final = str.maketrans({"│": "|", "┤": "+", "└": "+", "┬": "+", "─": "-", "┼": "+"})
_LABEL_WIDTH: Final = 7


@dataclass(frozen=True, slots=True)
class Field:
    """Where the dots of a chart are: its lines, and the columns of the field in them."""

    lines: tuple[TextLine, ...]
    left: int
    width: int


def field_of(width: int, height: int) -> tuple[int, int]:
    """Return columns and rows of the field of a chart of this size, without axes and labels."""
    return max(width - _LABEL_WIDTH - 1, 1), max(height - 2, 1)


def drawn(chart: Chart, width: int, height: int, *, ascii: bool = False) -> Field:
    """Draw a chart into exactly ``height`` lines of ``width`` columns.

    At steps that are not finite a curve has a gap, and the axis an ``x``.

    Args:
        chart: made for the field of this size.
        width: columns, at least 12.
        height: lines, at least 4.
        ascii: without braille and box characters.
    """
    left, columns, rows = _LABEL_WIDTH + 1, *field_of(width, height)
    frame = _frame(
        width, height, chart.low, chart.high, chart.y_ticks,
        (chart.window.first, chart.window.last), chart.x_ticks, ascii,
    )  # fmt: skip
    curves = [
        (f"curve {number % CURVES}", _shares(chart, _strokes(curve, chart.low)))
        for number, curve in enumerate(chart.curves)
    ]
    field = dotted(curves, columns, rows, ascii=ascii)
    lines = [
        (*text_line, *dots) for text_line, dots in zip(frame[:rows], field, strict=True)
    ] + list(frame[rows:])
    for column in sorted({chart.window.column(step, columns) for step in _bad(chart)}):
        lines[height - 2] = _marked(lines[height - 2], left + column, "x", "bad", always=True)
    return Field(tuple(lines[:height]), left, columns)


@lru_cache(maxsize=16)
def _frame(
    width: int,
    height: int,
    low: float,
    high: float,
    y_ticks: tuple[Tick, ...],
    steps: tuple[int, int],
    x_ticks: tuple[Tick, ...],
    ascii: bool,
) -> tuple[TextLine, ...]:
    """Axes and labels: of each row what is left of the field, then the two rows below it; seldom another."""
    import plotext

    plotext.terminal.limit(False, False)
    figure = plotext.figure
    figure.clear()
    figure.plot_size(width, height)
    figure.axes(False)
    figure.axes(True, axis="x", side=0)
    figure.axes(True, axis="y", side=0)
    _rule(figure.ruler("y"), low, high, y_ticks, _LABEL_WIDTH)
    _rule(figure.ruler("x"), *steps, x_ticks)
    # Without anything in it, a figure has no axes.
    figure.draw(figure.signal([steps[0]], [low], marker=" "))
    rows = [_SEQUENCE.sub("", row) for row in figure.build().string().rstrip("\n").split("\n")]
    rows = [*rows, *[""] * (height - len(rows))][:height]
    if ascii:
        rows = [row.translate(_ASCII) for row in rows]
    left, above = _LABEL_WIDTH + 1, height - 2
    return tuple(
        (Span(row[:left].ljust(left) if number < above else row, "dim"),)
        for number, row in enumerate(rows)
    )


def _shares(chart: Chart, strokes: list[Stroke]) -> list[Stroke]:
    """Strokes from 0 to 1 along each axis."""
    window, extent = chart.window, chart.high - chart.low
    return [
        ((xs - window.first) / window.span, (ys - chart.low) / (extent or 1.0))
        for xs, ys in strokes
    ]


def _bad(chart: Chart) -> list[float]:
    """All steps at which a curve is not finite."""
    return [step for curve in chart.curves for step in curve.bad.tolist()]


def _rule(
    ruler: Any, low: float, high: float, ticks: tuple[tuple[float, str], ...], width: int = 0
) -> None:
    ruler.lim(low, high)
    places = [place for place, _ in ticks]
    words = [text.rjust(width) for _, text in ticks]
    if not places:
        # A label keeps the field where it is.
        places, words = [low], [" " * max(width, 1)]
    ruler.ticks(places, words)


def _strokes(curve: Curve, bottom: float) -> list[Stroke]:
    """The ways of the pen, lifted at each gap: at a step down to the least value, up to the greatest, then to the newest."""
    if not len(curve.x):
        return []
    y, low, high = (_grounded(values, bottom) for values in (curve.y, curve.low, curve.high))
    single = (low == y) & (high == y)
    xs = np.repeat(curve.x, np.where(single, 1, 3))
    ys = np.empty(len(xs))
    ends = np.cumsum(np.where(single, 1, 3)) - 1
    ys[ends] = y
    wide = ends[~single]
    ys[wide - 2], ys[wide - 1] = low[~single], high[~single]
    before = np.searchsorted(curve.bad, curve.x, "right")
    lifted = 1 + ends[np.flatnonzero(before[1:] != before[:-1])]
    return list(zip(np.split(xs, lifted), np.split(ys, lifted), strict=True))


def _grounded(values: Floats, bottom: float) -> Floats:
    """Zeros on a logarithmic axis lie at its lower end."""
    grounded: Floats = np.where(np.isneginf(values), bottom, values)
    return grounded


def with_column(field: Field, column: int, *, ascii: bool = False) -> tuple[TextLine, ...]:
    """Return the lines of a chart with a vertical line in a column of its field; on the axis it is a mark.

    A cell with dots keeps them.
    """
    if not 0 <= column < field.width:
        return field.lines
    bar, foot = ("|", "^") if ascii else ("│", "┴")
    place = field.left + column
    found = []
    for number, text_line in enumerate(field.lines):
        rows_of_field = len(field.lines) - 2
        if number < rows_of_field:
            found.append(_marked(text_line, place, bar, "highlight"))
        elif number == rows_of_field:
            found.append(_marked(text_line, place, foot, "highlight", always=True))
        else:
            found.append(text_line)
    return tuple(found)


def _marked(
    text_line: TextLine, place: int, mark: str, role: str, *, always: bool = False
) -> TextLine:
    spans: list[Span] = []
    at = 0
    for span in text_line:
        inside = place - at
        if 0 <= inside < len(span.text):
            here = span.text[inside]
            spans += [
                Span(span.text[:inside], span.role),
                Span(mark if always or here == " " else here, role),
                Span(span.text[inside + 1 :], span.role),
            ]
        else:
            spans.append(span)
        at += len(span.text)
    if place >= at:
        spans += [Span(" " * (place - at)), Span(mark, role)]
    return tuple(span for span in spans if span.text)


def is_drawable(width: int, height: int) -> bool:
    """Whether there is room for a chart with axes."""
    return width >= 20 and height >= 5
